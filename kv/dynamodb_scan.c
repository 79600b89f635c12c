/* Scans: Query, page by page; later pages have up to database.dynamodb.scan_limit, none has more than
 * DynamoDB's 1 MB. */
#include "kv/dynamodb.h"
#include "kv/pages.h"

static struct str query(const struct kv_pages *s, struct arena *a)
{
	struct str place = buf_str(&s->place);
	struct ddb_body b;

	ddb_begin(&b, (struct dynamodb *)s->kv, a, 0);
	jw_bool(&b.w, "ConsistentRead", true);
	jw_str(&b.w, "ProjectionExpression", STR(DDB_KEY ", " DDB_VALUE));
	jw_int(&b.w, "Limit", (int64_t)s->rows);
	jw_str(&b.w, "KeyConditionExpression",
	       !place.n	  ? STR(DDB_PARTITION " = :p")
	       : s->after ? STR(DDB_PARTITION " = :p AND " DDB_KEY " > :k")
			  : STR(DDB_PARTITION " = :p AND " DDB_KEY " >= :k"));
	jw_object(&b.w, "ExpressionAttributeValues");
	ddb_binary(&b, ":p", s->partition);
	if (place.n)
		ddb_binary(&b, ":k", place);
	jw_end_object(&b.w);
	return ddb_end(&b);
}

static rc read_page(struct kv_pages *s, const struct json *doc, struct arena *a, struct err *reterr)
{
	const struct json *items = json_member(doc, "Items"),
			  *last = json_member(doc, "LastEvaluatedKey");
	size_t n = json_count(items);
	struct kv_entry *e;
	struct str key;

	kv_pages_turn(s, n);
	e = s->page.e;
	for (size_t i = 0; i < n; i++)
		if (!ddb_bytes(s->page.a, json_at(items, i), DDB_KEY, &e[i].key) ||
		    !ddb_bytes(s->page.a, json_at(items, i), DDB_VALUE, &e[i].value))
			return err_set(reterr, ERR_CORRUPT,
				       "table \"" STR_FMT "\": an item has no binary " DDB_KEY
				       " and " DDB_VALUE,
				       STR_ARG(((struct dynamodb *)s->kv)->table));
	s->page.n = n;
	s->last_page = !ddb_bytes(a, last, DDB_KEY, &key);
	if (!s->last_page)
		kv_pages_place(s, key, true);
	return RC_OK;
}

static rc fetch(struct kv_pages *s, struct err *reterr)
{
	struct dynamodb *d = (struct dynamodb *)s->kv;
	struct arena *a = arena_new();
	struct ddb_call c = {.operation = "Query", .a = a, .reads = true};
	rc r;

	c.body = query(s, a);
	ddb_run(d, &c);
	r = ddb_result(d, &c, reterr);
	if (rc_ok(r))
		r = read_page(s, c.doc, a, reterr);
	s->rows = kv_pages_grown(s);
	arena_free(a);
	return r;
}

rc ddb_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
	    struct kv_iter **ret, struct err *reterr)
{
	*ret = kv_pages_new(&(struct kv_pages_options){
	    .kv = kv,
	    .fetch = fetch,
	    .place_max = DDB_KEY_MAX,
	    .rows_max = ((struct dynamodb *)kv)->scan_limit,
	    .partition = partition,
	    .from = from,
	    .batch = batch,
	});
	return RC_OK;
}
