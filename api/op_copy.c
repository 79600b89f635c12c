/* copyObject: within a repository, with bytes of its own. */
#include "api/rest.h"
#include "versions/copy.h"
#include "versions/protection.h"

struct copy {
	struct object_copy op;
	struct api_req *r;
	struct str ref, path; /* of the source */
};

static rc parse(struct api_req *r)
{
	static const char schema[] = "ObjectCopyCreation";
	struct copy *c = ARENA_NEW(r->a, struct copy);
	bool shallow;

	r->op_state = c;
	c->r = r;
	TRY(api_body_object(r, schema));
	TRY(api_query_required(r, "dest_path", &r->path));
	TRY(api_check_path(r));
	TRY(api_body_str(r, schema, "src_path", true, &c->path));
	TRY(api_body_str(r, schema, "src_ref", false, &c->ref));
	TRY(api_body_bool(r, schema, "force", &r->force));
	TRY(api_body_bool(r, schema, "shallow", &shallow));
	if (!c->ref.n)
		c->ref = r->branch;
	return shallow ? err_set(&r->err, ERR_UNSUPPORTED, "Not Implemented") : RC_OK;
}

static rc plan(struct api_req *r)
{
	struct copy *c = r->op_state;
	struct vcall call = api_vcall(r);
	struct branch b;
	rc found;

	TRY(api_allows_object(r, "fs:ReadObject", c->path));
	if (r->force)
		r->repo.read_only = false;
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	found = branch_get(&call, &r->repo, r->branch, &b);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "branch '" STR_FMT "' not found", STR_ARG(r->branch));
	TRY(found);
	TRY(protection_check(&call, &r->repo, r->branch, PROTECT_STAGING));
	found = object_stat(&call, &r->repo, c->ref, c->path, &c->op.entry);
	return rc_is(found, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "not found") : found;
}

static void done(struct object_copy *op)
{
	struct copy *c = op->ud;
	struct api_req *r = c->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	/* Also of an address that is not of this store: getObject says so. */
	if (rc_is(op->result, NoSuchVersion) || rc_is(op->result, INVALID))
		api_done(r, err_default(&r->err, ERR_NoData));
	else
		api_done(r, op->result);
}

static void client_gone(void *ud)
{
	struct copy *c = ud;

	object_copy_cancel(&c->op);
}

static void start(struct api_req *r)
{
	struct copy *c = r->op_state;

	c->op.done = done;
	c->op.home = loop_mailbox(http_req_loop(r->http));
	c->op.v = r->x->o.versions;
	c->op.a = r->a;
	c->op.from_repo = c->op.repo = &r->repo;
	c->op.branch = r->branch;
	c->op.path = r->path;
	c->op.checksum = DIGEST_KINDS;
	c->op.whole = true;
	c->op.max_streamed = UINT64_MAX;
	c->op.slot_bytes = r->x->o.slot_bytes;
	c->op.ud = c;
	object_copy_start(&c->op);
	http_req_on_gone(r->http, client_gone, c);
}

static void reply(struct api_req *r)
{
	struct copy *c = r->op_state;

	api_show_entry(r, r->path, &c->op.entry, SHOW_METADATA | SHOW_EMPTY_METADATA);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_copyObject = {.parse = parse, .plan = plan, .start = start, .reply = reply};
