/* S3's words for what isn't there. */
#include "gateway/s3.h"

static bool is_missing(rc result)
{
	return rc_is(result, NOT_FOUND) || rc_is(result, INVALID);
}

static rc no_such_ref(struct s3_req *r, const struct s3_address *at)
{
	return err_set(&r->err, ERR_NoSuchBucket,
		       "The specified bucket does not exist: repository " STR_FMT
		       " has no branch '" STR_FMT "'.",
		       STR_ARG(at->repo), STR_ARG(str_head(at->ref, 100)));
}

rc s3_read_missing(struct s3_req *r, const struct repo *repo, const struct s3_address *at, rc result)
{
	struct vcall c = s3_vcall(r);
	struct branch b;
	rc found;

	if (!is_missing(result))
		return result;
	if (at->ref_bucket) {
		found = branch_get(&c, repo, at->ref, &b);
		if (is_missing(found))
			return no_such_ref(r, at);
		TRY(found);
	}
	return err_default(&r->err, ERR_NoSuchKey);
}

rc s3_write_missing(struct s3_req *r, rc result)
{
	if (rc_is(result, PREDICATE))
		return err_default(&r->err, ERR_PreconditionFailed);
	if (rc_is(result, NOT_FOUND) && s3_header(r, "if-match").p)
		return err_default(&r->err, ERR_NoSuchKey);
	if (rc_is(result, NOT_FOUND))
		return no_such_ref(r, &r->at);
	return result;
}

rc s3_bucket_there(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct branch b;
	rc found = branch_get(&c, &r->repo, r->at.ref, &b);

	return is_missing(found) ? no_such_ref(r, &r->at) : found;
}

rc s3_writable(struct s3_req *r)
{
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return s3_bucket_there(r);
}
