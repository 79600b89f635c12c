/* Groups and who is in them. */
#include "api/auth_ops.h"

static void show(struct json_out *w, const struct auth_group *g)
{
	jw_object(w, NULL);
	jw_int(w, "creation_date", g->created_s);
	jw_str(w, "description", g->description);
	jw_str(w, "id", g->id);
	jw_str(w, "name", g->id);
	jw_end_object(w);
}

void api_show_groups(struct api_req *r, const struct auth_group *list, size_t n, bool more)
{
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		show(&r->w, &list[i]);
	api_page_end(r, n, more, n ? list[n - 1].id : STR(""));
}

static rc run_list(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_group *list;
	size_t n;
	bool more;

	TRY(auth_groups_list(&c, api_auth_page(r), &list, &n, &more));
	api_show_groups(r, list, n, more);
	return RC_OK;
}

const struct api_handlers handlers_listGroups = {.parse = api_parse_page, .run = run_list};

static rc parse_create(struct api_req *r)
{
	struct str *description = ARENA_NEW(r->a, struct str);

	r->op_state = description;
	TRY(api_body_object(r, "GroupCreation"));
	TRY(api_body_str(r, "GroupCreation", "id", true, &r->group_id));
	return api_body_str(r, "GroupCreation", "description", false, description);
}

static rc run_create(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct str *description = r->op_state;
	struct auth_group g;

	TRY(auth_group_create(&c, r->group_id, *description, &g));
	show(&r->w, &g);
	return RC_OK;
}

const struct api_handlers handlers_createGroup = {.parse = parse_create, .run = run_create};

static rc run_get(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_group g;

	TRY(auth_group_get(&c, r->group_id, &g));
	show(&r->w, &g);
	return RC_OK;
}

const struct api_handlers handlers_getGroup = {.run = run_get};

static rc run_delete(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_group_delete(&c, r->group_id);
}

const struct api_handlers handlers_deleteGroup = {.run = run_delete};

static rc run_members(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_person *list;
	size_t n;
	bool more;

	TRY(auth_members_list(&c, r->group_id, api_auth_page(r), &list, &n, &more));
	api_show_persons(r, list, n, more);
	return RC_OK;
}

const struct api_handlers handlers_listGroupMembers = {.parse = api_parse_page, .run = run_members};

static rc run_add(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_member_add(&c, r->group_id, r->user_id);
}

const struct api_handlers handlers_addGroupMembership = {.run = run_add};

static rc run_remove(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);

	return auth_member_remove(&c, r->group_id, r->user_id);
}

const struct api_handlers handlers_deleteGroupMembership = {.run = run_remove};
