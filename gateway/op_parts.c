/* UploadPart and ListParts. */
#include "gateway/multipart.h"

enum { MAX_PARTS_PAGE = 1000 };

struct part {
	struct upload upload;
	struct upload_part_put op;
	struct s3_req *r;
};

static rc plan_part(struct s3_req *r)
{
	struct part *p = ARENA_NEW(r->a, struct part);

	r->op_state = p;
	TRY(s3_refuse_unsupported(r));
	TRY(s3_part_number(r, &p->op.number));
	return s3_the_upload(r, &p->upload);
}

/* The upload's checksum is of each part, whether the client gave it or not. */
static rc complete_part(struct upload_part_put *op, struct upload_part *part)
{
	struct part *p = op->ud;
	struct upload_stream *u = p->r->up;

	for (int k = 0; k < DIGEST_KINDS; k++)
		if (k == (int)u->checksum || k == (int)p->upload.checksum)
			part->checksum[k] = digest_set_value(u->digests, (enum digest_kind)k);
	return RC_OK;
}

static void part_done(struct upload_part_put *op)
{
	struct part *p = op->ud;

	s3_part_done(p->r, op->result, &op->err);
}

static void part_gone(void *ud)
{
	struct part *p = ud;

	upload_part_cancel(&p->op);
}

static rc open_part(struct s3_req *r, struct part *p, struct upload_stream **ret)
{
	enum digest_kind of_upload = p->upload.checksum;

	TRY(s3_upload_open(r, S3_MAX_PUT, of_upload, ret));
	if ((*ret)->checksum == of_upload || p->upload.checksum_implied || of_upload == DIGEST_KINDS ||
	    ((*ret)->checksum == DIGEST_KINDS && p->upload.checksum_full))
		return RC_OK;
	return err_set(&r->err, ERR_InvalidRequest,
		       "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum "
		       "Type: %s",
		       digest_title(of_upload),
		       (*ret)->checksum == DIGEST_KINDS ? "null" : digest_title((*ret)->checksum));
}

static void start_part(struct s3_req *r)
{
	struct part *p = r->op_state;
	struct upload_stream *u;
	rc opened = open_part(r, p, &u);

	if (!rc_ok(opened)) {
		s3_done(r, opened);
		return;
	}
	p->r = r;
	p->op.done = part_done;
	p->op.relay = u->relay;
	p->op.body = u->head;
	p->op.digests = u->digests;
	p->op.complete = complete_part;
	p->op.ud = p;
	s3_part_start(r, &p->op, &p->upload);
	http_req_on_gone(r->http, part_gone, p);
}

static void reply_part(struct s3_req *r)
{
	struct part *p = r->op_state;

	s3_add_header(r, "etag", s3_quoted(r, p->op.part.etag));
	s3_part_checksum_headers(r, &p->upload, &p->op.part);
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_UploadPart = {
	.plan = plan_part, .start = start_part, .reply = reply_part};

static void part_xml(struct s3_req *r, const struct upload *u, const struct upload_part *p)
{
	char date[25];

	time_iso_ms(p->modified, date);
	xw_open(&r->xml, "Part");
	xw_elem_int(&r->xml, "PartNumber", p->number);
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, p->etag));
	xw_elem_int(&r->xml, "Size", (int64_t)p->size);
	s3_part_checksum_xml(r, u, p);
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
	TRY(s3_the_upload(r, &upload));
	if (max)
		TRY(upload_parts(&c, &upload, (unsigned)marker, max, &parts, &n, &more));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "ListPartsResult", S3_XMLNS);
	s3_address_xml(r, upload.id);
	xw_elem_int(&r->xml, "PartNumberMarker", (int64_t)marker);
	xw_elem_int(&r->xml, "NextPartNumberMarker", n ? parts[n - 1].number : (int64_t)marker);
	xw_elem_int(&r->xml, "MaxParts", (int64_t)max);
	xw_elem_bool(&r->xml, "IsTruncated", more);
	for (size_t i = 0; i < n; i++)
		part_xml(r, &upload, &parts[i]);
	s3_owners_xml(r);
	s3_upload_checksum_xml(r, upload.checksum, upload.checksum_full, upload.checksum_implied);
	xw_close(&r->xml, "ListPartsResult");
	return RC_OK;
}

static void reply_list(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_ListParts = {.run = list_parts, .reply = reply_list};
