/* DeleteObject and DeleteObjects. Deleting what isn't there succeeds, as in S3; so does the key
 * "branch/" that Spark deletes (API.md 3.5). */
#include "base/encode.h"
#include "gateway/s3.h"

enum { MAX_KEYS = 1000 };

static rc delete_key(struct s3_req *r, const struct s3_address *at)
{
	struct vcall c = s3_vcall(r);
	rc deleted;

	if (at->path.n == 0)
		return RC_OK;
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	deleted = object_delete(&c, &r->repo, at->ref, at->path);
	if (rc_is(deleted, NOT_FOUND) && at->ref_bucket)
		return s3_write_missing(r, deleted);
	if (rc_is(deleted, NOT_FOUND) || rc_is(deleted, INVALID))
		return RC_OK; /* no such branch holds no such key */
	return deleted;
}

/* There is one version of each key; a condition that can't be kept must not be ignored. */
static rc refuse_version(struct s3_req *r, struct str version)
{
	if (version.n && !str_eq(version, STR("null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	return RC_OK;
}

static rc refuse_condition(struct s3_req *r)
{
	return err_set(&r->err, ERR_NotImplemented,
		       "Conditional deletes are not implemented; nothing was deleted.");
}

static rc plan_one(struct s3_req *r)
{
	static const char *const conditions[] = {
		"if-match", "x-amz-if-match-last-modified-time", "x-amz-if-match-size"};

	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (s3_header(r, conditions[i]).p)
			return refuse_condition(r);
	return refuse_version(r, s3_query(r, "versionId"));
}

static rc run_one(struct s3_req *r)
{
	return delete_key(r, &r->at);
}

static void reply_none(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_DeleteObject = {
	.plan = plan_one, .run = run_one, .reply = reply_none};

static rc malformed(struct s3_req *r)
{
	return err_default(&r->err, ERR_MalformedXML);
}

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
	const struct err *refused;
	const struct object_delete_item *item; /* NULL: refused, or nothing to do */
};

static rc may_delete(struct s3_req *r, const struct xml_node *o, struct str key,
		     struct s3_address *at)
{
	if (key.n > 1024 + 256)
		return err_default(&r->err, ERR_KeyTooLongError);
	TRY(refuse_version(r, xml_child_text(o, "VersionId")));
	if (xml_child(o, "ETag") || xml_child(o, "LastModifiedTime") || xml_child(o, "Size"))
		return refuse_condition(r);
	s3_split_address(r->at.bucket, key, at);
	return s3_allows_object(r, "fs:DeleteObject", at->repo, at->path);
}

static const struct err *err_kept(struct s3_req *r)
{
	struct err *e = ARENA_NEW(r->a, struct err);

	*e = r->err;
	return e;
}

static struct doomed choose(struct s3_req *r, const struct xml_node *o,
			    struct object_delete_item *items, size_t *n)
{
	struct doomed d = {.key = xml_child_text(o, "Key")};
	struct s3_address at = {0};
	rc allowed = may_delete(r, o, d.key, &at);

	s3_settle(r, allowed);
	if (!rc_ok(allowed)) {
		d.refused = err_kept(r);
	} else if (at.path.n) {
		items[*n] = (struct object_delete_item){.branch = at.ref, .path = at.path};
		d.item = &items[(*n)++];
	}
	return d;
}

static rc check_document(struct s3_req *r, size_t *ret_n)
{
	size_t n = 0;

	if (!str_eq(r->doc->name, STR("Delete")))
		return malformed(r);
	for (struct xml_node *o = r->doc->first; o; o = o->next) {
		if (!str_eq(o->name, STR("Object")))
			continue;
		if (xml_child_text(o, "Key").n == 0)
			return malformed(r);
		n++;
	}
	if (n == 0 || n > MAX_KEYS)
		return malformed(r);
	*ret_n = n;
	return RC_OK;
}

static bool is_quiet(struct s3_req *r)
{
	struct str quiet = str_trim(xml_child_text(r->doc, "Quiet"));

	return str_eq_nocase(quiet, STR("true")) || str_eq(quiet, STR("1"));
}

static void tell(struct s3_req *r, const struct doomed *d, bool quiet)
{
	rc result = d->item ? d->item->result : RC_OK;

	if (d->refused)
		failed_xml(r, d->key, d->refused);
	else if (!rc_ok(result) && !rc_is(result, NOT_FOUND) && !rc_is(result, INVALID))
		failed_xml(r, d->key, d->item->err);
	else if (!quiet) /* what isn't there is deleted */
		deleted_xml(r, d->key);
}

static rc run_many(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct object_delete_item *items;
	struct doomed *doomed;
	bool quiet = is_quiet(r);
	size_t n = 0, chosen = 0, k = 0;

	TRY(check_document(r, &n));
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	items = arena_alloc(r->a, n * sizeof(*items));
	doomed = arena_alloc(r->a, n * sizeof(*doomed));
	for (struct xml_node *o = r->doc->first; o; o = o->next)
		if (str_eq(o->name, STR("Object")))
			doomed[k++] = choose(r, o, items, &chosen);
	objects_delete(&c, &r->repo, items, chosen);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "DeleteResult", "http://s3.amazonaws.com/doc/2006-03-01/");
	for (size_t i = 0; i < n; i++)
		tell(r, &doomed[i], quiet);
	xw_close(&r->xml, "DeleteResult");
	return RC_OK;
}

static void reply_result(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_DeleteObjects = {.run = run_many, .reply = reply_result};
