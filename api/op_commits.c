/* Commits: make, get, log. */
#include "api/rest.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/ref.h"

rc api_parse_commit(struct api_req *r)
{
	static const char schema[] = "CommitCreation";
	struct commit_request *q = ARENA_NEW(r->a, struct commit_request);

	r->op_state = q;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "message", true, &q->message));
	TRY(api_json_metadata(r, r->doc, "metadata", &q->metadata, &q->metadata_n));
	TRY(api_body_int(r, schema, "date", false, &q->date, &q->has_date));
	TRY(api_body_bool(r, schema, "allow_empty", &q->allow_empty));
	TRY(api_body_bool(r, schema, "force", &q->force));
	q->source_metarange = api_query(r, "source_metarange");
	if (!q->source_metarange.n)
		q->source_metarange = STR_NONE;
	q->branch = r->branch;
	return RC_OK;
}

static rc run_commit(struct api_req *r)
{
	struct commit_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct commit made;

	rc res;

	q->committer = auth_user_name(r->user);
	res = branch_commit(&c, &r->repo, q, &made);
	if (rc_is(res, DirtyBranch))
		return err_set(&r->err, ERR_INVALID,
			       "cannot use source MetaRange on a branch with uncommitted changes");
	TRY(res);
	api_show_commit(&r->w, &made);
	return RC_OK;
}

const struct api_handlers handlers_commit = {.parse = api_parse_commit, .run = run_commit};

rc api_check_committed(struct api_req *r, struct str ref)
{
	if (str_ends(ref, STR("$")))
		return err_set(&r->err, ERR_INVALID,
			       "ref: invalid value: validation error: should point to a commit");
	return RC_OK;
}

/* lakeFS's words for a ref that leads nowhere. */
static rc run_get(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct commit commit;
	rc found;

	TRY(api_check_committed(r, r->ref));
	found = ref_commit(&c, &r->repo, r->ref, &commit);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "commit not found");
	TRY(found);
	api_show_commit(&r->w, &commit);
	return RC_OK;
}

const struct api_handlers handlers_getCommit = {.run = run_get};

/* The log. */

enum { SCAN_MAX = 10000 };

struct log {
	struct api_page page;
	struct log_request q;
	struct str stop_at;
	bool limit;
};

static rc parse_since(struct api_req *r, struct log *l)
{
	struct str since = api_query(r, "since");
	struct timestamp t;

	l->q.since = INT64_MIN;
	if (!since.n)
		return RC_OK;
	if (!time_parse_rfc3339(since, &t))
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"since\" in query has an error: string doesn't match the format "
			       "\"date-time\"");
	l->q.since = t.s + (t.ns > 0);
	return RC_OK;
}

static rc parse_log(struct api_req *r)
{
	struct log *l = ARENA_NEW(r->a, struct log);

	r->op_state = l;
	TRY(api_query_page(r, &l->page));
	TRY(api_query_bool(r, "limit", false, &l->limit));
	TRY(api_query_bool(r, "first_parent", false, &l->q.first_parent));
	TRY(parse_since(r, l));
	l->stop_at = api_query(r, "stop_at");
	l->q.objects_n = api_query_all(r, "objects", &l->q.objects);
	l->q.prefixes_n = api_query_all(r, "prefixes", &l->q.prefixes);
	l->q.max = l->page.amount;
	l->q.scan_max = SCAN_MAX;
	return RC_OK;
}

/* The id of the commit that `text` leads to. */
static rc resolve(struct api_req *r, struct str text, const char *what, struct str *ret)
{
	struct vcall c = api_vcall(r);
	struct ref ref;
	rc found = ref_resolve(&c, &r->repo, text, &ref);

	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "%s: not found", what);
	TRY(found);
	*ret = ref.commit_id;
	return RC_OK;
}

static rc run_log(struct api_req *r)
{
	struct log *l = r->op_state;
	struct vcall c = api_vcall(r);
	struct log_page page;

	TRY(resolve(r, r->ref, "ref", &l->q.from));
	if (l->page.after.n)
		TRY(resolve(r, l->page.after, "from ref", &l->q.after));
	if (l->stop_at.n)
		TRY(resolve(r, l->stop_at, "stop_at", &l->q.stop_at));
	TRY(history_log(&c, &r->repo, &l->q, &page));
	/* limit: the caller wants no more than these, and no walk to find out whether there are any. */
	if (l->limit && page.n == l->page.amount)
		page.more = false;
	api_page_begin(r);
	for (size_t i = 0; i < page.n; i++)
		api_show_commit(&r->w, &page.commits[i]);
	api_page_end(r, page.n, page.more, page.next);
	return RC_OK;
}

const struct api_handlers handlers_logCommits = {.parse = parse_log, .run = run_log};
