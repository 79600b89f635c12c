/* What garbage collectors ask first: which commits to keep, and which bodies are staged. They read the files, find
 * out themselves what may go, and remove it. */
#include "api/rest.h"
#include "versions/gc_uncommitted.h"
#include "versions/task.h"

/* Without it the collector reads the file as it reads the others. */
static void show_link(struct api_req *r, const struct gc_run *run)
{
	const struct object_ptr p = {.store_id = r->repo.storage_id,
				     .space = r->repo.storage_namespace,
				     .key = run->commits,
				     .type = ADDRESS_FULL};
	struct backend_presigned link;
	struct vcall c = api_vcall(r);
	struct backend *b;

	if (rc_ok(repo_backend(&c, &r->repo, &b)) && (b->caps & BACKEND_CAP_PRESIGN) &&
	    rc_ok(api_presign_read(r, b, &p, STR_NONE, &link)))
		jw_str(&r->w, "gc_commits_presigned_url", link.url);
}

static void show_run(struct api_req *r, const char *key, const struct gc_run *run)
{
	jw_object(&r->w, key);
	jw_str(&r->w, "gc_addresses_location", run->addresses);
	jw_str(&r->w, "gc_commits_location", run->commits);
	show_link(r, run);
	jw_str(&r->w, "run_id", run->id);
	jw_end_object(&r->w);
}

static rc run_prepare(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct gc_run run;

	TRY(gc_prepare_commits(&c, &r->repo, NULL, &run));
	show_run(r, NULL, &run);
	return RC_OK;
}

const struct api_handlers handlers_prepareGarbageCollectionCommits = {.run = run_prepare};

static rc run_submit(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str id;

	return api_accepted(r, task_submit_gc(&c, &r->repo, &id), &id);
}

const struct api_handlers handlers_prepareGarbageCollectionCommitsAsync = {.run = run_submit};

static rc parse_status(struct api_req *r)
{
	return api_query_required(r, "id", &r->id);
}

static rc run_status(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct gc_run run;
	struct task t;

	TRY(api_find_task(r, TASK_GC, &t));
	api_begin_completed(r, &t);
	if (t.done && !t.error.n) {
		TRY(task_gc_result(&c, &t, &run));
		show_run(r, "result", &run);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_prepareGarbageCollectionCommitsStatus = {
	.parse = parse_status, .run = run_status};

static rc parse_uncommitted(struct api_req *r)
{
	static const char schema[] = "PrepareGCUncommittedRequest";
	struct str *mark = ARENA_NEW(r->a, struct str);

	r->op_state = mark;
	TRY(api_body_object(r, schema));
	return api_body_str(r, schema, "continuation_token", false, mark);
}

static rc run_uncommitted(struct api_req *r)
{
	struct str *mark = r->op_state;
	struct vcall c = api_vcall(r);
	struct gc_listed listed;

	TRY(gc_list_uncommitted(&c, &r->repo, *mark, &listed));
	api_begin(r);
	if (listed.mark.p)
		jw_str(&r->w, "continuation_token", listed.mark);
	jw_str(&r->w, "gc_uncommitted_location", listed.location);
	jw_str(&r->w, "run_id", listed.run_id);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_prepareGarbageCollectionUncommitted = {
	.parse = parse_uncommitted, .run = run_uncommitted};
