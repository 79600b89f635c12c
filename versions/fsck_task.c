/* A check as a task: its result is the counts and the first findings. */
#include "versions/fsck_priv.h"
#include "versions/task_priv.h"

void fsck_keep(void *kept, const struct fsck_finding *f)
{
	struct fsck_kept *k = kept;
	size_t bytes = f->thing.n + f->named_by.n + f->story.n;
	Pb__FsckFinding *m;

	if (k->n == FSCK_KEPT_MAX || k->bytes + bytes > FSCK_KEPT_BYTES)
		return;
	m = ARENA_NEW(k->a, Pb__FsckFinding);
	pb__fsck_finding__init(m);
	m->kind = (uint32_t)f->kind;
	m->thing = pb_bytes(arena_dup(k->a, f->thing));
	m->named_by = pb_bytes(arena_dup(k->a, f->named_by));
	m->story = pb_bytes(arena_dup(k->a, f->story));
	k->list[k->n++] = m;
	k->bytes += bytes;
}

static struct str pack(struct arena *a, const struct fsck_counts *n, struct fsck_kept *k)
{
	Pb__FsckResult m = PB__FSCK_RESULT__INIT;

	m.commits = n->commits;
	m.branches = n->branches;
	m.tags = n->tags;
	m.tables = n->tables;
	m.entries = n->entries;
	m.bodies = n->bodies;
	m.missing = n->missing;
	m.damaged = n->damaged;
	m.unreachable = n->unreachable;
	m.unreachable_bytes = n->unreachable_bytes;
	m.findings = k->list;
	m.n_findings = k->n;
	return pb_pack(&m.base, a);
}

struct fsck_finding *fsck_kept_of(Pb__FsckFinding **list, size_t n, struct arena *a)
{
	struct fsck_finding *ret = arena_alloc(a, (n + 1) * sizeof(*ret));

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct fsck_finding){.kind = (enum fsck_kind)list[i]->kind,
					       .thing = pb_str(list[i]->thing),
					       .named_by = pb_str(list[i]->named_by),
					       .story = pb_str(list[i]->story)};
	return ret;
}

rc task_run_fsck(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret)
{
	Pb__FsckInput *in = pb_unpack(&pb__fsck_input__descriptor, t->input, c->a);
	struct fsck_kept *k = ARENA_NEW(c->a, struct fsck_kept);
	struct fsck_counts n;

	if (!in)
		return err_set(c->err, ERR_CORRUPT, "a task's input can't be decoded");
	k->a = c->a;
	TRY(fsck_run(c, r,
		     &(struct fsck_options){
			     .bodies = in->bodies, .found = fsck_keep, .ud = k, .progress = t->progress},
		     &n));
	*ret = pack(c->a, &n, k);
	return RC_OK;
}

rc task_submit_fsck(struct vcall *c, const struct repo *r, bool bodies, struct str *ret_id)
{
	Pb__FsckInput in = PB__FSCK_INPUT__INIT;

	in.bodies = bodies;
	return task_submit(c, r, TASK_FSCK, pb_pack(&in.base, c->a), ret_id);
}

rc task_fsck_result(struct vcall *c, const struct task *t, struct fsck_counts *ret,
		    struct fsck_finding **ret_findings, size_t *ret_n)
{
	Pb__FsckResult *m = pb_unpack(&pb__fsck_result__descriptor, t->result, c->a);

	if (!m)
		return err_set(c->err, ERR_CORRUPT, "a task's result can't be decoded");
	*ret = (struct fsck_counts){.commits = m->commits,
				    .branches = m->branches,
				    .tags = m->tags,
				    .tables = m->tables,
				    .entries = m->entries,
				    .bodies = m->bodies,
				    .missing = m->missing,
				    .damaged = m->damaged,
				    .unreachable = m->unreachable,
				    .unreachable_bytes = m->unreachable_bytes};
	*ret_findings = fsck_kept_of(m->findings, m->n_findings, c->a);
	*ret_n = m->n_findings;
	return RC_OK;
}
