#include "versions/entry.h"

#include "versions/ident.h"
#include "versions/wire.h"

enum {
	F_ADDRESS = 1,
	F_MODIFIED = 2,
	F_SIZE = 3,
	F_ETAG = 4,
	F_METADATA = 5,
	F_ADDRESS_TYPE = 6,
	F_CONTENT_TYPE = 7,
	F_CHECKSUM = 1000,
	F_COMPOSITE = 1001,
	F_PART_SIZES = 1002,
	F_PART_CHECKSUMS = 1003,

	F_STAGED_KEY = 1,
	F_STAGED_IDENTITY = 2,
	F_STAGED_DATA = 3,
};

/* Kept for ever, whatever the enum's order. */
static const unsigned char numbers[DIGEST_KINDS] = {
	[DIGEST_SHA1] = 1,   [DIGEST_SHA256] = 2,    [DIGEST_CRC32] = 3,
	[DIGEST_CRC32C] = 4, [DIGEST_CRC64NVME] = 5, [DIGEST_MD5] = 6,
	[DIGEST_SHA512] = 7, [DIGEST_XXHASH64] = 8,  [DIGEST_XXHASH3] = 9,
	[DIGEST_XXHASH128] = 10,
};

unsigned checksum_number(enum digest_kind k)
{
	return numbers[k];
}

bool checksum_kind(unsigned number, enum digest_kind *ret)
{
	for (unsigned k = 0; k < DIGEST_KINDS; k++) {
		if (numbers[k] == number) {
			*ret = (enum digest_kind)k;
			return true;
		}
	}
	return false;
}

static bool sorted(const struct meta *m, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (str_cmp(m[i - 1].key, m[i].key) >= 0)
			return false;
	return true;
}

size_t meta_sort(struct meta *m, size_t n)
{
	size_t kept = 0;

	if (sorted(m, n))
		return n;
	/* By insertion: they are a few, and the last of equal keys must win. */
	for (size_t i = 0; i < n; i++) {
		struct meta in = m[i];
		size_t at = kept;

		while (at > 0 && str_cmp(m[at - 1].key, in.key) > 0)
			at--;
		if (at > 0 && str_eq(m[at - 1].key, in.key)) {
			m[at - 1].value = in.value;
			continue;
		}
		memmove(m + at + 1, m + at, (kept - at) * sizeof(*m));
		m[at] = in;
		kept++;
	}
	return kept;
}

void entry_sort_metadata(struct entry *e)
{
	e->metadata_n = meta_sort(e->metadata, e->metadata_n);
}

rc entry_check(const struct entry *e, struct err *reterr)
{
	bool ok = str_is_utf8(e->address) && str_is_utf8(e->etag) && str_is_utf8(e->content_type);

	if (!ok)
		return err_set(reterr, ERR_INVALID,
			       "address, ETag and content type of an object must be UTF-8");
	if (e->size < 0)
		return err_set(reterr, ERR_INVALID, "an object's size can't be negative");
	for (size_t i = 0; i < e->metadata_n; i++) {
		if (!str_is_utf8(e->metadata[i].key) || !str_is_utf8(e->metadata[i].value))
			return err_set(reterr, ERR_INVALID,
				       "metadata names and values must be UTF-8");
	}
	if (!sorted(e->metadata, e->metadata_n))
		return err_set(reterr, ERR_INVALID, "a metadata name is given twice");
	return RC_OK;
}

void entry_identity(const struct entry *e, uint8_t out[32])
{
	struct buf b = BUF_INIT(SIZE_MAX / 4);

	ident_int(&b, e->size);
	ident_string(&b, e->etag);
	ident_map(&b, e->metadata, e->metadata_n);
	if (e->content_type.n)
		ident_string(&b, e->content_type);
	ident_finish(&b, out);
	buf_deinit(&b);
}

/* Encoding. */

static size_t packed_size(const uint64_t *v, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += wire_varint_size(v[i]);
	return sum;
}

/* At most what the entry takes. */
static size_t room(const struct entry *e)
{
	size_t n = e->address.n + e->etag.n + e->content_type.n + 3 * WIRE_HEAD_MAX;

	n += 7 * WIRE_HEAD_MAX; /* time and its two numbers, size, type, composite, part sizes */
	n += packed_size(e->part_sizes, e->parts_n);
	n += e->part_checksums.n + 3 * WIRE_HEAD_MAX;
	for (size_t i = 0; i < e->metadata_n; i++)
		n += e->metadata[i].key.n + e->metadata[i].value.n + 3 * WIRE_HEAD_MAX;
	return n + DIGEST_KINDS * (DIGEST_MAX + 3 * WIRE_HEAD_MAX);
}

static unsigned char *put_text(unsigned char *to, uint32_t field, struct str s)
{
	return s.n ? wire_put_bytes(to, field, s) : to;
}

static unsigned char *put_number(unsigned char *to, uint32_t field, uint64_t v)
{
	return v ? wire_put_uint(to, field, v) : to;
}

static unsigned char *put_time(unsigned char *to, struct timestamp t)
{
	unsigned char raw[4 * WIRE_VARINT_MAX], *end;

	end = put_number(raw, 1, (uint64_t)t.s);
	end = put_number(end, 2, (uint64_t)(int64_t)t.ns);
	return wire_put_bytes(to, F_MODIFIED, str_make(raw, (size_t)(end - raw)));
}

/* Both fields, also when empty: so does Go for a map's entries. */
static unsigned char *put_pair(unsigned char *to, const struct meta *m)
{
	size_t n = 2 + wire_varint_size(m->key.n) + m->key.n + wire_varint_size(m->value.n) +
		   m->value.n;

	to = wire_put_head(to, F_METADATA, n);
	to = wire_put_bytes(to, 1, m->key);
	return wire_put_bytes(to, 2, m->value);
}

static unsigned char *put_checksum(unsigned char *to, uint32_t field, enum digest_kind k,
				   struct str value)
{
	to = wire_put_head(to, field, 2 + 1 + wire_varint_size(value.n) + value.n);
	to = wire_put_uint(to, 1, checksum_number(k));
	return wire_put_bytes(to, 2, value);
}

static unsigned char *put_checksums(unsigned char *to, const struct entry *e)
{
	for (unsigned number = 1; number <= DIGEST_KINDS; number++) {
		enum digest_kind k;

		if (!checksum_kind(number, &k) || !e->checksum[k].p)
			continue;
		to = put_checksum(to, F_CHECKSUM, k, e->checksum[k]);
	}
	return put_number(to, F_COMPOSITE, e->checksum_composite);
}

struct str entry_encode(const struct entry *e, struct arena *a)
{
	unsigned char *start = arena_alloc(a, room(e)), *to = start;

	to = put_text(to, F_ADDRESS, e->address);
	to = put_time(to, e->modified);
	to = put_number(to, F_SIZE, (uint64_t)e->size);
	to = put_text(to, F_ETAG, e->etag);
	for (size_t i = 0; i < e->metadata_n; i++)
		to = put_pair(to, &e->metadata[i]);
	to = put_number(to, F_ADDRESS_TYPE, e->address_type);
	to = put_text(to, F_CONTENT_TYPE, e->content_type);
	to = put_checksums(to, e);
	if (e->parts_n)
		to = wire_put_head(to, F_PART_SIZES, packed_size(e->part_sizes, e->parts_n));
	for (size_t i = 0; i < e->parts_n; i++)
		to = wire_put_varint(to, e->part_sizes[i]);
	if (e->part_checksums.n)
		to = put_checksum(to, F_PART_CHECKSUMS, e->part_checksum_kind, e->part_checksums);
	return str_make(start, (size_t)(to - start));
}

/* Decoding. */

static bool read_time(struct str s, struct timestamp *ret)
{
	struct wire w = wire_of(s);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		if (f.type != WIRE_VARINT)
			continue;
		if (f.number == 1)
			ret->s = (int64_t)f.v;
		else if (f.number == 2)
			ret->ns = f.v > 999999999 ? 0 : (int32_t)f.v;
	}
	return !w.bad;
}

static bool read_pair(struct str s, struct meta *ret)
{
	struct wire w = wire_of(s);
	struct wire_field f;

	*ret = (struct meta){.key = STR(""), .value = STR("")};
	while (wire_next(&w, &f)) {
		if (f.type != WIRE_BYTES)
			continue;
		if (f.number == 1)
			ret->key = f.bytes;
		else if (f.number == 2)
			ret->value = f.bytes;
	}
	return !w.bad;
}

/* *ret_kind DIGEST_KINDS: one that isn't known. False: malformed. */
static bool read_sum(struct str s, enum digest_kind *ret_kind, struct str *ret)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	unsigned number = 0;

	*ret = STR_NONE;
	while (wire_next(&w, &f)) {
		if (f.number == 1 && f.type == WIRE_VARINT)
			number = (unsigned)f.v;
		else if (f.number == 2 && f.type == WIRE_BYTES)
			*ret = f.bytes;
	}
	if (!checksum_kind(number, ret_kind))
		*ret_kind = DIGEST_KINDS;
	return !w.bad;
}

static bool read_checksum(struct str s, struct entry *e)
{
	enum digest_kind k;
	struct str value;

	if (!read_sum(s, &k, &value))
		return false;
	if (k != DIGEST_KINDS && value.n == digest_size(k))
		e->checksum[k] = value;
	return true;
}

static bool read_part_sizes(struct str s, struct arena *a, struct entry *e)
{
	struct wire w = wire_of(s);

	/* No more numbers than bytes. */
	e->part_sizes = arena_alloc(a, s.n * sizeof(*e->part_sizes));
	e->parts_n = 0;
	while (w.p < w.end)
		if (!wire_varint(&w, &e->part_sizes[e->parts_n++]))
			return false;
	return true;
}

static bool read_bytes(const struct wire_field *f, struct arena *a, struct entry *e)
{
	switch (f->number) {
	case F_ADDRESS:
		e->address = f->bytes;
		return true;
	case F_MODIFIED:
		return read_time(f->bytes, &e->modified);
	case F_ETAG:
		e->etag = f->bytes;
		return true;
	case F_METADATA:
		e->metadata_n++;
		return true;
	case F_CONTENT_TYPE:
		e->content_type = f->bytes;
		return true;
	case F_CHECKSUM:
		return read_checksum(f->bytes, e);
	case F_PART_SIZES:
		return read_part_sizes(f->bytes, a, e);
	case F_PART_CHECKSUMS:
		return read_sum(f->bytes, &e->part_checksum_kind, &e->part_checksums);
	default:
		return true;
	}
}

static bool read_fields(struct wire *w, struct arena *a, struct entry *e, uint64_t *ret_type)
{
	struct wire_field f;

	while (wire_next(w, &f)) {
		if (f.type == WIRE_BYTES && !read_bytes(&f, a, e))
			return false;
		if (f.type != WIRE_VARINT)
			continue;
		if (f.number == F_SIZE)
			e->size = (int64_t)f.v;
		else if (f.number == F_ADDRESS_TYPE)
			*ret_type = f.v;
		else if (f.number == F_COMPOSITE)
			e->checksum_composite = f.v != 0;
	}
	return !w->bad;
}

/* The second pass: they are rare, and only now is their number known. */
static bool read_metadata(struct wire w, struct arena *a, struct entry *e)
{
	struct wire_field f;
	size_t n = 0;

	e->metadata = arena_alloc(a, e->metadata_n * sizeof(*e->metadata));
	while (wire_next(&w, &f))
		if (f.number == F_METADATA && f.type == WIRE_BYTES &&
		    !read_pair(f.bytes, &e->metadata[n++]))
			return false;
	entry_sort_metadata(e);
	return true;
}

/* Old commits don't say: an address with a scheme that lakeFS knows is a full one. */
static enum address_type guess_type(struct str address)
{
	static const char *const schemes[] = {"s3://",    "gs://",   "http://",     "https://",
					      "local://", "mem://", "transient://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (str_starts(address, str_c(schemes[i])))
			return ADDRESS_FULL;
	return ADDRESS_RELATIVE;
}

/* Those that don't fit the number of parts are none. */
static void settle_part_checksums(struct entry *e)
{
	enum digest_kind k = e->part_checksum_kind;

	if (k != DIGEST_KINDS && e->parts_n && e->part_checksums.n % e->parts_n == 0 &&
	    e->part_checksums.n / e->parts_n == digest_size(k))
		return;
	e->part_checksum_kind = (enum digest_kind)0;
	e->part_checksums = STR_NONE;
}

struct str entry_part_checksum(const struct entry *e, size_t i)
{
	size_t n = digest_size(e->part_checksum_kind);

	if (!e->part_checksums.n || i >= e->parts_n)
		return STR_NONE;
	return str_head(str_skip(e->part_checksums, i * n), n);
}

rc entry_decode(struct str bytes, struct arena *a, struct entry *ret, struct err *reterr)
{
	struct wire w = wire_of(bytes);
	uint64_t type = 0;

	*ret = (struct entry){.address = STR(""), .etag = STR(""), .content_type = STR("")};
	if (!read_fields(&w, a, ret, &type) || type > ADDRESS_FULL || ret->size < 0)
		return err_set(reterr, ERR_CORRUPT, "an object's entry can't be decoded");
	if (ret->metadata_n && !read_metadata(wire_of(bytes), a, ret))
		return err_set(reterr, ERR_CORRUPT, "the metadata of an object's entry can't be decoded");
	settle_part_checksums(ret);
	ret->address_type = type ? (enum address_type)type : guess_type(ret->address);
	return RC_OK;
}

/* Staged entries. */

struct str staged_encode(struct str key, const struct entry *e_or_null, struct arena *a)
{
	struct str data = STR("");
	unsigned char *start, *to, identity[IDENTITY_BYTES];

	if (e_or_null) {
		data = entry_encode(e_or_null, a);
		entry_identity(e_or_null, identity);
	}
	start = to = arena_alloc(a, key.n + data.n + sizeof(identity) + 3 * WIRE_HEAD_MAX);
	to = wire_put_bytes(to, F_STAGED_KEY, key);
	if (e_or_null) {
		to = wire_put_bytes(to, F_STAGED_IDENTITY, str_make(identity, sizeof(identity)));
		to = put_text(to, F_STAGED_DATA, data);
	}
	return str_make(start, (size_t)(to - start));
}

rc staged_parts(struct str bytes, struct str *ret_identity, struct str *ret_entry, struct err *reterr)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	bool tombstone = true;
	struct str data = STR("");

	*ret_identity = STR_NONE;
	while (wire_next(&w, &f)) {
		if (f.type != WIRE_BYTES)
			continue;
		if (f.number == F_STAGED_DATA)
			data = f.bytes;
		if (f.number == F_STAGED_IDENTITY && f.bytes.n == IDENTITY_BYTES)
			*ret_identity = f.bytes;
		if (f.number == F_STAGED_DATA || f.number == F_STAGED_IDENTITY)
			tombstone = false;
	}
	if (w.bad)
		return err_set(reterr, ERR_CORRUPT, "a staged entry can't be decoded");
	*ret_entry = tombstone ? STR_NONE : data;
	return RC_OK;
}

rc staged_data(struct str bytes, struct str *ret_entry, struct err *reterr)
{
	struct str identity;

	return staged_parts(bytes, &identity, ret_entry, reterr);
}

rc staged_decode(struct str bytes, struct arena *a, struct entry *ret, bool *ret_tombstone,
		 struct err *reterr)
{
	struct str data;

	TRY(staged_data(bytes, &data, reterr));
	*ret_tombstone = !data.p;
	return data.p ? entry_decode(data, a, ret, reterr) : RC_OK;
}
