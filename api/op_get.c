/* getObject and headObject: resolve, check the condition, clip the range, then send the file or stream, or tell
 * where in the store the bytes can be had. */
#include "api/rest.h"

struct get {
	struct api_req *r;
	struct entry entry;
	uint64_t offset, length;
	bool partial;
	struct backend *backend;
	struct object_ptr ptr;
	int fd; /* -1: none */
	struct backend_op op;
	bool presign;
	struct backend_presigned link;
};

static rc parse(struct api_req *r)
{
	struct str range = api_header(r, "range"), rest;
	bool presign;

	TRY(api_wants_presign(r, &presign));
	if (!range.p)
		return RC_OK;
	rest = str_starts(range, STR("bytes=")) ? str_skip(range, 6) : STR("");
	for (size_t i = 0; i < rest.n; i++)
		if (!strchr("0123456789-, ", rest.p[i]))
			rest.n = 0;
	if (!rest.n || str_index(rest, '-') == rest.n)
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"Range\" in header has an error: string doesn't match the regular "
			       "expression \"^bytes=((\\d*-\\d*,? ?)+)$\"");
	return RC_OK;
}

/* Types that a browser may show: nothing that could run in this origin. */
static bool is_inert(struct str type)
{
	static const char *const kinds[] = {"text/plain", "text/csv", "text/markdown", "application/json",
					    "image/png",  "image/jpeg", "image/gif",   "image/webp",
					    "audio/",	  "video/"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_starts(type, str_c(kinds[i])))
			return true;
	return false;
}

static struct str quoted(struct api_req *r, struct str etag)
{
	return arena_join(r->a, (struct str[]){STR("\""), etag, STR("\"")}, 3);
}

static void object_headers(struct api_req *r, const struct entry *e, bool head)
{
	char *date = arena_alloc(r->a, 30);

	time_http(e->modified.s, date);
	api_add_header(r, "cache-control", STR("no-store, must-revalidate"));
	api_add_header(r, "etag", quoted(r, e->etag));
	api_add_header(r, "expires", STR("0"));
	api_add_header(r, "last-modified", str_c(date));
	if (head) {
		api_add_header(r, "accept-ranges", STR("bytes"));
		return;
	}
	api_add_header(r, "content-disposition", is_inert(e->content_type) ? STR("inline") : STR("attachment"));
	api_add_header(r, "content-security-policy", STR("default-src 'none'; sandbox"));
	api_add_header(r, "x-frame-options", STR("SAMEORIGIN"));
}

static void type_headers(struct api_req *r, const struct entry *e)
{
	api_add_header(r, "content-type", api_content_type(e));
	api_add_header(r, "x-content-type-options", STR("nosniff"));
}

static rc unsatisfiable(struct api_req *r, bool tell)
{
	struct get *g = r->op_state;

	if (tell)
		api_add_header(r, "content-range",
			       arena_printf(r->a, "bytes */%lld", (long long)g->entry.size));
	return err_default(&r->err, ERR_InvalidRange);
}

/* A number too large for us is past every end. */
static uint64_t position(struct str s)
{
	uint64_t n;

	return str_to_u64(s, &n) ? n : UINT64_MAX;
}

/* One range; what parse let through and isn't one can't be had. */
static rc select_range(struct api_req *r, struct get *g)
{
	struct str range = api_header(r, "range"), from, to;
	uint64_t size = (uint64_t)g->entry.size, first, last;

	g->length = size;
	if (!range.p)
		return RC_OK;
	from = str_cut(str_skip(range, 6), '-', &to);
	if (str_index(range, ',') < range.n || (!from.n && !to.n))
		return unsatisfiable(r, false);
	if (!from.n) {
		last = position(to);
		if (last == 0 || size == 0)
			return unsatisfiable(r, true);
		first = last < size ? size - last : 0;
		last = size - 1;
	} else {
		first = position(from);
		last = to.n ? position(to) : UINT64_MAX;
		if (last < first)
			return unsatisfiable(r, false);
		if (first >= size)
			return unsatisfiable(r, true);
		last = last < size ? last : size - 1;
	}
	g->partial = true;
	g->offset = first;
	g->length = last - first + 1;
	return RC_OK;
}

static rc open_file(struct api_req *r, struct get *g)
{
	struct vcall c = api_vcall(r);
	rc opened = object_open_file(&c, &r->repo, &g->entry, g->backend, &g->fd);

	return rc_is(opened, NoSuchVersion) ? err_default(&r->err, ERR_NoData) : opened;
}

static rc find(struct api_req *r, struct get **ret)
{
	struct get *g = ARENA_NEW(r->a, struct get);
	struct vcall c = api_vcall(r);
	rc found;

	r->out_n = 0; /* a plan may be repeated */
	r->op_state = *ret = g;
	g->r = r;
	g->fd = -1;
	TRY(api_wants_presign(r, &g->presign));
	if (g->presign)
		TRY(api_can_presign(r, &g->backend));
	found = object_stat(&c, &r->repo, r->ref, r->path, &g->entry);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(found);
	g->ptr = object_pointer(&r->repo, &g->entry);
	return repo_backend(&c, &r->repo, &g->backend);
}

/* lakeFS compares the whole header. */
static bool unchanged(struct api_req *r, const struct get *g)
{
	return str_eq(api_header(r, "if-none-match"), quoted(r, g->entry.etag));
}

static rc plan_get(struct api_req *r)
{
	struct get *g;

	TRY(find(r, &g));
	if (unchanged(r, g))
		return err_default(&r->err, ERR_NotModified);
	if (g->presign)
		return RC_OK;
	object_headers(r, &g->entry, false);
	TRY(select_range(r, g));
	return g->backend->caps & BACKEND_CAP_FILE ? open_file(r, g) : RC_OK;
}

static rc plan_head(struct api_req *r)
{
	struct get *g;

	TRY(find(r, &g));
	object_headers(r, &g->entry, true);
	return select_range(r, g);
}

static void got(struct backend_op *op)
{
	struct get *g = (struct get *)((char *)op - offsetof(struct get, op));
	struct api_req *r = g->r;

	r->err = op->err;
	if (rc_is(op->result, NOT_FOUND) || rc_is(op->result, INVALID))
		api_done(r, err_default(&r->err, ERR_NoData));
	else
		api_done(r, op->result);
}

static struct backend_op *operation(struct api_req *r, struct get *g)
{
	g->op = (struct backend_op){
		.done = got,
		.home = loop_mailbox(http_req_loop(r->http)),
		.a = r->a,
		.from = g->ptr,
		.offset = g->offset,
		.length = g->length,
	};
	return &g->op;
}

static rc presign(struct api_req *r)
{
	struct get *g = r->op_state;

	return api_presign_read(r, g->backend, &g->ptr, r->path, &g->link);
}

static void start_get(struct api_req *r)
{
	struct get *g = r->op_state;

	if (g->presign)
		api_on_worker(r, presign);
	else if (g->fd >= 0 || g->length == 0)
		api_done(r, RC_OK);
	else
		backend_get(g->backend, operation(r, g));
}

static int finish_headers(struct api_req *r, struct get *g)
{
	type_headers(r, &g->entry);
	api_add_request_id(r);
	if (!g->partial)
		return 200;
	api_add_header(r, "content-range",
		       arena_printf(r->a, "bytes %llu-%llu/%lld", (unsigned long long)g->offset,
				    (unsigned long long)(g->offset + g->length - 1),
				    (long long)g->entry.size));
	return 206;
}

static void reply_get(struct api_req *r)
{
	struct get *g = r->op_state;
	int status;

	if (g->presign) {
		api_redirect(r, g->link.url);
		return;
	}
	status = finish_headers(r, g);
	if (g->fd >= 0)
		http_respond_file(r->http, status, r->out, r->out_n, g->fd, g->offset, g->length, r->x->o.data);
	else if (g->op.got)
		http_respond_body(r->http, status, r->out, r->out_n, g->op.got, (int64_t)g->length);
	else
		http_respond(r->http, status, r->out, r->out_n, STR(""));
}

const struct api_handlers handlers_getObject = {
	.parse = parse, .plan = plan_get, .start = start_get, .reply = reply_get};

/* The bytes must be there: who asks by HEAD means to read. */
static void start_head(struct api_req *r)
{
	struct get *g = r->op_state;

	backend_head(g->backend, operation(r, g));
}

static void reply_head(struct api_req *r)
{
	struct get *g = r->op_state;
	int status = finish_headers(r, g);

	http_respond_head(r->http, status, r->out, r->out_n, (int64_t)g->length);
}

const struct api_handlers handlers_headObject = {
	.parse = parse, .plan = plan_head, .start = start_head, .reply = reply_head};
