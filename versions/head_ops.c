/* Merge, revert, cherry-pick, hard reset: a clean branch gets another head (head.h: the steps). */
#include "versions/head.h"

#include "versions/actions.h"
#include "versions/branch_remove.h"
#include "versions/compare.h"
#include "versions/history.h"
#include "versions/internal.h"
#include "versions/protection.h"
#include "versions/ref.h"
#include "versions/seal.h"
#include "versions/staged_changes.h"
#include "versions/turn.h"

/* What a head operation makes of the head that it finds. */
struct move {
	struct vcall *c;
	const struct repo *r;
	struct str branch;
	bool force;
	/* Fills *ret from the branch's commit, all but its id; NoChanges where there is nothing to do. */
	rc (*make)(struct move *m, const struct commit *head, struct commit *ret);
	const void *request;
};

static rc refuse_dirty(struct move *m, const struct branch *b, struct str meta_range)
{
	bool dirty;

	TRY(staged_differs(m->c, m->r, b->sealed, b->sealed_n, meta_range, &dirty));
	if (dirty)
		return err_set(m->c->err, ERR_DirtyBranch,
			       "branch " STR_FMT " has uncommitted changes (dirty branch): commit or reset them first",
			       STR_ARG(b->id));
	return RC_OK;
}

/* Sealing a dirty branch would be harmless, but is left to commits. */
static rc refuse_dirty_early(struct move *m)
{
	struct branch b;
	bool dirty;

	TRY(branch_get_open(m->c, m->r, m->branch, &b));
	TRY(branch_is_dirty(m->c, m->r, &b, &dirty));
	if (dirty)
		return err_set(m->c->err, ERR_DirtyBranch,
			       "branch " STR_FMT " has uncommitted changes (dirty branch): commit or reset them first",
			       STR_ARG(b.id));
	return RC_OK;
}

static rc try_move(struct move *m, struct commit *ret)
{
	struct commit head;
	struct branch b;

	TRY(refuse_dirty_early(m));
	TRY(branch_seal(m->c, m->r, m->branch, &b));
	TRY(commit_named(m->c, m->r, b.commit_id, &head));
	TRY(refuse_dirty(m, &b, head.meta_range_id));
	TRY(m->make(m, &head, ret));
	TRY(commit_check(ret, m->c->err));
	TRY(commit_add(m->c, m->r, ret));
	return branch_move(m->c, m->r, &b, ret->id, b.sealed_n);
}

static rc run_move(struct move *m, struct commit *ret)
{
	struct turn turn;
	rc res;

	if (!m->force)
		TRY(read_only_refused(m->r, m->c->err));
	TRY(turn_begin(&turn, m->c, m->r, m->branch));
	do
		res = try_move(m, ret);
	while (rc_is(res, PREDICATE) && rc_ok(res = turn_again(&turn)));
	turn_end(&turn);
	return res;
}

/* dest with what source changed since base; equal ones need no walk. */
static rc merge_ranges(struct move *m, struct str dest, struct str source, struct str base,
		       enum merge_strategy strategy, struct str *ret)
{
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct merge_summary what;
	struct mr_summary sum;

	*ret = str_eq(source, base) ? dest : source;
	if (str_eq(source, base) || str_eq(dest, base) || str_eq(source, dest))
		return RC_OK;
	TRY(mr_writer_new(m->c, m->r, NULL, 0, &w));
	TRY(merge3(m->c, m->r, dest, source, base, strategy, w, &what));
	*ret = dest; /* the same records may well be cut into other ranges */
	if (what.added + what.removed + what.changed == 0)
		return RC_OK;
	TRY(mr_writer_finish(w, m->c->a, &sum, m->c->err));
	*ret = sum.id;
	return RC_OK;
}

/* The caller's metadata over ours. */
static void set_metadata(struct arena *a, struct commit *commit, const struct meta *own, size_t own_n,
			 const struct commit_overrides *o)
{
	struct meta *m = arena_alloc(a, (own_n + o->metadata_n) * sizeof(*m) + 1);

	for (size_t i = 0; i < own_n; i++)
		m[i] = own[i];
	for (size_t i = 0; i < o->metadata_n; i++)
		m[own_n + i] = o->metadata[i];
	commit->metadata = m;
	commit->metadata_n = meta_sort(m, own_n + o->metadata_n);
}

static struct str *parents(struct arena *a, struct str first, struct str second, size_t *ret_n)
{
	struct str *p = arena_alloc(a, 2 * sizeof(*p));

	p[0] = first;
	p[1] = second;
	*ret_n = second.p ? 2 : 1;
	return p;
}

static struct commit next_commit(struct move *m, const struct commit *head, struct str second, struct str meta_range,
				 struct str committer)
{
	struct commit commit = {
		.committer = committer,
		.meta_range_id = meta_range,
		.created = wall_now(),
		.version = COMMIT_VERSION,
		.generation = head->generation + 1,
	};

	commit.parents = parents(m->c->a, head->id, second, &commit.parents_n);
	return commit;
}

/* Merge. */

static const char *strategy_name(enum merge_strategy s)
{
	return s == MERGE_DEST_WINS ? "dest-wins" : s == MERGE_SOURCE_WINS ? "source-wins" : "default";
}

static rc nothing_to_merge(struct move *m)
{
	return err_set(m->c->err, ERR_NoChanges, "merge: no changes");
}

/* The same records may be cut into other ranges, by commits that undo each other. */
static rc is_same(struct move *m, struct str x, struct str y, bool *ret)
{
	CLEANUP(diff_closep) struct diff *d = NULL;
	struct diff_item item;

	*ret = str_eq(x, y);
	if (*ret)
		return RC_OK;
	TRY(diff_open(m->c, m->r, x, y, STR_NONE, &d));
	return diff_next(d, &item, ret, m->c->err);
}

static rc make_merge(struct move *m, const struct commit *head, struct commit *ret)
{
	const struct merge_request *q = m->request;
	struct commit source, base;
	struct str base_id, meta_range;
	bool same;

	TRY(ref_commit(m->c, m->r, q->source, &source));
	TRY(actions_refuse(m->c, m->r, source.id));
	TRY(merge_base(m->c, m->r, head->id, source.id, &base_id));
	TRY(commit_named(m->c, m->r, base_id, &base));
	TRY(is_same(m, source.meta_range_id, base.meta_range_id, &same));
	if (same && !q->allow_empty)
		return nothing_to_merge(m);
	TRY(merge_ranges(m, head->meta_range_id, source.meta_range_id, base.meta_range_id, q->strategy,
			 &meta_range));
	*ret = next_commit(m, head, q->squash ? STR_NONE : source.id, meta_range, q->committer);
	if (source.generation >= ret->generation)
		ret->generation = source.generation + 1;
	ret->message = q->with.message.p
			       ? q->with.message
			       : arena_printf(m->c->a, "Merge '" STR_FMT "' into '" STR_FMT "'",
					      STR_ARG(q->source), STR_ARG(q->destination));
	set_metadata(m->c->a, ret,
		     &(struct meta){STR(".lakefs.merge.strategy"), str_c(strategy_name(q->strategy))},
		     1, &q->with);
	return RC_OK;
}

rc branch_merge(struct vcall *c, const struct repo *r, const struct merge_request *q, struct commit *ret)
{
	struct move m = {.c = c, .r = r, .branch = q->destination, .force = q->force,
			 .make = make_merge, .request = q};

	if (str_eq(q->source, q->destination))
		return err_set(c->err, ERR_INVALID, "same branch: source and destination are '" STR_FMT "'",
			       STR_ARG(q->source));
	return run_move(&m, ret);
}

/* Revert and cherry-pick. */

/* The commit that is picked, and the metarange of the parent that it is compared with. */
static rc picked(struct move *m, struct commit *ret, struct str *ret_parent_range)
{
	const struct pick_request *q = m->request;
	unsigned n = q->parent ? q->parent : 1;
	struct commit parent;

	TRY(actions_refuse(m->c, m->r, m->branch));
	TRY(ref_commit(m->c, m->r, q->ref, ret));
	if (ret->parents_n > 1 && !q->parent)
		return err_set(m->c->err, ERR_MergeWithoutParent,
			       "commit " STR_FMT " is a merge: say by parent_number which of its %zu parents it is compared with",
			       STR_ARG(ret->id), ret->parents_n);
	if (n > ret->parents_n && (q->parent || ret->parents_n))
		return err_set(m->c->err, ERR_INVALID,
			       "parent %u is out of range: commit " STR_FMT " has %zu", n,
			       STR_ARG(ret->id), ret->parents_n);
	*ret_parent_range = STR("");
	if (ret->parents_n == 0)
		return RC_OK;
	TRY(commit_named(m->c, m->r, ret->parents[n - 1], &parent));
	*ret_parent_range = parent.meta_range_id;
	return RC_OK;
}

static rc make_revert(struct move *m, const struct commit *head, struct commit *ret)
{
	const struct pick_request *q = m->request;
	struct str parent, meta_range;
	struct commit commit;

	TRY(picked(m, &commit, &parent));
	TRY(merge_ranges(m, head->meta_range_id, parent, commit.meta_range_id, MERGE_NONE, &meta_range));
	if (str_eq(meta_range, head->meta_range_id) && !q->allow_empty)
		return err_set(m->c->err, ERR_NoChanges, "revert: no changes");
	*ret = next_commit(m, head, STR_NONE, meta_range, q->committer);
	ret->message = q->with.message.p ? q->with.message
					 : arena_printf(m->c->a, "Revert " STR_FMT, STR_ARG(commit.id));
	set_metadata(m->c->a, ret, NULL, 0, &q->with);
	return RC_OK;
}

static rc make_cherry_pick(struct move *m, const struct commit *head, struct commit *ret)
{
	const struct pick_request *q = m->request;
	struct str parent, meta_range;
	struct commit commit;
	struct meta *own;

	TRY(picked(m, &commit, &parent));
	TRY(merge_ranges(m, head->meta_range_id, commit.meta_range_id, parent, MERGE_NONE, &meta_range));
	*ret = next_commit(m, head, STR_NONE, meta_range, q->committer);
	ret->message = q->with.message.p ? q->with.message : commit.message;
	own = arena_alloc(m->c->a, (commit.metadata_n + 2) * sizeof(*own));
	for (size_t i = 0; i < commit.metadata_n; i++)
		own[i] = commit.metadata[i];
	own[commit.metadata_n] = (struct meta){STR("cherry-pick-origin"), commit.id};
	own[commit.metadata_n + 1] = (struct meta){STR("cherry-pick-committer"), commit.committer};
	set_metadata(m->c->a, ret, own, commit.metadata_n + 2, &q->with);
	return RC_OK;
}

static rc pick(struct vcall *c, const struct repo *r, const struct pick_request *q,
	       rc (*make)(struct move *, const struct commit *, struct commit *), struct commit *ret)
{
	struct move m = {.c = c, .r = r, .branch = q->branch, .force = q->force, .make = make,
			 .request = q};

	return run_move(&m, ret);
}

rc branch_revert(struct vcall *c, const struct repo *r, const struct pick_request *q,
		 struct commit *ret)
{
	return pick(c, r, q, make_revert, ret);
}

rc branch_cherry_pick(struct vcall *c, const struct repo *r, const struct pick_request *q,
		      struct commit *ret)
{
	return pick(c, r, q, make_cherry_pick, ret);
}

static rc try_hard_reset(struct vcall *c, const struct repo *r, struct str branch, struct str ref)
{
	struct commit target;
	struct branch b;

	TRY(branch_get_open(c, r, branch, &b));
	TRY(ref_commit(c, r, ref, &target));
	return branch_move(c, r, &b, target.id, 0);
}

/* As lakeFS: what is staged stays staged, over the new head. */
rc branch_hard_reset(struct vcall *c, const struct repo *r, struct str branch, struct str ref, bool force)
{
	struct turn turn;
	rc res;

	if (!force)
		TRY(read_only_refused(r, c->err));
	TRY(protection_check(c, r, branch, PROTECT_STAGING));
	TRY(protection_check(c, r, branch, PROTECT_COMMIT));
	TRY(turn_begin(&turn, c, r, branch));
	do
		res = try_hard_reset(c, r, branch, ref);
	while (rc_is(res, PREDICATE) && rc_ok(res = turn_again(&turn)));
	turn_end(&turn);
	return res;
}
