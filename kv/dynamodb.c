/* The KV in a table of DynamoDB, or of what speaks its HTTP API (ScyllaDB Alternator, DynamoDB
 * Local): lakeFS's table, whose items are PartitionKey (hash), ItemKey (range) and ItemValue, all
 * binary.
 *
 * Each call is one request. Reads are consistent ones. Conditions are in the request
 * (ConditionExpression), compared by the service against the item's bytes.
 *
 * Guards. There is no guarded set: a transaction with a condition on the branch's item conflicts
 * with every other one that has it, so that puts into one branch would fail each other, and it
 * costs four units of capacity instead of two (the write, and half of one for the read behind it).
 * Who writes under a branch reads its record again behind the write, as over PostgreSQL; versions/
 * does that for drivers without guarded sets.
 *
 * Failure. A change that was sent and not answered is never sent again: the first request may be
 * carried out long after the second, over what others wrote since. Instead each item carries the
 * mark of its last write, twelve random bytes in an attribute of its own that lakeFS reads over.
 * Who lost the answer looks for the mark: if it is there, the write took place, for sure and for
 * good, whatever others write of the same bytes. If it isn't, it may have been overwritten, or
 * still be on its way: UNKNOWN_OUTCOME. Nothing marks a deletion. */
#include "kv/dynamodb.h"

#include <stdlib.h>
#include <time.h>

#include "base/rand.h"

enum {
	SCAN_LIMIT = 1024,
	NAMES_BYTES = 16 << 20,
	CONNECTIONS = 64,
	CALL_MS = 30 * 1000,
	WAIT_MS = 10 * 1000,
	OPEN_MS = 2 * 60 * 1000,
	CONNECT_MS = 5000,
	STALL_MS = 10000,
	LOOKS = 4, /* for a mark */
};

static rc ddb_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		  struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct dynamodb *d = (struct dynamodb *)kv;
	struct arena *mine = arena_new();
	struct ddb_call c = {.operation = "GetItem", .a = mine, .reads = true};
	struct ddb_body b;
	struct json *item;
	rc r = ddb_check(d, partition, key, NULL, reterr);

	if (rc_ok(r)) {
		ddb_begin(&b, d, mine, 0);
		ddb_key(&b, "Key", partition, key);
		jw_bool(&b.w, "ConsistentRead", true);
		jw_str(&b.w, "ProjectionExpression", STR(DDB_VALUE));
		c.body = ddb_end(&b);
		ddb_run(d, &c);
		r = ddb_result(d, &c, reterr);
	}
	item = rc_ok(r) ? json_member(c.doc, "Item") : NULL;
	if (rc_ok(r) && !item)
		r = err_default(reterr, ERR_NOT_FOUND);
	else if (rc_ok(r) && !ddb_bytes(a, item, DDB_VALUE, ret_value))
		r = err_set(reterr, ERR_CORRUPT,
			    "table \"" STR_FMT "\": an item has no binary " DDB_VALUE,
			    STR_ARG(d->table));
	arena_free(mine);
	return r;
}

static void condition(struct ddb_body *b, enum kv_cond cond, struct str current)
{
	static const char *const texts[] = {
	    [KV_IF_ABSENT] = "attribute_not_exists(" DDB_KEY ")",
	    [KV_IF_PRESENT] = "attribute_exists(" DDB_KEY ")",
	    [KV_IF_VALUE] = DDB_VALUE " = :current",
	};

	jw_str(&b->w, "ConditionExpression", str_c(texts[cond]));
	if (cond != KV_IF_VALUE)
		return;
	jw_object(&b->w, "ExpressionAttributeValues");
	ddb_binary(b, ":current", current);
	jw_end_object(&b->w);
}

/* cond NULL: whatever is there. */
static rc put(struct dynamodb *d, struct str partition, struct str key, struct str value,
	      const enum kv_cond *cond, struct str current, struct err *reterr)
{
	struct arena *a = arena_new();
	struct ddb_call c = {.operation = "PutItem", .a = a};
	uint8_t mark[DDB_MARK];
	struct ddb_body b;
	rc r = ddb_check(d, partition, key, &value, reterr);

	if (rc_ok(r)) {
		rand_bytes(mark, sizeof(mark));
		ddb_begin(&b, d, a, partition.n + key.n + value.n + current.n);
		ddb_item(&b, partition, key, value, mark);
		if (cond)
			condition(&b, *cond, current);
		c.body = ddb_end(&b);
		ddb_run(d, &c);
		if (c.fate == DDB_LOST && ddb_landed(d, partition, key, mark))
			c.fate = DDB_DONE;
		r = ddb_result(d, &c, reterr);
	}
	arena_free(a);
	return r;
}

static rc ddb_set(struct kv *kv, struct str partition, struct str key, struct str value,
		  struct err *reterr)
{
	return put((struct dynamodb *)kv, partition, key, value, NULL, STR_NONE, reterr);
}

static rc ddb_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		     enum kv_cond cond, struct str current, struct err *reterr)
{
	struct dynamodb *d = (struct dynamodb *)kv;

	/* What no item can be isn't there. */
	if (cond == KV_IF_VALUE && !rc_ok(ddb_check(d, partition, key, &current, NULL))) {
		TRY(ddb_check(d, partition, key, &value, reterr));
		return err_default(reterr, ERR_PREDICATE);
	}
	return put(d, partition, key, value, &cond, current, reterr);
}

static rc ddb_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct dynamodb *d = (struct dynamodb *)kv;
	struct arena *a = arena_new();
	struct ddb_call c = {.operation = "DeleteItem", .a = a};
	struct ddb_body b;
	rc r = ddb_check(d, partition, key, NULL, reterr);

	if (rc_ok(r)) {
		ddb_begin(&b, d, a, 0);
		ddb_key(&b, "Key", partition, key);
		c.body = ddb_end(&b);
		ddb_run(d, &c);
		r = ddb_result(d, &c, reterr);
	}
	arena_free(a);
	return r;
}

static bool marked(struct dynamodb *d, struct arena *a, struct str body,
		   const uint8_t mark[DDB_MARK], bool *ret_answered)
{
	struct ddb_call c = {
	    .operation = "GetItem", .body = body, .a = a, .reads = true, .tries = 2};
	struct str got;

	ddb_run(d, &c);
	*ret_answered = c.fate == DDB_DONE;
	return *ret_answered && ddb_bytes(a, json_member(c.doc, "Item"), DDB_WRITE, &got) &&
	       str_eq(got, str_make(mark, DDB_MARK));
}

bool ddb_landed(struct dynamodb *d, struct str partition, struct str key,
		const uint8_t mark[DDB_MARK])
{
	struct arena *a = arena_new();
	bool yes = false, answered = true;
	struct ddb_body b;
	struct str body;

	ddb_begin(&b, d, a, 0);
	ddb_key(&b, "Key", partition, key);
	jw_bool(&b.w, "ConsistentRead", true);
	jw_str(&b.w, "ProjectionExpression", STR(DDB_WRITE));
	body = ddb_end(&b);
	for (unsigned i = 0; i < LOOKS && !yes && answered; i++) {
		if (i)
			ddb_pause(i);
		yes = marked(d, a, body, mark, &answered);
	}
	arena_free(a);
	return yes;
}

static void dynamodb_free(struct dynamodb *d)
{
	ddb_health_stop(d);
	http_pool_free(d->http);
	aws_credentials_free(d->keys);
	pthread_cond_destroy(&d->slots.freed);
	pthread_mutex_destroy(&d->slots.lock);
	arena_free(d->a);
	free(d);
}

static void ddb_free(struct kv *kv)
{
	dynamodb_free((struct dynamodb *)kv);
}

static const struct kv_ops ops = {
    .name = "dynamodb",
    .get = ddb_get,
    .set = ddb_set,
    .set_if = ddb_set_if,
    .delete = ddb_delete,
    .scan = ddb_scan,
    .scan_moment = ddb_scan_moment,
    .free = ddb_free,
    .write_many = ddb_write_many,
    .partitions = ddb_partitions,
};

static int64_t or_default(int64_t given, int64_t otherwise)
{
	return given > 0 ? given : otherwise;
}

static struct dynamodb *dynamodb_new(const struct kv_dynamodb_options *o)
{
	struct dynamodb *d = calloc(1, sizeof(*d));
	pthread_condattr_t attr;

	if (!d)
		abort();
	d->kv.ops = &ops;
	d->a = arena_new();
	d->table = arena_dup(d->a, o->table_name.n ? o->table_name : STR("kvstore"));
	d->scan_limit = (size_t)or_default((int64_t)o->scan_limit, SCAN_LIMIT);
	d->names_bytes = NAMES_BYTES;
	d->max_attempts = o->max_attempts;
	d->call_ms = or_default(o->call_ms, CALL_MS);
	d->wait_ms = or_default(o->wait_ms, WAIT_MS);
	d->open_ms = or_default(o->open_ms, OPEN_MS);
	d->slots.free = (unsigned)or_default(o->max_connections, CONNECTIONS);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->slots.freed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&d->slots.lock, NULL);
	d->http = http_pool_new(&(struct http_pool_options){
	    .kept = d->slots.free,
	    .connect_ms = CONNECT_MS,
	    .stall_ms = STALL_MS,
	    .proxies = true,
	});
	return d;
}

static rc open_table(struct dynamodb *d, const struct kv_dynamodb_options *o, struct err *reterr)
{
	struct aws_credentials_options keys = {.access_key = o->access_key,
					       .secret = o->secret,
					       .token = o->token,
					       .profile = o->profile};

	keys.region = o->region;
	TRY(aws_credentials_new(&keys, &d->keys, reterr));
	TRY(ddb_locate(d, o, reterr));
	return ddb_table_open(d, o->existing, reterr);
}

rc kv_dynamodb_open(const struct kv_dynamodb_options *o, struct kv **ret, struct err *reterr)
{
	struct dynamodb *d = dynamodb_new(o);
	rc r = open_table(d, o, reterr);

	if (!rc_ok(r)) {
		dynamodb_free(d);
		return r;
	}
	if (o->health_check_ms > 0)
		ddb_health_start(d, o->health_check_ms);
	*ret = &d->kv;
	return RC_OK;
}
