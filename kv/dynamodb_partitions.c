/* The partitions, in order. DynamoDB has them in the order of a hash, so the table is scanned, the
 * least names are kept, as many as names_bytes holds, and sorted; when they are used up, it is
 * scanned again for those above them.
 *
 * What a scan reads is paid for, whatever it shows of it. But a page that ends inside a partition
 * is followed by the next partition, not by the rest of this one. So pages have a limit: of a big
 * partition not 1 MB is read for its name; and DynamoDB Local reads the whole table for a page
 * that has none, which takes longer than anyone waits. */
#include <stdlib.h>

#include "kv/dynamodb.h"

enum {
	ROW_BYTES = 32, /* what a short one takes besides */
};

struct names {
	struct arena *a;
	struct str *v;
	size_t n, max, bytes;
};

struct ddb_names {
	struct kv_iter it;
	struct dynamodb *d;
	struct names have; /* sorted */
	size_t at;
	bool more;	  /* there may be others above the last one */
	struct buf place; /* the next scan wants those from here on */
	bool after;	  /* but not the place itself */
};

static int compare(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void names_reset(struct names *s)
{
	arena_free(s->a);
	free(s->v);
	*s = (struct names){.a = arena_new()};
}

static void names_add(struct names *s, struct str name)
{
	if (s->n == s->max) {
		s->max = s->max ? s->max * 2 : 256;
		s->v = realloc(s->v, s->max * sizeof(*s->v));
		if (!s->v)
			abort();
	}
	s->v[s->n++] = arena_dup(s->a, name);
	s->bytes += name.n + ROW_BYTES;
}

/* Sorted, each once, and of those no more than `most` bytes; whether some were dropped. */
static bool names_tidy(struct names *s, size_t most)
{
	struct names kept = {.a = arena_new()};
	size_t i;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	for (i = 0; i < s->n && kept.bytes < most; i++)
		if (!kept.n || !str_eq(kept.v[kept.n - 1], s->v[i]))
			names_add(&kept, s->v[i]);
	arena_free(s->a);
	free(s->v);
	*s = kept;
	return kept.bytes >= most;
}

static struct str scan_body(struct ddb_names *it, struct arena *a, struct str partition)
{
	struct ddb_body b;

	ddb_begin(&b, it->d, a, 0);
	jw_bool(&b.w, "ConsistentRead", true);
	jw_str(&b.w, "ProjectionExpression", STR(DDB_PARTITION));
	jw_int(&b.w, "Limit", (int64_t)it->d->scan_limit);
	if (partition.n) {
		char *end = memset(arena_alloc(a, DDB_KEY_MAX), 0xff, DDB_KEY_MAX);

		ddb_key(&b, "ExclusiveStartKey", partition, str_make(end, DDB_KEY_MAX));
	}
	return ddb_end(&b);
}

static bool wanted(const struct ddb_names *it, struct str name)
{
	int by = str_cmp(name, buf_str(&it->place));

	return it->after ? by > 0 : by >= 0;
}

/* One page; *partition is where it ended, STR_NONE at the end of the table. */
static rc scan_page(struct ddb_names *it, struct arena *a, struct str *partition,
		    struct err *reterr)
{
	struct ddb_call c = {.operation = "Scan", .a = a, .reads = true};
	const struct json *items;
	struct str name, before = STR_NONE;

	c.body = scan_body(it, a, *partition);
	ddb_run(it->d, &c);
	TRY(ddb_result(it->d, &c, reterr));
	items = json_member(c.doc, "Items");
	for (size_t i = 0; i < json_count(items); i++) {
		if (!ddb_bytes(a, json_at(items, i), DDB_PARTITION, &name))
			return err_set(reterr, ERR_CORRUPT,
				       "table \"" STR_FMT
				       "\": an item has no binary " DDB_PARTITION,
				       STR_ARG(it->d->table));
		if (!str_eq(name, before) && wanted(it, name))
			names_add(&it->have, name);
		before = name;
	}
	if (!ddb_bytes(a, json_member(c.doc, "LastEvaluatedKey"), DDB_PARTITION, partition))
		*partition = STR_NONE;
	return RC_OK;
}

static rc fill(struct ddb_names *it, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str partition = STR_NONE;
	size_t most = it->d->names_bytes;
	bool dropped = false;
	rc r;

	names_reset(&it->have);
	it->at = 0;
	do {
		struct arena *next = arena_new();

		r = scan_page(it, a, &partition, reterr);
		if (partition.n)
			partition = arena_dup(next, partition);
		arena_free(a);
		a = next;
		if (it->have.bytes > most)
			dropped |= names_tidy(&it->have, most / 2);
	} while (rc_ok(r) && partition.n);
	arena_free(a);
	dropped |= names_tidy(&it->have, dropped ? most / 2 : most + 1);
	if (!rc_ok(r)) {
		it->have.n = 0;
		return r;
	}
	it->more = dropped;
	if (it->have.n) {
		buf_reset(&it->place);
		buf_add(&it->place, it->have.v[it->have.n - 1]);
		it->after = true;
	}
	return RC_OK;
}

static rc names_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end, struct err *reterr)
{
	struct ddb_names *it = (struct ddb_names *)base;

	if (it->at == it->have.n && it->more)
		TRY(fill(it, reterr));
	*ret_end = it->at == it->have.n;
	if (!*ret_end)
		*ret = (struct kv_entry){it->have.v[it->at++], STR("")};
	return RC_OK;
}

static rc names_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct ddb_names *it = (struct ddb_names *)base;

	if (it->at)
		it->at--; /* from may be the one returned last */
	while (it->at < it->have.n && str_cmp(it->have.v[it->at], from) < 0)
		it->at++;
	if (it->at < it->have.n || !it->more)
		return RC_OK;
	if (wanted(it, from)) {
		buf_reset(&it->place);
		buf_add(&it->place, str_head(from, DDB_PARTITION_MAX));
		it->after = from.n > DDB_PARTITION_MAX;
	}
	return RC_OK;
}

static void names_close(struct kv_iter *base)
{
	struct ddb_names *it = (struct ddb_names *)base;

	buf_deinit(&it->place);
	arena_free(it->have.a);
	free(it->have.v);
	free(it);
}

static const struct kv_iter_ops names_ops = {
    .seek = names_seek,
    .next = names_next,
    .close = names_close,
};

rc ddb_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	struct ddb_names *it = calloc(1, sizeof(*it));

	if (!it)
		abort();
	it->it.ops = &names_ops;
	it->d = (struct dynamodb *)kv;
	it->have.a = arena_new();
	it->more = true;
	it->place = BUF_INIT(DDB_PARTITION_MAX);
	buf_add(&it->place, str_head(from, DDB_PARTITION_MAX));
	it->after = from.n > DDB_PARTITION_MAX;
	*ret = &it->it;
	return RC_OK;
}
