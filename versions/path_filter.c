#include "versions/path_filter.h"

#include <stdlib.h>

#include "versions/diff.h"
#include "versions/internal.h"

struct path {
	struct str s;
	struct str end; /* the least key behind it; STR_NONE: there is none */
	bool is_prefix;
};

struct path_filter {
	struct vcall *c;
	const struct repo *r;
	struct path *paths; /* ascending, none within another */
	size_t n;
};

static int by_text(const void *x, const void *y)
{
	return str_cmp(((const struct path *)x)->s, ((const struct path *)y)->s);
}

static void add(struct path_filter *f, const struct str *list, size_t n, bool is_prefix)
{
	for (size_t i = 0; i < n; i++)
		f->paths[f->n++] = (struct path){
			.s = list[i].p ? list[i] : STR(""),
			.is_prefix = is_prefix,
			.end = is_prefix ? arena_prefix_end(f->c->a, list[i])
					 : scan_from(f->c->a, STR(""), list[i].p ? list[i] : STR("")),
		};
}

static bool covers(const struct path *p, const struct path *q)
{
	return p->is_prefix ? str_starts(q->s, p->s) : !q->is_prefix && str_eq(p->s, q->s);
}

/* Sorted, what covers others comes before them, but for an object of a prefix's own text. */
static void drop_covered(struct path_filter *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		while (n && covers(&f->paths[i], &f->paths[n - 1]))
			n--;
		if (n && covers(&f->paths[n - 1], &f->paths[i]))
			continue;
		f->paths[n++] = f->paths[i];
	}
	f->n = n;
}

struct path_filter *path_filter_new(struct vcall *c, const struct repo *r, const struct str *objects,
				    size_t objects_n, const struct str *prefixes, size_t prefixes_n)
{
	struct path_filter *f = ARENA_NEW(c->a, struct path_filter);

	f->c = c;
	f->r = r;
	f->paths = arena_alloc(c->a, (objects_n + prefixes_n) * sizeof(*f->paths));
	add(f, objects, objects_n, false);
	add(f, prefixes, prefixes_n, true);
	qsort(f->paths, f->n, sizeof(*f->paths), by_text);
	drop_covered(f);
	return f;
}

static rc look(struct path_filter *f, struct vcall *c, struct diff *d, bool *ret)
{
	struct diff_item item;
	bool end;

	for (size_t i = 0; i < f->n && !*ret; i++) {
		diff_end_at(d, f->paths[i].end);
		TRY(diff_seek(d, f->paths[i].s, c->err));
		TRY(diff_next(d, &item, &end, c->err));
		*ret = !end;
	}
	return RC_OK;
}

static rc differs(struct path_filter *f, struct vcall *c, struct str x, struct str y, bool *ret)
{
	CLEANUP(diff_closep) struct diff *d = NULL;

	*ret = false;
	if (str_eq(x, y))
		return RC_OK;
	TRY(diff_open(c, f->r, x, y, STR_NONE, &d));
	return look(f, c, d, ret);
}

static rc changed(struct path_filter *f, struct vcall *c, const struct commit *commit, bool *ret)
{
	struct str parent = STR("");
	size_t i = 0;

	do {
		if (commit->parents_n)
			TRY(commit_meta_range(c, f->r, commit->parents[i], &parent));
		TRY(differs(f, c, parent, commit->meta_range_id, ret));
	} while (*ret && ++i < commit->parents_n);
	return RC_OK;
}

rc path_filter_changed(struct path_filter *f, const struct commit *commit, bool *ret)
{
	struct vcall c = {.v = f->c->v, .a = arena_new(), .wait = f->c->wait, .err = f->c->err};
	rc res = changed(f, &c, commit, ret);

	arena_free(c.a);
	return res;
}
