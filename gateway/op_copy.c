/* CopyObject. Within a repository the entry alone is copied; elsewhere the copy has a body of its own
 * (versions/copy.h). */
#include "gateway/s3.h"

struct copy {
	struct object_copy op;
	struct repo from_repo;
	struct s3_address from;
	struct s3_req *r;
};

/* COPY, the default, or REPLACE. */
static rc directive(struct s3_req *r, const char *header, bool *ret_replace)
{
	struct str d = s3_header(r, header);

	*ret_replace = str_eq(d, STR("REPLACE"));
	if (d.n && !*ret_replace && !str_eq(d, STR("COPY")))
		return err_set(&r->err, ERR_InvalidArgument, "Unknown %s.",
			       str_eq(str_c(header), STR("x-amz-tagging-directive"))
				       ? "tagging directive"
				       : "metadata directive");
	return RC_OK;
}

static bool to_itself(const struct s3_req *r, const struct s3_address *from)
{
	return str_eq(from->repo, r->at.repo) && str_eq(from->ref, r->at.ref) &&
	       str_eq(from->path, r->at.path);
}

static bool changes_storage(struct s3_req *r, const struct copy *p)
{
	return s3_header(r, "x-amz-storage-class").n ||
	       s3_header(r, "x-amz-website-redirect-location").n ||
	       s3_header(r, "x-amz-server-side-encryption").n ||
	       (p->op.checksum != DIGEST_KINDS && !p->op.entry.checksum[p->op.checksum].n);
}

static rc attributes(struct s3_req *r, struct copy *p)
{
	struct entry *e = &p->op.entry;
	struct str tagging = s3_tagging(e);
	struct object_attrs attrs;
	bool metadata, tags;

	TRY(directive(r, "x-amz-metadata-directive", &metadata));
	TRY(directive(r, "x-amz-tagging-directive", &tags));
	if (!metadata && !tags && to_itself(r, &p->from) && !changes_storage(r, p))
		return err_set(&r->err, ERR_InvalidRequest,
			       "This copy request is illegal because it is trying to copy an object to "
			       "itself without changing the object's metadata, storage class, website "
			       "redirect location or encryption attributes.");
	TRY(s3_read_attrs(r, &attrs)); /* too much metadata is refused, wanted or not */
	if (metadata) {
		e->metadata = attrs.metadata;
		e->metadata_n = attrs.metadata_n;
		e->content_type = attrs.content_type;
	}
	TRY(s3_set_redirect(r, e));
	for (int k = 0; p->op.checksum != DIGEST_KINDS && k < DIGEST_KINDS; k++)
		if (k != (int)p->op.checksum)
			e->checksum[k] = STR_NONE;
	if (tags)
		TRY(s3_read_tagging(r, &tagging));
	s3_set_tagging(r, e, tagging);
	return RC_OK;
}

/* Of copies, lakeFS tells it by another code than of objects that are put. */
static rc protected_as_request(struct s3_req *r, rc result)
{
	if (!rc_is(result, WriteToProtectedBranch))
		return result;
	return err_set(&r->err, ERR_InvalidRequest, "cannot write to protected branch '" STR_FMT "'",
		       STR_ARG(r->at.ref));
}

static rc plan(struct s3_req *r)
{
	struct copy *p = ARENA_NEW(r->a, struct copy);

	r->op_state = p;
	p->r = r;
	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	TRY(s3_refuse_unsupported(r));
	TRY(s3_copy_source(r, &p->from));
	TRY(s3_write_condition(r, &p->op.cond, &p->op.cond_etag));
	TRY(s3_checksum_algorithm(r, &p->op.checksum));
	TRY(protected_as_request(r, s3_writable(r)));
	TRY(s3_find_source(r, &p->from, &p->from_repo, &p->op.entry));
	TRY(s3_check_conditions(r, &p->op.entry, "x-amz-copy-source-"));
	return attributes(r, p);
}

static void done(struct object_copy *op)
{
	struct copy *p = op->ud;
	struct s3_req *r = p->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	s3_done(r, protected_as_request(r, s3_write_missing(r, op->result)));
}

static void client_gone(void *ud)
{
	struct copy *p = ud;

	object_copy_cancel(&p->op);
}

static void start(struct s3_req *r)
{
	struct copy *p = r->op_state;

	p->op.done = done;
	p->op.home = loop_mailbox(http_req_loop(r->http));
	p->op.v = r->g->o.versions;
	p->op.a = r->a;
	p->op.from_repo = &p->from_repo;
	p->op.repo = &r->repo;
	p->op.branch = r->at.ref;
	p->op.path = r->at.path;
	p->op.storage_class = s3_header(r, "x-amz-storage-class");
	p->op.max_streamed = S3_MAX_PUT;
	p->op.slot_bytes = r->g->o.slot_bytes;
	p->op.ud = p;
	/* Before a worker has the arena. */
	http_req_on_gone(r->http, client_gone, p);
	s3_answer_late(r, client_gone, p);
	object_copy_start(&p->op);
}

static void reply(struct s3_req *r)
{
	struct copy *p = r->op_state;
	char date[25];

	time_iso_ms(p->op.entry.modified, date);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "CopyObjectResult", S3_XMLNS);
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, p->op.entry.etag));
	s3_checksums_xml(r, &p->op.entry);
	xw_close(&r->xml, "CopyObjectResult");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_CopyObject = {.plan = plan, .start = start, .reply = reply};
