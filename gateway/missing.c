/* S3's words for what isn't there. */
#include "gateway/s3.h"
#include "base/clock.h"
#include "versions/protection.h"
#include "versions/ref.h"
#include "versions/tag.h"

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

/* What is there under the name of a branch that isn't; NULL: nothing. WOULD_BLOCK: a worker could tell. */
static rc other_kind(struct s3_req *r, const struct repo *repo, struct str name, const char **ret)
{
	struct err quiet;
	struct vcall c = {.v = r->g->o.versions, .a = r->a, .wait = on_loop() ? KV_NOWAIT : KV_BLOCK,
			  .err = &quiet};
	struct ref_expression x;
	struct ref ref;
	struct tag tag;
	rc found;

	*ret = NULL;
	if (!rc_ok(ref_parse(name, r->a, &x, &quiet)))
		return RC_OK;
	found = ref_resolve(&c, repo, name, &ref);
	if (!rc_ok(found))
		return rc_is(found, WOULD_BLOCK) ? found : RC_OK;
	if (!x.steps_n && ref.is_branch)
		return RC_OK; /* since */
	if (x.steps_n)
		*ret = "an expression of what can be read";
	else
		*ret = rc_ok(tag_get(&c, repo, name, &tag)) ? "a tag" : "a commit";
	return RC_OK;
}

/* may_repeat: WOULD_BLOCK may be answered, and a worker asks again. */
static rc no_such_branch(struct s3_req *r, const struct repo *repo, const struct s3_address *at,
			 bool may_repeat)
{
	const char *kind;
	rc told = other_kind(r, repo, at->ref, &kind);

	if (may_repeat)
		TRY(told);
	if (!kind)
		return no_such_ref(r, at);
	return err_set(&r->err, ERR_NoSuchBucket,
		       "The specified bucket does not exist: '" STR_FMT
		       "' is %s, which can't be written to; write to a branch.",
		       STR_ARG(str_head(at->ref, 100)), kind);
}

rc s3_read_missing(struct s3_req *r, const struct repo *repo, const struct s3_address *at, rc result)
{
	struct vcall c = s3_vcall(r);
	struct ref ref;
	rc found;

	if (!is_missing(result))
		return result;
	if (at->ref_bucket) {
		found = ref_resolve(&c, repo, at->ref, &ref);
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
		return no_such_branch(r, &r->repo, &r->at, false);
	return result;
}

rc s3_bucket_there(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct ref ref;
	rc found = ref_resolve(&c, &r->repo, r->at.ref, &ref);

	return is_missing(found) ? no_such_ref(r, &r->at) : found;
}

static rc find_branch(struct s3_req *r, const struct s3_address *at, struct branch *ret)
{
	struct vcall c = s3_vcall(r);
	rc found = branch_get(&c, &r->repo, at->ref, ret);

	return is_missing(found) ? no_such_branch(r, &r->repo, at, r->wait == KV_NOWAIT) : found;
}

rc s3_branch_there(struct s3_req *r, const struct s3_address *at)
{
	struct branch b;

	return find_branch(r, at, &b);
}

rc s3_writable(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	TRY(find_branch(r, &r->at, &r->seen.b));
	r->seen.at_ms = mono_ms();
	return protection_check(&c, &r->repo, r->at.ref, PROTECT_STAGING);
}
