/* Scans: pages of rows, each asked for by the last key of the one before; no cursor lives in between. The
 * first page is small, later ones have what is configured, and none has much more than PAGE_BYTES. */
#include "kv/postgres.h"

#include <stdlib.h>

#include "base/buf.h"

enum {
	FIRST_ROWS = 100,
	GROWTH = 4,
	PAGE_BYTES = 8 << 20,
	PLACE_MAX = KV_VALUE_MAX, /* of where a scan begins */
};

struct pg_iter {
	struct kv_iter it;
	struct postgres *p;
	struct arena *a;      /* of the partition's name */
	struct str partition; /* STR_NONE: of the partitions themselves */
	struct buf place;     /* where the next page begins */
	bool after;	      /* behind the place, not at it */
	bool last_page;	      /* nothing is behind the page at hand */
	size_t rows;	      /* to be asked for next */
	struct {
		struct arena *a;
		struct kv_entry *e;
		size_t n, max, at, bytes;
		bool cut; /* PAGE_BYTES came first */
	} page;
};

static void page_reset(struct pg_iter *it)
{
	arena_free(it->page.a);
	it->page.a = arena_new();
	it->page.max = it->rows;
	it->page.e = arena_alloc(it->page.a, it->rows * sizeof(*it->page.e));
	it->page.n = it->page.at = it->page.bytes = 0;
	it->page.cut = false;
}

static bool add_row(void *ud, const PGresult *r)
{
	struct pg_iter *it = ud;
	struct kv_entry *e;

	if (!r) {
		page_reset(it);
		return true;
	}
	if (it->page.n == it->page.max)
		return true; /* more than was asked for */
	e = &it->page.e[it->page.n++];
	e->key = arena_dup(it->page.a, pg_value(r, 0, 0));
	e->value = arena_dup(it->page.a, pg_value(r, 0, 1));
	it->page.bytes += e->key.n + e->value.n;
	it->page.cut = it->page.bytes > PAGE_BYTES && it->page.n < it->page.max;
	return !it->page.cut;
}

/* Rows like those at hand should fill half of what a page may have. */
static size_t next_rows(const struct pg_iter *it)
{
	size_t each = it->page.n ? it->page.bytes / it->page.n + 1 : 1;
	size_t rows = it->rows * GROWTH, fit = PAGE_BYTES / 2 / each;

	if (rows > it->p->scan_page)
		rows = it->p->scan_page;
	if (rows > fit)
		rows = fit;
	return rows ? rows : 1;
}

static void set_place(struct pg_iter *it, struct str at, bool after)
{
	buf_reset(&it->place);
	buf_add(&it->place, at);
	it->after = after;
}

static struct pg_statement page_statement(const struct pg_iter *it, struct str limit)
{
	const struct postgres *p = it->p;
	struct str place = buf_str(&it->place);

	if (!it->partition.p)
		return (struct pg_statement){
			.sql = it->after ? p->sql.partitions_after : p->sql.partitions_from,
			.n = 2,
			.params = {place, limit},
		};
	return (struct pg_statement){
		.sql = it->after ? p->sql.scan_after : p->sql.scan_from,
		.n = 3,
		.params = {it->partition, place, limit},
	};
}

static rc fetch(struct pg_iter *it, struct err *reterr)
{
	unsigned char limit[8];
	struct pg_statement s = page_statement(it, str_make(limit, sizeof(limit)));
	struct pg_group g = {.s = &s, .n = 1, .reads = true, .row = add_row, .ud = it};
	rc r;

	for (int i = 0; i < 8; i++)
		limit[i] = (unsigned char)((uint64_t)it->rows >> (56 - 8 * i));
	r = pg_run(it->p, &g, 1, reterr);
	if (rc_ok(r))
		r = pg_group_result(&g, "reading from", reterr);
	if (!rc_ok(r)) {
		it->page.at = it->page.n = 0; /* a part of a page may have come */
		return r;
	}
	it->last_page = it->page.n < it->page.max && !it->page.cut;
	if (it->page.n)
		set_place(it, it->page.e[it->page.n - 1].key, true);
	it->rows = next_rows(it);
	return RC_OK;
}

static rc pg_iter_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
		       struct err *reterr)
{
	struct pg_iter *it = (struct pg_iter *)base;

	if (it->page.at == it->page.n && !it->last_page)
		TRY(fetch(it, reterr));
	*ret_end = it->page.at == it->page.n;
	if (!*ret_end)
		*ret = it->page.e[it->page.at++];
	return RC_OK;
}

/* True when the page at hand has the answer. */
static bool seek_in_page(struct pg_iter *it, struct str from)
{
	size_t low = it->page.at ? it->page.at - 1 : 0, high = it->page.n;

	if (low == high)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (str_cmp(it->page.e[middle].key, from) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	it->page.at = low;
	return low < it->page.n;
}

static rc pg_iter_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct pg_iter *it = (struct pg_iter *)base;

	if (seek_in_page(it, from))
		return RC_OK;
	set_place(it, from, false);
	it->page.at = it->page.n = 0;
	it->last_page = false;
	return RC_OK;
}

static void pg_iter_close(struct kv_iter *base)
{
	struct pg_iter *it = (struct pg_iter *)base;

	buf_deinit(&it->place);
	arena_free(it->page.a);
	arena_free(it->a);
	free(it);
}

static const struct kv_iter_ops iter_ops = {
	.seek = pg_iter_seek,
	.next = pg_iter_next,
	.close = pg_iter_close,
};

static struct kv_iter *pg_iter_new(struct kv *kv, struct str partition, struct str from, size_t batch)
{
	struct pg_iter *it = calloc(1, sizeof(*it));

	if (!it)
		abort();
	it->it.ops = &iter_ops;
	it->p = (struct postgres *)kv;
	it->a = arena_new();
	it->partition = partition.p ? arena_dup(it->a, partition) : STR_NONE;
	it->place = BUF_INIT(PLACE_MAX);
	/* One more, so that who looks whether there is more needn't ask twice. */
	it->rows = batch ? batch + 1 : FIRST_ROWS;
	if (it->rows > it->p->scan_page)
		it->rows = it->p->scan_page;
	set_place(it, from, false);
	return &it->it;
}

/* Nothing is asked for before the first next: a seek may come first. */
rc pg_scan(struct kv *kv, struct str partition, struct str from, size_t batch, struct kv_iter **ret,
	   struct err *reterr)
{
	*ret = pg_iter_new(kv, partition, from, batch);
	return RC_OK;
}

rc pg_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	*ret = pg_iter_new(kv, STR_NONE, from, 0);
	return RC_OK;
}
