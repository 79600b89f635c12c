/* Scans: Query, page by page, each asked for from behind the last key of the one before. The first
 * page has what the caller is likely to want, later ones up to database.dynamodb.scan_limit; none
 * has more than DynamoDB's 1 MB. */
#include <stdlib.h>

#include "kv/dynamodb.h"

enum {
	FIRST_ROWS = 100,
	GROWTH = 4,
};

struct ddb_iter {
	struct kv_iter it;
	struct dynamodb *d;
	struct arena *a; /* of the partition's name */
	struct str partition;
	struct buf place; /* where the next page begins */
	bool after;	  /* behind the place, not at it */
	bool last_page;	  /* nothing is behind the page at hand */
	size_t rows;	  /* to be asked for next */
	struct {
		struct arena *a;
		struct kv_entry *e;
		size_t n, at;
	} page;
};

/* A key has 1024 bytes at most: what begins with more begins behind the first 1024 of them. */
static void set_place(struct ddb_iter *it, struct str at, bool after)
{
	buf_reset(&it->place);
	buf_add(&it->place, str_head(at, DDB_KEY_MAX));
	it->after = after || at.n > DDB_KEY_MAX;
}

static struct str query(struct ddb_iter *it, struct arena *a)
{
	struct str place = buf_str(&it->place);
	struct ddb_body b;

	ddb_begin(&b, it->d, a, 0);
	jw_bool(&b.w, "ConsistentRead", true);
	jw_str(&b.w, "ProjectionExpression", STR(DDB_KEY ", " DDB_VALUE));
	jw_int(&b.w, "Limit", (int64_t)it->rows);
	jw_str(&b.w, "KeyConditionExpression",
	       !place.n	   ? STR(DDB_PARTITION " = :p")
	       : it->after ? STR(DDB_PARTITION " = :p AND " DDB_KEY " > :k")
			   : STR(DDB_PARTITION " = :p AND " DDB_KEY " >= :k"));
	jw_object(&b.w, "ExpressionAttributeValues");
	ddb_binary(&b, ":p", it->partition);
	if (place.n)
		ddb_binary(&b, ":k", place);
	jw_end_object(&b.w);
	return ddb_end(&b);
}

static rc read_page(struct ddb_iter *it, const struct json *doc, struct arena *a,
		    struct err *reterr)
{
	const struct json *items = json_member(doc, "Items"),
			  *last = json_member(doc, "LastEvaluatedKey");
	struct kv_entry *e;
	size_t n = json_count(items);
	struct str key;

	arena_free(it->page.a);
	it->page.a = arena_new();
	it->page.e = e = arena_alloc(it->page.a, (n + 1) * sizeof(*e));
	it->page.n = it->page.at = 0;
	for (size_t i = 0; i < n; i++)
		if (!ddb_bytes(it->page.a, json_at(items, i), DDB_KEY, &e[i].key) ||
		    !ddb_bytes(it->page.a, json_at(items, i), DDB_VALUE, &e[i].value))
			return err_set(reterr, ERR_CORRUPT,
				       "table \"" STR_FMT "\": an item has no binary " DDB_KEY
				       " and " DDB_VALUE,
				       STR_ARG(it->d->table));
	it->page.n = n;
	it->last_page = !ddb_bytes(a, last, DDB_KEY, &key);
	if (!it->last_page)
		set_place(it, key, true);
	return RC_OK;
}

static rc fetch(struct ddb_iter *it, struct err *reterr)
{
	struct arena *a = arena_new();
	struct ddb_call c = {.operation = "Query", .a = a, .reads = true};
	rc r;

	c.body = query(it, a);
	ddb_run(it->d, &c);
	r = ddb_result(it->d, &c, reterr);
	if (rc_ok(r))
		r = read_page(it, c.doc, a, reterr);
	it->rows *= GROWTH;
	if (it->rows > it->d->scan_limit)
		it->rows = it->d->scan_limit;
	arena_free(a);
	return r;
}

static rc ddb_iter_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			struct err *reterr)
{
	struct ddb_iter *it = (struct ddb_iter *)base;

	/* A page may be empty and yet not the last. */
	while (it->page.at == it->page.n && !it->last_page)
		TRY(fetch(it, reterr));
	*ret_end = it->page.at == it->page.n;
	if (!*ret_end)
		*ret = it->page.e[it->page.at++];
	return RC_OK;
}

/* True when the page at hand has the answer. */
static bool seek_in_page(struct ddb_iter *it, struct str from)
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

static rc ddb_iter_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct ddb_iter *it = (struct ddb_iter *)base;

	if (seek_in_page(it, from))
		return RC_OK;
	set_place(it, from, false);
	it->page.at = it->page.n = 0;
	it->last_page = false;
	return RC_OK;
}

static void ddb_iter_close(struct kv_iter *base)
{
	struct ddb_iter *it = (struct ddb_iter *)base;

	buf_deinit(&it->place);
	arena_free(it->page.a);
	arena_free(it->a);
	free(it);
}

static const struct kv_iter_ops iter_ops = {
    .seek = ddb_iter_seek,
    .next = ddb_iter_next,
    .close = ddb_iter_close,
};

/* Nothing is asked for before the first next: a seek may come first. */
rc ddb_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
	    struct kv_iter **ret, struct err *reterr)
{
	struct ddb_iter *it = calloc(1, sizeof(*it));

	if (!it)
		abort();
	it->it.ops = &iter_ops;
	it->d = (struct dynamodb *)kv;
	it->a = arena_new();
	it->partition = arena_dup(it->a, partition);
	it->place = BUF_INIT(DDB_KEY_MAX);
	/* One more, so that who looks whether there is more needn't ask twice. */
	it->rows = batch ? batch + 1 : FIRST_ROWS;
	if (it->rows > it->d->scan_limit)
		it->rows = it->d->scan_limit;
	set_place(it, from, false);
	*ret = &it->it;
	return RC_OK;
}
