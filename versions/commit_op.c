/* Committing what is staged (head.h: the steps). */
#include "versions/head.h"

#include "versions/actions.h"
#include "versions/commit_record.h"
#include "versions/internal.h"
#include "versions/protection.h"
#include "versions/seal.h"
#include "versions/staged_changes.h"
#include "versions/turn.h"

static rc no_changes(struct vcall *c)
{
	return err_set(c->err, ERR_NoChanges, "commit: no changes");
}

/* The metarange of the head with what is sealed laid over it. */
static rc lay_over(struct vcall *c, const struct repo *r, const struct branch *b, struct str base,
		   struct str *ret, bool *ret_changed)
{
	CLEANUP(staged_changes_closep) struct staged_changes *s = NULL;
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct merge_summary what;
	struct mr_summary sum;

	TRY(mr_writer_new(c, r, NULL, 0, &w));
	TRY(staged_changes_open(c, b->sealed, b->sealed_n, STR_NONE, &s));
	TRY(apply_changes(c, r, base, staged_changes_of(s), w, &what));
	*ret_changed = what.added + what.removed + what.changed != 0;
	*ret = base;
	if (!*ret_changed)
		return RC_OK;
	TRY(mr_writer_finish(w, c->a, &sum, c->err));
	*ret = sum.id;
	return RC_OK;
}

/* A metarange that somebody made elsewhere becomes the branch's: nothing staged may be in its way. */
static rc take_metarange(struct vcall *c, const struct repo *r, const struct branch *b,
			 const struct commit_request *q, struct str base, struct str *ret, bool *ret_changed)
{
	bool there, dirty;

	TRY(staged_differs(c, r, b->sealed, b->sealed_n, base, &dirty));
	if (dirty)
		return err_set(c->err, ERR_DirtyBranch,
			       "cannot use source MetaRange: branch " STR_FMT " has uncommitted changes",
			       STR_ARG(b->id));
	TRY(table_exists(c, r, q->source_metarange, &there));
	if (!there)
		return err_set(c->err, ERR_NOT_FOUND, "metarange " STR_FMT " not found",
			       STR_ARG(q->source_metarange));
	*ret = q->source_metarange;
	*ret_changed = !str_eq(*ret, base);
	return RC_OK;
}

static rc try_commit(struct vcall *c, const struct repo *r, const struct commit_request *q,
		     struct commit *ret)
{
	struct commit parent;
	struct branch b;
	struct str meta_range;
	bool changed = false;

	TRY(actions_refuse(c, r, q->branch));
	TRY(branch_seal(c, r, q->branch, &b));
	TRY(actions_refuse(c, r, q->branch)); /* one that was staged in between is in the commit */
	TRY(commit_named(c, r, b.commit_id, &parent));
	if (q->source_metarange.n)
		TRY(take_metarange(c, r, &b, q, parent.meta_range_id, &meta_range, &changed));
	else
		TRY(lay_over(c, r, &b, parent.meta_range_id, &meta_range, &changed));
	if (!changed && !q->allow_empty)
		return no_changes(c);
	*ret = (struct commit){
		.committer = q->committer,
		.message = q->message,
		.meta_range_id = meta_range,
		.created = q->has_date ? (struct timestamp){.s = q->date} : wall_now(),
		.metadata = q->metadata,
		.metadata_n = meta_sort(q->metadata, q->metadata_n),
		.parents = &b.commit_id,
		.parents_n = 1,
		.version = COMMIT_VERSION,
		.generation = parent.generation + 1,
	};
	ret->parents = arena_alloc(c->a, sizeof(*ret->parents));
	ret->parents[0] = b.commit_id;
	TRY(commit_check(ret, c->err));
	TRY(commit_add(c, r, ret));
	return branch_move(c, r, &b, ret->id, b.sealed_n);
}

rc branch_commit(struct vcall *c, const struct repo *r, const struct commit_request *q,
		 struct commit *ret)
{
	struct turn turn;
	rc res;

	if (!q->force)
		TRY(read_only_refused(r, c->err));
	TRY(protection_check(c, r, q->branch, PROTECT_COMMIT));
	TRY(turn_begin(&turn, c, r, q->branch));
	do
		res = try_commit(c, r, q, ret);
	while (rc_is(res, PREDICATE) && rc_ok(res = turn_again(&turn)));
	turn_end(&turn);
	return res;
}
