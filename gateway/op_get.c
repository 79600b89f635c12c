/* GetObject and HeadObject: resolve, check conditions, clip the range, then send the file or stream. */
#include "gateway/multipart.h"

struct get {
	struct entry entry;
	struct s3_range range;
	size_t part; /* which is asked for; 0: none */
	struct backend *backend;
	struct object_ptr ptr;
	int fd; /* -1: none */
	struct backend_op op;
	struct s3_req *r;
};

/* lakeFS's answer for an entry whose bytes are gone. */
static rc gone(struct s3_req *r)
{
	return err_set(&r->err, ERR_NoSuchVersion,
		       "The object's data is not in its store any more.");
}

static rc part_number(struct s3_req *r, unsigned *ret)
{
	*ret = 0;
	return s3_param(r, "partNumber") ? s3_part_number(r, ret) : RC_OK;
}

static rc no_such_part(struct s3_req *r, size_t parts, uint64_t number)
{
	rc failed = err_default(&r->err, ERR_InvalidPartNumber);

	failed = err_field_u64(failed, &r->err, "ActualPartCount", parts);
	return err_field_u64(failed, &r->err, "PartNumberRequested", number);
}

/* GetObject by part: what part n of a multipart object covers. */
static rc part_range(struct s3_req *r, const struct entry *e, size_t *ret_part, struct s3_range *ret)
{
	uint64_t offset = 0;
	unsigned number;
	size_t parts = e->parts_n ? e->parts_n : 1;

	TRY(part_number(r, &number));
	if (number > parts)
		return no_such_part(r, parts, number);
	*ret_part = number;
	if (e->parts_n == 0) {
		*ret = (struct s3_range){.partial = e->size > 0, .length = (uint64_t)e->size};
		return RC_OK;
	}
	for (size_t i = 0; i + 1 < number; i++)
		offset += e->part_sizes[i];
	*ret = (struct s3_range){
		.partial = true, .offset = offset, .length = e->part_sizes[number - 1]};
	s3_add_header(r, "x-amz-mp-parts-count", arena_printf(r->a, "%zu", parts));
	return RC_OK;
}

static rc find(struct s3_req *r, struct get *g)
{
	struct vcall c = s3_vcall(r);
	rc found;

	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	if (s3_query(r, "versionId").n && !str_eq(s3_query(r, "versionId"), STR("null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	found = object_stat(&c, &r->repo, r->at.ref, r->at.path, &g->entry);
	return s3_read_missing(r, &r->repo, &r->at, found);
}

static rc select_range(struct s3_req *r, struct get *g)
{
	if (!s3_param(r, "partNumber"))
		return s3_parse_range(r, &g->entry, &g->range);
	if (s3_header(r, "range").p)
		return err_set(&r->err, ERR_InvalidRequest,
			       "Cannot specify both Range header and partNumber query parameter");
	return part_range(r, &g->entry, &g->part, &g->range);
}

static rc plan(struct s3_req *r)
{
	struct get *g = ARENA_NEW(r->a, struct get);
	struct vcall c = s3_vcall(r);

	r->out_n = 0; /* a plan may be repeated */
	r->op_state = g;
	g->r = r;
	g->fd = -1;
	TRY(part_number(r, &(unsigned){0}));
	TRY(find(r, g));
	TRY(s3_check_conditions(r, &g->entry, ""));
	TRY(select_range(r, g));
	g->ptr = object_pointer(&r->repo, &g->entry);
	TRY(repo_backend(&c, &r->repo, &g->backend));
	if (r->op->id == S3_GetObject && (g->backend->caps & BACKEND_CAP_FILE))
		return object_open_file(&c, &r->repo, &g->entry, g->backend, &g->fd);
	return RC_OK;
}

static void got(struct backend_op *op)
{
	struct get *g = (struct get *)((char *)op - offsetof(struct get, op));
	struct s3_req *r = g->r;

	r->err = op->err;
	s3_done(r, rc_is(op->result, NOT_FOUND) ? gone(r) : op->result);
}

static void start(struct s3_req *r)
{
	struct get *g = r->op_state;

	if (g->fd >= 0 || g->range.length == 0) {
		s3_done(r, RC_OK);
		return;
	}
	g->op = (struct backend_op){
		.done = got,
		.home = loop_mailbox(http_req_loop(r->http)),
		.a = r->a,
		.from = g->ptr,
		.offset = g->range.offset,
		.length = g->range.length,
	};
	backend_get(g->backend, &g->op);
}

/* Of what is sent, where that is known: the object or one of its parts, not a range. */
static void checksums(struct s3_req *r, const struct get *g)
{
	struct str sum;

	if (!g->range.partial || (g->part && g->entry.parts_n == 0)) {
		s3_write_checksums(r, &g->entry);
		return;
	}
	sum = g->part && g->entry.checksum_composite ? entry_part_checksum(&g->entry, g->part - 1) : STR_NONE;
	if (!sum.n)
		return;
	s3_checksum_header(r, g->entry.part_checksum_kind, sum, false, 0);
	s3_add_header(r, "x-amz-checksum-type",
		      s3_checksum_type_name(!g->entry.checksum_composite));
}

static int head(struct s3_req *r, const struct get *g)
{
	s3_write_attrs(r, &g->entry);
	if (str_eq_nocase(s3_header(r, "x-amz-checksum-mode"), STR("ENABLED")))
		checksums(r, g);
	s3_add_header(r, "x-amz-request-id", http_req_id(r->http));
	if (!g->range.partial)
		return 200;
	s3_add_header(r, "content-range",
		      arena_printf(r->a, "bytes %llu-%llu/%lld",
				   (unsigned long long)g->range.offset,
				   (unsigned long long)(g->range.offset + g->range.length - 1),
				   (long long)g->entry.size));
	return 206;
}

static void reply_get(struct s3_req *r)
{
	struct get *g = r->op_state;
	int status = head(r, g);

	if (g->fd >= 0)
		http_respond_file(r->http, status, r->out, r->out_n, g->fd, g->range.offset,
				  g->range.length, r->g->o.data);
	else if (g->op.got)
		http_respond_body(r->http, status, r->out, r->out_n, g->op.got,
				  (int64_t)g->range.length);
	else
		http_respond(r->http, status, r->out, r->out_n, STR(""));
}

static void reply_head(struct s3_req *r)
{
	struct get *g = r->op_state;
	int status = head(r, g);

	http_respond_head(r->http, status, r->out, r->out_n, (int64_t)g->range.length);
}

const struct s3_handlers handlers_GetObject = {.plan = plan, .start = start, .reply = reply_get};
const struct s3_handlers handlers_HeadObject = {.plan = plan, .reply = reply_head};
