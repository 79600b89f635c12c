/* DeleteBucket: a repository that has nothing to lose, or, as repository.branch, a branch that lists nothing. */
#include "gateway/s3.h"
#include "versions/branch_remove.h"

static rc gone(struct s3_req *r, rc res)
{
	return rc_is(res, NOT_FOUND) ? err_default(&r->err, ERR_NoSuchBucket) : res;
}

/* A bucket's uploads go with it, or they would be the next one's of this name. */
static rc abort_uploads(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct uploads_request q = {.branch = r->at.ref, .max = 1000};
	struct uploads_page page;

	do {
		TRY(uploads_list(&c, &r->repo, &q, &page));
		for (size_t i = 0; i < page.n; i++) {
			struct uploads_item *it = &page.items[i];
			struct upload u;
			rc found = upload_get(&c, &r->repo, r->at.ref, it->key, it->id, &u);

			if (rc_ok(found))
				found = upload_abort(&c, &r->repo, &u);
			if (!rc_ok(found) && !rc_is(found, NOT_FOUND) && !rc_is(found, NoSuchUpload))
				return found;
		}
		if (page.n) {
			q.key_marker = page.items[page.n - 1].key;
			q.id_marker = page.items[page.n - 1].id;
		}
	} while (page.truncated);
	return RC_OK;
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
