/* UploadPartCopy: an object's bytes, or some of them, become a part. They stream from their store, which may
 * be another one, through the digests into the upload's. */
#include "gateway/multipart.h"

struct part_copy {
	struct upload upload;
	struct s3_address from;
	struct repo from_repo;
	struct entry entry; /* the source */
	struct object_source source;
	struct upload_part_put put;
	struct s3_req *r;
	bool gone;
};

static rc plan(struct s3_req *r)
{
	struct part_copy *p = ARENA_NEW(r->a, struct part_copy);

	r->op_state = p;
	p->r = r;
	TRY(s3_refuse_unsupported(r));
	TRY(s3_part_number(r, &p->put.number));
	TRY(s3_copy_source(r, &p->from));
	TRY(s3_the_upload(r, &p->upload));
	TRY(s3_find_source(r, &p->from, &p->from_repo, &p->entry));
	TRY(s3_check_conditions(r, &p->entry, "x-amz-copy-source-"));
	TRY(s3_copy_range(r, (uint64_t)p->entry.size, &p->source.offset, &p->source.length));
	if (p->source.length > S3_MAX_PUT)
		return err_set(&r->err, ERR_InvalidRequest,
			       "The specified copy source is larger than the maximum allowable size for "
			       "a copy source: %llu",
			       (unsigned long long)S3_MAX_PUT);
	return RC_OK;
}

static void finish(struct part_copy *p, rc result, const struct err *why)
{
	if (p->source.body)
		body_close(p->source.body);
	s3_part_done(p->r, result, why);
}

static void put_done(struct upload_part_put *put)
{
	finish(put->ud, put->result, &put->err);
}

static rc complete_part(struct upload_part_put *put, struct upload_part *part)
{
	struct part_copy *p = put->ud;

	if (p->upload.checksum != DIGEST_KINDS)
		part->checksum[p->upload.checksum] =
			digest_set_value(p->source.digests, p->upload.checksum);
	return RC_OK;
}

static void opened(struct object_source *s)
{
	struct part_copy *p = s->ud;

	if (!rc_ok(s->result)) {
		finish(p, s->result, &s->err);
		return;
	}
	p->put.done = put_done;
	p->put.relay = s->relay;
	p->put.body = s->body;
	p->put.digests = s->digests;
	p->put.complete = complete_part;
	p->put.ud = p;
	s3_part_start(p->r, &p->put, &p->upload);
	if (p->gone)
		upload_part_cancel(&p->put);
}

static void client_gone(void *ud)
{
	struct part_copy *p = ud;

	p->gone = true;
	if (p->source.body)
		upload_part_cancel(&p->put);
	else
		object_source_cancel(&p->source);
}

static void start(struct s3_req *r)
{
	struct part_copy *p = r->op_state;

	p->source.done = opened;
	p->source.home = loop_mailbox(http_req_loop(r->http));
	p->source.v = r->g->o.versions;
	p->source.a = r->a;
	p->source.repo = &p->from_repo;
	p->source.entry = &p->entry;
	p->source.digests_of = 1u << DIGEST_MD5;
	if (p->upload.checksum != DIGEST_KINDS)
		p->source.digests_of |= 1u << p->upload.checksum;
	p->source.slot_bytes = r->g->o.slot_bytes;
	p->source.ud = p;
	/* Before a worker has the arena. */
	http_req_on_gone(r->http, client_gone, p);
	s3_answer_late(r, client_gone, p);
	object_source_open(&p->source);
}

static void reply(struct s3_req *r)
{
	struct part_copy *p = r->op_state;
	const struct upload_part *part = &p->put.part;
	char date[25];

	time_iso_ms(part->modified, date);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "CopyPartResult", S3_XMLNS);
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, part->etag));
	s3_part_checksum_xml(r, &p->upload, part);
	xw_close(&r->xml, "CopyPartResult");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_UploadPartCopy = {.plan = plan, .start = start, .reply = reply};
