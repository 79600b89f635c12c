#include "versions/history.h"

#include "versions/commit_walk.h"
#include "versions/internal.h"
#include "versions/path_filter.h"

struct log {
	struct vcall *c;
	const struct repo *r;
	const struct log_request *q;
	struct path_filter *filter; /* NULL: all commits count */
	struct walk *walk;
	struct log_page *page;
	size_t scanned;
	bool skipping; /* `after` has still to come */
	bool ended;    /* stop_at was there */
};

static bool younger(const struct commit *x, const struct commit *y)
{
	if (x->created.s != y->created.s)
		return x->created.s > y->created.s;
	if (x->created.ns != y->created.ns)
		return x->created.ns > y->created.ns;
	return str_cmp(x->id, y->id) > 0;
}

static rc push_parents(struct log *l, const struct commit *commit)
{
	size_t n = l->q->first_parent && commit->parents_n > 1 ? 1 : commit->parents_n;

	for (size_t i = 0; i < n; i++) {
		unsigned char *met = walk_note(l->walk, commit->parents[i]);

		if (*met)
			continue;
		*met = true;
		TRY(walk_push(l->walk, commit->parents[i]));
	}
	return RC_OK;
}

static void copy(struct arena *a, const struct commit *from, struct commit *to)
{
	*to = *from;
	to->id = arena_dup(a, from->id);
	to->committer = arena_dup(a, from->committer);
	to->message = arena_dup(a, from->message);
	to->meta_range_id = arena_dup(a, from->meta_range_id);
	to->metadata = arena_alloc(a, from->metadata_n * sizeof(*to->metadata) + 1);
	for (size_t i = 0; i < from->metadata_n; i++)
		to->metadata[i] = (struct meta){arena_dup(a, from->metadata[i].key),
						arena_dup(a, from->metadata[i].value)};
	to->parents = arena_alloc(a, from->parents_n * sizeof(*to->parents) + 1);
	for (size_t i = 0; i < from->parents_n; i++)
		to->parents[i] = arena_dup(a, from->parents[i]);
}

static rc counts(struct log *l, const struct commit *commit, bool *ret)
{
	*ret = true;
	if (!l->filter)
		return RC_OK;
	l->scanned++;
	return path_filter_changed(l->filter, commit, ret);
}

static void end_page(struct log *l, struct str last)
{
	l->page->more = true;
	l->page->next = arena_dup(l->c->a, last);
}

/* *ret_end: the page is whole, or the walk is over. */
static rc visit(struct log *l, const struct commit *commit, bool *ret_end)
{
	struct log_page *p = l->page;
	bool wanted;

	if (l->skipping) {
		l->skipping = !str_eq(commit->id, l->q->after);
		return RC_OK;
	}
	TRY(counts(l, commit, &wanted));
	if (wanted && p->n == l->q->max) {
		end_page(l, p->commits[p->n - 1].id);
		*ret_end = true;
		return RC_OK;
	}
	if (wanted)
		copy(l->c->a, commit, &p->commits[p->n++]);
	*ret_end = l->ended;
	if (!*ret_end && l->filter && l->q->scan_max && l->scanned >= l->q->scan_max) {
		end_page(l, commit->id);
		*ret_end = true;
	}
	return RC_OK;
}

static rc walk_on(struct log *l)
{
	const struct commit *commit;
	bool end = false;

	while (!end) {
		walk_pop(l->walk, &commit);
		if (!commit)
			break;
		if (commit->created.s < l->q->since)
			continue; /* its ancestors are older */
		l->ended = l->q->stop_at.n && str_eq(commit->id, l->q->stop_at);
		TRY(visit(l, commit, &end));
		if (l->ended)
			break;
		TRY(push_parents(l, commit));
	}
	if (l->skipping && !l->ended)
		return err_set(l->c->err, ERR_NOT_FOUND, "commit " STR_FMT " isn't in this log",
			       STR_ARG(str_head(l->q->after, 100)));
	return RC_OK;
}

/* Where the walk begins. */
static rc begin(struct log *l)
{
	struct commit commit;
	struct str at = l->q->from;

	l->skipping = l->q->after.n != 0;
	if (l->skipping && l->q->first_parent)
		at = l->q->after; /* only one way leads on from it */
	TRY(commit_get(l->c, l->r, at, &commit));
	*walk_note(l->walk, at) = true;
	return walk_push(l->walk, at);
}

rc history_log(struct vcall *c, const struct repo *r, const struct log_request *q, struct log_page *ret)
{
	CLEANUP(walk_freep) struct walk *w = walk_new(c, r, younger);
	struct log l = {.c = c, .r = r, .q = q, .walk = w, .page = ret};

	*ret = (struct log_page){.commits = arena_alloc(c->a, q->max * sizeof(*ret->commits) + 1)};
	if (q->objects_n + q->prefixes_n)
		l.filter = path_filter_new(c, r, q->objects, q->objects_n, q->prefixes, q->prefixes_n);
	TRY(begin(&l));
	return walk_on(&l);
}
