/* CreateMultipartUpload, CompleteMultipartUpload, AbortMultipartUpload. */
#include "base/crc_combine.h"
#include "base/encode.h"
#include "gateway/documents.h"
#include "gateway/multipart.h"

/* Which checksum the object is to have, and whether of the whole or of the parts'. */
static rc asked_checksum(struct s3_req *r, struct upload *in)
{
	enum upload_type type;
	bool only_full, only_parts;

	TRY(s3_checksum_algorithm(r, &in->checksum));
	TRY(s3_checksum_type(r, &type));
	if (in->checksum == DIGEST_KINDS) {
		if (type == UPLOAD_ANY_TYPE)
			return RC_OK;
		return err_set(&r->err, ERR_InvalidRequest,
			       "The x-amz-checksum-type header can only be used with the "
			       "x-amz-checksum-algorithm header.");
	}
	only_full = in->checksum == DIGEST_CRC64NVME;
	only_parts = !crc_combinable(in->checksum);
	if ((type == UPLOAD_FULL_OBJECT && only_parts) || (type == UPLOAD_COMPOSITE && only_full))
		return err_set(&r->err, ERR_InvalidRequest,
			       "The %s checksum type cannot be used with the %s checksum algorithm.",
			       only_parts ? "FULL_OBJECT" : "COMPOSITE", digest_name(in->checksum));
	in->checksum_full = only_full || type == UPLOAD_FULL_OBJECT;
	return RC_OK;
}

static rc create(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload in = {.branch = r->at.ref, .path = r->at.path};
	struct upload *made = ARENA_NEW(r->a, struct upload);
	struct object_attrs attrs;

	r->op_state = made;
	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	TRY(s3_refuse_unsupported(r));
	TRY(s3_read_attrs(r, &attrs));
	TRY(asked_checksum(r, &in));
	in.content_type = attrs.content_type;
	in.metadata = attrs.metadata;
	in.metadata_n = attrs.metadata_n;
	TRY(s3_write_missing(r, upload_create(&c, &r->repo, &in, made)));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "InitiateMultipartUploadResult", S3_XMLNS);
	s3_address_xml(r, made->id);
	xw_close(&r->xml, "InitiateMultipartUploadResult");
	return RC_OK;
}

static void reply_create(struct s3_req *r)
{
	const struct upload *u = r->op_state;

	if (!u->checksum_implied) {
		s3_add_header(r, "x-amz-checksum-algorithm", str_c(digest_title(u->checksum)));
		s3_add_header(r, "x-amz-checksum-type", s3_checksum_type_name(u->checksum_full));
	}
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_CreateMultipartUpload = {.run = create, .reply = reply_create};

/* Complete. */

/* A checksum of checksums may have its number of parts behind it, as it has in answers. */
static rc whole_checksum(struct s3_req *r, struct upload_completion *how)
{
	struct str text, parts;
	uint64_t n = 0;

	TRY(s3_given_checksum(r, &how->checksum_kind, &text));
	if (how->checksum_kind == DIGEST_KINDS)
		return RC_OK;
	text = str_cut(text, '-', &parts);
	if (!base64_decode(r->a, text, &how->checksum) ||
	    how->checksum.n != digest_size(how->checksum_kind) ||
	    (parts.p && (!str_to_u64(parts, &n) || n == 0 || n > MULTIPART_MAX_PARTS)))
		return err_set(&r->err, ERR_InvalidRequest,
			       "Value for x-amz-checksum-%s header is invalid.",
			       digest_name(how->checksum_kind));
	how->checksum_parts = (size_t)n;
	return RC_OK;
}

static rc expectations(struct s3_req *r, struct upload_completion *how)
{
	struct str size = s3_header(r, "x-amz-mp-object-size");

	TRY(s3_write_condition(r, &how->cond, &how->etag));
	TRY(s3_checksum_type(r, &how->type));
	TRY(whole_checksum(r, how));
	how->has_size = size.p != NULL;
	if (str_starts(size, STR("-")) && str_to_u64(str_skip(size, 1), &how->size))
		return err_set(&r->err, ERR_InvalidRequest,
			       "Value for x-amz-mp-object-size header is less than zero: '" STR_FMT "'",
			       STR_ARG(size));
	if (size.p && !str_to_u64(size, &how->size))
		return err_set(&r->err, ERR_InvalidRequest,
			       "Value for x-amz-mp-object-size header is invalid: '" STR_FMT "'",
			       STR_ARG(str_head(size, 32)));
	return RC_OK;
}

static rc complete(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload_completion how = {0};
	struct upload_part *parts;
	struct entry e = {0};

	TRY(expectations(r, &how));
	TRY(parts_of_xml(r->doc, r->a, &parts, &how.n, &r->err));
	how.parts = parts;
	TRY(s3_write_missing(r, upload_complete(&c, &r->repo, r->at.ref, r->at.path,
						s3_query(r, "uploadId"), &how, &e)));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "CompleteMultipartUploadResult", S3_XMLNS);
	xw_elem(&r->xml, "Location",
		arena_printf(r->a, "%s://" STR_FMT STR_FMT, http_req_tls(r->http) ? "https" : "http",
			     STR_ARG(s3_header(r, "host")), STR_ARG(r->at.raw_path)));
	s3_address_xml(r, STR_NONE);
	xw_elem(&r->xml, "ETag", s3_quoted(r, e.etag));
	s3_checksums_xml(r, &e);
	xw_close(&r->xml, "CompleteMultipartUploadResult");
	return RC_OK;
}

static void reply_complete(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_CompleteMultipartUpload = {.run = complete,
							     .reply = reply_complete};

/* Abort. */

static rc abort_upload(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload upload;

	TRY(s3_the_upload(r, &upload));
	return upload_abort(&c, &r->repo, &upload);
}

static void reply_abort(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_AbortMultipartUpload = {.run = abort_upload,
							  .reply = reply_abort};
