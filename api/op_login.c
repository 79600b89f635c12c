/* Logins, who is logged in, and what of it is lakeFS's paid editions' only. */
#include "api/auth_ops.h"

rc api_not_here(struct api_req *r)
{
	return err_set(&r->err, ERR_UNSUPPORTED, "Not Implemented");
}

struct login {
	struct str key, secret, token;
	int64_t expires_s;
};

/* Another site must not log a browser in under a name of its choice. */
static rc parse_login(struct api_req *r)
{
	static const char schema[] = "LoginInformation";
	struct login *l = ARENA_NEW(r->a, struct login);

	r->op_state = l;
	TRY(api_same_origin(r));
	if (!r->doc)
		return RC_OK;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "access_key_id", true, &l->key));
	return api_body_str(r, schema, "secret_access_key", true, &l->secret);
}

static rc run_login(struct api_req *r)
{
	struct login *l = r->op_state;
	struct auth_call c;

	TRY(api_check_secret(r, l->key, l->secret));
	c = api_auth_call(r);
	auth_audit(&c, "logged in", "access_key_id", l->key, NULL, STR_NONE);
	l->token = auth_token_make(r->x->o.auth, r->user, r->a, &l->expires_s);
	return RC_OK;
}

static void reply_login(struct api_req *r)
{
	struct login *l = r->op_state;

	api_add_header(r, "set-cookie", api_cookie_header(r->http, r->a, l->token));
	api_add_header(r, "cache-control", STR("no-store"));
	api_begin(r);
	jw_str(&r->w, "token", l->token);
	jw_int(&r->w, "token_expiration", l->expires_s);
	api_end(r);
	api_reply_json(r, 200);
}

const struct api_handlers handlers_login = {.parse = parse_login, .run = run_login, .reply = reply_login};

/* Whoever is nobody is told so. */
static rc run_current(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_person u = {.id = STR("")};
	rc found;

	api_begin(r);
	if (!r->user) {
		jw_object(&r->w, "user");
		jw_int(&r->w, "creation_date", 0);
		jw_str(&r->w, "id", STR(""));
		jw_end_object(&r->w);
		api_end(r);
		return RC_OK;
	}
	found = auth_user_get(&c, auth_user_name(r->user), &u);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_AccessDenied, "error authenticating request");
	TRY(found);
	api_show_person(&r->w, "user", &u);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_getCurrentUser = {.run = run_current};

static void reply_capabilities(struct api_req *r)
{
	api_begin(r);
	jw_bool(&r->w, "invite_user", false);
	api_end(r);
	api_reply_json(r, 200);
}

const struct api_handlers handlers_getAuthCapabilities = {.reply = reply_capabilities};
const struct api_handlers handlers_oauthCallback = {0};

static rc parse_sts(struct api_req *r)
{
	static const char schema[] = "StsAuthRequest";
	struct str text;

	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "code", true, &text));
	TRY(api_body_str(r, schema, "redirect_uri", true, &text));
	TRY(api_body_str(r, schema, "state", true, &text));
	return api_not_here(r);
}

const struct api_handlers handlers_stsLogin = {.parse = parse_sts};
const struct api_handlers handlers_externalPrincipalLogin = {.parse = api_not_here};

static rc parse_principal_creation(struct api_req *r)
{
	static const char schema[] = "ExternalPrincipalCreation";
	struct json *settings;

	TRY(api_body_object(r, schema));
	settings = json_member(r->doc, "settings");
	if (settings && json_type(settings) != JSON_OBJECT)
		return api_bad_body(r, schema, "settings", "value must be an object");
	return api_query_required(r, "principalId", &r->id);
}

static rc parse_principal(struct api_req *r)
{
	return api_query_required(r, "principalId", &r->id);
}

const struct api_handlers handlers_createUserExternalPrincipal = {.parse = parse_principal_creation,
								  .plan = api_not_here};
const struct api_handlers handlers_deleteUserExternalPrincipal = {.parse = parse_principal,
								  .plan = api_not_here};
const struct api_handlers handlers_listUserExternalPrincipals = {.parse = api_parse_page, .plan = api_not_here};
const struct api_handlers handlers_getExternalPrincipal = {.parse = parse_principal, .plan = api_not_here};
