/* Multipart uploads. */
#include "base/encode.h"
#include "gateway/s3.h"

#define XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"

enum { MAX_PARTS_PAGE = 1000 };

static rc the_upload(struct s3_req *r, struct upload *ret)
{
	struct vcall c = s3_vcall(r);
	rc found = upload_get(&c, &r->repo, r->at.ref, r->at.path, s3_query(r, "uploadId"), ret);

	if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
		return err_default(&r->err, ERR_NoSuchUpload);
	return found;
}

static void address_xml(struct s3_req *r, struct str upload_id)
{
	xw_elem(&r->xml, "Bucket", r->at.bucket);
	xw_elem(&r->xml, "Key", r->at.key);
	if (upload_id.n)
		xw_elem(&r->xml, "UploadId", upload_id);
}

static void checksum_xml(struct s3_req *r, enum digest_kind k, struct str text)
{
	static const char *const names[DIGEST_KINDS] = {
		[DIGEST_SHA1] = "ChecksumSHA1",	    [DIGEST_SHA256] = "ChecksumSHA256",
		[DIGEST_CRC32] = "ChecksumCRC32",   [DIGEST_CRC32C] = "ChecksumCRC32C",
		[DIGEST_CRC64NVME] = "ChecksumCRC64NVME",
	};

	if (names[k])
		xw_elem(&r->xml, names[k], text);
}

static void owner_xml(struct s3_req *r, const char *name)
{
	xw_open(&r->xml, name);
	xw_elem(&r->xml, "ID", STR("sluice"));
	xw_elem(&r->xml, "DisplayName", STR("sluice"));
	xw_close(&r->xml, name);
}

static rc checksum_algorithm(struct s3_req *r, enum digest_kind *ret)
{
	struct str name = s3_header(r, "x-amz-checksum-algorithm");

	*ret = DIGEST_KINDS;
	if (name.n == 0)
		return RC_OK;
	if (!digest_by_name(name, ret) || *ret == DIGEST_MD5)
		return err_set(&r->err, ERR_InvalidRequest,
			       "Checksum algorithm provided is unsupported. Please try again with any "
			       "of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
	return RC_OK;
}

static rc create(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload in = {.branch = r->at.ref, .path = r->at.path}, made;
	struct object_attrs attrs;

	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	TRY(s3_refuse_unsupported(r));
	TRY(s3_read_attrs(r, &attrs));
	TRY(checksum_algorithm(r, &in.checksum));
	in.content_type = attrs.content_type;
	in.metadata = attrs.metadata;
	in.metadata_n = attrs.metadata_n;
	TRY(s3_write_missing(r, upload_create(&c, &r->repo, &in, &made)));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "InitiateMultipartUploadResult", XMLNS);
	address_xml(r, made.id);
	xw_close(&r->xml, "InitiateMultipartUploadResult");
	return RC_OK;
}

static void reply_create(struct s3_req *r)
{
	struct str algorithm = s3_header(r, "x-amz-checksum-algorithm");

	if (algorithm.n)
		s3_add_header(r, "x-amz-checksum-algorithm", algorithm);
	s3_reply_xml(r, 200);
}

static void reply_xml(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_CreateMultipartUpload = {.run = create, .reply = reply_create};

struct part {
	struct upload upload;
	struct upload_part_put op;
	struct s3_req *r;
};

static rc plan_part(struct s3_req *r)
{
	struct part *p = ARENA_NEW(r->a, struct part);
	uint64_t number;

	r->op_state = p;
	TRY(s3_refuse_unsupported(r));
	if (!str_to_u64(s3_query(r, "partNumber"), &number) || number == 0 ||
	    number > MULTIPART_MAX_PARTS)
		return err_set(&r->err, ERR_InvalidArgument,
			       "Part number must be an integer between 1 and %d, inclusive",
			       MULTIPART_MAX_PARTS);
	p->op.number = (unsigned)number;
	return the_upload(r, &p->upload);
}

static rc complete_part(struct upload_part_put *op, struct upload_part *part)
{
	struct part *p = op->ud;
	struct upload_stream *u = p->r->up;

	if (u->checksum != DIGEST_KINDS)
		part->checksum[u->checksum] = digest_set_value(u->digests, u->checksum);
	return RC_OK;
}

static void part_done(struct upload_part_put *op)
{
	struct part *p = op->ud;
	struct s3_req *r = p->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	s3_done(r, rc_is(op->result, NOT_FOUND) ? err_default(&r->err, ERR_NoSuchUpload)
						 : op->result);
}

static void part_gone(void *ud)
{
	struct part *p = ud;

	upload_part_cancel(&p->op);
}

static void start_part(struct s3_req *r)
{
	struct part *p = r->op_state;
	struct upload_stream *u;
	rc opened = s3_upload_open(r, S3_MAX_PUT, &u);

	if (!rc_ok(opened)) {
		s3_done(r, opened);
		return;
	}
	p->r = r;
	p->op.done = part_done;
	p->op.home = loop_mailbox(http_req_loop(r->http));
	p->op.v = r->g->o.versions;
	p->op.a = r->a;
	p->op.repo = &r->repo;
	p->op.upload = &p->upload;
	p->op.relay = u->relay;
	p->op.body = u->head;
	p->op.digests = u->digests;
	p->op.complete = complete_part;
	p->op.ud = p;
	upload_part_start(&p->op);
	http_req_on_gone(r->http, part_gone, p);
}

static void reply_part(struct s3_req *r)
{
	struct part *p = r->op_state;
	const struct upload_part *part = &p->op.part;

	s3_add_header(r, "etag", s3_quoted(r, part->etag));
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (part->checksum[k].n)
			s3_checksum_header(r, (enum digest_kind)k, part->checksum[k], false, 0);
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_UploadPart = {
	.plan = plan_part, .start = start_part, .reply = reply_part};

static rc malformed(struct s3_req *r)
{
	return err_default(&r->err, ERR_MalformedXML);
}

static rc given_part(struct s3_req *r, const struct xml_node *n, struct upload_part *ret)
{
	uint64_t number;

	if (!str_to_u64(xml_child_text(n, "PartNumber"), &number) || !xml_child(n, "ETag"))
		return malformed(r);
	if (number == 0 || number > MULTIPART_MAX_PARTS)
		return err_set(&r->err, ERR_InvalidArgument,
			       "PartNumber must be between 1 and %d.", MULTIPART_MAX_PARTS);
	ret->number = (unsigned)number;
	ret->etag = s3_unquoted(str_trim(xml_child_text(n, "ETag")));
	for (struct xml_node *k = n->first; k; k = k->next) {
		enum digest_kind kind;

		if (str_starts(k->name, STR("Checksum")) &&
		    digest_by_name(str_skip(k->name, 8), &kind) &&
		    !base64_decode(r->a, k->text, &ret->checksum[kind]))
			return malformed(r);
	}
	return RC_OK;
}

static rc given_parts(struct s3_req *r, struct upload_part **ret, size_t *ret_n)
{
	struct upload_part *parts;
	size_t n = 0;

	if (!str_eq(r->doc->name, STR("CompleteMultipartUpload")))
		return malformed(r);
	for (struct xml_node *p = r->doc->first; p; p = p->next)
		n += str_eq(p->name, STR("Part"));
	if (n == 0 || n > MULTIPART_MAX_PARTS)
		return malformed(r);
	parts = arena_zalloc(r->a, n * sizeof(*parts));
	n = 0;
	for (struct xml_node *p = r->doc->first; p; p = p->next)
		if (str_eq(p->name, STR("Part")))
			TRY(given_part(r, p, &parts[n++]));
	*ret = parts;
	*ret_n = n;
	return RC_OK;
}

static rc complete(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload_completion how = {0};
	struct upload_part *parts = NULL;
	struct entry e = {0};

	TRY(s3_write_condition(r, &how.cond, &how.etag));
	TRY(given_parts(r, &parts, &how.n));
	how.parts = parts;
	TRY(s3_write_missing(r, upload_complete(&c, &r->repo, r->at.ref, r->at.path,
						s3_query(r, "uploadId"), &how, &e)));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "CompleteMultipartUploadResult", XMLNS);
	xw_elem(&r->xml, "Location",
		arena_printf(r->a, "%s://" STR_FMT STR_FMT, http_req_tls(r->http) ? "https" : "http",
			     STR_ARG(s3_header(r, "host")), STR_ARG(r->at.raw_path)));
	address_xml(r, STR_NONE);
	xw_elem(&r->xml, "ETag", s3_quoted(r, e.etag));
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (k != DIGEST_MD5 && e.checksum[k].n)
			checksum_xml(r, (enum digest_kind)k,
				     s3_checksum_text(r, e.checksum[k], e.checksum_composite,
						      e.parts_n));
	xw_close(&r->xml, "CompleteMultipartUploadResult");
	return RC_OK;
}

const struct s3_handlers handlers_CompleteMultipartUpload = {.run = complete, .reply = reply_xml};

static rc abort_upload(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload upload;

	TRY(the_upload(r, &upload));
	return upload_abort(&c, &r->repo, &upload);
}

static void reply_none(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_AbortMultipartUpload = {.run = abort_upload, .reply = reply_none};

static void part_xml(struct s3_req *r, const struct upload_part *p)
{
	char date[25];

	time_iso_ms(p->modified, date);
	xw_open(&r->xml, "Part");
	xw_elem_int(&r->xml, "PartNumber", p->number);
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, p->etag));
	xw_elem_int(&r->xml, "Size", (int64_t)p->size);
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (p->checksum[k].n)
			checksum_xml(r, (enum digest_kind)k,
				     s3_checksum_text(r, p->checksum[k], false, 0));
	xw_close(&r->xml, "Part");
}

static rc list_parts(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct upload upload;
	struct upload_part *parts;
	uint64_t max, marker;
	size_t n = 0;
	bool more = false;

	TRY(s3_query_u64(r, "max-parts", MAX_PARTS_PAGE, MAX_PARTS_PAGE, &max));
	TRY(s3_query_u64(r, "part-number-marker", 0, INT32_MAX, &marker));
	TRY(the_upload(r, &upload));
	if (max)
		TRY(upload_parts(&c, &upload, (unsigned)marker, max, &parts, &n, &more));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "ListPartsResult", XMLNS);
	address_xml(r, upload.id);
	xw_elem_int(&r->xml, "PartNumberMarker", (int64_t)marker);
	xw_elem_int(&r->xml, "NextPartNumberMarker", n ? parts[n - 1].number : (int64_t)marker);
	xw_elem_int(&r->xml, "MaxParts", (int64_t)max);
	xw_elem_bool(&r->xml, "IsTruncated", more);
	for (size_t i = 0; i < n; i++)
		part_xml(r, &parts[i]);
	owner_xml(r, "Initiator");
	owner_xml(r, "Owner");
	xw_elem(&r->xml, "StorageClass", STR("STANDARD"));
	xw_close(&r->xml, "ListPartsResult");
	return RC_OK;
}

const struct s3_handlers handlers_ListParts = {.run = list_parts, .reply = reply_xml};
