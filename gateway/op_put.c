/* PutObject: the body streams into the repository's store, then the entry is staged. */
#include "gateway/s3.h"

struct put {
	struct object_put op;
	struct object_attrs attrs;
	struct s3_req *r;
};

/* A ref that can't be written to is told as lakeFS does (API.md 3.5): there is no such bucket. */
static rc writable(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct branch b;
	rc found;

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	found = branch_get(&c, &r->repo, r->at.ref, &b);
	if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
		return err_set(&r->err, ERR_NoSuchBucket,
			       "The specified bucket does not exist: repository " STR_FMT
			       " has no branch '" STR_FMT "'.",
			       STR_ARG(r->repo.id), STR_ARG(str_head(r->at.ref, 100)));
	return found;
}

static rc plan(struct s3_req *r)
{
	struct put *p = ARENA_NEW(r->a, struct put);

	r->op_state = p;
	if (r->at.path.n == 0)
		return err_set(&r->err, ERR_NoSuchKey,
			       "An object needs a path behind its branch: repository/branch/path.");
	TRY(s3_refuse_unsupported(r));
	TRY(s3_read_attrs(r, &p->attrs));
	TRY(s3_write_condition(r, &p->op.cond, &p->op.cond_etag));
	return writable(r);
}

/* On a worker, the body whole and verified: what was computed on the way is kept with the entry. */
static rc complete(struct object_put *op, struct entry *e)
{
	struct put *p = op->ud;
	struct upload_stream *u = p->r->up;

	if (u->checksum != DIGEST_KINDS)
		e->checksum[u->checksum] = digest_set_value(u->digests, u->checksum);
	return RC_OK;
}

static void done(struct object_put *op)
{
	struct put *p = op->ud;
	struct s3_req *r = p->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	if (rc_is(op->result, PREDICATE))
		s3_done(r, err_default(&r->err, ERR_PreconditionFailed));
	else if (rc_is(op->result, NOT_FOUND))
		s3_done(r, err_default(&r->err, op->cond == STAGE_IF_ETAG ? ERR_NoSuchKey
									   : ERR_NoSuchBucket));
	else
		s3_done(r, op->result);
}

static void client_gone(void *ud)
{
	struct put *p = ud;

	object_put_cancel(&p->op);
}

static void start(struct s3_req *r)
{
	struct put *p = r->op_state;
	struct upload_stream *u;
	rc opened = s3_upload_open(r, S3_MAX_PUT, &u);

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
