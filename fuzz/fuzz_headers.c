/* Values of the headers that S3's operations read: a byte that says the address's kind and the object's size,
 * then lines "name:value". Nothing that was taken in may leave as anything but one clean line. */
#include "fuzz/s3_request.h"
#include "gateway/multipart.h"
#include "gateway/tagging.h"

enum { LINES_MAX = 40 };

static bool is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* As http/head.c lets them through. */
static void read_lines(struct request *q, struct str in)
{
	struct http_header *h = arena_alloc(q->a, LINES_MAX * sizeof(*h));
	size_t n = 0;

	while (in.p && n < LINES_MAX) {
		struct str value, name = str_cut(str_cut(in, '\n', &in), ':', &value);

		if (!name.n || !value.p || !is_clean(value) || !is_clean(name))
			continue;
		h[n++] = (struct http_header){name, str_trim(value)};
	}
	q->http.head.headers = h;
	q->http.head.headers_n = n;
	q->r.headers = h;
	q->r.headers_n = n;
}

static void ranges_check(struct request *q, const struct entry *e)
{
	struct s3_range range;
	uint64_t offset, length, size = (uint64_t)e->size;
	rc got = s3_parse_range(&q->r, e, &range);

	if (!rc_ok(got)) {
		refusal_check(q, got);
	} else {
		MUST(range.offset <= size && range.length <= size - range.offset);
		MUST(range.partial ? range.length > 0 : range.length == size);
	}
	got = s3_copy_range(&q->r, size, &offset, &length);
	if (!rc_ok(got))
		refusal_check(q, got);
	else
		MUST(offset <= size && length <= size - offset);
}

static void conditions_check(struct request *q, const struct entry *e)
{
	struct object_match match;
	enum stage_cond cond;
	struct str etag;
	bool any;
	rc got[] = {
		s3_check_conditions(&q->r, e, ""),
		RC_OK, RC_OK, RC_OK,
	};

	if (!rc_ok(got[0]))
		refusal_check(q, got[0]);
	got[1] = s3_check_conditions(&q->r, e, "x-amz-copy-source-");
	if (!rc_ok(got[1]))
		refusal_check(q, got[1]);
	got[2] = s3_write_condition(&q->r, &cond, &etag);
	if (!rc_ok(got[2]))
		refusal_check(q, got[2]);
	else
		MUST(cond != STAGE_IF_ETAG || s3_header(&q->r, "if-match").p);
	got[3] = s3_delete_condition(&q->r, s3_header(&q->r, "if-match"),
				     s3_header(&q->r, "x-amz-if-match-last-modified-time"),
				     s3_header(&q->r, "x-amz-if-match-size"), &match, &any);
	if (!rc_ok(got[3]))
		refusal_check(q, got[3]);
	else
		MUST(match.size >= 0 && (any || !match.etag.p));
}

static void checksums_check(struct request *q)
{
	struct upload_stream u = {.a = q->a};
	enum digest_kind asked;
	enum upload_type type;
	rc got = s3_body_checksum(&q->r, &u);

	if (!rc_ok(got)) {
		refusal_check(q, got);
	} else {
		MUST(u.checksum <= DIGEST_KINDS);
		MUST(u.checksum < DIGEST_KINDS || (!u.want_checksum.p && !u.trailer_name.p));
		MUST(!u.want_checksum.p || u.want_checksum.n == digest_size(u.checksum));
		MUST(!u.want_checksum.p || !u.trailer_name.p);
	}
	got = s3_checksum_algorithm(&q->r, &asked);
	if (!rc_ok(got))
		refusal_check(q, got);
	got = s3_checksum_type(&q->r, &type);
	if (!rc_ok(got))
		refusal_check(q, got);
}

/* Kept with an object and told again. */
static void attrs_check(struct request *q, struct entry *e)
{
	struct object_attrs attrs;
	struct tags t;
	rc got = s3_read_attrs(&q->r, &attrs);

	if (!rc_ok(got)) {
		refusal_check(q, got);
		return;
	}
	e->metadata = attrs.metadata;
	e->metadata_n = attrs.metadata_n;
	e->content_type = attrs.content_type;
	entry_sort_metadata(e);
	MUST(rc_ok(entry_check(e, &q->r.err)));
	MUST(rc_ok(tags_of_query(q->a, s3_tagging(e), &t, &q->r.err)));
	MUST(!s3_tagging(e).n || str_eq(tags_text(q->a, &t), s3_tagging(e)));
	q->r.out_n = 0;
	s3_write_attrs(&q->r, e);
	for (size_t i = 0; i < q->r.out_n; i++)
		MUST(q->r.out[i].name.n && is_clean(q->r.out[i].value));
	if (!rc_ok(s3_set_redirect(&q->r, e)))
		MUST(q->r.err.code == ERR_InvalidRedirectLocation);
	s3_set_tagging(&q->r, e, STR(""));
	MUST(!s3_tagging(e).p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t sizes[] = {0, 1, 2, 4096, 5 << 20, INT64_MAX - 1, INT64_MAX};
	struct str in = str_make(data, size);
	uint8_t kind = take_byte(&in);
	struct entry e = {
		.etag = STR("5d41402abc4b2a76b9719d911017c592"),
		.modified = {.s = 1700000000},
		.size = sizes[(kind >> 1) % (sizeof(sizes) / sizeof(sizes[0]))],
	};
	struct request q;

	request_open(&q);
	q.r.op = &s3_ops[S3_PutObject];
	q.r.at.ref_bucket = kind & 1;
	read_lines(&q, in);
	ranges_check(&q, &e);
	conditions_check(&q, &e);
	checksums_check(&q);
	source_check(&q);
	attrs_check(&q, &e);
	request_close(&q);
	return 0;
}
