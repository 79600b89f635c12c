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

static void failed_xml(struct s3_req *r, struct str key)
{
	enum err_code code = r->err.code;

	xw_open(&r->xml, "Error");
	xw_elem(&r->xml, "Key", key);
	xw_elem(&r->xml, "Code", str_c(err_s3_code(code)));
	xw_elem(&r->xml, "Message",
		str_c(err_status(code) == 500 ? err_text(ERR_InternalError) : r->err.msg));
	xw_close(&r->xml, "Error");
}

static rc delete_allowed(struct s3_req *r, const struct xml_node *o, struct str key)
{
	struct s3_address at = {0};

	if (key.n > 1024 + 256)
		return err_default(&r->err, ERR_KeyTooLongError);
	TRY(refuse_version(r, xml_child_text(o, "VersionId")));
	if (xml_child(o, "ETag") || xml_child(o, "LastModifiedTime") || xml_child(o, "Size"))
		return refuse_condition(r);
	s3_split_address(r->at.bucket, key, &at);
	TRY(s3_allows_object(r, "fs:DeleteObject", at.repo, at.path));
	return delete_key(r, &at);
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

static void one_of_many(struct s3_req *r, const struct xml_node *o, bool quiet)
{
	struct str key = xml_child_text(o, "Key");
	rc deleted = delete_allowed(r, o, key);

	s3_settle(r, deleted);
	if (!rc_ok(deleted))
		failed_xml(r, key);
	else if (!quiet)
		deleted_xml(r, key);
}

static rc run_many(struct s3_req *r)
{
	bool quiet = is_quiet(r);
	size_t n;

	TRY(check_document(r, &n));
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "DeleteResult", "http://s3.amazonaws.com/doc/2006-03-01/");
	for (struct xml_node *o = r->doc->first; o; o = o->next)
		if (str_eq(o->name, STR("Object")))
			one_of_many(r, o, quiet);
	xw_close(&r->xml, "DeleteResult");
	return RC_OK;
}

static void reply_result(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_DeleteObjects = {.run = run_many, .reply = reply_result};
