/* The first start, by a browser. */
#include "api/auth_ops.h"

static void show_login(struct api_req *r)
{
	struct json_out *w = &r->w;

	jw_object(w, "login_config");
	jw_str(w, "RBAC", r->x->o.rbac);
	jw_array(w, "login_cookie_names");
	jw_str(w, NULL, STR(API_COOKIE));
	jw_end_array(w);
	jw_str(w, "login_failed_message", STR("The credentials don't match."));
	jw_str(w, "login_url", STR(""));
	jw_str(w, "login_url_method", STR("none"));
	jw_str(w, "logout_url", STR(""));
	jw_end_object(w);
}

/* No preferences are asked for: nobody here sends mail. */
static rc run_state(struct api_req *r)
{
	bool done;

	TRY(auth_is_setup(r->x->o.auth, &done, &r->err));
	api_begin(r);
	jw_bool(&r->w, "comm_prefs_missing", false);
	show_login(r);
	jw_str(&r->w, "state", done ? STR("initialized") : STR("not_initialized"));
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_getSetupState = {.run = run_state};

struct setup {
	struct str user;
	struct auth_credentials given;
};

static rc missing_in_key(struct api_req *r, const char *name)
{
	return err_set(&r->err, ERR_INVALID,
		       "request body has an error: doesn't match schema #/components/schemas/Setup: Error at "
		       "\"/key/%s\": property \"%s\" is missing",
		       name, name);
}

static rc parse_key(struct api_req *r, const struct json *key, struct auth_credentials *ret)
{
	if (!key)
		return RC_OK;
	if (json_type(key) != JSON_OBJECT)
		return api_bad_body(r, "Setup", "key", "value must be an object");
	ret->access_key = json_str(json_member(key, "access_key_id"));
	ret->secret = json_str(json_member(key, "secret_access_key"));
	if (!ret->access_key.p)
		return missing_in_key(r, "access_key_id");
	return ret->secret.p ? RC_OK : missing_in_key(r, "secret_access_key");
}

static rc parse_setup(struct api_req *r)
{
	struct setup *s = ARENA_NEW(r->a, struct setup);

	r->op_state = s;
	TRY(api_same_origin(r));
	TRY(api_body_object(r, "Setup"));
	TRY(api_body_str(r, "Setup", "username", true, &s->user));
	TRY(parse_key(r, json_member(r->doc, "key"), &s->given));
	return s->user.n ? RC_OK : err_set(&r->err, ERR_INVALID, "empty user display name");
}

static rc run_setup(struct api_req *r)
{
	struct setup *s = r->op_state;
	struct auth_call c = api_auth_call(r);
	struct auth_credentials made;
	rc done = auth_setup_by(&c, s->user, &s->given, &made);
	bool was;

	if (rc_is(done, EXISTS) && rc_ok(auth_is_setup(r->x->o.auth, &was, &r->err)) && was)
		return err_set(&r->err, ERR_EXISTS, "lakeFS already initialized");
	TRY(done);
	api_begin(r);
	jw_str(&r->w, "access_key_id", made.access_key);
	jw_int(&r->w, "creation_date", wall_now().s);
	jw_str(&r->w, "secret_access_key", made.secret);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_setup = {.parse = parse_setup, .run = run_setup};

static rc parse_prefs(struct api_req *r)
{
	static const char schema[] = "CommPrefsInput";
	static const char *const demanded[] = {"featureUpdates", "securityUpdates"};
	bool value;

	TRY(api_body_object(r, schema));
	for (size_t i = 0; i < 2; i++) {
		if (!json_member(r->doc, demanded[i]))
			return err_set(&r->err, ERR_INVALID,
				       "request body has an error: doesn't match schema #/components/schemas/%s: Error at "
				       "\"/%s\": property \"%s\" is missing",
				       schema, demanded[i], demanded[i]);
		TRY(api_body_bool(r, schema, demanded[i], &value));
	}
	return RC_OK;
}

/* As lakeFS where email_subscription.enabled is false. */
static rc run_prefs(struct api_req *r)
{
	bool done;

	TRY(auth_is_setup(r->x->o.auth, &done, &r->err));
	if (!done)
		return err_set(&r->err, ERR_PreconditionFailed, "lakeFS is not initialized");
	return err_set(&r->err, ERR_EXISTS, "no preferences are kept here: nobody sends mail");
}

const struct api_handlers handlers_setupCommPrefs = {.parse = parse_prefs, .run = run_prefs};
