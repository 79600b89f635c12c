/* Long work that clients ask about: dump, restore, commit and merge. */
#include "api/rest.h"
#include "versions/task.h"

rc api_accepted(struct api_req *r, rc submitted, const struct str *id)
{
	TRY(submitted);
	api_begin(r);
	jw_str(&r->w, "id", *id);
	api_end(r);
	return RC_OK;
}

rc api_find_task(struct api_req *r, enum task_kind kind, struct task *ret)
{
	struct vcall c = api_vcall(r);
	rc found = task_get(&c, &r->repo, kind, r->id, ret);

	return rc_is(found, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "not found") : found;
}

static void show_time(struct api_req *r, const struct task *t)
{
	char text[25];

	time_iso_ms(t->updated, text);
	jw_str(&r->w, "update_time", str_c(text));
}

static rc parse_status(struct api_req *r)
{
	return api_query_required(r, "task_id", &r->id);
}

/* The members that dumps and restores have in common. */
static void begin_status(struct api_req *r, const struct task *t)
{
	api_begin(r);
	jw_bool(&r->w, "done", t->done);
	if (t->error.n)
		jw_str(&r->w, "error", t->error);
	jw_str(&r->w, "id", t->id);
	show_time(r, t);
}

/* Dump. */

static rc run_dump(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str id;

	return api_accepted(r, task_submit_dump(&c, &r->repo, &id), &id);
}

const struct api_handlers handlers_dumpSubmit = {.run = run_dump};

static rc run_dump_status(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct refs_dump d;
	struct task t;

	TRY(api_find_task(r, TASK_DUMP, &t));
	begin_status(r, &t);
	if (t.done && !t.error.n) {
		TRY(task_dump_result(&c, &t, &d));
		api_show_dump(r, "refs", &d);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_dumpStatus = {.parse = parse_status, .run = run_dump_status};

/* Restore. */

static rc run_restore(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str id;

	return api_accepted(r, task_submit_restore(&c, &r->repo, r->op_state, r->force, &id), &id);
}

const struct api_handlers handlers_restoreSubmit = {.parse = api_parse_restore, .run = run_restore};

static rc run_restore_status(struct api_req *r)
{
	struct task t;

	TRY(api_find_task(r, TASK_RESTORE, &t));
	begin_status(r, &t);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_restoreStatus = {.parse = parse_status, .run = run_restore_status};

/* Commit and merge: a status like that of lakeFS's other tasks. */

void api_begin_completed(struct api_req *r, const struct task *t)
{
	api_begin(r);
	jw_bool(&r->w, "completed", t->done);
	if (t->error.n) {
		jw_object(&r->w, "error");
		jw_str(&r->w, "message", t->error);
		jw_end_object(&r->w);
		jw_int(&r->w, "status_code", t->status);
	}
	jw_str(&r->w, "task_id", t->id);
	show_time(r, t);
}

static rc run_commit(struct api_req *r)
{
	struct commit_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct str id;

	q->committer = auth_user_name(r->user);
	return api_accepted(r, task_submit_commit(&c, &r->repo, q, &id), &id);
}

const struct api_handlers handlers_commitAsync = {.parse = api_parse_commit, .run = run_commit};

static rc run_commit_status(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct commit made;
	struct task t;

	TRY(api_find_task(r, TASK_COMMIT, &t));
	api_begin_completed(r, &t);
	if (t.done && !t.error.n) {
		TRY(task_commit_result(&c, &t, &made));
		api_show_commit_as(&r->w, "result", &made);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_commitAsyncStatus = {.run = run_commit_status};

static rc run_merge(struct api_req *r)
{
	struct merge_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct str id;

	q->committer = auth_user_name(r->user);
	return api_accepted(r, task_submit_merge(&c, &r->repo, q, &id), &id);
}

const struct api_handlers handlers_mergeIntoBranchAsync = {.parse = api_parse_merge, .run = run_merge};

static rc run_merge_status(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str commit;
	struct task t;

	TRY(api_find_task(r, TASK_MERGE, &t));
	api_begin_completed(r, &t);
	if (t.done && !t.error.n) {
		TRY(task_merge_result(&c, &t, &commit));
		jw_object(&r->w, "result");
		jw_str(&r->w, "reference", commit);
		jw_end_object(&r->w);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_mergeIntoBranchAsyncStatus = {.run = run_merge_status};
