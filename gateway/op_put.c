/* PutObject: the body streams into the repository's store, then the entry is staged. */
#include "base/encode.h"
#include "gateway/s3.h"

struct put {
	struct object_put op;
	struct object_attrs attrs;
	struct s3_req *r;
	bool marker;
};

/* `branch/` without content: the marker of a folder that is there already (Arrow makes one of each
 * folder on its way to a new one). Nothing is stored. */
static bool is_branch_marker(struct s3_req *r)
{
	struct str n = s3_header(r, "x-amz-decoded-content-length");

	if (!n.p)
		n = s3_header(r, "content-length");
	return r->at.path.n == 0 && str_ends(r->at.key, STR("/")) && str_eq(n, STR("0"));
}

static rc plan(struct s3_req *r)
{
	struct put *p = ARENA_NEW(r->a, struct put);

	r->op_state = p;
	p->marker = is_branch_marker(r);
	if (r->at.path.n == 0 && !p->marker)
		return err_set(&r->err, ERR_NoSuchKey,
			       "An object needs a path behind its branch: repository/branch/path.");
	TRY(s3_refuse_unsupported(r));
	TRY(s3_read_attrs(r, &p->attrs));
	TRY(s3_write_condition(r, &p->op.cond, &p->op.cond_etag));
	return s3_writable(r);
}

/* On a worker, the body whole and verified: what was computed on the way is kept with the entry. */
static rc complete(struct object_put *op, struct entry *e)
{
	struct put *p = op->ud;
	struct upload_stream *u = p->r->up;

	e->checksum[u->checksum] = digest_set_value(u->digests, u->checksum);
	return RC_OK;
}

static void done(struct object_put *op)
{
	struct put *p = op->ud;
	struct s3_req *r = p->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	s3_done(r, s3_write_missing(r, op->result));
}

static void client_gone(void *ud)
{
	struct put *p = ud;

	object_put_cancel(&p->op);
}

static void marker_read(struct s3_req *r)
{
	struct put *p = r->op_state;

	p->op.entry.etag = hex_encode(r->a, digest_set_value(r->up->digests, DIGEST_MD5));
	s3_done(r, RC_OK);
}

static void start(struct s3_req *r)
{
	struct put *p = r->op_state;
	struct upload_stream *u;
	rc opened;

	if (p->marker) {
		s3_slurp(r, 0, marker_read);
		return;
	}
	opened = s3_upload_open(r, S3_MAX_PUT, DIGEST_KINDS, &u);
	if (!rc_ok(opened)) {
		s3_done(r, opened);
		return;
	}
	p->r = r;
	p->op.done = done;
	p->op.home = loop_mailbox(http_req_loop(r->http));
	p->op.v = r->g->o.versions;
	p->op.a = r->a;
	p->op.repo = &r->repo;
	p->op.branch = r->at.ref;
	p->op.path = r->at.path;
	p->op.seen = &r->seen;
	p->op.relay = u->relay;
	p->op.body = u->head;
	p->op.digests = u->digests;
	p->op.content_type = p->attrs.content_type;
	p->op.storage_class = p->attrs.storage_class;
	p->op.metadata = p->attrs.metadata;
	p->op.metadata_n = p->attrs.metadata_n;
	p->op.complete = complete;
	p->op.ud = p;
	object_put_start(&p->op);
	http_req_on_gone(r->http, client_gone, p);
}

static void reply(struct s3_req *r)
{
	struct put *p = r->op_state;

	s3_add_header(r, "etag", s3_quoted(r, p->op.entry.etag));
	s3_write_checksums(r, &p->op.entry);
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_PutObject = {.plan = plan, .start = start, .reply = reply};
