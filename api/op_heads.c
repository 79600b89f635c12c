/* Merge, revert, cherry-pick. */
#include "api/rest.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/ref.h"

static rc parse_overrides(struct api_req *r, const struct json *j, struct commit_overrides *ret)
{
	struct json *message = json_member(j, "message");
	struct meta *metadata;

	if (j && json_type(j) != JSON_OBJECT)
		return api_bad_body(r, "CommitOverrides", NULL, "value must be an object");
	if (message && json_type(message) != JSON_STRING)
		return api_bad_body(r, NULL, "message", "value must be a string");
	if (json_str(message).n)
		ret->message = json_str(message);
	TRY(api_json_metadata(r, j, "metadata", &metadata, &ret->metadata_n));
	ret->metadata = metadata;
	return RC_OK;
}

static rc parse_strategy(struct api_req *r, enum merge_strategy *ret)
{
	struct str s = STR_NONE;

	TRY(api_body_str(r, "Merge", "strategy", false, &s));
	*ret = str_eq(s, STR("dest-wins")) ? MERGE_DEST_WINS
	       : str_eq(s, STR("source-wins")) ? MERGE_SOURCE_WINS
					       : MERGE_NONE;
	if (s.n && *ret == MERGE_NONE)
		return err_set(&r->err, ERR_INVALID, "argument strategy: invalid value: validation error");
	return RC_OK;
}

rc api_parse_merge(struct api_req *r)
{
	static const char schema[] = "Merge";
	struct merge_request *q = ARENA_NEW(r->a, struct merge_request);

	r->op_state = q;
	q->source = r->ref;
	q->destination = r->branch;
	TRY(api_body_object(r, schema));
	TRY(parse_overrides(r, r->doc, &q->with));
	TRY(parse_strategy(r, &q->strategy));
	TRY(api_body_bool(r, schema, "squash_merge", &q->squash));
	TRY(api_body_bool(r, schema, "allow_empty", &q->allow_empty));
	return api_body_bool(r, schema, "force", &q->force);
}

static void show_reference(struct api_req *r, struct str id)
{
	api_begin(r);
	jw_str(&r->w, "reference", id);
	api_end(r);
}

static rc no_changes(struct api_req *r, struct str branch)
{
	return err_set(&r->err, ERR_NoChanges, "update branch%s" STR_FMT ": no changes",
		       branch.n ? " " : "", STR_ARG(branch));
}

/* lakeFS's words, where the ref and not the branch is missing. */
static rc named_missing(struct api_req *r, rc res, const char *begin, struct str branch, struct str ref)
{
	if (!rc_is(res, NOT_FOUND) || !str_starts(str_c(r->err.msg), STR("ref '")))
		return res;
	return err_set(&r->err, ERR_NOT_FOUND, "%s" STR_FMT "%s" STR_FMT ": not found", begin, STR_ARG(branch),
		       branch.n ? ": get commit by ref " : "", STR_ARG(str_head(ref, 200)));
}

/* A conflict is an answer of its own: a result without a commit. */
static rc run_merge(struct api_req *r)
{
	struct merge_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct commit made;
	rc merged;

	if (str_eq(q->source, q->destination))
		return no_changes(r, r->branch);
	q->committer = auth_user_name(r->user);
	merged = branch_merge(&c, &r->repo, q, &made);
	if (rc_is(merged, NoChanges))
		return no_changes(r, r->branch);
	if (rc_is(merged, MergeConflict)) {
		show_reference(r, STR(""));
		return RC_OK;
	}
	TRY(named_missing(r, merged, "update branch ", q->destination, q->source));
	r->id = made.id;
	show_reference(r, made.id);
	return RC_OK;
}

static void reply_merge(struct api_req *r)
{
	api_reply_json(r, r->id.n ? r->route->status : 409);
}

const struct api_handlers handlers_mergeIntoBranch = {
	.parse = api_parse_merge, .run = run_merge, .reply = reply_merge};

static rc find(struct api_req *r, struct str ref, const char *as, struct str *ret)
{
	struct vcall c = api_vcall(r);
	struct ref found;
	rc res = ref_resolve(&c, &r->repo, ref, &found);

	if (rc_is(res, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "get commit by %s " STR_FMT ": not found", as,
			       STR_ARG(str_head(ref, 200)));
	TRY(res);
	*ret = found.commit_id;
	return RC_OK;
}

/* Which is called source and which destination: as lakeFS answers it. */
static rc run_base(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str from, to, base;

	TRY(find(r, r->ref, "branch", &from));
	TRY(find(r, r->branch, "ref", &to));
	TRY(merge_base(&c, &r->repo, from, to, &base));
	api_begin(r);
	jw_str(&r->w, "base_commit_id", base);
	jw_str(&r->w, "destination_commit_id", from);
	jw_str(&r->w, "source_commit_id", to);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_findMergeBase = {.run = run_base};

/* Revert and cherry-pick. */

static rc parse_parent(struct api_req *r, const char *schema, bool required, unsigned *ret)
{
	int64_t n;
	bool there;

	TRY(api_body_int(r, schema, "parent_number", required, &n, &there));
	if (n < 0 || n > INT32_MAX)
		return err_set(&r->err, ERR_INVALID,
			       "argument parentNumber: invalid value: validation error");
	*ret = (unsigned)n;
	return RC_OK;
}

static rc parse_pick(struct api_req *r, const char *schema, bool parent_required)
{
	struct pick_request *q = ARENA_NEW(r->a, struct pick_request);

	r->op_state = q;
	q->branch = r->branch;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "ref", true, &q->ref));
	TRY(parse_parent(r, schema, parent_required, &q->parent));
	/* lakectl sends 0 when nobody said; of a merge, lakeFS then picks what it is to its first parent. */
	if (!parent_required && q->parent == 0 && json_member(r->doc, "parent_number"))
		q->parent = 1;
	TRY(parse_overrides(r, json_member(r->doc, "commit_overrides"), &q->with));
	TRY(api_body_bool(r, schema, "allow_empty", &q->allow_empty));
	return api_body_bool(r, schema, "force", &q->force);
}

static rc parse_revert(struct api_req *r)
{
	return parse_pick(r, "RevertCreation", true);
}

static rc parse_cherry_pick(struct api_req *r)
{
	return parse_pick(r, "CherryPickCreation", false);
}

static rc conflict(struct api_req *r)
{
	return err_set(&r->err, ERR_MergeConflict, "update branch: conflict found");
}

static rc run_revert(struct api_req *r)
{
	struct pick_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct commit made;
	rc done;

	q->committer = auth_user_name(r->user);
	done = branch_revert(&c, &r->repo, q, &made);
	if (rc_is(done, MergeWithoutParent))
		return err_set(&r->err, ERR_MergeWithoutParent,
			       "must specify 1-based parent number for reverting merge commit");
	if (rc_is(done, NoChanges))
		return no_changes(r, STR_NONE);
	if (rc_is(done, MergeConflict))
		return conflict(r);
	return named_missing(r, done, "get commit from ref ", STR_NONE, q->ref);
}

const struct api_handlers handlers_revertBranch = {.parse = parse_revert, .run = run_revert};

static rc run_cherry_pick(struct api_req *r)
{
	struct pick_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct commit made;
	rc done;

	q->committer = auth_user_name(r->user);
	done = branch_cherry_pick(&c, &r->repo, q, &made);
	if (rc_is(done, MergeWithoutParent))
		return err_set(&r->err, ERR_INVALID,
			       "must specify 1-based parent number for cherry-picking merge commit");
	if (rc_is(done, MergeConflict))
		return conflict(r);
	TRY(named_missing(r, done, "get commit from ref ", STR_NONE, q->ref));
	api_show_commit(&r->w, &made);
	return RC_OK;
}

const struct api_handlers handlers_cherryPick = {.parse = parse_cherry_pick, .run = run_cherry_pick};
