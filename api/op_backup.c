/* Backups of a repository onto another namespace, and whether one can be restored; sluice's own. */
#include "api/rest.h"
#include "versions/backup.h"

/* ---- backups ---- */

static rc parse_submit(struct api_req *r)
{
	static const char schema[] = "BackupCreation";
	struct backup_request *q = ARENA_NEW(r->a, struct backup_request);

	r->op_state = q;
	q->verify = true;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "storage_id", false, &q->storage_id));
	TRY(api_body_str(r, schema, "storage_namespace", true, &q->storage_namespace));
	TRY(api_body_bool(r, schema, "commit", &q->commit));
	TRY(api_body_str(r, schema, "message", false, &q->message));
	TRY(api_body_bool(r, schema, "verify", &q->verify));
	TRY(api_body_bool(r, schema, "allow_missing", &q->allow_missing));
	TRY(api_body_bool(r, schema, "refuse_external", &q->refuse_external));
	r->space = q->storage_namespace;
	return RC_OK;
}

/* Who has it commit must be allowed to, on every branch. */
static rc plan_submit(struct api_req *r)
{
	struct backup_request *q = r->op_state;

	return q->commit ? api_allows_all(r, "fs:CreateCommit", "/branch/") : RC_OK;
}

static rc run_submit(struct api_req *r)
{
	struct backup_request *q = r->op_state;
	struct vcall c = api_vcall(r);
	struct str id;

	q->committer = auth_user_name(r->user);
	return api_accepted(r, task_submit_backup(&c, &r->repo, q, &id), &id);
}

const struct api_handlers handlers_sluiceBackupSubmit = {
	.parse = parse_submit, .plan = plan_submit, .run = run_submit};

static rc parse_task(struct api_req *r)
{
	return api_query_required(r, "task_id", &r->id);
}

static void begin(struct api_req *r, const struct task *t)
{
	char text[25];

	time_iso_ms(t->updated, text);
	api_begin(r);
	jw_str(&r->w, "id", t->id);
	jw_bool(&r->w, "done", t->done);
	jw_str(&r->w, "update_time", str_c(text));
	if (t->error.n) {
		jw_str(&r->w, "error", t->error);
		jw_int(&r->w, "status_code", t->status);
	}
}

static void show_counts(struct json_out *w, const char *const *names, const struct task *t, size_t n)
{
	jw_object(w, "progress");
	for (size_t i = 0; i < n; i++)
		jw_int(w, names[i], t->counts[i]);
	jw_end_object(w);
}

static void show_result(struct api_req *r, const struct backup_result *b)
{
	if (b->refs.commits.n)
		api_show_dump(r, "refs", &b->refs);
	api_show_findings(&r->w, b->findings, b->n);
}

static rc run_status(struct api_req *r)
{
	static const char *const names[BACKUP_COUNTS] = {
		[BACKUP_OBJECTS] = "objects",	[BACKUP_BYTES] = "bytes",
		[BACKUP_NEW] = "new",		[BACKUP_NEW_BYTES] = "new_bytes",
		[BACKUP_SKIPPED] = "skipped",	[BACKUP_TABLES] = "tables",
		[BACKUP_COMMITTED] = "committed", [BACKUP_EXTERNAL] = "external",
		[BACKUP_MISSING] = "missing"};
	struct vcall c = api_vcall(r);
	struct backup_result b;
	struct task t;

	TRY(api_find_task(r, TASK_BACKUP, &t));
	begin(r, &t);
	show_counts(&r->w, names, &t, BACKUP_COUNTS);
	if (t.done && !t.error.n) {
		TRY(task_backup_result(&c, &t, &b));
		show_result(r, &b);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_sluiceBackupStatus = {.parse = parse_task, .run = run_status};

static rc run_cancel(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	return task_cancel(&c, &r->repo, TASK_BACKUP, r->id);
}

const struct api_handlers handlers_sluiceBackupCancel = {.parse = parse_task, .run = run_cancel};

/* ---- verification ---- */

static rc parse_refs(struct api_req *r, struct backup_verify *q)
{
	const struct json *doc = json_member(r->doc, "refs");
	static const char *const names[] = {"commits_meta_range_id", "tags_meta_range_id", "branches_meta_range_id"};
	struct refs_dump *d = ARENA_NEW(r->a, struct refs_dump);
	struct str *to[] = {&d->commits, &d->tags, &d->branches};

	if (!doc || json_type(doc) == JSON_NULL)
		return RC_OK;
	if (json_type(doc) != JSON_OBJECT)
		return api_bad_body(r, "BackupVerification", "refs", "value must be an object");
	for (size_t i = 0; i < 3; i++) {
		const struct json *id = json_member(doc, names[i]);

		if (!id || json_type(id) != JSON_STRING)
			return api_bad_body(r, "BackupVerification", "refs", "it must name three metaranges");
		*to[i] = json_str(id);
	}
	q->refs = d;
	return RC_OK;
}

static rc parse_verify(struct api_req *r)
{
	static const char schema[] = "BackupVerification";
	struct backup_verify *q = ARENA_NEW(r->a, struct backup_verify);

	r->op_state = q;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "storage_id", false, &q->storage_id));
	TRY(api_body_str(r, schema, "storage_namespace", true, &q->storage_namespace));
	TRY(api_body_bool(r, schema, "content", &q->content));
	TRY(parse_refs(r, q));
	r->space = q->storage_namespace;
	return RC_OK;
}

static rc run_verify(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str id;

	return api_accepted(r, task_submit_verify(&c, r->op_state, &id), &id);
}

const struct api_handlers handlers_sluiceBackupVerify = {.parse = parse_verify, .run = run_verify};

static rc parse_verify_task(struct api_req *r)
{
	TRY(api_query_required(r, "storage_namespace", &r->space));
	return api_query_required(r, "task_id", &r->id);
}

/* One of another namespace, which the caller perhaps may not see, isn't there. */
static rc find_verify(struct api_req *r, struct vcall *c, struct task *ret)
{
	rc found = task_get(c, task_nowhere(), TASK_VERIFY, r->id, ret);

	if (rc_is(found, NOT_FOUND) || (rc_ok(found) && !str_eq(ret->subject, r->space)))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	return found;
}

static rc run_verify_status(struct api_req *r)
{
	static const char *const names[DUMP_CHECK_COUNTS] = {
		[DUMP_CHECK_COMMITS] = "commits", [DUMP_CHECK_BRANCHES] = "branches",
		[DUMP_CHECK_TAGS] = "tags",	  [DUMP_CHECK_TABLES] = "tables",
		[DUMP_CHECK_ENTRIES] = "entries", [DUMP_CHECK_BODIES] = "bodies",
		[DUMP_CHECK_MISSING] = "missing", [DUMP_CHECK_DAMAGED] = "damaged"};
	struct vcall c = api_vcall(r);
	struct backup_verified v;
	struct task t;

	TRY(find_verify(r, &c, &t));
	begin(r, &t);
	show_counts(&r->w, names, &t, DUMP_CHECK_COUNTS);
	if (t.done && !t.error.n) {
		TRY(task_verify_result(&c, &t, &v));
		jw_bool(&r->w, "restorable", v.restorable);
		show_result(r, &v.of);
	}
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_sluiceBackupVerifyStatus = {
	.parse = parse_verify_task, .run = run_verify_status};

static rc run_verify_cancel(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct task t;

	TRY(find_verify(r, &c, &t));
	return task_cancel(&c, task_nowhere(), TASK_VERIFY, r->id);
}

const struct api_handlers handlers_sluiceBackupVerifyCancel = {
	.parse = parse_verify_task, .run = run_verify_cancel};

/* ---- the manifest ---- */

static rc parse_manifest(struct api_req *r)
{
	r->sub = api_query(r, "storage_id");
	return api_query_required(r, "storage_namespace", &r->space);
}

static rc run_manifest(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct refs_dump d;
	struct repo at;

	TRY(backup_namespace(&c, r->sub, r->space, &at));
	TRY(refs_read_manifest(&c, &at, &d));
	api_show_dump(r, NULL, &d);
	return RC_OK;
}

const struct api_handlers handlers_sluiceBackupManifest = {.parse = parse_manifest, .run = run_manifest};
