/* Backups and their verification as tasks. */
#include "versions/backup_priv.h"
#include "versions/task_priv.h"

static_assert((int)BACKUP_COUNTS <= (int)TASK_COUNTS && (int)DUMP_CHECK_COUNTS <= (int)TASK_COUNTS,
	      "a task has too few counts");

static rc bad_record(struct vcall *c, const char *what)
{
	return err_set(c->err, ERR_CORRUPT, "a task's %s can't be decoded", what);
}

static Pb__RepositoryDumpInfo *refs_pack(struct arena *a, const struct refs_dump *d)
{
	Pb__RepositoryDumpInfo *m = ARENA_NEW(a, Pb__RepositoryDumpInfo);

	pb__repository_dump_info__init(m);
	m->commits_metarange_id = pb_bytes(d->commits);
	m->tags_metarange_id = pb_bytes(d->tags);
	m->branches_metarange_id = pb_bytes(d->branches);
	return m;
}

static struct refs_dump refs_of(const Pb__RepositoryDumpInfo *m)
{
	if (!m)
		return (struct refs_dump){STR(""), STR(""), STR("")};
	return (struct refs_dump){.commits = pb_str(m->commits_metarange_id),
				  .tags = pb_str(m->tags_metarange_id),
				  .branches = pb_str(m->branches_metarange_id)};
}

static struct str result_pack(struct arena *a, const struct refs_dump *d, struct fsck_kept *k, bool restorable)
{
	Pb__BackupResult m = PB__BACKUP_RESULT__INIT;

	m.refs = refs_pack(a, d);
	m.findings = k->list;
	m.n_findings = k->n;
	m.restorable = restorable;
	return pb_pack(&m.base, a);
}

static rc result_of(struct vcall *c, const struct task *t, struct backup_verified *ret)
{
	Pb__BackupResult *m = pb_unpack(&pb__backup_result__descriptor, t->result, c->a);

	if (!m)
		return bad_record(c, "result");
	ret->restorable = m->restorable;
	ret->of = (struct backup_result){.refs = refs_of(m->refs),
					 .findings = fsck_kept_of(m->findings, m->n_findings, c->a),
					 .n = m->n_findings};
	return RC_OK;
}

/* Backups. */

rc task_submit_backup(struct vcall *c, const struct repo *r, const struct backup_request *q, struct str *ret_id)
{
	Pb__BackupInput m = PB__BACKUP_INPUT__INIT;
	struct repo target;

	if (q->commit)
		TRY(read_only_refused(r, c->err));
	TRY(backup_namespace(c, q->storage_id, q->storage_namespace, &target));
	TRY(backup_check_target(c, &target));
	m.storage_id = pb_bytes(target.storage_id);
	m.storage_namespace = pb_bytes(target.storage_namespace);
	m.commit = q->commit;
	m.verify = q->verify;
	m.allow_missing = q->allow_missing;
	m.refuse_external = q->refuse_external;
	m.committer = pb_bytes(q->committer);
	m.message = pb_bytes(q->message);
	return task_submit_about(c, r, TASK_BACKUP, pb_pack(&m.base, c->a), target.storage_namespace, ret_id);
}

rc task_run_backup(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__BackupInput *m = pb_unpack(&pb__backup_input__descriptor, t->input, c->a);
	struct fsck_kept *k = ARENA_NEW(c->a, struct fsck_kept);
	struct backup_request q;
	struct refs_dump d;

	if (!m)
		return bad_record(c, "input");
	k->a = c->a;
	q = (struct backup_request){.storage_id = pb_str(m->storage_id),
				    .storage_namespace = pb_str(m->storage_namespace),
				    .commit = m->commit,
				    .verify = m->verify,
				    .allow_missing = m->allow_missing,
				    .refuse_external = m->refuse_external,
				    .committer = pb_str(m->committer),
				    .message = pb_str(m->message)};
	TRY(backup_run(c, r, &q, t->progress, t->counts, k, &d));
	*ret = result_pack(c->a, &d, k, true);
	return RC_OK;
}

rc task_backup_result(struct vcall *c, const struct task *t, struct backup_result *ret)
{
	struct backup_verified v;

	TRY(result_of(c, t, &v));
	*ret = v.of;
	return RC_OK;
}

/* Verification. */

rc task_submit_verify(struct vcall *c, const struct backup_verify *q, struct str *ret_id)
{
	Pb__BackupVerifyInput m = PB__BACKUP_VERIFY_INPUT__INIT;
	struct repo at;

	TRY(backup_namespace(c, q->storage_id, q->storage_namespace, &at));
	m.storage_id = pb_bytes(at.storage_id);
	m.storage_namespace = pb_bytes(at.storage_namespace);
	m.refs = q->refs ? refs_pack(c->a, q->refs) : NULL;
	m.content = q->content;
	return task_submit_about(c, task_nowhere(), TASK_VERIFY, pb_pack(&m.base, c->a), at.storage_namespace, ret_id);
}

/* *ret false: there is none to be read, which was kept. */
static rc find_manifest(struct vcall *c, const struct repo *at, struct fsck_kept *k, struct refs_dump *d, bool *ret)
{
	rc got = refs_read_manifest(c, at, d);
	const struct fsck_finding f = {rc_is(got, NOT_FOUND) ? FSCK_MISSING : FSCK_DAMAGED, STR("the manifest"), STR(""),
				       str_c(c->err->msg)};

	*ret = rc_ok(got);
	if (!rc_is(got, NOT_FOUND) && !rc_is(got, DumpNotWhole))
		return got;
	*d = (struct refs_dump){STR(""), STR(""), STR("")};
	fsck_keep(k, &f);
	return RC_OK;
}

rc task_run_verify(struct vcall *c, const struct repo *nowhere, const struct task_run *t, struct str *ret)
{
	Pb__BackupVerifyInput *m = pb_unpack(&pb__backup_verify_input__descriptor, t->input, c->a);
	struct fsck_kept *k = ARENA_NEW(c->a, struct fsck_kept);
	struct dump_check_options o = {
		.bodies = true, .found = fsck_keep, .ud = k, .progress = t->progress, .counts = t->counts};
	struct fsck_counts n = {0};
	struct refs_dump d;
	struct repo at;
	bool known = true;

	if (!m)
		return bad_record(c, "input");
	k->a = c->a;
	o.content = m->content;
	TRY(backup_namespace(c, pb_str(m->storage_id), pb_str(m->storage_namespace), &at));
	d = refs_of(m->refs);
	if (!m->refs)
		TRY(find_manifest(c, &at, k, &d, &known));
	if (known)
		TRY(dump_check(c, &at, &d, &o, &n));
	*ret = result_pack(c->a, &d, k, known && n.missing + n.damaged == 0);
	return RC_OK;
}

rc task_verify_result(struct vcall *c, const struct task *t, struct backup_verified *ret)
{
	return result_of(c, t, ret);
}
