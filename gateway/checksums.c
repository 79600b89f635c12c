/* Checksums: what a request's head says of them, and what answers tell. Of the head alone: some makers of
 * links put the checksum of an empty body into the query, which AWS was seen to ignore. */
#include <stdio.h>

#include "base/encode.h"
#include "gateway/s3.h"

static rc more_than_one(struct s3_req *r)
{
	return err_set(&r->err, ERR_InvalidRequest,
		       "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
		       "allowed.");
}

/* Those that begin as checksums do and say something else. */
static bool is_about_checksums(struct str name)
{
	return str_eq(name, STR("algorithm")) || str_eq(name, STR("type")) ||
	       str_eq(name, STR("mode"));
}

rc s3_given_checksum(struct s3_req *r, enum digest_kind *ret, struct str *ret_text)
{
	const struct http_header *h;
	size_t n = http_req_headers(r->http, &h);

	*ret = DIGEST_KINDS;
	*ret_text = STR_NONE;
	for (size_t i = 0; i < n; i++) {
		struct str name;

		if (!str_starts(h[i].name, STR("x-amz-checksum-")))
			continue;
		name = str_skip(h[i].name, strlen("x-amz-checksum-"));
		if (is_about_checksums(name))
			continue;
		if (*ret != DIGEST_KINDS)
			return more_than_one(r);
		if (!digest_by_name(name, ret))
			return err_set(&r->err, ERR_InvalidRequest,
				       "The algorithm type you specified in x-amz-checksum- header is "
				       "invalid.");
		*ret_text = h[i].value;
	}
	return RC_OK;
}

static rc bad_value(struct s3_req *r, struct str header)
{
	return err_set(&r->err, ERR_InvalidRequest, "Value for " STR_FMT " header is invalid.",
		       STR_ARG(header));
}

static rc in_header(struct s3_req *r, struct upload_stream *u)
{
	struct str text;

	TRY(s3_given_checksum(r, &u->checksum, &text));
	if (u->checksum == DIGEST_KINDS)
		return RC_OK;
	if (!base64_decode(r->a, text, &u->want_checksum) ||
	    u->want_checksum.n != digest_size(u->checksum))
		return bad_value(r, arena_printf(r->a, "x-amz-checksum-%s", digest_name(u->checksum)));
	return RC_OK;
}

static rc in_trailer(struct s3_req *r, struct upload_stream *u)
{
	struct str name = str_trim(s3_header(r, "x-amz-trailer"));
	enum digest_kind k;

	if (name.n == 0)
		return RC_OK;
	if (!str_starts(name, STR("x-amz-checksum-")) ||
	    !digest_by_name(str_skip(name, strlen("x-amz-checksum-")), &k))
		return err_set(&r->err, ERR_InvalidRequest,
			       "The value specified in the x-amz-trailer header is not supported");
	if (u->checksum != DIGEST_KINDS)
		return more_than_one(r);
	u->checksum = k;
	u->trailer_name = name;
	return RC_OK;
}

/* What SDKs say besides must be what they do. */
static rc as_announced(struct s3_req *r, const struct upload_stream *u)
{
	struct str name = http_req_header(r->http, "x-amz-sdk-checksum-algorithm");
	enum digest_kind k;

	if (!name.p)
		return RC_OK;
	if (!digest_by_name(name, &k))
		return bad_value(r, STR("x-amz-sdk-checksum-algorithm"));
	if (u->checksum == DIGEST_KINDS)
		return err_set(&r->err, ERR_InvalidRequest,
			       "x-amz-sdk-checksum-algorithm specified, but no corresponding "
			       "x-amz-checksum-* or x-amz-trailer headers were found.");
	if (k != u->checksum)
		return bad_value(r, STR("x-amz-sdk-checksum-algorithm"));
	return RC_OK;
}

rc s3_body_checksum(struct s3_req *r, struct upload_stream *u)
{
	u->checksum = DIGEST_KINDS;
	/* With a Complete's they are the object's, not the document's. */
	if (r->op->id == S3_CompleteMultipartUpload)
		return in_trailer(r, u);
	TRY(in_header(r, u));
	TRY(in_trailer(r, u));
	return as_announced(r, u);
}

rc s3_checksum_algorithm(struct s3_req *r, enum digest_kind *ret)
{
	struct str name = s3_header(r, "x-amz-checksum-algorithm");

	*ret = DIGEST_KINDS;
	if (name.n == 0)
		return RC_OK;
	if (!digest_by_name(name, ret))
		return err_set(&r->err, ERR_InvalidRequest,
			       "Checksum algorithm provided is unsupported. Please try again with any "
			       "of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, "
			       "SHA512, XXHASH128, XXHASH3, XXHASH64]");
	return RC_OK;
}

struct str s3_checksum_type_name(bool full)
{
	return full ? STR("FULL_OBJECT") : STR("COMPOSITE");
}

static struct str checksum_text(struct s3_req *r, struct str raw, bool composite, size_t parts)
{
	struct str text = base64_encode(r->a, raw);

	return composite ? arena_printf(r->a, STR_FMT "-%zu", STR_ARG(text), parts) : text;
}

void s3_checksum_header(struct s3_req *r, enum digest_kind k, struct str raw, bool composite,
			size_t parts)
{
	s3_add_header(r, arena_printf(r->a, "x-amz-checksum-%s", digest_name(k)).p,
		      checksum_text(r, raw, composite, parts));
}

void s3_write_checksums(struct s3_req *r, const struct entry *e)
{
	bool any = false;

	for (int k = 0; k < DIGEST_KINDS; k++)
		if (e->checksum[k].n) {
			s3_checksum_header(r, (enum digest_kind)k, e->checksum[k],
					   e->checksum_composite, e->parts_n);
			any = true;
		}
	if (any)
		s3_add_header(r, "x-amz-checksum-type",
			      s3_checksum_type_name(!e->checksum_composite));
}

void s3_checksums_xml(struct s3_req *r, const struct entry *e)
{
	bool any = false;

	for (int k = 0; k < DIGEST_KINDS; k++) {
		char name[32];

		if (!e->checksum[k].n)
			continue;
		snprintf(name, sizeof(name), "Checksum%s", digest_title((enum digest_kind)k));
		xw_elem(&r->xml, name,
			checksum_text(r, e->checksum[k], e->checksum_composite, e->parts_n));
		any = true;
	}
	if (any)
		xw_elem(&r->xml, "ChecksumType",
			s3_checksum_type_name(!e->checksum_composite));
}
