/* CopyObject within a repository: metadata alone, the copy shares the body (TRAPS 7). */
#include "gateway/s3.h"

static rc stat_source(struct s3_req *r, const struct s3_address *from, struct entry *ret)
{
	struct vcall c = s3_vcall(r);
	rc found;

	if (!str_eq(from->repo, r->repo.id)) {
		struct repo other;

		found = repo_get(&c, from->repo, &other);
		if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
			return err_default(&r->err, ERR_NoSuchBucket);
		TRY(found);
		return err_set(&r->err, ERR_NotImplemented,
			       "Copies between repositories are not implemented: read the object and "
			       "write it.");
	}
	found = object_stat(&c, &r->repo, from->ref, from->path, ret);
	return s3_read_missing(r, &r->repo, from, found);
}

/* x-amz-metadata-directive: COPY (default) or REPLACE. */
static rc directive(struct s3_req *r, const struct s3_address *from, struct entry *e)
{
	struct str d = s3_header(r, "x-amz-metadata-directive");
	struct object_attrs attrs;

	if (d.n && !str_eq(d, STR("COPY")) && !str_eq(d, STR("REPLACE")))
		return err_set(&r->err, ERR_InvalidArgument, "Unknown metadata directive.");
	if (str_eq(d, STR("REPLACE"))) {
		TRY(s3_read_attrs(r, &attrs));
		e->metadata = attrs.metadata;
		e->metadata_n = attrs.metadata_n;
		if (s3_header(r, "content-type").n)
			e->content_type = attrs.content_type;
		entry_sort_metadata(e);
		return RC_OK;
	}
	if (str_eq(from->ref, r->at.ref) && str_eq(from->path, r->at.path))
		return err_set(&r->err, ERR_InvalidRequest,
			       "This copy request is illegal because it is trying to copy an object to "
			       "itself without changing the object's metadata, storage class, website "
			       "redirect location or encryption attributes.");
	return RC_OK;
}

static rc stage(struct s3_req *r, struct entry *e)
{
	struct vcall c = s3_vcall(r);
	enum stage_cond cond;
	struct str etag;
	bool sent;

	TRY(s3_write_condition(r, &cond, &etag));
	e->modified = wall_now();
	return s3_write_missing(
		r, object_stage(&c, &r->repo, r->at.ref, r->at.path, e, cond, etag, &sent));
}

static rc run(struct s3_req *r)
{
	struct s3_address from = {0};
	struct entry *e = ARENA_NEW(r->a, struct entry);
	char date[25];

	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	TRY(s3_refuse_unsupported(r));
	TRY(s3_copy_source(r, &from));
	TRY(stat_source(r, &from, e));
	TRY(s3_check_conditions(r, e, "x-amz-copy-source-"));
	TRY(directive(r, &from, e));
	TRY(stage(r, e));
	time_iso_ms(e->modified, date);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "CopyObjectResult", "http://s3.amazonaws.com/doc/2006-03-01/");
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, e->etag));
	xw_close(&r->xml, "CopyObjectResult");
	return RC_OK;
}

static void reply(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_CopyObject = {.run = run, .reply = reply};
