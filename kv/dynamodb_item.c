/* Items, their limits, and the JSON that they are. */
#include "base/encode.h"
#include "kv/dynamodb.h"

/* What an item has besides partition, key and value. */
enum {
	NAMES = sizeof(DDB_PARTITION) + sizeof(DDB_KEY) + sizeof(DDB_VALUE) + sizeof(DDB_WRITE) - 4,
};

rc ddb_check(const struct dynamodb *d, struct str partition, struct str key,
	     const struct str *value, struct err *reterr)
{
	size_t item = partition.n + key.n + NAMES + DDB_MARK;

	if (partition.n > DDB_PARTITION_MAX || key.n > DDB_KEY_MAX)
		return err_set(reterr, ERR_INVALID,
			       "DynamoDB has partition keys of up to %d bytes and sort keys of up "
			       "to %d; these have "
			       "%zu and %zu (table \"" STR_FMT "\")",
			       DDB_PARTITION_MAX, DDB_KEY_MAX, partition.n, key.n,
			       STR_ARG(d->table));
	if (value && item + value->n > DDB_ITEM_MAX)
		return err_set(reterr, ERR_INVALID,
			       "a value of %zu bytes: DynamoDB keeps items of up to 400 KB, so "
			       "here %zu are the most "
			       "(table \"" STR_FMT
			       "\"): less metadata, or fewer parts or changes in one step",
			       value->n, DDB_ITEM_MAX - item, STR_ARG(d->table));
	return RC_OK;
}

void ddb_begin(struct ddb_body *b, const struct dynamodb *d, struct arena *a, size_t size)
{
	*b = (struct ddb_body){.a = a, .buf = BUF_INIT(DDB_BODY_MAX)};
	b->w.to = &b->buf;
	buf_reserve(&b->buf, 512 + size / 3 * 4);
	jw_object(&b->w, NULL);
	if (d)
		jw_str(&b->w, "TableName", d->table);
}

struct str ddb_end(struct ddb_body *b)
{
	struct str s;

	jw_end_object(&b->w);
	s = arena_dup(b->a, buf_str(&b->buf));
	buf_deinit(&b->buf);
	return s;
}

void ddb_binary(struct ddb_body *b, const char *name, struct str bytes)
{
	jw_object(&b->w, name);
	jw_str(&b->w, "B", base64_encode(b->a, bytes));
	jw_end_object(&b->w);
}

void ddb_key(struct ddb_body *b, const char *name, struct str partition, struct str key)
{
	jw_object(&b->w, name);
	ddb_binary(b, DDB_PARTITION, partition);
	ddb_binary(b, DDB_KEY, key);
	jw_end_object(&b->w);
}

void ddb_item(struct ddb_body *b, struct str partition, struct str key, struct str value,
	      const uint8_t mark[DDB_MARK])
{
	jw_object(&b->w, "Item");
	ddb_binary(b, DDB_PARTITION, partition);
	ddb_binary(b, DDB_KEY, key);
	ddb_binary(b, DDB_VALUE, value);
	ddb_binary(b, DDB_WRITE, str_make(mark, DDB_MARK));
	jw_end_object(&b->w);
}

bool ddb_bytes(struct arena *a, const struct json *item, const char *name, struct str *ret)
{
	struct str text = json_str(json_member(json_member(item, name), "B"));

	return text.p && base64_decode(a, text, ret);
}
