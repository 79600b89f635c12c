/* DeleteBucket: a repository that has nothing to lose, or, as repository.branch, a branch that lists nothing. */
#include "gateway/s3.h"
#include "versions/branch_remove.h"

static rc gone(struct s3_req *r, rc res)
{
	return rc_is(res, NOT_FOUND) ? err_default(&r->err, ERR_NoSuchBucket) : res;
}

static rc delete_branch(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);

	TRY(s3_allows_arn(r, "fs:DeleteBranch", s3_branch_arn(r, r->at.repo, r->at.ref)));
	if (str_eq(r->at.ref, r->repo.default_branch))
		return err_set(&r->err, ERR_InvalidBucketState,
			       "The bucket is the default branch of its repository and goes only with it: "
			       "delete the bucket '" STR_FMT "'.",
			       STR_ARG(r->at.repo));
	return gone(r, branch_remove_empty(&c, &r->repo, r->at.ref));
}

static rc delete_bucket(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);

	if (r->at.ref_bucket)
		return delete_branch(r);
	TRY(s3_allows_arn(r, "fs:DeleteRepository", s3_repo_arn(r, r->at.repo)));
	return gone(r, repo_delete_empty(&c, r->at.repo));
}

static void reply(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_DeleteBucket = {.run = delete_bucket, .reply = reply};
