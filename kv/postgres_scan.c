/* Scans: pages of rows; later ones have what is configured, and none has much more than PAGE_BYTES. */
#include "kv/moment.h"
#include "kv/pages.h"
#include "kv/postgres.h"

enum {
	PAGE_BYTES = 8 << 20,
	PLACE_MAX = KV_VALUE_MAX, /* of where a scan begins */
};

/* A page on its way. */
struct filling {
	struct kv_pages *s;
	size_t bytes;
	bool cut; /* PAGE_BYTES came first */
};

static bool add_row(void *ud, const PGresult *r)
{
	struct filling *f = ud;
	struct kv_pages *s = f->s;
	struct kv_entry *e;

	if (!r) {
		kv_pages_turn(s, s->rows);
		f->bytes = 0;
		f->cut = false;
		return true;
	}
	if (s->page.n == s->rows)
		return true; /* more than was asked for */
	e = &s->page.e[s->page.n++];
	e->key = arena_dup(s->page.a, pg_value(r, 0, 0));
	e->value = arena_dup(s->page.a, pg_value(r, 0, 1));
	f->bytes += e->key.n + e->value.n;
	f->cut = f->bytes > PAGE_BYTES && s->page.n < s->rows;
	return !f->cut;
}

/* Rows like those at hand should fill half of what a page may have. */
static size_t next_rows(const struct filling *f)
{
	size_t each = f->s->page.n ? f->bytes / f->s->page.n + 1 : 1;
	size_t rows = kv_pages_grown(f->s), fit = PAGE_BYTES / 2 / each;

	if (rows > fit)
		rows = fit;
	return rows ? rows : 1;
}

/* Without a partition: of the partitions themselves. */
static struct pg_statement page_statement(const struct kv_pages *s, struct str limit)
{
	const struct postgres *p = (const struct postgres *)s->kv;
	struct str place = buf_str(&s->place);

	if (!s->partition.p)
		return (struct pg_statement){
			.sql = s->after ? p->sql.partitions_after : p->sql.partitions_from,
			.n = 2,
			.params = {place, limit},
		};
	return (struct pg_statement){
		.sql = s->after ? p->sql.scan_after : p->sql.scan_from,
		.n = 3,
		.params = {s->partition, place, limit},
	};
}

static rc fetch(struct kv_pages *s, struct err *reterr)
{
	unsigned char limit[8];
	struct filling f = {.s = s};
	struct pg_statement q = page_statement(s, str_make(limit, sizeof(limit)));
	struct pg_group g = {.s = &q, .n = 1, .reads = true, .row = add_row, .ud = &f};
	rc r;

	for (int i = 0; i < 8; i++)
		limit[i] = (unsigned char)((uint64_t)s->rows >> (56 - 8 * i));
	r = pg_run((struct postgres *)s->kv, &g, 1, reterr);
	if (rc_ok(r))
		r = pg_group_result(&g, "reading from", reterr);
	if (!rc_ok(r)) {
		s->page.at = s->page.n = 0; /* a part of a page may have come */
		return r;
	}
	s->last_page = s->page.n < s->rows && !f.cut;
	if (s->page.n)
		kv_pages_place(s, s->page.e[s->page.n - 1].key, true);
	s->rows = next_rows(&f);
	return RC_OK;
}

static struct kv_iter *scan(struct kv *kv, struct str partition, struct str from, size_t batch)
{
	return kv_pages_new(&(struct kv_pages_options){
		.kv = kv,
		.fetch = fetch,
		.place_max = PLACE_MAX,
		.rows_max = ((struct postgres *)kv)->scan_page,
		.partition = partition,
		.from = from,
		.batch = batch,
	});
}

rc pg_scan(struct kv *kv, struct str partition, struct str from, size_t batch, struct kv_iter **ret,
	   struct err *reterr)
{
	*ret = scan(kv, partition, from, batch);
	return RC_OK;
}

rc pg_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	*ret = scan(kv, STR_NONE, from, 0);
	return RC_OK;
}

/* One moment: one statement's rows. */
struct taking {
	struct kv_moment *to;
	bool full;
};

static bool take_row(void *ud, const PGresult *r)
{
	struct taking *t = ud;

	if (!r) {
		kv_moment_reset(t->to);
		t->full = false;
		return true;
	}
	t->full = !kv_moment_add(t->to, pg_value(r, 0, 0), pg_value(r, 0, 1));
	return !t->full;
}

static rc take_moment(struct postgres *p, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		      struct taking *t, struct err *reterr)
{
	struct arena *a = arena_new();
	struct pg_statement s = {
		.sql = p->sql.scan_moment,
		.n = 5,
		.params = {partition, prefix[0], arena_prefix_end(a, prefix[0]), prefix[1],
			   arena_prefix_end(a, prefix[1])},
	};
	struct pg_group g = {.s = &s, .n = 1, .reads = true, .row = take_row, .ud = t};
	rc r = pg_run(p, &g, 1, reterr);

	if (rc_ok(r))
		r = pg_group_result(&g, "reading from", reterr);
	arena_free(a);
	return r;
}

rc pg_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		  struct kv_iter **ret, struct err *reterr)
{
	struct taking t = {.to = kv_moment_new()};
	rc r = take_moment((struct postgres *)kv, partition, prefix, &t, reterr);

	if (rc_ok(r) && t.full)
		r = kv_moment_too_large(reterr);
	if (rc_ok(r))
		*ret = kv_moment_iter(t.to);
	else
		kv_moment_free(t.to);
	return r;
}
