/* Line by line, and each line strictly: a dump with one odd byte is refused, not interpreted. */
#include <stdlib.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/json.h"
#include "kv/dump_priv.h"

enum { CHUNK = 64 << 10 };

struct reader {
	struct kv_stream s;
	FILE *f;
	char *name;
	/* lines */
	char *chunk;
	size_t chunk_at, chunk_n;
	struct buf line;
	uint64_t line_offset, offset, line_number;
	bool at_end;
	/* what was read */
	struct arena *sums, *a; /* a: of the line at hand */
	struct digest_set *sha;
	struct kv_tally *tally;
	struct buf partition, key; /* the last ones */
	bool in_partition, has_key, ended;
};

static rc damaged(struct reader *d, const char *why, struct err *reterr)
{
	return err_set(reterr, ERR_CORRUPT,
		       "the dump %s is damaged at byte %llu (line %llu): %s. Make it again, or take another "
		       "copy",
		       d->name, (unsigned long long)d->line_offset, (unsigned long long)d->line_number, why);
}

/* Lines. */

static rc fill_chunk(struct reader *d, struct err *reterr)
{
	d->chunk_at = 0;
	d->chunk_n = fread(d->chunk, 1, CHUNK, d->f);
	d->at_end = d->chunk_n == 0;
	if (ferror(d->f))
		return err_set(reterr, ERR_IO, "reading the dump %s at byte %llu", d->name,
			       (unsigned long long)d->offset);
	return RC_OK;
}

/* The next line without its end in d->line; at the file's end: *ret_end. */
static rc read_line(struct reader *d, bool *ret_end, struct err *reterr)
{
	buf_reset(&d->line);
	d->line_offset = d->offset;
	d->line_number++;
	*ret_end = false;
	for (;;) {
		struct str left;
		size_t n;

		if (d->chunk_at == d->chunk_n)
			TRY(fill_chunk(d, reterr));
		if (d->at_end) {
			*ret_end = !d->line.n;
			return *ret_end ? RC_OK : damaged(d, "the line is cut short", reterr);
		}
		left = str_make(d->chunk + d->chunk_at, d->chunk_n - d->chunk_at);
		n = str_index(left, '\n');
		if (!buf_add(&d->line, str_head(left, n)))
			return damaged(d, "the line is too long", reterr);
		d->chunk_at += n < left.n ? n + 1 : n;
		d->offset += n < left.n ? n + 1 : n;
		if (n < left.n)
			return RC_OK;
	}
}

static rc parse_line(struct reader *d, struct json **ret, struct err *reterr)
{
	arena_free(d->a);
	d->a = arena_new();
	if (!rc_ok(json_parse(d->a, buf_str(&d->line), ret, NULL)) || json_type(*ret) != JSON_OBJECT)
		return damaged(d, "the line is no JSON object", reterr);
	return RC_OK;
}

/* Values. */

/* A string as text, or as base64 under another name. */
static bool bytes_of(struct reader *d, const struct json *j, const char *text, const char *base64,
		     struct str *ret)
{
	const struct json *t = json_member(j, text), *b = json_member(j, base64);

	if (t)
		*ret = json_str(t);
	else if (!b || !base64_decode(d->a, json_str(b), ret))
		return false;
	return ret->n > 0;
}

static bool is_number(const struct json *j, const char *key, uint64_t want)
{
	const struct json *n = json_member(j, key);

	return json_type(n) == JSON_INT && json_int(n) >= 0 && (uint64_t)json_int(n) == want;
}

static bool is_digest(const struct json *j, const char *key, const uint8_t *want)
{
	char hex[KV_DIGEST_HEX];

	kv_digest_hex(want, hex);
	return str_eq(json_str(json_member(j, key)), str_c(hex));
}

/* Kinds of lines. */

static rc take_partition(struct reader *d, const struct json *j, struct err *reterr)
{
	struct str name;

	if (d->in_partition || json_count(j) != 1 || !bytes_of(d, j, "partition", "partition64", &name) ||
	    name.n > KV_PARTITION_MAX)
		return damaged(d, "a partition can't begin here, or so", reterr);
	if (d->partition.n && str_cmp(name, buf_str(&d->partition)) <= 0)
		return damaged(d, "the partition is out of order", reterr);
	buf_reset(&d->partition);
	buf_add(&d->partition, name);
	d->in_partition = true;
	d->has_key = false;
	return RC_OK;
}

static rc take_record(struct reader *d, const struct json *j, struct kv_record *ret, struct err *reterr)
{
	struct kv_tally_partition before;
	char crc[9];

	ret->partition = buf_str(&d->partition);
	if (!d->in_partition || json_count(j) != 3 || !bytes_of(d, j, "key", "key64", &ret->key) ||
	    ret->key.n > KV_KEY_MAX || json_type(json_member(j, "value")) != JSON_STRING ||
	    !base64_decode(d->a, json_str(json_member(j, "value")), &ret->value) ||
	    ret->value.n > KV_VALUE_MAX)
		return damaged(d, "that is no record", reterr);
	dump_crc(ret, crc);
	if (!str_eq(json_str(json_member(j, "crc32c")), str_c(crc)))
		return damaged(d, "the record's checksum is another", reterr);
	if (d->has_key && str_cmp(ret->key, buf_str(&d->key)) <= 0)
		return damaged(d, "the key is out of order", reterr);
	buf_reset(&d->key);
	buf_add(&d->key, ret->key);
	d->has_key = true;
	kv_tally_add(d->tally, ret, &before);
	return RC_OK;
}

static rc take_partition_end(struct reader *d, const struct json *j, struct err *reterr)
{
	struct kv_tally_partition p;

	if (!d->in_partition || !d->has_key || json_count(j) != 2)
		return damaged(d, "a partition can't end here, or so", reterr);
	kv_tally_close(d->tally, &p);
	if (!is_number(j, "records", p.records) || !is_digest(j, "sha256", p.digest))
		return damaged(d, "records of this partition are missing or changed", reterr);
	d->in_partition = false;
	return RC_OK;
}

static rc take_end(struct reader *d, const struct json *j, struct err *reterr)
{
	struct kv_tally_partition none;
	struct kv_totals t;
	bool end;

	kv_tally_end(d->tally, &none, &t);
	if (d->in_partition || json_count(j) != 4 || !is_number(j, "partitions", t.partitions) ||
	    !is_number(j, "records", t.records) || !is_digest(j, "digest", t.digest) ||
	    !is_digest(j, "file_sha256", (const uint8_t *)digest_set_value(d->sha, DIGEST_SHA256).p))
		return damaged(d, "the last line doesn't fit what is before it", reterr);
	TRY(read_line(d, &end, reterr));
	if (!end)
		return damaged(d, "something follows the last line", reterr);
	d->ended = true;
	return RC_OK;
}

static void add_to_sha(struct reader *d)
{
	digest_set_update(d->sha, d->line.p, d->line.n);
	digest_set_update(d->sha, "\n", 1);
}

/* One line; *ret_is_record tells whether *ret was set. */
static rc take_line(struct reader *d, struct kv_record *ret, bool *ret_is_record, struct err *reterr)
{
	struct json *j;
	bool end;

	*ret_is_record = false;
	TRY(read_line(d, &end, reterr));
	if (end)
		return damaged(d, "it is cut short: its last line isn't there", reterr);
	TRY(parse_line(d, &j, reterr));
	if (json_member(j, "file_sha256"))
		return take_end(d, j, reterr);
	add_to_sha(d);
	if (json_member(j, "partition") || json_member(j, "partition64"))
		return take_partition(d, j, reterr);
	if (json_member(j, "sha256"))
		return take_partition_end(d, j, reterr);
	*ret_is_record = true;
	return take_record(d, j, ret, reterr);
}

static rc take_head(struct reader *d, struct err *reterr)
{
	struct json *j;
	bool end;
	int64_t format;

	TRY(read_line(d, &end, reterr));
	if (end)
		return err_set(reterr, ERR_INVALID, "%s is empty", d->name);
	TRY(parse_line(d, &j, reterr));
	format = json_int(json_member(j, "sluice_kv_dump"));
	if (format > DUMP_FORMAT)
		return err_set(reterr, ERR_CONFIG,
			       "the dump %s has format %lld, and this sluice knows %d: use the sluice that wrote "
			       "it, or a newer one",
			       d->name, (long long)format, DUMP_FORMAT);
	if (format != DUMP_FORMAT || json_count(j) != 4 || json_type(json_member(j, "id")) != JSON_STRING ||
	    json_type(json_member(j, "created")) != JSON_STRING ||
	    json_type(json_member(j, "by")) != JSON_STRING)
		return damaged(d, "that is no first line", reterr);
	add_to_sha(d);
	return RC_OK;
}

/* The stream. */

static void forget(struct reader *d)
{
	kv_tally_free(d->tally);
	arena_free(d->sums);
	d->tally = kv_tally_new();
	d->sums = arena_new();
	d->sha = digest_set_new(d->sums, 1u << DIGEST_SHA256);
	buf_reset(&d->partition);
	buf_reset(&d->key);
	d->chunk_at = d->chunk_n = 0;
	d->offset = d->line_number = 0;
	d->at_end = d->in_partition = d->has_key = d->ended = false;
}

static rc reader_next(struct kv_stream *s, struct kv_record *ret, bool *ret_end, struct err *reterr)
{
	struct reader *d = (struct reader *)s;
	bool is_record = false;

	while (!d->ended && !is_record)
		TRY(take_line(d, ret, &is_record, reterr));
	*ret_end = !is_record;
	return RC_OK;
}

static rc first_line(struct reader *d, struct err *reterr)
{
	forget(d);
	if (fseeko(d->f, 0, SEEK_SET) != 0)
		return err_set(reterr, ERR_IO, "rewinding the dump %s", d->name);
	clearerr(d->f);
	return take_head(d, reterr);
}

/* Where (partition, key) is the last record that was read, it is the next one's turn. */
static bool is_past(const struct kv_record *r, struct str partition, struct str key)
{
	int c = str_cmp(r->partition, partition);

	return c > 0 || (c == 0 && str_cmp(r->key, key) >= 0);
}

static rc reader_begin(struct kv_stream *s, struct str partition, struct str key, struct err *reterr)
{
	struct reader *d = (struct reader *)s;
	struct kv_record r;
	bool end = false;

	TRY(first_line(d, reterr));
	if (!partition.p)
		return RC_OK;
	do {
		TRY(reader_next(s, &r, &end, reterr));
	} while (!end && !is_past(&r, partition, key));
	return RC_OK;
}

static void reader_free(struct kv_stream *s)
{
	struct reader *d = (struct reader *)s;

	kv_tally_free(d->tally);
	arena_free(d->sums);
	arena_free(d->a);
	buf_deinit(&d->line);
	buf_deinit(&d->partition);
	buf_deinit(&d->key);
	free(d->chunk);
	free(d->name);
	if (d->f)
		fclose(d->f);
	free(d);
}

static struct reader *reader_new(FILE *f, const char *name)
{
	static const struct kv_stream_ops ops = {reader_begin, reader_next, reader_free};
	struct reader *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	*d = (struct reader){
		.s.ops = &ops,
		.f = f,
		.name = strdup(name),
		.chunk = malloc(CHUNK),
		.line = BUF_INIT(DUMP_LINE_MAX),
		.partition = BUF_INIT(KV_PARTITION_MAX),
		.key = BUF_INIT(KV_KEY_MAX),
	};
	if (!d->name || !d->chunk)
		abort();
	return d;
}

/* What the first bytes are. */
static bool is_ours(FILE *f)
{
	static const char begins[] = "{\"sluice_kv_dump\":";
	char head[sizeof(begins) - 1];

	return fread(head, 1, sizeof(head), f) == sizeof(head) && memcmp(head, begins, sizeof(head)) == 0;
}

rc kv_dump_open(FILE *f, const char *name, struct kv_stream **ret, struct err *reterr)
{
	struct reader *d;
	rc r;

	if (!is_ours(f))
		return dump_open_lakefs(f, name, ret, reterr);
	d = reader_new(f, name);
	r = first_line(d, reterr);
	if (rc_ok(r))
		*ret = &d->s;
	else
		reader_free(&d->s);
	return r;
}
