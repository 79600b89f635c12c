/* Many writes: BatchWriteItem, as many as it takes. What it leaves (UnprocessedItems) is sent
 * again. */
#include <stdio.h>

#include "base/clock.h"
#include "base/rand.h"
#include "kv/dynamodb.h"
#include "kv/writes.h"

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
			kv_write_settle(b->w[i], RC_OK, NULL);
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
		kv_write_settle(w, look && !w->remove ? RC_OK : r, &e);
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
	struct kv_write **list;

	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result))
			w[i].result = ddb_check(d, w[i].partition, w[i].key,
						w[i].remove ? NULL : &w[i].value, w[i].err);
	list = kv_writes_sorted(a, w, n, &list_n);
	if (list_n == 1) {
		write_one(d, list[0]);
	} else {
		for (size_t i = 0; i < list_n; i++)
			if (kv_writes_last(list, list_n, i))
				add(&b, list[i], &bytes);
		run(&b);
		kv_writes_spread(list, list_n);
	}
	arena_free(a);
}
