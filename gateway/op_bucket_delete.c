/* DeleteBucket: a repository that has nothing to lose, or, as repository.branch, a branch that lists
 * nothing. */
#include "gateway/s3.h"
#include "versions/branch_remove.h"

static rc gone(struct s3_req *r, rc res)
{
	return rc_is(res, NOT_FOUND) ? err_default(&r->err, ERR_NoSuchBucket) : res;
}

static rc abort_one(struct s3_req *r, struct vcall *c, const struct uploads_item *it)
{
	struct upload u;
	rc res = upload_get(c, &r->repo, r->at.ref, it->key, it->id, &u);

	if (rc_ok(res))
		res = upload_abort(c, &r->repo, &u);
	return rc_is(res, NOT_FOUND) || rc_is(res, NoSuchUpload) ? RC_OK : res;
}

/* *q moves on behind the page. */
static rc abort_page(struct s3_req *r, struct arena *a, struct uploads_request *q, bool *ret_more)
{
	struct vcall c = s3_vcall(r);
	struct uploads_page page;

	c.a = a;
	TRY(uploads_list(&c, &r->repo, q, &page));
	for (size_t i = 0; i < page.n; i++)
		TRY(abort_one(r, &c, &page.items[i]));
	*ret_more = page.truncated;
	if (page.truncated) {
		q->key_marker = arena_dup(r->a, page.items[page.n - 1].key);
		q->id_marker = arena_dup(r->a, page.items[page.n - 1].id);
	}
	return RC_OK;
}

/* A bucket's uploads go with it, or they would be the next one's of this name. There may be any number: each
 * page has memory of its own. */
static rc abort_uploads(struct s3_req *r)
{
	struct uploads_request q = {.branch = r->at.ref, .max = 1000};
	bool more = true;
	rc res = RC_OK;

	while (more && rc_ok(res)) {
		struct arena *a = arena_new();

		res = abort_page(r, a, &q, &more);
		arena_free(a);
	}
	return res;
}

static rc delete_branch(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);

	if (str_eq(r->at.ref, r->repo.default_branch))
		return err_set(&r->err, ERR_InvalidBucketState,
			       "The bucket is the default branch of its repository and goes only with it: "
			       "delete the bucket '" STR_FMT "'.",
			       STR_ARG(r->at.repo));
	TRY(gone(r, branch_remove_empty(&c, &r->repo, r->at.ref)));
	return abort_uploads(r);
}

static rc delete_bucket(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);

	if (r->at.ref_bucket)
		return delete_branch(r);
	return gone(r, repo_delete_empty(&c, r->at.repo));
}

static void reply(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_DeleteBucket = {.run = delete_bucket, .reply = reply};
