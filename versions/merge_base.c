#include "versions/commit_walk.h"
#include "versions/history.h"

enum { FROM_A = 1, FROM_B = 2, FROM_BOTH = 3 };

/* Younger generations first, so that all ways down to a commit are taken before it is left. */
static bool higher(const struct commit *x, const struct commit *y)
{
	if (x->generation != y->generation)
		return x->generation > y->generation;
	if (x->created.s != y->created.s)
		return x->created.s > y->created.s;
	if (x->created.ns != y->created.ns)
		return x->created.ns > y->created.ns;
	return str_cmp(x->id, y->id) > 0;
}

/* *ret: the first parent that both reach. */
static rc reach_parents(struct vcall *c, struct walk *w, const struct commit *commit, struct str *ret)
{
	unsigned char from = *walk_note(w, commit->id);

	for (size_t i = 0; i < commit->parents_n; i++) {
		struct str parent = commit->parents[i];
		unsigned char *note = walk_note(w, parent);

		if ((*note | from) == FROM_BOTH) {
			*ret = arena_dup(c->a, parent);
			return RC_OK;
		}
		if (!*note)
			TRY(walk_push(w, parent));
		*walk_note(w, parent) |= from;
	}
	return RC_OK;
}

rc merge_base(struct vcall *c, const struct repo *r, struct str a, struct str b, struct str *ret)
{
	CLEANUP(walk_freep) struct walk *w = walk_new(c, r, higher);
	const struct commit *commit;

	*ret = STR_NONE;
	TRY(walk_push(w, a));
	if (str_eq(a, b)) {
		*ret = a;
		return RC_OK;
	}
	TRY(walk_push(w, b));
	*walk_note(w, a) = FROM_A;
	*walk_note(w, b) = FROM_B;
	while (!ret->p) {
		walk_pop(w, &commit);
		if (!commit)
			return err_set(c->err, ERR_NOT_FOUND,
				       "no merge base: the commits have no history in common");
		TRY(reach_parents(c, w, commit, ret));
	}
	return RC_OK;
}
