/* uploadObject: the body streams into the repository's store, then the entry is staged. */
#include "api/form_body.h"
#include "api/rest.h"
#include "versions/protection.h"

/* As much as S3 has for one object. */
#define UPLOAD_MAX ((uint64_t)5 << 40)
enum { METADATA_MAX = 128, METADATA_BYTES_MAX = 65536 };

struct upload {
	struct object_put op;
	struct api_req *r;
	struct str boundary; /* of a form, whose field "content" is the object; STR_NONE: the body is */
	struct body *form;
};

static rc condition(struct api_req *r, struct upload *u)
{
	struct str absent = api_header(r, "if-none-match");

	u->op.cond = absent.p ? STAGE_IF_ABSENT : STAGE_ALWAYS;
	if (api_header(r, "if-match").p || (absent.p && !str_eq(str_trim(absent), STR("*"))))
		return err_set(&r->err, ERR_UNSUPPORTED, "Not Implemented");
	return RC_OK;
}

/* x-lakefs-meta-<name> is the user's, x-lakefs-internal-<name> a client's of lakeFS. */
static bool metadata_key(struct api_req *r, struct str header, struct str *ret)
{
	static const char user[] = "x-lakefs-meta-", internal[] = "x-lakefs-internal-";

	if (str_starts(header, str_c(user)))
		*ret = str_skip(header, sizeof(user) - 1);
	else if (str_starts(header, str_c(internal)))
		*ret = arena_join(r->a,
				  (struct str[]){STR("::lakefs::"), str_skip(header, sizeof(internal) - 1)}, 2);
	else
		return false;
	return true;
}

static rc metadata(struct api_req *r, struct upload *u)
{
	const struct http_header *h;
	size_t n = http_req_headers(r->http, &h), bytes = 0;
	struct meta *m = arena_alloc(r->a, n * sizeof(*m) + 1);

	u->op.metadata = m;
	for (size_t i = 0; i < n; i++) {
		struct meta *one = &m[u->op.metadata_n];

		if (!metadata_key(r, h[i].name, &one->key))
			continue;
		one->value = arena_dup(r->a, h[i].value);
		bytes += one->key.n + one->value.n;
		if (++u->op.metadata_n > METADATA_MAX || bytes > METADATA_BYTES_MAX)
			return err_set(&r->err, ERR_INVALID, "too much user metadata");
		if (!str_is_utf8(one->value))
			return err_set(&r->err, ERR_INVALID, "user metadata must be UTF-8: " STR_FMT,
				       STR_ARG(one->key));
	}
	u->op.metadata_n = meta_sort(m, u->op.metadata_n);
	return RC_OK;
}

/* A type and a subtype, and nothing that isn't text. */
static rc content_type(struct api_req *r, struct upload *u)
{
	struct str type = str_trim(api_header(r, "content-type")), sub;
	struct str main = str_cut(str_trim(str_head(type, str_index(type, ';'))), '/', &sub);

	u->op.content_type = type.n ? type : STR("application/octet-stream");
	if (type.n && (!main.n || !sub.n || !str_is_utf8(type)))
		return err_set(&r->err, ERR_INVALID, "Content-Type is not a media type: " STR_FMT,
			       STR_ARG(str_head(type, 100)));
	if (str_eq_nocase(main, STR("multipart")) && str_eq_nocase(str_trim(sub), STR("form-data")) &&
	    !form_boundary(type, &u->boundary))
		return err_set(&r->err, ERR_INVALID, "no multipart boundary param in Content-Type");
	return RC_OK;
}

static rc parse(struct api_req *r)
{
	struct upload *u = ARENA_NEW(r->a, struct upload);

	r->op_state = u;
	u->r = r;
	TRY(api_query_bool(r, "force", false, &r->force));
	TRY(condition(r, u));
	TRY(content_type(r, u));
	u->op.storage_class = api_query(r, "storageClass");
	return metadata(r, u);
}

/* Known before the first byte is read. */
static rc plan(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct branch b;
	rc found;

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	found = branch_get(&c, &r->repo, r->branch, &b);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "branch '" STR_FMT "' not found", STR_ARG(r->branch));
	TRY(found);
	return protection_check(&c, &r->repo, r->branch, PROTECT_STAGING);
}

/* On a worker, the body whole: S3 clients are told of this checksum. */
static rc complete(struct object_put *op, struct entry *e)
{
	struct upload *u = op->ud;

	if (u->form)
		e->content_type = form_body_type(u->form);
	e->checksum[DIGEST_CRC64NVME] = digest_set_value(op->digests, DIGEST_CRC64NVME);
	return RC_OK;
}

static void done(struct object_put *op)
{
	struct upload *u = op->ud;
	struct api_req *r = u->r;

	http_req_on_gone(r->http, NULL, NULL);
	r->err = op->err;
	if (rc_is(op->result, PREDICATE))
		api_done(r, err_set(&r->err, ERR_PreconditionFailed, "path already exists"));
	else
		api_done(r, op->result);
}

static void client_gone(void *ud)
{
	struct upload *u = ud;

	object_put_cancel(&u->op);
}

/* socket -> relay -> form | length -> digests */
static rc build(struct api_req *r, struct upload *u)
{
	struct body *raw = http_req_body(r->http), *b;

	u->op.relay = b = body_relay_new(r->a, raw, r->x->o.slot_bytes, loop_mailbox(http_req_loop(r->http)));
	if (raw->length >= 0 && (uint64_t)raw->length > UPLOAD_MAX)
		return err_set(&r->err, ERR_EntityTooLarge, "an object may have %llu bytes",
			       (unsigned long long)UPLOAD_MAX);
	b = raw->length >= 0 ? body_length_new(r->a, b, (uint64_t)raw->length)
			     : body_max_new(r->a, b, UPLOAD_MAX);
	if (u->boundary.p)
		u->form = b = form_body_new(r->a, b, u->boundary, "content");
	u->op.digests = digest_set_new(r->a, 1u << DIGEST_MD5 | 1u << DIGEST_CRC64NVME);
	u->op.body = r->stream = body_digest_new(r->a, b, u->op.digests);
	return RC_OK;
}

static void start(struct api_req *r)
{
	struct upload *u = r->op_state;
	rc built = build(r, u);

	if (!rc_ok(built)) {
		api_done(r, built);
		return;
	}
	u->op.done = done;
	u->op.home = loop_mailbox(http_req_loop(r->http));
	u->op.v = r->x->o.versions;
	u->op.a = r->a;
	u->op.repo = &r->repo;
	u->op.branch = r->branch;
	u->op.path = r->path;
	u->op.complete = complete;
	u->op.ud = u;
	object_put_start(&u->op);
	http_req_on_gone(r->http, client_gone, u);
}

static void reply(struct api_req *r)
{
	struct upload *u = r->op_state;

	api_show_entry(r, r->path, &u->op.entry, SHOW_METADATA | SHOW_EMPTY_METADATA);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_uploadObject = {
	.parse = parse, .plan = plan, .start = start, .reply = reply};
