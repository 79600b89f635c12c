/* DeleteObject and DeleteObjects. Deleting what isn't there succeeds, as in S3; so does the key
 * "branch/" that Spark deletes (API.md 3.5). */
#include "gateway/documents.h"
#include "gateway/s3.h"

enum { PATH_MAX_BYTES = 1024, KEY_MAX = PATH_MAX_BYTES + 256 };

/* There is one version of each key; a condition that can't be kept must not be ignored. */
static rc refuse_version(struct s3_req *r, struct str version)
{
	if (version.n && !str_eq(version, STR("null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	return RC_OK;
}

/* Who may not read an object may not find out by deleting what it is (S3 wants GetObject, too). */
static rc may_ask(struct s3_req *r, const struct s3_address *at, const struct object_match *m)
{
	if (str_eq(m->etag, STR("*")) && !m->has_modified && !m->has_size)
		return RC_OK;
	return s3_allows_object(r, "fs:ReadObject", at->repo, at->path);
}

/* What S3 says to a deletion's result. Nothing to delete is a success; under If-Match it is not, and
 * neither is a bucket that isn't there. */
static rc verdict(struct s3_req *r, const struct s3_address *at, const struct object_match *m,
		  rc result)
{
	bool wanted = m && m->etag.p;

	if (rc_is(result, PREDICATE))
		return err_default(&r->err, ERR_PreconditionFailed);
	if (!rc_is(result, NOT_FOUND) && !rc_is(result, INVALID))
		return result;
	if (wanted)
		return s3_read_missing(r, &r->repo, at, result);
	return at->ref_bucket ? s3_branch_there(r, at) : RC_OK;
}

static rc plan_one(struct s3_req *r)
{
	struct object_match *m = ARENA_NEW(r->a, struct object_match);
	bool any;

	TRY(s3_delete_condition(r, s3_header(r, "if-match"),
				s3_header(r, "x-amz-if-match-last-modified-time"),
				s3_header(r, "x-amz-if-match-size"), m, &any));
	if (any)
		TRY(may_ask(r, &r->at, m));
	r->op_state = any ? m : NULL;
	return refuse_version(r, s3_query(r, "versionId"));
}

static rc run_one(struct s3_req *r)
{
	struct object_delete_item item = {
		.branch = r->at.ref, .path = r->at.path, .match = r->op_state};
	struct vcall c = s3_vcall(r);

	if (r->at.path.n == 0)
		return verdict(r, &r->at, item.match, RC(NOT_FOUND));
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	objects_delete(&c, &r->repo, &item, 1);
	if (item.err)
		r->err = *item.err;
	return verdict(r, &r->at, item.match, item.result);
}

static void reply_none(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_DeleteObject = {
	.plan = plan_one, .run = run_one, .reply = reply_none};

static void deleted_xml(struct s3_req *r, struct str key)
{
	xw_open(&r->xml, "Deleted");
	xw_elem(&r->xml, "Key", key);
	xw_close(&r->xml, "Deleted");
}

static void failed_xml(struct s3_req *r, struct str key, const struct err *e)
{
	xw_open(&r->xml, "Error");
	xw_elem(&r->xml, "Key", key);
	xw_elem(&r->xml, "Code", str_c(err_s3_code(e->code)));
	xw_elem(&r->xml, "Message",
		str_c(err_status(e->code) == 500 ? err_text(ERR_InternalError) : e->msg));
	xw_close(&r->xml, "Error");
}

/* One key of many: refused before anything was done, or an item of the deletion. */
struct doomed {
	struct str key;
	struct s3_address at;
	struct object_match match;
	const struct err *refused;
	const struct object_delete_item *item; /* NULL: refused, or nothing to do */
};

static rc may_delete(struct s3_req *r, const struct delete_object *o, struct doomed *d,
		     bool *ret_if)
{
	s3_split_address(r->at.bucket, d->key, &d->at);
	if (d->key.n > KEY_MAX || d->at.path.n > PATH_MAX_BYTES) {
		d->key = str_head(d->key, KEY_MAX); /* an answer has its bounds, too */
		return err_default(&r->err, ERR_KeyTooLongError);
	}
	TRY(refuse_version(r, o->version));
	TRY(s3_delete_condition(r, o->etag, o->modified, o->size, &d->match, ret_if));
	TRY(s3_allows_object(r, "fs:DeleteObject", d->at.repo, d->at.path));
	if (!r->have_repo)
		return err_default(&r->err, ERR_AccessDenied);
	if (*ret_if)
		TRY(may_ask(r, &d->at, &d->match));
	if (d->at.path.n == 0)
		return verdict(r, &d->at, *ret_if ? &d->match : NULL, RC(NOT_FOUND));
	return RC_OK;
}

static const struct err *err_kept(struct s3_req *r)
{
	struct err *e = ARENA_NEW(r->a, struct err);

	*e = r->err;
	return e;
}

static void choose(struct s3_req *r, const struct delete_object *o, struct doomed *d,
		   struct object_delete_item *items, size_t *n)
{
	bool conditional = false;
	rc allowed;

	d->key = o->key;
	allowed = may_delete(r, o, d, &conditional);
	s3_settle(r, allowed);
	if (!rc_ok(allowed)) {
		d->refused = err_kept(r);
	} else if (d->at.path.n) {
		items[*n] = (struct object_delete_item){
			.branch = d->at.ref,
			.path = d->at.path,
			.match = conditional ? &d->match : NULL,
		};
		d->item = &items[(*n)++];
	}
}

static void tell(struct s3_req *r, struct doomed *d, bool quiet)
{
	if (d->item && !rc_ok(d->item->result)) {
		r->err = *d->item->err;
		s3_settle(r, verdict(r, &d->at, d->item->match, d->item->result));
		if (r->err.code)
			d->refused = err_kept(r);
	}
	if (d->refused)
		failed_xml(r, d->key, d->refused);
	else if (!quiet) /* what isn't there is deleted */
		deleted_xml(r, d->key);
}

static rc run_many(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct object_delete_item *items;
	struct doomed *doomed;
	struct delete_request q;
	size_t chosen = 0;

	TRY(delete_of_xml(r->doc, r->a, &q, &r->err));
	items = arena_alloc(r->a, q.n * sizeof(*items));
	doomed = arena_zalloc(r->a, q.n * sizeof(*doomed));
	for (size_t i = 0; i < q.n; i++)
		choose(r, &q.objects[i], &doomed[i], items, &chosen);
	/* Told to those only who may delete something there. */
	if (chosen && r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	objects_delete(&c, &r->repo, items, chosen);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "DeleteResult", S3_XMLNS);
	for (size_t i = 0; i < q.n; i++)
		tell(r, &doomed[i], q.quiet);
	xw_close(&r->xml, "DeleteResult");
	return RC_OK;
}

static void reply_result(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_DeleteObjects = {.run = run_many, .reply = reply_result};
