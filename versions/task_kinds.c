/* What tasks do: their inputs, their runs, their results. */
#include "versions/protection.h"
#include "versions/task_priv.h"

static rc bad_record(struct vcall *c, const char *what)
{
	return err_set(c->err, ERR_CORRUPT, "a task's %s can't be decoded", what);
}

/* Refs. */

static Pb__RepositoryDumpInfo dump_info(const struct refs_dump *d)
{
	Pb__RepositoryDumpInfo m = PB__REPOSITORY_DUMP_INFO__INIT;

	m.commits_metarange_id = pb_bytes(d->commits);
	m.tags_metarange_id = pb_bytes(d->tags);
	m.branches_metarange_id = pb_bytes(d->branches);
	return m;
}

static struct refs_dump dump_of(const Pb__RepositoryDumpInfo *m)
{
	return (struct refs_dump){.commits = pb_str(m->commits_metarange_id),
				  .tags = pb_str(m->tags_metarange_id),
				  .branches = pb_str(m->branches_metarange_id)};
}

rc task_submit_dump(struct vcall *c, const struct repo *r, struct str *ret_id)
{
	return task_submit(c, r, TASK_DUMP, STR(""), ret_id);
}

static rc run_dump(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__RepositoryDumpInfo m;
	struct refs_dump d;

	TRY(refs_dump(c, r, t->progress, &d));
	m = dump_info(&d);
	*ret = pb_pack(&m.base, c->a);
	return RC_OK;
}

rc task_dump_result(struct vcall *c, const struct task *t, struct refs_dump *ret)
{
	Pb__RepositoryDumpInfo *m =
		pb_unpack(&pb__repository_dump_info__descriptor, t->result, c->a);

	if (!m)
		return bad_record(c, "result");
	*ret = dump_of(m);
	return RC_OK;
}

rc task_submit_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		       struct str *ret_id)
{
	Pb__RestoreInput m = PB__RESTORE_INPUT__INIT;
	Pb__RepositoryDumpInfo refs = dump_info(d);

	TRY(refs_check_named(c, d));
	TRY(refs_check_bare(c, r, force));
	m.refs = &refs;
	m.force = force;
	return task_submit(c, r, TASK_RESTORE, pb_pack(&m.base, c->a), ret_id);
}

/* The default branch comes last: where it is as the dump says, the one who was lost had done everything. */
static rc restored_before(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool *ret)
{
	struct record record;
	struct branch b;
	rc found = branch_get(c, r, r->default_branch, &b);

	*ret = false;
	if (rc_is(found, NOT_FOUND))
		return RC_OK;
	TRY(found);
	found = metarange_get(c, r, d->branches, r->default_branch, &record);
	*ret = rc_ok(found) && str_eq(record.identity, b.commit_id);
	return RC_OK;
}

static rc run_restore(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__RestoreInput *m = pb_unpack(&pb__restore_input__descriptor, t->input, c->a);
	struct refs_dump d;
	bool done = false;

	if (!m || !m->refs)
		return bad_record(c, "input");
	d = dump_of(m->refs);
	if (t->again)
		TRY(restored_before(c, r, &d, &done));
	return done ? RC_OK : refs_restore(c, r, &d, m->force, t->progress);
}

/* Heads. */

static rc check_head(struct vcall *c, const struct repo *r, struct str branch, bool force)
{
	struct branch b;

	if (!force)
		TRY(read_only_refused(r, c->err));
	TRY(branch_get(c, r, branch, &b));
	return protection_check(c, r, branch, PROTECT_COMMIT);
}

rc task_submit_commit(struct vcall *c, const struct repo *r, const struct commit_request *q,
		      struct str *ret_id)
{
	Pb__CommitInput m = PB__COMMIT_INPUT__INIT;
	const struct commit text = {.committer = q->committer,
				    .message = q->message,
				    .metadata = q->metadata,
				    .metadata_n = q->metadata_n};

	TRY(commit_check(&text, c->err));
	TRY(check_head(c, r, q->branch, q->force));
	m.branch = pb_bytes(q->branch);
	m.committer = pb_bytes(q->committer);
	m.message = pb_bytes(q->message);
	m.metadata = pb_pairs(q->metadata, q->metadata_n, c->a);
	m.n_metadata = q->metadata_n;
	m.has_date = q->has_date;
	m.date = q->date;
	m.allow_empty = q->allow_empty;
	m.force = q->force;
	m.source_metarange = pb_bytes(q->source_metarange);
	return task_submit(c, r, TASK_COMMIT, pb_pack(&m.base, c->a), ret_id);
}

static rc run_commit(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__CommitInput *m = pb_unpack(&pb__commit_input__descriptor, t->input, c->a);
	struct commit_request q;
	struct commit made;

	if (!m)
		return bad_record(c, "input");
	q = (struct commit_request){
		.branch = pb_str(m->branch),
		.committer = pb_str(m->committer),
		.message = pb_str(m->message),
		.metadata = pb_pairs_of(m->metadata, m->n_metadata, c->a),
		.metadata_n = m->n_metadata,
		.has_date = m->has_date,
		.date = m->date,
		.allow_empty = m->allow_empty,
		.force = m->force,
		.source_metarange = m->source_metarange.len ? pb_str(m->source_metarange) : STR_NONE,
	};
	TRY(branch_commit(c, r, &q, &made));
	*ret = commit_encode(&made, c->a);
	return RC_OK;
}

rc task_commit_result(struct vcall *c, const struct task *t, struct commit *ret)
{
	return commit_decode(t->result, c->a, ret, c->err);
}

rc task_submit_merge(struct vcall *c, const struct repo *r, const struct merge_request *q,
		     struct str *ret_id)
{
	Pb__MergeInput m = PB__MERGE_INPUT__INIT;
	const struct commit text = {.committer = q->committer,
				    .message = q->with.message.p ? q->with.message : STR(""),
				    .metadata = (struct meta *)(uintptr_t)q->with.metadata,
				    .metadata_n = q->with.metadata_n};

	TRY(commit_check(&text, c->err));
	TRY(check_head(c, r, q->destination, q->force));
	m.source = pb_bytes(q->source);
	m.destination = pb_bytes(q->destination);
	m.committer = pb_bytes(q->committer);
	m.has_message = q->with.message.p != NULL;
	m.message = pb_bytes(q->with.message);
	m.metadata = pb_pairs(q->with.metadata, q->with.metadata_n, c->a);
	m.n_metadata = q->with.metadata_n;
	m.strategy = (uint32_t)q->strategy;
	m.squash = q->squash;
	m.allow_empty = q->allow_empty;
	m.force = q->force;
	return task_submit(c, r, TASK_MERGE, pb_pack(&m.base, c->a), ret_id);
}

static rc run_merge(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__MergeInput *m = pb_unpack(&pb__merge_input__descriptor, t->input, c->a);
	Pb__MergeInfo info = PB__MERGE_INFO__INIT;
	struct merge_request q;
	struct commit made;

	if (!m || m->strategy > MERGE_SOURCE_WINS)
		return bad_record(c, "input");
	q = (struct merge_request){
		.source = pb_str(m->source),
		.destination = pb_str(m->destination),
		.committer = pb_str(m->committer),
		.with = {.message = m->has_message ? pb_str(m->message) : STR_NONE,
			 .metadata = pb_pairs_of(m->metadata, m->n_metadata, c->a),
			 .metadata_n = m->n_metadata},
		.strategy = (enum merge_strategy)m->strategy,
		.squash = m->squash,
		.allow_empty = m->allow_empty,
		.force = m->force,
	};
	TRY(branch_merge(c, r, &q, &made));
	info.reference = pb_bytes(made.id);
	*ret = pb_pack(&info.base, c->a);
	return RC_OK;
}

rc task_merge_result(struct vcall *c, const struct task *t, struct str *ret_commit_id)
{
	Pb__MergeInfo *m = pb_unpack(&pb__merge_info__descriptor, t->result, c->a);

	if (!m)
		return bad_record(c, "result");
	*ret_commit_id = pb_str(m->reference);
	return RC_OK;
}

/* Garbage collection. */

rc task_submit_gc(struct vcall *c, const struct repo *r, struct str *ret_id)
{
	TRY(gc_check_prepare(c, r));
	return task_submit(c, r, TASK_GC, STR(""), ret_id);
}

static rc run_gc(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__GarbageCollectionRun m = PB__GARBAGE_COLLECTION_RUN__INIT;
	struct gc_run run;

	TRY(gc_prepare_commits(c, r, t->progress, &run));
	m.run_id = pb_bytes(run.id);
	m.commits_location = pb_bytes(run.commits);
	m.addresses_location = pb_bytes(run.addresses);
	*ret = pb_pack(&m.base, c->a);
	return RC_OK;
}

rc task_gc_result(struct vcall *c, const struct task *t, struct gc_run *ret)
{
	Pb__GarbageCollectionRun *m = pb_unpack(&pb__garbage_collection_run__descriptor, t->result, c->a);

	if (!m)
		return bad_record(c, "result");
	*ret = (struct gc_run){pb_str(m->run_id), pb_str(m->commits_location), pb_str(m->addresses_location)};
	return RC_OK;
}

/* The table. */

static const struct task_kind_ops kinds[TASK_KINDS] = {
	[TASK_DUMP] = {{"DR", 2}, {"dump_refs", 9}, true, false, run_dump},
	[TASK_RESTORE] = {{"RR", 2}, {"restore_refs", 12}, true, false, run_restore},
	[TASK_COMMIT] = {{"CA", 2}, {"commit", 6}, false, false, run_commit},
	[TASK_MERGE] = {{"MA", 2}, {"merge", 5}, false, false, run_merge},
	[TASK_FSCK] = {{"FS", 2}, {"fsck", 4}, true, false, task_run_fsck},
	[TASK_GC] = {{"GCPC", 4}, {"prepare_gc_commits", 18}, true, false, run_gc},
	[TASK_BACKUP] = {{"BK", 2}, {"backup", 6}, true, false, task_run_backup},
	[TASK_VERIFY] = {{"BV", 2}, {"verify_backup", 13}, true, true, task_run_verify},
};

const struct task_kind_ops *task_kind_ops(enum task_kind k)
{
	return &kinds[k];
}

rc task_repo(struct vcall *c, enum task_kind kind, struct str repo_id, struct str partition, struct repo *ret)
{
	if (kinds[kind].nowhere) {
		*ret = *task_nowhere();
		return RC_OK;
	}
	TRY(repo_read(c, repo_id, ret));
	if (ret->in_deletion || !str_eq(ret->partition, partition))
		return err_set(c->err, ERR_NOT_FOUND, "repository not found");
	return RC_OK;
}

enum task_kind task_kind_of(struct str id)
{
	for (unsigned i = 0; i < TASK_KINDS; i++)
		if (id.n == kinds[i].prefix.n + TASK_ID_CHARS &&
		    str_starts(id, kinds[i].prefix))
			return (enum task_kind)i;
	return TASK_KINDS;
}
