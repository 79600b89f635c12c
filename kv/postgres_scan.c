/* Scans: pages of rows; later ones have what is configured, and none has much more than PAGE_BYTES. */
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
