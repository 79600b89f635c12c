/* Branches: list, create, get, delete; reset and hard reset. */
#include "api/rest.h"
#include "versions/head.h"
#include "versions/ref.h"

struct listing {
	struct api_page page;
	bool hidden;
};

static rc parse_list(struct api_req *r)
{
	struct listing *l = ARENA_NEW(r->a, struct listing);

	r->op_state = l;
	TRY(api_query_bool(r, "show_hidden", false, &l->hidden));
	return api_query_page(r, &l->page);
}

static rc run_list(struct api_req *r)
{
	struct listing *l = r->op_state;
	struct vcall c = api_vcall(r);
	struct branch *list;
	size_t n;
	bool more;

	TRY(branch_list(&c, &r->repo, l->page.prefix, l->page.after, l->page.amount, l->hidden, &list, &n,
			&more));
	api_page_begin(r);
	for (size_t i = 0; i < n; i++)
		api_show_ref(&r->w, list[i].id, list[i].commit_id);
	api_page_end(r, n, more, n ? list[n - 1].id : STR(""));
	return RC_OK;
}

const struct api_handlers handlers_listBranches = {.parse = parse_list, .run = run_list};

struct creation {
	struct str source;
	bool hidden;
	struct branch made;
};

static rc parse_create(struct api_req *r)
{
	static const char schema[] = "BranchCreation";
	struct creation *n = ARENA_NEW(r->a, struct creation);

	r->op_state = n;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "name", true, &r->branch));
	TRY(api_body_str(r, schema, "source", true, &n->source));
	TRY(api_body_bool(r, schema, "force", &r->force));
	TRY(api_body_bool(r, schema, "hidden", &n->hidden));
	if (!r->branch.n)
		return err_set(&r->err, ERR_INVALID, "argument branch: required value: validation error");
	if (!rc_ok(valid_branch_name(r->branch, NULL)))
		return err_set(&r->err, ERR_INVALID,
			       "argument branch: branch id: invalid value: validation error: branch id must "
			       "consist of letters, digits, underscores and dashes, and cannot start with a dash");
	return RC_OK;
}

static rc run_create(struct api_req *r)
{
	struct creation *n = r->op_state;
	struct branch_request q = {
		.name = r->branch, .source = n->source, .hidden = n->hidden, .force = r->force};
	struct vcall c = api_vcall(r);
	rc made = branch_create_with(&c, &r->repo, &q);

	if (rc_is(made, EXISTS) && !strstr(r->err.msg, "conflict found"))
		return err_set(&r->err, ERR_EXISTS, "branch already exists: not unique");
	TRY(made);
	return branch_get(&c, &r->repo, r->branch, &n->made);
}

/* The commit id, as text. */
static void reply_create(struct api_req *r)
{
	struct creation *n = r->op_state;

	api_reply_text(r, r->route->status, n->made.commit_id);
}

const struct api_handlers handlers_createBranch = {
	.parse = parse_create, .run = run_create, .reply = reply_create};

static rc plan_get(struct api_req *r)
{
	struct branch *b = ARENA_NEW(r->a, struct branch);
	struct vcall c = api_vcall(r);

	r->op_state = b;
	return branch_get(&c, &r->repo, r->branch, b);
}

static void reply_get(struct api_req *r)
{
	struct branch *b = r->op_state;

	api_show_ref(&r->w, b->id, b->commit_id);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getBranch = {.plan = plan_get, .reply = reply_get};

static rc run_delete(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	if (str_eq(r->branch, r->repo.default_branch))
		return err_set(&r->err, ERR_Forbidden, "cannot delete repository default branch");
	return branch_delete(&c, &r->repo, r->branch);
}

const struct api_handlers handlers_deleteBranch = {.run = run_delete};

/* Resetting. */

struct reset {
	struct str type, path;
};

static rc parse_reset(struct api_req *r)
{
	static const char schema[] = "ResetCreation";
	struct reset *s = ARENA_NEW(r->a, struct reset);

	r->op_state = s;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "type", true, &s->type));
	TRY(api_body_str(r, schema, "path", false, &s->path));
	TRY(api_body_bool(r, schema, "force", &r->force));
	if (str_eq(s->type, STR("object")) && !s->path.n)
		return err_set(&r->err, ERR_INVALID,
			       "argument path: missing path: required value: validation error");
	if (!str_eq(s->type, STR("object")) && !str_eq(s->type, STR("common_prefix")) &&
	    !str_eq(s->type, STR("reset")))
		return api_bad_body(r, schema, "type",
				    "value is not one of the allowed values "
				    "[\"object\",\"common_prefix\",\"reset\"]");
	return RC_OK;
}

static rc run_reset(struct api_req *r)
{
	struct reset *s = r->op_state;
	struct vcall c = api_vcall(r);

	if (str_eq(s->type, STR("reset")))
		return branch_reset(&c, &r->repo, r->branch, r->force);
	if (str_eq(s->type, STR("object")))
		return branch_reset_object(&c, &r->repo, r->branch, s->path, r->force);
	return branch_reset_prefix(&c, &r->repo, r->branch, s->path.p ? s->path : STR(""), r->force);
}

const struct api_handlers handlers_resetBranch = {.parse = parse_reset, .run = run_reset};

static rc parse_hard_reset(struct api_req *r)
{
	return api_query_required(r, "ref", &r->ref);
}

static rc run_hard_reset(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	rc res = branch_hard_reset(&c, &r->repo, r->branch, r->ref, r->force);

	if (rc_is(res, ProtectedBranch) || rc_is(res, WriteToProtectedBranch))
		return err_set(&r->err, ERR_Forbidden, "protected branch");
	if (rc_is(res, NOT_FOUND) && str_starts(str_c(r->err.msg), STR("ref '")))
		return err_set(&r->err, ERR_NOT_FOUND, "hard-reset " STR_FMT " to " STR_FMT ": not found",
			       STR_ARG(r->branch), STR_ARG(str_head(r->ref, 200)));
	return res;
}

const struct api_handlers handlers_hardResetBranch = {.parse = parse_hard_reset, .run = run_hard_reset};
