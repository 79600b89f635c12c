/* Branches as common prefixes: "branch/" in the order of these texts, as clients demand of a listing, which
 * isn't the names' own: "a" comes before "a-b", but "a-b/" before "a/" ('-' is before '/', and nothing else
 * that a name may hold).
 *
 * Names come from the KV in their order. A name waits while others that begin with it and a '-' may follow:
 * they go first. Those that wait begin with each other, so they are a stack no higher than a name is long. */
#include "gateway/s3.h"

enum { BATCH = 1000 };

struct branches {
	struct s3_req *r;
	struct str *waiting; /* each begins with the one before and a '-' */
	size_t waiting_n, waiting_cap;
	struct list_page *page;
	size_t max;
	bool full; /* there are more than max */
};

static void emit(struct branches *l, struct str name)
{
	struct list_page *p = l->page;

	l->full = p->n == l->max;
	if (!l->full)
		p->items[p->n++] = (struct list_item){
			.key = arena_join(l->r->a, (struct str[]){name, STR("/")}, 2), .is_prefix = true};
}

static bool goes_first(struct str name, struct str waiting)
{
	return name.n > waiting.n && str_starts(name, waiting) && name.p[waiting.n] == '-';
}

/* STR_NONE: no more names come. */
static void take(struct branches *l, struct str name)
{
	while (l->waiting_n && !l->full && !goes_first(name, l->waiting[l->waiting_n - 1]))
		emit(l, l->waiting[--l->waiting_n]);
	if (!name.p || l->full)
		return;
	if (l->waiting_n == l->waiting_cap) {
		struct str *old = l->waiting;

		l->waiting_cap = l->waiting_cap ? l->waiting_cap * 2 : 16;
		l->waiting = arena_alloc(l->r->a, l->waiting_cap * sizeof(*old));
		if (l->waiting_n)
			memcpy(l->waiting, old, l->waiting_n * sizeof(*old));
	}
	l->waiting[l->waiting_n++] = name;
}

/* Those before `after` in the names' order whose "name/" is behind it nevertheless. */
static rc take_behind(struct branches *l, struct str prefix, struct str after)
{
	struct vcall c = s3_vcall(l->r);
	size_t name_n = str_index(after, '/');

	for (size_t n = prefix.n ? prefix.n : 1; n <= name_n; n++) {
		struct str name = str_head(after, n);
		struct branch b;
		rc res;

		if (!str_starts(name, prefix) || (n < after.n && after.p[n] >= '/'))
			continue;
		res = branch_get(&c, &l->r->repo, name, &b);
		if (rc_ok(res) && !b.hidden)
			take(l, name);
		else if (!rc_ok(res) && !rc_is(res, NOT_FOUND))
			return res;
	}
	return RC_OK;
}

/* The names behind `after` in their own order, but for those whose "name/" is before it. */
static struct str scan_after(struct s3_req *r, struct str after)
{
	size_t n = str_index(after, '/');

	if (!after.n || n == after.n)
		return after;
	return arena_join(r->a, (struct str[]){str_head(after, n), STR(".")}, 2); /* '-' + 1 */
}

static rc scan(struct branches *l, struct str prefix, struct str after)
{
	struct vcall c = s3_vcall(l->r);
	bool more = true;

	while (more && !l->full) {
		struct branch *b;
		size_t n;

		TRY(branch_list(&c, &l->r->repo, prefix, after, BATCH, false, &b, &n, &more));
		for (size_t i = 0; i < n && !l->full; i++)
			take(l, b[i].id);
		if (n)
			after = b[n - 1].id;
	}
	take(l, STR_NONE);
	return RC_OK;
}

rc s3_list_branches(struct s3_req *r, struct str prefix, struct str after, size_t max,
		    struct list_page *ret)
{
	struct branches l = {.r = r, .page = ret, .max = max};

	if (r->wait == KV_NOWAIT)
		return err_default(&r->err, ERR_WOULD_BLOCK);
	*ret = (struct list_page){.items = arena_alloc(r->a, max * sizeof(*ret->items) + 1)};
	if (!max)
		return RC_OK;
	TRY(take_behind(&l, prefix, after));
	TRY(scan(&l, prefix, scan_after(r, after)));
	ret->truncated = l.full;
	if (l.full)
		ret->next = ret->items[ret->n - 1].key;
	return RC_OK;
}
