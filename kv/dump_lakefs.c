/* What `lakefs kv dump` writes: one JSON document, entries in any order. */
#include <stdlib.h>

#include "base/encode.h"
#include "base/json.h"
#include "kv/dump_priv.h"

struct lakefs {
	struct kv_stream s;
	struct arena *a;
	struct kv_record *v;
	size_t n, at;
};

static rc not_a_dump(const char *name, struct err *reterr)
{
	return err_set(reterr, ERR_INVALID,
		       "%s is no dump: neither one of `sluice kv dump` nor one of `lakefs kv dump`, or damaged",
		       name);
}

static rc read_whole(FILE *f, const char *name, struct buf *to, struct err *reterr)
{
	rewind(f);
	for (;;) {
		char *p = buf_reserve(to, 64 << 10);
		size_t n;

		if (!p)
			return err_set(reterr, ERR_UNSUPPORTED,
				       "%s is larger than %d bytes: no dump of sluice's is read whole, so this "
				       "must be a lakeFS dump; split it by its sections",
				       name, KV_LAKEFS_DUMP_MAX);
		n = fread(p, 1, 64 << 10, f);
		to->n += n;
		if (ferror(f))
			return err_set(reterr, ERR_IO, "reading %s", name);
		if (!n)
			return RC_OK;
	}
}

static bool decode(const struct json *j, struct arena *a, struct kv_record *ret)
{
	const struct json *value = json_member(j, "value");

	*ret = (struct kv_record){json_str(json_member(j, "partition")), json_str(json_member(j, "key")), STR("")};
	return ret->partition.n && ret->partition.n <= KV_PARTITION_MAX && ret->key.n &&
	       ret->key.n <= KV_KEY_MAX && json_type(value) == JSON_STRING &&
	       base64_decode(a, json_str(value), &ret->value) && ret->value.n <= KV_VALUE_MAX;
}

static int compare(const void *a, const void *b)
{
	const struct kv_record *x = a, *y = b;
	int c = str_cmp(x->partition, y->partition);

	return c ? c : str_cmp(x->key, y->key);
}

/* Go writes U+FFFD for bytes that aren't UTF-8: such a key is lost. */
static bool is_lossy(struct str s)
{
	return str_find(s, STR("\xef\xbf\xbd")) < s.n;
}

static rc decode_all(struct lakefs *d, const struct json *entries, const char *name, struct err *reterr)
{
	d->n = json_count(entries);
	d->v = arena_alloc(d->a, (d->n + 1) * sizeof(*d->v));
	for (size_t i = 0; i < d->n; i++) {
		if (!decode(json_at(entries, i), d->a, &d->v[i]))
			return err_set(reterr, ERR_CORRUPT, "the lakeFS dump %s: entry %zu is no record", name,
				       i + 1);
		if (is_lossy(d->v[i].partition) || is_lossy(d->v[i].key))
			return err_set(reterr, ERR_CORRUPT,
				       "the lakeFS dump %s: the key of entry %zu wasn't text, and lakeFS's dump "
				       "lost what it was",
				       name, i + 1);
	}
	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), compare);
	for (size_t i = 1; i < d->n; i++)
		if (compare(&d->v[i - 1], &d->v[i]) == 0)
			return err_set(reterr, ERR_CORRUPT, "the lakeFS dump %s has " STR_FMT " twice", name,
				       STR_ARG(str_head(d->v[i].key, 200)));
	return RC_OK;
}

static rc parse(struct lakefs *d, FILE *f, const char *name, struct buf *text, struct err *reterr)
{
	struct json *j;
	struct str version;

	TRY(read_whole(f, name, text, reterr));
	if (!rc_ok(json_parse(d->a, buf_str(text), &j, NULL)))
		return not_a_dump(name, reterr);
	version = json_str(json_member(j, "version"));
	if (!version.n || json_type(json_member(j, "timestamp")) != JSON_STRING)
		return not_a_dump(name, reterr);
	if (!str_eq(version, STR("1.0")))
		return err_set(reterr, ERR_CONFIG,
			       "the lakeFS dump %s has version " STR_FMT ", and this sluice reads 1.0: make it with "
			       "another lakeFS, or use a newer sluice",
			       name, STR_ARG(str_head(version, 20)));
	/* Go's way to write an empty list. */
	if (json_type(json_member(j, "entries")) != JSON_ARRAY && json_type(json_member(j, "entries")) != JSON_NULL)
		return not_a_dump(name, reterr);
	return decode_all(d, json_member(j, "entries"), name, reterr);
}

static rc lakefs_begin(struct kv_stream *s, struct str partition, struct str key, struct err *reterr)
{
	struct lakefs *d = (struct lakefs *)s;
	const struct kv_record place = {partition, key, STR("")};

	for (d->at = 0; partition.p && d->at < d->n && compare(&d->v[d->at], &place) <= 0; d->at++)
		;
	return RC_OK;
}

static rc lakefs_next(struct kv_stream *s, struct kv_record *ret, bool *ret_end, struct err *reterr)
{
	struct lakefs *d = (struct lakefs *)s;

	*ret_end = d->at == d->n;
	if (!*ret_end)
		*ret = d->v[d->at++];
	return RC_OK;
}

static void lakefs_free(struct kv_stream *s)
{
	struct lakefs *d = (struct lakefs *)s;

	arena_free(d->a);
	free(d);
}

rc dump_open_lakefs(FILE *f, const char *name, struct kv_stream **ret, struct err *reterr)
{
	static const struct kv_stream_ops ops = {lakefs_begin, lakefs_next, lakefs_free};
	CLEANUP(buf_deinit) struct buf text = BUF_INIT(KV_LAKEFS_DUMP_MAX);
	struct lakefs *d = calloc(1, sizeof(*d));
	rc r;

	if (!d)
		abort();
	d->s.ops = &ops;
	d->a = arena_new();
	r = parse(d, f, name, &text, reterr);
	fclose(f);
	if (rc_ok(r))
		*ret = &d->s;
	else
		lakefs_free(&d->s);
	return r;
}
