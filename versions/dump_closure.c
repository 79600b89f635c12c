/* Commits lie in the order of their ids, so whoever reads them page by page while others commit may see a child, and not
 * the parent that was written before it, but into a page that had been read by then. There are as many such parents as
 * commits were made meanwhile: each is read by itself. */
#include "versions/dump_closure.h"

#include "versions/commit_record.h"
#include "versions/internal.h"

enum { PAGE = 1000 };

struct closing {
	struct vcall *c;
	const struct repo *r;
	struct id_set *in;
	struct progress *p;
	bool added;
	int64_t done;
};

/* Ids that wait to be read. */
struct waiting {
	struct waiting *next;
	struct str id;
};

static void push(struct arena *a, struct waiting **list, struct str id)
{
	struct waiting *w = ARENA_NEW(a, struct waiting);

	*w = (struct waiting){*list, arena_dup(a, id)};
	*list = w;
}

static rc add_missing(struct closing *k, struct arena *a, const struct commit *commit, struct waiting **list)
{
	for (size_t i = 0; i < commit->parents_n; i++)
		if (!id_set_has(k->in, commit->parents[i]))
			push(a, list, commit->parents[i]);
	return RC_OK;
}

/* It, and its ancestors, as far as they aren't there. */
static rc add_ancestors(struct closing *k, struct arena *a, struct waiting *list)
{
	struct vcall c = *k->c;

	c.a = a;
	while (list) {
		struct commit commit;
		struct str id = list->id;
		rc found;

		list = list->next;
		if (id_set_has(k->in, id) || id_set_full(k->in))
			continue;
		found = commit_get(&c, k->r, id, &commit);
		if (rc_is(found, NOT_FOUND)) /* lost: fsck tells */
			continue;
		TRY(found);
		id_set_add(k->in, id);
		k->added = true;
		TRY(add_missing(k, a, &commit, &list));
	}
	return RC_OK;
}

static rc visit(struct closing *k, struct arena *a, struct str id, struct str value)
{
	struct waiting *list = NULL;
	struct commit commit;

	/* One that can't be read is dumped as it is. */
	if (!id_set_has(k->in, id) || !rc_ok(commit_decode(value, a, &commit, NULL)))
		return RC_OK;
	TRY(add_missing(k, a, &commit, &list));
	return add_ancestors(k, a, list);
}

static rc visit_page(struct closing *k, struct arena *a, struct str *from, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	const struct str prefix = STR("commits/");
	struct str last = STR_NONE;
	struct kv_entry e;
	bool end;

	*ret_n = 0;
	TRY(kv_scan(k->c->v->kv, k->r->partition, *from, PAGE, &it, k->c->err));
	while (*ret_n < PAGE) {
		TRY(kv_iter_next(it, &e, &end, k->c->err));
		if (end || !str_starts(e.key, prefix))
			break;
		last = arena_dup(a, e.key);
		++*ret_n;
		TRY(visit(k, a, str_skip(last, prefix.n), arena_dup(a, e.value)));
	}
	if (last.p)
		*from = key_join(a, last, str_make("", 1));
	k->done += (int64_t)*ret_n;
	return k->p ? k->p->tick(k->p, k->done, k->c->err) : RC_OK;
}

rc commits_close(struct vcall *c, const struct repo *r, struct id_set *in, struct progress *p, bool *ret_added)
{
	struct closing k = {.c = c, .r = r, .in = in, .p = p};
	struct arena *before = arena_new();
	struct str from = STR("commits/");
	size_t n = PAGE;
	rc result = RC_OK;

	while (n == PAGE && rc_ok(result) && !id_set_full(in)) {
		struct arena *a = arena_new();

		result = visit_page(&k, a, &from, &n);
		arena_free(before); /* what `from` was in */
		before = a;
	}
	arena_free(before);
	*ret_added = k.added;
	return result;
}
