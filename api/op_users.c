/* Users and their groups and credentials. */
#include "api/auth_ops.h"

struct auth_call api_auth_call(struct api_req *r)
{
	return (struct auth_call){
		.x = r->x->o.auth,
		.a = r->a,
		.err = &r->err,
		.by = r->user ? auth_user_name(r->user) : STR("nobody"),
		.source = api_source(r),
		.request_id = http_req_id(r->http),
	};
}

rc api_parse_page(struct api_req *r)
{
	struct auth_page *p = ARENA_NEW(r->a, struct auth_page);
	struct api_page page;

	r->op_state = p;
	TRY(api_query_page(r, &page));
	*p = (struct auth_page){page.prefix, page.after, page.amount};
	return RC_OK;
}

const struct auth_page *api_auth_page(struct api_req *r)
{
	return r->op_state;
}

void api_show_person(struct json_out *w, const char *key, const struct auth_person *u)
{
	jw_object(w, key);
	jw_int(w, "creation_date", u->created_s);
	jw_str(w, "email", u->email);
	jw_str(w, "friendly_name", u->friendly_name);
	jw_str(w, "id", u->id);
	jw_end_object(w);
}

void api_show_persons(struct api_req *r, const struct auth_person *list, size_t n, bool more)
{
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		api_show_person(&r->w, NULL, &list[i]);
	api_page_end(r, n, more, n ? list[n - 1].id : STR(""));
}

static rc run_list(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_person *list;
	size_t n;
	bool more;

	TRY(auth_users_list(&c, api_auth_page(r), &list, &n, &more));
	api_show_persons(r, list, n, more);
	return RC_OK;
}

const struct api_handlers handlers_listUsers = {.parse = api_parse_page, .run = run_list};

static rc parse_create(struct api_req *r)
{
	bool invite;

	TRY(api_body_object(r, "UserCreation"));
	TRY(api_body_str(r, "UserCreation", "id", true, &r->user_id));
	TRY(api_body_bool(r, "UserCreation", "invite_user", &invite));
	return invite ? api_not_here(r) : RC_OK;
}

static rc run_create(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_person u;

	TRY(auth_user_create(&c, r->user_id, &u));
	api_show_person(&r->w, NULL, &u);
	return RC_OK;
}

const struct api_handlers handlers_createUser = {.parse = parse_create, .run = run_create};

static rc run_get(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_person u;

	TRY(auth_user_get(&c, r->user_id, &u));
	api_show_person(&r->w, NULL, &u);
	return RC_OK;
}

const struct api_handlers handlers_getUser = {.run = run_get};

static rc run_delete(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_user_delete(&c, r->user_id);
}

const struct api_handlers handlers_deleteUser = {.run = run_delete};

static rc run_groups(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_group *list;
	size_t n;
	bool more;

	TRY(auth_groups_of_user(&c, r->user_id, api_auth_page(r), &list, &n, &more));
	api_show_groups(r, list, n, more);
	return RC_OK;
}

const struct api_handlers handlers_listUserGroups = {.parse = api_parse_page, .run = run_groups};

/* Credentials. The secret is told once, when they are made. */

static void show_credential(struct json_out *w, const struct auth_credential *k, struct str secret)
{
	jw_object(w, NULL);
	jw_str(w, "access_key_id", k->access_key);
	jw_int(w, "creation_date", k->created_s);
	if (k->expires_s)
		jw_int(w, "expires_at", k->expires_s);
	if (k->name.n)
		jw_str(w, "name", k->name);
	if (secret.p)
		jw_str(w, "secret_access_key", secret);
	jw_end_object(w);
}

static rc run_list_credentials(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_credential *list;
	size_t n;
	bool more;

	TRY(auth_credentials_list(&c, r->user_id, api_auth_page(r), &list, &n, &more));
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		show_credential(&r->w, &list[i], STR_NONE);
	api_page_end(r, n, more, n ? list[n - 1].access_key : STR(""));
	return RC_OK;
}

const struct api_handlers handlers_listUserCredentials = {.parse = api_parse_page, .run = run_list_credentials};

struct creation {
	struct str name;
	int64_t expires_s;
};

static rc parse_create_credentials(struct api_req *r)
{
	static const char schema[] = "CredentialsCreation";
	struct creation *in = ARENA_NEW(r->a, struct creation);
	bool there;

	r->op_state = in;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "name", false, &in->name));
	TRY(api_body_int(r, schema, "expires_at", false, &in->expires_s, &there));
	if (there && in->expires_s <= 0)
		return api_bad_body(r, schema, "expires_at", "number must be at least 1");
	return RC_OK;
}

static rc run_create_credentials(struct api_req *r)
{
	const struct creation *in = r->op_state;
	struct auth_call c = api_auth_call(r);
	struct auth_credential k;
	struct str secret;

	TRY(auth_credential_create(&c, r->user_id, in->name, in->expires_s, &k, &secret));
	show_credential(&r->w, &k, secret);
	return RC_OK;
}

static void reply_created(struct api_req *r)
{
	api_add_header(r, "cache-control", STR("no-store"));
	api_reply_json(r, 201);
}

const struct api_handlers handlers_createCredentials = {
	.parse = parse_create_credentials, .run = run_create_credentials, .reply = reply_created};

static rc run_get_credentials(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_credential k;

	TRY(auth_credential_get(&c, r->user_id, r->access_key, &k));
	show_credential(&r->w, &k, STR_NONE);
	return RC_OK;
}

const struct api_handlers handlers_getCredentials = {.run = run_get_credentials};

static rc run_delete_credentials(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_credential_delete(&c, r->user_id, r->access_key);
}

const struct api_handlers handlers_deleteCredentials = {.run = run_delete_credentials};
