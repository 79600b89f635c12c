/* getMetadataObject: a range's or metarange's bytes, as they are stored. */
#include "api/rest.h"
#include "base/encode.h"

struct table {
	struct api_req *r;
	struct backend *backend;
	struct backend_op op;
	bool presign;
	struct backend_presigned link;
};

static rc check(struct api_req *r, struct table *t)
{
	struct str raw;

	if (!str_eq(r->sub, STR("range")) && !str_eq(r->sub, STR("meta_range")))
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"type\" in path has an error: value is not one of the allowed values "
			       "[\"range\",\"meta_range\"]");
	TRY(api_wants_presign(r, &t->presign));
	if (t->presign)
		TRY(api_can_presign(r, &t->backend));
	/* Nothing else lies there that a client may name. */
	if (r->id.n != 64 || !hex_decode(r->a, r->id, &raw))
		return err_set(&r->err, ERR_INVALID, "object_id is no id of a range or metarange");
	return RC_OK;
}

static rc plan(struct api_req *r)
{
	struct table *t = ARENA_NEW(r->a, struct table);
	struct vcall c = api_vcall(r);

	TRY(check(r, t));
	r->op_state = t;
	t->r = r;
	return repo_backend(&c, &r->repo, &t->backend);
}

static void got(struct backend_op *op)
{
	struct table *t = (struct table *)((char *)op - offsetof(struct table, op));
	struct api_req *r = t->r;

	r->err = op->err;
	if (rc_is(op->result, NOT_FOUND))
		api_done(r, err_default(&r->err, ERR_NoData));
	else
		api_done(r, op->result);
}

static struct object_ptr pointer(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	return repo_pointer(&r->repo, metadata_address(&c, r->id));
}

static rc presign(struct api_req *r)
{
	struct table *t = r->op_state;
	struct object_ptr p = pointer(r);

	return api_presign_read(r, t->backend, &p, r->id, &t->link);
}

static void start(struct api_req *r)
{
	struct table *t = r->op_state;

	if (t->presign) {
		api_on_worker(r, presign);
		return;
	}
	t->op = (struct backend_op){
		.done = got,
		.home = loop_mailbox(http_req_loop(r->http)),
		.a = r->a,
		.from = pointer(r),
		.length = UINT64_MAX,
	};
	backend_get(t->backend, &t->op);
}

static void reply(struct api_req *r)
{
	struct table *t = r->op_state;

	if (t->presign) {
		api_redirect(r, t->link.url);
		return;
	}
	api_add_request_id(r);
	api_add_header(r, "content-type", STR("application/octet-stream"));
	api_add_header(r, "content-security-policy", STR("default-src 'none'; sandbox"));
	api_add_header(r, "x-content-type-options", STR("nosniff"));
	api_add_header(r, "x-frame-options", STR("SAMEORIGIN"));
	http_respond_body(r->http, r->route->status, r->out, r->out_n, t->op.got, t->op.got->length);
}

const struct api_handlers handlers_getMetadataObject = {
	.plan = plan, .start = start, .reply = reply};
