/* Many entries at one moment: a transaction that reads them (TransactGetItems), up to DynamoDB's
 * hundred. Which there are is asked before it and behind it: where the names are the same and each
 * had its value, they are all that there was at the instant of the transaction. (One that came and
 * went between the two askings isn't among them.) What speaks DynamoDB's protocol without
 * transactions, as ScyllaDB does, answers that it doesn't know such a call. */
#include "kv/dynamodb.h"
#include "kv/moment.h"

enum {
	ITEMS = 100, /* DynamoDB's own */
	TRIES = 5,   /* others made or removed some meanwhile */
};

struct names {
	struct str *key;
	size_t n;
};

static rc add_names(struct kv *kv, struct str partition, struct str prefix, struct arena *a,
		    struct names *to, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(ddb_scan(kv, partition, prefix, ITEMS, &it, reterr));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, prefix))
			return RC_OK;
		if (to->n == ITEMS)
			return err_set(reterr, ERR_UNSUPPORTED,
				       "more than %d entries at one moment", ITEMS);
		to->key[to->n++] = arena_dup(a, e.key);
	}
}

static rc names_now(struct kv *kv, struct str partition,
		    const struct str prefix[KV_MOMENT_PREFIXES], struct arena *a, struct names *ret,
		    struct err *reterr)
{
	*ret = (struct names){.key = arena_alloc(a, ITEMS * sizeof(*ret->key))};
	for (unsigned i = 0; i < KV_MOMENT_PREFIXES; i++)
		TRY(add_names(kv, partition, prefix[i], a, ret, reterr));
	return RC_OK;
}

static bool same(const struct names *x, const struct names *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (!str_eq(x->key[i], y->key[i]))
			return false;
	return true;
}

static struct str body_of(struct dynamodb *d, struct str partition, const struct names *names,
			  struct arena *a)
{
	struct ddb_body b;

	ddb_begin(&b, NULL, a, names->n * 512);
	jw_array(&b.w, "TransactItems");
	for (size_t i = 0; i < names->n; i++) {
		jw_object(&b.w, NULL);
		jw_object(&b.w, "Get");
		jw_str(&b.w, "TableName", d->table);
		ddb_key(&b, "Key", partition, names->key[i]);
		jw_str(&b.w, "ProjectionExpression", STR(DDB_VALUE));
		jw_end_object(&b.w);
		jw_end_object(&b.w);
	}
	jw_end_array(&b.w);
	return ddb_end(&b);
}

/* *ret_all: each of them had a value. */
static rc values_now(struct dynamodb *d, struct str partition, const struct names *names,
		     struct arena *a, struct kv_moment *to, bool *ret_all, struct err *reterr)
{
	struct ddb_call c = {.operation = "TransactGetItems", .a = a, .reads = true};
	const struct json *answers;

	*ret_all = true;
	if (!names->n)
		return RC_OK;
	c.body = body_of(d, partition, names, a);
	ddb_run(d, &c);
	/* It knows no transactions, the items are more than 4 MB, others write them at this
	 * instant. */
	if (c.fate == DDB_REFUSED && !ddb_keys_refused(&c))
		return err_set(reterr, ERR_UNSUPPORTED, "no transaction: %s", c.why);
	TRY(ddb_result(d, &c, reterr));
	answers = json_member(c.doc, "Responses");
	for (size_t i = 0; i < names->n && *ret_all; i++) {
		struct str value;

		*ret_all =
		    ddb_bytes(a, json_member(json_at(answers, i), "Item"), DDB_VALUE, &value);
		if (*ret_all && !kv_moment_add(to, names->key[i], value))
			return kv_moment_too_large(reterr);
	}
	return RC_OK;
}

static rc try_once(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		   struct kv_moment *to, bool *ret_done, struct err *reterr)
{
	struct arena *a = arena_new();
	struct names before, after;
	bool all;
	rc r;

	kv_moment_reset(to);
	r = names_now(kv, partition, prefix, a, &before, reterr);
	if (rc_ok(r))
		r = values_now((struct dynamodb *)kv, partition, &before, a, to, &all, reterr);
	if (rc_ok(r))
		r = names_now(kv, partition, prefix, a, &after, reterr);
	if (rc_ok(r))
		*ret_done = all && same(&before, &after);
	arena_free(a);
	return r;
}

rc ddb_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		   struct kv_iter **ret, struct err *reterr)
{
	struct kv_moment *m = kv_moment_new();
	bool done = false;
	rc r = RC_OK;

	for (unsigned i = 0; i < TRIES && rc_ok(r) && !done; i++)
		r = try_once(kv, partition, prefix, m, &done, reterr);
	if (rc_ok(r) && !done)
		r = err_set(reterr, ERR_UNSUPPORTED,
			    "entries come and go too fast to be read at one moment");
	if (rc_ok(r))
		*ret = kv_moment_iter(m);
	else
		kv_moment_free(m);
	return r;
}
