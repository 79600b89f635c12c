/* Many writes: BatchWriteItem, as many as it takes. What it leaves (UnprocessedItems) is sent
 * again. Of several writes to one key only the last is sent, and all of them have its result. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rand.h"
#include "kv/dynamodb.h"

enum {
	BATCH = 25, /* DynamoDB's own */
	BATCH_BYTES = 10 << 20,
};

struct batch {
	struct dynamodb *d;
	struct kv_write *w[BATCH]; /* those that are to be sent yet */
	uint8_t marks[BATCH][DDB_MARK];
	size_t n;
};

/* Which come first: by key, then by place in the caller's list. */
static int compare(const void *a, const void *b)
{
	const struct kv_write *x = *(struct kv_write *const *)a, *y = *(struct kv_write *const *)b;
	int by = str_cmp(x->partition, y->partition);

	if (by == 0)
		by = str_cmp(x->key, y->key);
	return by ? by : x < y ? -1 : 1;
}

static bool same_key(const struct kv_write *a, const struct kv_write *b)
{
	return str_eq(a->partition, b->partition) && str_eq(a->key, b->key);
}

static struct kv_write **sorted(struct dynamodb *d, struct arena *a, struct kv_write *w, size_t n,
				size_t *ret_n)
{
	struct kv_write **list = arena_alloc(a, (n + 1) * sizeof(struct kv_write *));
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (rc_ok(w[i].result))
			w[i].result = ddb_check(d, w[i].partition, w[i].key,
						w[i].remove ? NULL : &w[i].value, w[i].err);
		if (rc_ok(w[i].result))
			list[k++] = &w[i];
	}
	qsort(list, k, sizeof(struct kv_write *), compare);
	*ret_n = k;
	return list;
}

static void settle(struct kv_write *w, rc r, const struct err *e)
{
	w->result = r;
	if (!rc_ok(r) && w->err)
		*w->err = *e;
}

/* Earlier writes to a key have the result of the last. */
static void spread(struct kv_write **list, size_t n)
{
	for (size_t i = n; i-- > 1;) {
		struct kv_write *to = list[i - 1], *from = list[i];
		struct err e = {0};

		if (!same_key(to, from))
			continue;
		if (from->err)
			e = *from->err;
		else
			IGNORE_RC(rc_ok(from->result) ? RC_OK : err_default(&e, from->result.code));
		settle(to, from->result, &e);
	}
}

static struct str body_of(struct batch *b, struct arena *a)
{
	struct ddb_body body;
	size_t bytes = 0;

	for (size_t i = 0; i < b->n; i++)
		bytes += b->w[i]->partition.n + b->w[i]->key.n + b->w[i]->value.n + 256;
	ddb_begin(&body, NULL, a, bytes);
	jw_object(&body.w, "RequestItems");
	jw_array(&body.w, arena_cstr(a, b->d->table));
	for (size_t i = 0; i < b->n; i++) {
		const struct kv_write *w = b->w[i];

		jw_object(&body.w, NULL);
		jw_object(&body.w, w->remove ? "DeleteRequest" : "PutRequest");
		if (w->remove)
			ddb_key(&body, "Key", w->partition, w->key);
		else
			ddb_item(&body, w->partition, w->key, w->value, b->marks[i]);
		jw_end_object(&body.w);
		jw_end_object(&body.w);
	}
	jw_end_array(&body.w);
	jw_end_object(&body.w);
	return ddb_end(&body);
}

static bool is_left(struct arena *a, const struct json *left, const struct kv_write *w)
{
	for (size_t i = 0; i < json_count(left); i++) {
		const struct json *one = json_at(left, i);
		const struct json *put = json_member(json_member(one, "PutRequest"), "Item");
		const struct json *item =
		    put ? put : json_member(json_member(one, "DeleteRequest"), "Key");
		struct str partition, key;

		if (ddb_bytes(a, item, DDB_PARTITION, &partition) &&
		    ddb_bytes(a, item, DDB_KEY, &key) && str_eq(partition, w->partition) &&
		    str_eq(key, w->key))
			return true;
	}
	return false;
}

/* Settles what was carried out; what wasn't stays in the batch. */
static void take_answer(struct batch *b, struct arena *a, const struct json *doc)
{
	const struct json *left =
	    json_member(json_member(doc, "UnprocessedItems"), arena_cstr(a, b->d->table));
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (!is_left(a, left, b->w[i])) {
			settle(b->w[i], RC_OK, NULL);
			continue;
		}
		b->w[kept] = b->w[i];
		memmove(b->marks[kept], b->marks[i], DDB_MARK);
		kept++;
	}
	b->n = kept;
}

static void settle_rest(struct batch *b, const struct ddb_call *c)
{
	struct err e = {0};
	rc r = ddb_result(b->d, c, &e);
	bool look = c->fate == DDB_LOST;

	for (size_t i = 0; i < b->n; i++) {
		struct kv_write *w = b->w[i];

		/* Where the first that is looked for can't be found, others won't be for the same
		 * reason. */
		look = look && (w->remove || ddb_landed(b->d, w->partition, w->key, b->marks[i]));
		settle(w, look && !w->remove ? RC_OK : r, &e);
	}
	b->n = 0;
}

static void run(struct batch *b)
{
	int64_t until = mono_ms() + b->d->call_ms;

	for (size_t i = 0; i < b->n; i++)
		rand_bytes(b->marks[i], DDB_MARK);
	for (unsigned n = 1; b->n; n++) {
		struct arena *a = arena_new();
		struct ddb_call c = {.operation = "BatchWriteItem", .a = a};

		c.body = body_of(b, a);
		ddb_run(b->d, &c);
		if (c.fate == DDB_DONE)
			take_answer(b, a, c.doc);
		if (c.fate == DDB_DONE && b->n && (n == b->d->max_attempts || mono_ms() >= until)) {
			c.fate = DDB_THROTTLED;
			snprintf(c.kind, sizeof(c.kind), "UnprocessedItems");
			snprintf(c.why, sizeof(c.why), "it left some of a batch undone each time");
		}
		if (c.fate != DDB_DONE)
			settle_rest(b, &c);
		arena_free(a);
		if (b->n)
			ddb_pause(n);
	}
}

static void add(struct batch *b, struct kv_write *w, size_t *bytes)
{
	size_t more = w->partition.n + w->key.n + w->value.n;

	if (b->n == BATCH || (b->n && *bytes + more > BATCH_BYTES)) {
		run(b);
		*bytes = 0;
	}
	b->w[b->n++] = w;
	*bytes += more;
}

/* A plain one: its answer is cheaper to have. */
static void write_one(struct dynamodb *d, struct kv_write *w)
{
	w->result = w->remove ? d->kv.ops->delete(&d->kv, w->partition, w->key, w->err)
			      : d->kv.ops->set(&d->kv, w->partition, w->key, w->value, w->err);
}

void ddb_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	struct dynamodb *d = (struct dynamodb *)kv;
	struct arena *a = arena_new();
	struct batch b = {.d = d};
	size_t list_n, bytes = 0;
	struct kv_write **list = sorted(d, a, w, n, &list_n);

	if (list_n == 1) {
		write_one(d, list[0]);
	} else {
		for (size_t i = 0; i < list_n; i++)
			if (i + 1 == list_n || !same_key(list[i], list[i + 1]))
				add(&b, list[i], &bytes);
		run(&b);
		spread(list, list_n);
	}
	arena_free(a);
}
