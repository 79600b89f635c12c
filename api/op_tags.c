/* Tags: list, create, get, delete. */
#include "api/rest.h"
#include "versions/tag.h"

static rc parse_list(struct api_req *r)
{
	struct api_page *page = ARENA_NEW(r->a, struct api_page);

	r->op_state = page;
	return api_query_page(r, page);
}

static rc run_list(struct api_req *r)
{
	struct api_page *page = r->op_state;
	struct vcall c = api_vcall(r);
	struct tag *list;
	size_t n;
	bool more;

	TRY(tag_list(&c, &r->repo, page->prefix, page->after, page->amount, &list, &n, &more));
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		api_show_ref(&r->w, list[i].id, list[i].commit_id);
	api_page_end(r, n, more, n ? list[n - 1].id : STR(""));
	return RC_OK;
}

const struct api_handlers handlers_listTags = {.parse = parse_list, .run = run_list};

static rc parse_create(struct api_req *r)
{
	static const char schema[] = "TagCreation";

	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "id", true, &r->tag));
	TRY(api_body_str(r, schema, "ref", true, &r->ref));
	TRY(api_body_bool(r, schema, "force", &r->force));
	if (!r->tag.n)
		return err_set(&r->err, ERR_INVALID, "argument tagID: required value: validation error");
	if (!rc_ok(valid_tag_name(r->tag, NULL)))
		return err_set(&r->err, ERR_INVALID,
			       "argument tagID: tag id: invalid value: validation error");
	return api_check_committed(r, r->ref);
}

static rc run_create(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct tag made;
	rc res = tag_create(&c, &r->repo, r->tag, r->ref, r->force, &made);

	if (rc_is(res, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(res);
	api_show_ref(&r->w, made.id, made.commit_id);
	return RC_OK;
}

const struct api_handlers handlers_createTag = {.parse = parse_create, .run = run_create};

static rc plan_get(struct api_req *r)
{
	struct tag *t = ARENA_NEW(r->a, struct tag);
	struct vcall c = api_vcall(r);

	r->op_state = t;
	return tag_get(&c, &r->repo, r->tag, t);
}

static void reply_get(struct api_req *r)
{
	struct tag *t = r->op_state;

	api_show_ref(&r->w, t->id, t->commit_id);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getTag = {.plan = plan_get, .reply = reply_get};

static rc run_delete(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	return tag_delete(&c, &r->repo, r->tag, r->force);
}

const struct api_handlers handlers_deleteTag = {.run = run_delete};
