#include "bench/workload_rest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

enum { PATTERN = 1 << 20, MAX_PARTS = 10000, XML_MAX = 4 << 20 };

/* Bytes that don't compress, the same at every run. */
static struct str make_pattern(struct arena *a)
{
	uint64_t *p = arena_alloc(a, PATTERN), x = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < PATTERN / sizeof(*p); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
	return str_make(p, PATTERN);
}

static uint64_t part_size(const struct workload *w, unsigned part)
{
	return part < w->parts ? w->o->part_size : w->o->size - (w->parts - 1) * w->o->part_size;
}

static bool is_multipart(const struct bench_options *o)
{
	return o->op == BENCH_MULTIPART || o->op == BENCH_PART_COPY;
}

static void init_checksum(struct workload *w)
{
	const struct bench_options *o = w->o;

	if (o->trailer) {
		w->trailer = trailer_body_new(o->checksum, w->pattern, o->size, w->a);
		return;
	}
	w->checksum_name = arena_printf(w->a, "x-amz-checksum-%s", digest_name(o->checksum));
	w->checksum = base64_encode(w->a, request_digest(o->checksum, w->pattern, o->size, w->a));
}

rc workload_init(struct workload *w, const struct bench_options *o, struct arena *a,
		 struct err *reterr)
{
	*w = (struct workload){.o = o, .a = a, .pattern = make_pattern(a)};
	w->parts = o->size / o->part_size + (o->size % o->part_size || !o->size);
	if (is_multipart(o) && w->parts > MAX_PARTS)
		return err_set(reterr, ERR_INVALID,
			       "--part-size makes %llu parts, and %d are allowed",
			       (unsigned long long)w->parts, MAX_PARTS);
	w->payload_hash = w->part_hash = w->last_part_hash = STR("UNSIGNED-PAYLOAD");
	if (o->signed_payload && o->op == BENCH_PUT)
		w->payload_hash = request_payload_hash(w->pattern, o->size, a);
	if (o->signed_payload && o->op == BENCH_MULTIPART) {
		w->part_hash = request_payload_hash(w->pattern, o->part_size, a);
		w->last_part_hash =
			request_payload_hash(w->pattern, part_size(w, (unsigned)w->parts), a);
	}
	if (o->checksum != DIGEST_KINDS)
		init_checksum(w);
	w->document = STR("<Tagging><TagSet><Tag><Key>team</Key><Value>lake</Value></Tag><Tag>"
			  "<Key>kept</Key><Value>90 days</Value></Tag></TagSet></Tagging>");
	if (o->seconds > 0)
		w->end_us = mono_us() + (int64_t)(o->seconds * 1e6);
	return RC_OK;
}

void operation_init(struct operation *op)
{
	*op = (struct operation){.xml = BUF_INIT(XML_MAX)};
}

void operation_deinit(struct operation *op)
{
	buf_deinit(&op->xml);
}

bool workload_begin(struct workload *w, struct operation *op)
{
	const struct bench_options *o = w->o;
	uint64_t n = w->begun;

	if (o->count && n >= o->count)
		return false;
	if (w->end_us && mono_us() >= w->end_us)
		return false;
	w->begun++;
	op->number = n;
	op->step = 0;
	/* Reads hop about, so that neighbours don't warm each other. */
	if (o->op == BENCH_GET || o->op == BENCH_HEAD || o->op == BENCH_STAT)
		n = n * 2654435761u;
	snprintf(op->key, sizeof(op->key), "k%08llu",
		 (unsigned long long)(o->first + n % o->keys));
	return true;
}

static struct str source_of(const struct workload *w, const struct operation *op, struct arena *a)
{
	return uri_encode(a, arena_join(a, (struct str[]){w->o->source, str_c(op->key)}, 2), true);
}

static void part_body(const struct workload *w, const struct operation *op, struct arena *a,
		      struct request *r)
{
	uint64_t from = (op->step - 1) * w->o->part_size, n = part_size(w, op->step);

	if (w->o->op == BENCH_PART_COPY) {
		request_header(r, STR("x-amz-copy-source"), source_of(w, op, a));
		request_header(r, STR("x-amz-copy-source-range"),
			       arena_printf(a, "bytes=%llu-%llu", (unsigned long long)from,
					    (unsigned long long)(from + n - 1)));
		return;
	}
	r->body_size = n;
	r->payload_hash = op->step < w->parts ? w->part_hash : w->last_part_hash;
}

static struct request multipart_request(const struct workload *w, struct operation *op,
					struct arena *a, struct str *ret_body)
{
	struct str id = str_c(op->upload_id);
	struct request r = {.method = "POST", .payload_hash = STR("UNSIGNED-PAYLOAD")};

	if (op->step == 0) {
		buf_reset(&op->xml);
		buf_add_cstr(&op->xml, "<CompleteMultipartUpload>");
		r.query = STR("uploads=");
	} else if (op->step <= w->parts) {
		r.method = "PUT";
		r.query = arena_printf(a, "partNumber=%u&uploadId=" STR_FMT, op->step,
				       STR_ARG(uri_encode(a, id, false)));
		part_body(w, op, a, &r);
	} else {
		buf_add_cstr(&op->xml, "</CompleteMultipartUpload>");
		r.query = arena_printf(a, "uploadId=" STR_FMT, STR_ARG(uri_encode(a, id, false)));
		r.body_size = op->xml.n;
		*ret_body = buf_str(&op->xml);
	}
	return r;
}

static struct request put_request(const struct workload *w, struct arena *a, struct str *ret_body)
{
	struct request r = {
		.method = "PUT", .payload_hash = w->payload_hash, .body_size = w->o->size};

	if (w->o->if_absent)
		request_header(&r, STR("if-none-match"), STR("*"));
	if (w->checksum.n)
		request_header(&r, w->checksum_name, w->checksum);
	if (!w->o->trailer)
		return r;
	r.payload_hash = STR("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	r.body_size = w->trailer.chunks_size;
	r.tail = w->trailer.tail;
	*ret_body = w->trailer.chunks;
	request_header(&r, STR("content-encoding"), STR("aws-chunked"));
	request_header(&r, STR("x-amz-decoded-content-length"),
		       arena_printf(a, "%llu", (unsigned long long)w->o->size));
	request_header(&r, STR("x-amz-trailer"), w->trailer.name);
	return r;
}

static struct request tag_request(const struct workload *w)
{
	return (struct request){.method = "PUT",
				.query = STR("tagging="),
				.payload_hash = STR("UNSIGNED-PAYLOAD"),
				.tail = w->document};
}

struct request workload_request(const struct workload *w, struct operation *op, struct arena *a,
				struct str *ret_body)
{
	static const char *const methods[BENCH_OPS] = {
		[BENCH_PUT] = "PUT",   [BENCH_GET] = "GET",	  [BENCH_HEAD] = "HEAD",
		[BENCH_LIST] = "GET", [BENCH_DELETE] = "DELETE",
		[BENCH_COPY] = "PUT",
	};
	const struct bench_options *o = w->o;
	struct request r = {.method = methods[o->op], .payload_hash = STR("UNSIGNED-PAYLOAD")};

	*ret_body = w->pattern;
	if (workload_is_rest(o))
		return workload_rest_request(w, op, a);
	if (is_multipart(o))
		r = multipart_request(w, op, a, ret_body);
	if (o->op == BENCH_PUT)
		r = put_request(w, a, ret_body);
	if (o->op == BENCH_TAG)
		r = tag_request(w);
	if (o->op == BENCH_COPY)
		request_header(&r, STR("x-amz-copy-source"), source_of(w, op, a));
	if (o->op == BENCH_LIST)
		r.query = arena_printf(a, "list-type=2&max-keys=%u&prefix=" STR_FMT, o->max_keys,
				       STR_ARG(uri_encode(a, o->prefix, false)));
	else
		r.key = arena_join(a, (struct str[]){o->prefix, str_c(op->key)}, 2);
	return r;
}

/* What is between <name> and </name>. */
static bool element(struct str xml, struct str open, struct str close, char *to, size_t max)
{
	struct str rest;
	size_t at = str_find(xml, open), n;

	if (at == xml.n)
		return false;
	rest = str_skip(xml, at + open.n);
	n = str_find(rest, close);
	if (n == rest.n || n >= max)
		return false;
	memcpy(to, rest.p, n);
	to[n] = 0;
	return true;
}

/* Of a part: in the head, of a copied one in the document, with its quotes or what stands for them. */
static struct str part_etag(const struct workload *w, const struct response *r, char *space, size_t n)
{
	if (w->o->op != BENCH_PART_COPY)
		return r->etag;
	return element(buf_str(&r->kept), STR("<ETag>"), STR("</ETag>"), space, n) ? str_c(space)
										    : STR_NONE;
}

/* What takes long may fail after its 200. */
static bool failed_late(const struct response *r)
{
	struct str body = buf_str(&r->kept);

	return str_find(body, STR("<Error>")) < body.n;
}

static enum outcome multipart_response(const struct workload *w, struct operation *op,
				       const struct response *r)
{
	struct str body = buf_str(&r->kept);

	if (op->step == 0 && !element(body, STR("<UploadId>"), STR("</UploadId>"), op->upload_id,
				      sizeof(op->upload_id)))
		return OUTCOME_FAILED;
	if (op->step >= 1 && op->step <= w->parts) {
		char space[128];
		struct str etag = part_etag(w, r, space, sizeof(space));

		if (!etag.n || !buf_printf(&op->xml,
					      "<Part><PartNumber>%u</PartNumber><ETag>" STR_FMT
					      "</ETag></Part>",
					      op->step, STR_ARG(etag)))
			return OUTCOME_FAILED;
	}
	if (op->step > w->parts)
		return failed_late(r) ? OUTCOME_FAILED : OUTCOME_DONE;
	op->step++;
	return OUTCOME_STEP;
}

enum outcome workload_response(const struct workload *w, struct operation *op,
			       const struct response *r)
{
	if (workload_is_rest(w->o))
		return workload_rest_response(w, op, r);
	if (r->status / 100 != 2)
		return OUTCOME_FAILED;
	if (is_multipart(w->o))
		return multipart_response(w, op, r);
	if (w->o->op == BENCH_COPY && failed_late(r))
		return OUTCOME_FAILED;
	return OUTCOME_DONE;
}

uint64_t workload_bytes(const struct workload *w)
{
	enum bench_op op = w->o->op;

	return op == BENCH_HEAD || op == BENCH_LIST || op == BENCH_DELETE || op == BENCH_TAG ||
			       workload_is_rest(w->o)
		       ? 0
		       : w->o->size;
}
