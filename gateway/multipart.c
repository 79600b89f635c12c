#include "gateway/multipart.h"

#include "base/encode.h"

rc s3_the_upload(struct s3_req *r, struct upload *ret)
{
	struct vcall c = s3_vcall(r);
	rc found = upload_get(&c, &r->repo, r->at.ref, r->at.path, s3_query(r, "uploadId"), ret);

	if (!rc_is(found, NoSuchUpload) && !rc_is(found, NOT_FOUND) && !rc_is(found, INVALID))
		return found;
	if (r->at.ref_bucket)
		TRY(s3_bucket_there(r));
	return err_field(err_default(&r->err, ERR_NoSuchUpload), &r->err, "UploadId",
			 s3_query(r, "uploadId"));
}

rc s3_part_number(struct s3_req *r, unsigned *ret)
{
	uint64_t number;

	if (!str_to_u64(s3_query(r, "partNumber"), &number) || number == 0 ||
	    number > MULTIPART_MAX_PARTS)
		return err_argument(&r->err, "partNumber", s3_query(r, "partNumber"),
				    "Part number must be an integer between 1 and %d, inclusive.",
				    MULTIPART_MAX_PARTS);
	*ret = (unsigned)number;
	return RC_OK;
}

rc s3_checksum_type(struct s3_req *r, enum upload_type *ret)
{
	struct str type = s3_header(r, "x-amz-checksum-type");

	*ret = UPLOAD_ANY_TYPE;
	if (str_eq_nocase(type, STR("COMPOSITE")))
		*ret = UPLOAD_COMPOSITE;
	else if (str_eq_nocase(type, STR("FULL_OBJECT")))
		*ret = UPLOAD_FULL_OBJECT;
	else if (type.p)
		return err_set(&r->err, ERR_InvalidRequest,
			       "Value for x-amz-checksum-type header is invalid.");
	return RC_OK;
}

void s3_address_xml(struct s3_req *r, struct str upload_id)
{
	xw_elem(&r->xml, "Bucket", r->at.bucket);
	xw_elem(&r->xml, "Key", r->at.key);
	if (upload_id.n)
		xw_elem(&r->xml, "UploadId", upload_id);
}

void s3_owners_xml(struct s3_req *r)
{
	s3_owner_xml(r, "Initiator");
	s3_owner_xml(r, "Owner");
	xw_elem(&r->xml, "StorageClass", STR("STANDARD"));
}

void s3_upload_checksum_xml(struct s3_req *r, enum digest_kind k, bool full, bool implied)
{
	if (k == DIGEST_KINDS || implied)
		return;
	xw_elem(&r->xml, "ChecksumAlgorithm", str_c(digest_title(k)));
	xw_elem(&r->xml, "ChecksumType", s3_checksum_type_name(full));
}

void s3_checksum_xml(struct s3_req *r, enum digest_kind k, struct str raw)
{
	struct str name = arena_printf(r->a, "Checksum%s", digest_title(k));

	xw_elem(&r->xml, name.p, base64_encode(r->a, raw));
}

/* The one that S3 has is its own business where nobody asked for it. */
static bool shown(const struct upload *u, const struct upload_part *p, enum digest_kind k)
{
	return p->checksum[k].n && !(u->checksum_implied && k == u->checksum);
}

void s3_part_checksum_xml(struct s3_req *r, const struct upload *u, const struct upload_part *p)
{
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (shown(u, p, (enum digest_kind)k))
			s3_checksum_xml(r, (enum digest_kind)k, p->checksum[k]);
}

void s3_part_checksum_headers(struct s3_req *r, const struct upload *u, const struct upload_part *p)
{
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (shown(u, p, (enum digest_kind)k))
			s3_checksum_header(r, (enum digest_kind)k, p->checksum[k], false, 0);
}

void s3_part_start(struct s3_req *r, struct upload_part_put *op, const struct upload *u)
{
	op->home = loop_mailbox(http_req_loop(r->http));
	op->v = r->g->o.versions;
	op->a = r->a;
	op->repo = &r->repo;
	op->upload = u;
	upload_part_start(op);
}

void s3_part_done(struct s3_req *r, rc result, const struct err *why)
{
	http_req_on_gone(r->http, NULL, NULL);
	r->err = *why;
	s3_done(r, rc_is(result, NOT_FOUND) ? err_default(&r->err, ERR_NoSuchUpload) : result);
}
