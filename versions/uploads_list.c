/* Listing open uploads. Their records lie in the order of their ids, pages are in the order of keys: so each
 * page reads all of a repository's and keeps the smallest that lie behind its marker, one more than asked
 * for at most. */
#include <stdlib.h>

#include "versions/internal.h"
#include "versions/multipart.h"
#include "versions/upload_record.h"

enum { SCAN_BATCH = 1000 };

struct smallest {
	struct uploads_item **v; /* ascending; each with its text in one piece of memory */
	size_t n, max;
};

static void smallest_free(struct smallest *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
}

/* A common prefix before the uploads of a key that is the same. */
static int item_cmp(const struct uploads_item *a, const struct uploads_item *b)
{
	int keys = str_cmp(a->key, b->key);

	return keys ? keys : str_cmp(a->id, b->id);
}

static struct uploads_item *item_copy(const struct uploads_item *of)
{
	struct uploads_item *it = malloc(sizeof(*it) + of->key.n + of->id.n);
	char *text = (char *)(it + 1);

	if (!it)
		abort();
	*it = *of;
	memcpy(text, of->key.p, of->key.n);
	it->key = str_make(text, of->key.n);
	if (of->id.n)
		memcpy(text + of->key.n, of->id.p, of->id.n);
	it->id = str_make(text + of->key.n, of->id.n);
	return it;
}

/* Where it belongs; *ret_there: one that is the same stands there. */
static size_t place_of(const struct smallest *s, const struct uploads_item *it, bool *ret_there)
{
	size_t from = 0, to = s->n;

	*ret_there = false;
	while (from < to) {
		size_t mid = (from + to) / 2;
		int c = item_cmp(s->v[mid], it);

		if (c == 0) {
			*ret_there = true;
			return mid;
		}
		if (c < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static void keep(struct smallest *s, const struct uploads_item *it)
{
	bool there;
	size_t at = place_of(s, it, &there);

	if (there || at == s->max)
		return;
	if (s->n == s->max)
		free(s->v[--s->n]);
	memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(struct uploads_item *));
	s->v[at] = item_copy(it);
	s->n++;
}

static bool before_marker(const struct uploads_request *q, const struct uploads_item *it)
{
	int c;

	if (!q->key_marker.n)
		return false;
	c = str_cmp(it->key, q->key_marker);
	if (c == 0 && !it->is_prefix && q->id_marker.n)
		return str_cmp(it->id, q->id_marker) <= 0;
	return c <= 0;
}

static struct str key_of(struct vcall *c, const struct uploads_request *q, const struct upload *u)
{
	if (q->branch.p)
		return u->path;
	return arena_join(c->a, (struct str[]){u->branch, STR("/"), u->path}, 3);
}

static void consider(struct vcall *c, const struct uploads_request *q, const struct upload *u,
		     struct smallest *s)
{
	struct uploads_item it = {
		.key = key_of(c, q, u),
		.id = u->id,
		.created = u->created,
		.checksum = u->checksum,
		.checksum_full = u->checksum_full,
		.checksum_implied = u->checksum_implied,
	};
	struct str rest;
	size_t at;

	if ((q->branch.p && !str_eq(q->branch, u->branch)) || !str_starts(it.key, q->prefix))
		return;
	rest = str_skip(it.key, q->prefix.n);
	at = q->delimiter.n ? str_find(rest, q->delimiter) : rest.n;
	if (at < rest.n)
		it = (struct uploads_item){
			.key = str_head(it.key, q->prefix.n + at + q->delimiter.n),
			.is_prefix = true,
			.checksum = DIGEST_KINDS,
		};
	if (!before_marker(q, &it))
		keep(s, &it);
}

static rc scan(struct vcall *c, const struct repo *r, const struct uploads_request *q,
	       struct smallest *s)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str prefix = upload_id_prefix(c->a, r);

	TRY(kv_scan(c->v->kv, PARTITION_MULTIPARTS, prefix, SCAN_BATCH, &it, c->err));
	for (;;) {
		struct arena_mark mark = arena_mark(c->a);
		struct upload_record u;
		struct kv_entry e;
		bool end;

		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, prefix))
			return RC_OK;
		TRY(upload_decode(arena_dup(c->a, e.value), c->a, &u, c->err));
		if (str_eq(u.partition, r->partition))
			consider(c, q, &u.u, s);
		arena_rewind(c->a, mark);
	}
}

static void take(struct vcall *c, const struct smallest *s, size_t max, struct uploads_page *ret)
{
	ret->n = s->n < max ? s->n : max;
	ret->truncated = s->n > max;
	ret->items = arena_alloc(c->a, ret->n * sizeof(*ret->items));
	for (size_t i = 0; i < ret->n; i++) {
		ret->items[i] = *s->v[i];
		ret->items[i].key = arena_dup(c->a, s->v[i]->key);
		ret->items[i].id = arena_dup(c->a, s->v[i]->id);
	}
}

rc uploads_list(struct vcall *c, const struct repo *r, const struct uploads_request *q,
		struct uploads_page *ret)
{
	struct smallest s = {.max = q->max + 1};
	rc res;

	*ret = (struct uploads_page){0};
	if (q->max == 0)
		return RC_OK;
	s.v = arena_alloc(c->a, s.max * sizeof(struct uploads_item *));
	res = scan(c, r, q, &s);
	if (rc_ok(res))
		take(c, &s, q->max, ret);
	smallest_free(&s);
	return res;
}
