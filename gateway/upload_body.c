/* A request's body as a verified stream:
 *
 *   socket -> [relay] -> aws-chunked | length -> digests -> check
 *
 * The relay lets workers pull; everything above it runs where it is pulled. The check at the end
 * compares Content-MD5, x-amz-content-sha256 and x-amz-checksum-* (header or trailer) with what passed:
 * a body that doesn't match fails before anybody can see an object. */
#include "base/encode.h"
#include "gateway/s3.h"

static rc bad_value(struct s3_req *r, const char *header)
{
	return err_set(&r->err, ERR_InvalidRequest, "Value for %s header is invalid.", header);
}

static rc want_md5(struct s3_req *r, struct upload_stream *u)
{
	struct str text = s3_header(r, "content-md5");

	if (!text.p)
		return RC_OK;
	if (!base64_decode(r->a, text, &u->want_md5) || u->want_md5.n != 16)
		return err_field(err_default(&r->err, ERR_InvalidDigest), &r->err, "Content-MD5", text);
	return RC_OK;
}

static rc want_sha256(struct s3_req *r, struct upload_stream *u)
{
	if (r->sig.payload != SIGV4_SHA256 || r->sig.form == SIGV2_HEADER ||
	    r->sig.form == SIGV2_QUERY)
		return RC_OK;
	if (!hex_decode(r->a, r->sig.payload_hash, &u->want_sha256) || u->want_sha256.n != 32)
		return bad_value(r, "x-amz-content-sha256");
	return RC_OK;
}

static bool is_chunked_payload(const struct s3_req *r)
{
	return r->sig.payload == SIGV4_CHUNKED || r->sig.payload == SIGV4_CHUNKED_TRAILER ||
	       r->sig.payload == SIGV4_CHUNKED_UNSIGNED_TRAILER;
}

static rc body_length(struct s3_req *r, struct body *raw, uint64_t *ret)
{
	struct str decoded = s3_header(r, "x-amz-decoded-content-length");

	if (is_chunked_payload(r)) {
		if (str_to_u64(decoded, ret))
			return RC_OK;
		return err_field(err_default(&r->err, ERR_MissingContentLength), &r->err, "Header",
				 STR("x-amz-decoded-content-length"));
	}
	if (raw->length < 0 || !s3_header(r, "content-length").p)
		return err_default(&r->err, ERR_MissingContentLength);
	*ret = (uint64_t)raw->length;
	return RC_OK;
}

static rc mismatch(struct err *reterr, enum digest_kind k)
{
	return err_set(reterr, ERR_BadDigest,
		       "The %s you specified did not match the calculated checksum.",
		       digest_title(k));
}

static rc md5_mismatch(struct upload_stream *u, struct err *reterr)
{
	struct str got = digest_set_value(u->digests, DIGEST_MD5);
	rc failed = err_default(reterr, ERR_BadDigest);

	failed = err_field(failed, reterr, "CalculatedDigest", base64_encode(u->a, got));
	return err_field(failed, reterr, "ExpectedDigest", hex_encode(u->a, u->want_md5));
}

static rc sha256_mismatch(struct upload_stream *u, struct err *reterr)
{
	struct str got = digest_set_value(u->digests, DIGEST_SHA256);
	rc failed = err_default(reterr, ERR_XAmzContentSHA256Mismatch);

	failed = err_field(failed, reterr, "ClientComputedContentSHA256",
			   hex_encode(u->a, u->want_sha256));
	return err_field(failed, reterr, "S3ComputedContentSHA256", hex_encode(u->a, got));
}

static rc check(void *ud, struct err *reterr)
{
	struct upload_stream *u = ud;

	if (u->want_sha256.n &&
	    !str_eq(u->want_sha256, digest_set_value(u->digests, DIGEST_SHA256)))
		return sha256_mismatch(u, reterr);
	if (u->want_md5.n && !str_eq(u->want_md5, digest_set_value(u->digests, DIGEST_MD5)))
		return md5_mismatch(u, reterr);
	if (u->trailer_name.n) {
		struct str text = sigv4_body_trailer(u->chunked, u->trailer_name);

		if (!base64_decode(u->a, text, &u->want_checksum) ||
		    u->want_checksum.n != digest_size(u->checksum))
			return err_set(reterr, ERR_InvalidRequest,
				       "Value for " STR_FMT " trailing header is invalid.",
				       STR_ARG(u->trailer_name));
	}
	if (u->want_checksum.p &&
	    !str_eq(u->want_checksum, digest_set_value(u->digests, u->checksum)))
		return mismatch(reterr, u->checksum);
	return RC_OK;
}

static rc expectations(struct s3_req *r, struct upload_stream *u)
{
	TRY(want_md5(r, u));
	TRY(want_sha256(r, u));
	return s3_body_checksum(r, u);
}

/* S3 wants chunks of this size; on lakeFS's own addresses any will do, as there. */
enum { LEAST_CHUNK = 8192 };

static void build(struct s3_req *r, struct upload_stream *u, struct body *raw, enum digest_kind also)
{
	unsigned kinds = 1u << DIGEST_MD5;
	struct body *b = raw;

	if (u->want_sha256.n)
		kinds |= 1u << DIGEST_SHA256;
	if (u->checksum != DIGEST_KINDS)
		kinds |= 1u << u->checksum;
	if (also != DIGEST_KINDS)
		kinds |= 1u << also;
	u->digests = digest_set_new(r->a, kinds);
	if (is_chunked_payload(r))
		b = u->chunked = sigv4_body_new(&r->sig, r->a, b, u->length,
						s3_header(r, "x-amz-trailer"));
	else
		b = body_length_new(r->a, b, u->length);
	if (u->chunked && r->at.ref_bucket)
		sigv4_body_least_chunk(u->chunked, LEAST_CHUNK);
	b = body_digest_new(r->a, b, u->digests);
	u->head = body_check_new(r->a, b, check, u);
}

static rc prepare(struct s3_req *r, uint64_t max, struct upload_stream **ret)
{
	struct upload_stream *u = ARENA_NEW(r->a, struct upload_stream);

	u->a = r->a;
	TRY(expectations(r, u));
	TRY(body_length(r, http_req_body(r->http), &u->length));
	if (u->length > max)
		return err_set(&r->err, ERR_EntityTooLarge,
			       "Your proposed upload exceeds the maximum allowed size of %llu bytes.",
			       (unsigned long long)max);
	*ret = u;
	return RC_OK;
}

rc s3_upload_open(struct s3_req *r, uint64_t max, enum digest_kind also, struct upload_stream **ret)
{
	struct upload_stream *u;

	TRY(prepare(r, max, &u));
	if (u->checksum == DIGEST_KINDS && also == DIGEST_KINDS)
		u->checksum = DIGEST_CRC64NVME;
	u->relay = body_relay_new(r->a, http_req_body(r->http), r->g->o.slot_bytes,
				  loop_mailbox(http_req_loop(r->http)));
	build(r, u, u->relay, also);
	*ret = r->up = u;
	return RC_OK;
}

enum { DOCUMENTS_MAX = 256 << 20 };

struct slurp {
	struct s3_req *r;
	void (*next)(struct s3_req *r);
	struct gateway *g;
	size_t held; /* of g->documents */
};

/* Until the request's memory goes, whatever becomes of it. */
static void slurp_release(void *ud)
{
	struct slurp *s = ud;

	__atomic_sub_fetch(&s->g->documents, s->held, __ATOMIC_RELAXED);
}

static bool slurp_hold(struct slurp *s, size_t n)
{
	size_t max = s->g->o.documents_max ? s->g->o.documents_max : DOCUMENTS_MAX;

	s->held += n;
	return __atomic_add_fetch(&s->g->documents, n, __ATOMIC_RELAXED) <= max;
}

static void slurp_on(void *ud)
{
	struct slurp *s = ud;
	struct s3_req *r = s->r;
	enum body_state state;
	size_t n;

	for (;;) {
		char *to = buf_reserve(&r->xml, 16384);

		if (!to) {
			s3_done(r, err_default(&r->err, ERR_EntityTooLarge));
			return;
		}
		state = body_pull(r->up->head, to, 16384, &n, &r->err);
		if (state != BODY_MORE)
			break;
		r->xml.n += n;
		if (!slurp_hold(s, n)) {
			s3_done(r, err_default(&r->err, ERR_SlowDown));
			return;
		}
	}
	if (state == BODY_WAIT)
		body_arm(r->up->head, slurp_on, s);
	else if (state == BODY_FAIL)
		s3_done(r, (rc){r->err.code});
	else
		s->next(r);
}

void s3_slurp(struct s3_req *r, size_t max, void (*next)(struct s3_req *r))
{
	struct slurp *s = ARENA_NEW(r->a, struct slurp);
	struct upload_stream *u;
	rc opened = prepare(r, max, &u);

	if (!rc_ok(opened)) {
		s3_done(r, opened);
		return;
	}
	build(r, u, http_req_body(r->http), DIGEST_KINDS);
	r->up = u;
	*s = (struct slurp){.r = r, .next = next, .g = r->g};
	arena_defer(r->a, slurp_release, s);
	slurp_on(s);
}
