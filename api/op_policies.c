/* Policies and what they are attached to. */
#include "api/auth_ops.h"

static void show(struct json_out *w, const struct auth_policy *p)
{
	jw_object(w, NULL);
	jw_int(w, "creation_date", p->created_s);
	jw_str(w, "id", p->id);
	auth_document_write(&p->document, w);
	jw_end_object(w);
}

void api_show_policies(struct api_req *r, const struct auth_policy *list, size_t n, bool more)
{
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		show(&r->w, &list[i]);
	api_page_end(r, n, more, n ? list[n - 1].id : STR(""));
}

static rc run_list(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy *list;
	size_t n;
	bool more;

	TRY(auth_policies_list(&c, api_auth_page(r), &list, &n, &more));
	api_show_policies(r, list, n, more);
	return RC_OK;
}

const struct api_handlers handlers_listPolicies = {.parse = api_parse_page, .run = run_list};

static rc parse_document(struct api_req *r)
{
	struct auth_document *d = ARENA_NEW(r->a, struct auth_document);
	rc read = auth_document_of_json(r->a, json_member(r->doc, "statement"), d, &r->err);

	r->op_state = d;
	if (!rc_ok(read))
		return err_wrap(read, &r->err,
				"request body has an error: doesn't match schema #/components/schemas/Policy");
	return RC_OK;
}

static rc parse_create(struct api_req *r)
{
	TRY(api_body_object(r, "Policy"));
	TRY(api_body_str(r, "Policy", "id", true, &r->policy_id));
	return parse_document(r);
}

/* The path names it; what the document says must not be something else. */
static rc parse_update(struct api_req *r)
{
	struct str id;

	TRY(api_body_object(r, "Policy"));
	TRY(api_body_str(r, "Policy", "id", true, &id));
	TRY(parse_document(r));
	if (str_eq(id, r->policy_id))
		return RC_OK;
	return err_set(&r->err, ERR_INVALID, "the document's id isn't the one in the request's path");
}

static rc run_create(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy p;

	TRY(auth_policy_create(&c, r->policy_id, r->op_state, &p));
	show(&r->w, &p);
	return RC_OK;
}

static rc run_update(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy p;

	TRY(auth_policy_update(&c, r->policy_id, r->op_state, &p));
	show(&r->w, &p);
	return RC_OK;
}

const struct api_handlers handlers_createPolicy = {.parse = parse_create, .run = run_create};
const struct api_handlers handlers_updatePolicy = {.parse = parse_update, .run = run_update};

static rc run_get(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy p;

	TRY(auth_policy_get(&c, r->policy_id, &p));
	show(&r->w, &p);
	return RC_OK;
}

const struct api_handlers handlers_getPolicy = {.run = run_get};

static rc run_delete(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_policy_delete(&c, r->policy_id);
}

const struct api_handlers handlers_deletePolicy = {.run = run_delete};

/* Attachments. */

struct attached {
	struct auth_page page; /* first: api_auth_page */
	bool effective;
};

static rc parse_of_user(struct api_req *r)
{
	struct attached *at = ARENA_NEW(r->a, struct attached);

	TRY(api_parse_page(r));
	at->page = *api_auth_page(r);
	r->op_state = at;
	return api_query_bool(r, "effective", false, &at->effective);
}

static rc list_of(struct api_req *r, enum auth_holder kind, struct str holder, bool effective)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy *list;
	size_t n;
	bool more;

	TRY(auth_policies_of(&c, kind, holder, effective, api_auth_page(r), &list, &n, &more));
	api_show_policies(r, list, n, more);
	return RC_OK;
}

static rc run_of_user(struct api_req *r)
{
	struct attached *at = r->op_state;

	return list_of(r, AUTH_OF_USER, r->user_id, at->effective);
}

static rc run_of_group(struct api_req *r)
{
	return list_of(r, AUTH_OF_GROUP, r->group_id, false);
}

const struct api_handlers handlers_listUserPolicies = {.parse = parse_of_user, .run = run_of_user};
const struct api_handlers handlers_listGroupPolicies = {.parse = api_parse_page, .run = run_of_group};

static rc run_attach_user(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_policy_attach(&c, AUTH_OF_USER, r->user_id, r->policy_id);
}

static rc run_detach_user(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_policy_detach(&c, AUTH_OF_USER, r->user_id, r->policy_id);
}

static rc run_attach_group(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_policy_attach(&c, AUTH_OF_GROUP, r->group_id, r->policy_id);
}

static rc run_detach_group(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_policy_detach(&c, AUTH_OF_GROUP, r->group_id, r->policy_id);
}

const struct api_handlers handlers_attachPolicyToUser = {.run = run_attach_user};
const struct api_handlers handlers_detachPolicyFromUser = {.run = run_detach_user};
const struct api_handlers handlers_attachPolicyToGroup = {.run = run_attach_group};
const struct api_handlers handlers_detachPolicyFromGroup = {.run = run_detach_group};
