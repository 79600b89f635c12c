/* CreateBucket: a repository on one of the stores, or, as repository.branch, a branch of one. */
#include "base/rand.h"
#include "gateway/documents.h"
#include "gateway/s3.h"
#include "versions/stores.h"

static rc bad_name(struct s3_req *r, rc checked)
{
	if (rc_ok(checked))
		return checked;
	return err_set(&r->err, ERR_InvalidBucketName, "The specified bucket is not valid: %s.",
		       arena_cstr(r->a, str_c(r->err.msg)));
}

static rc refuse_ownership(struct s3_req *r)
{
	static const char *const harmless[] = {"BucketOwnerEnforced", "BucketOwnerPreferred",
					       "ObjectWriter"};
	struct str v = s3_header(r, "x-amz-object-ownership");

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (str_eq(v, str_c(harmless[i])))
			return RC_OK;
	if (!v.n)
		return RC_OK;
	return err_argument(&r->err, "x-amz-object-ownership", v,
			    "Invalid x-amz-object-ownership header: " STR_FMT, STR_ARG(str_head(v, 100)));
}

static rc plan(struct s3_req *r)
{
	struct str lock = s3_header(r, "x-amz-bucket-object-lock-enabled");

	TRY(bad_name(r, valid_repo_name(r->at.repo, &r->err)));
	if (r->at.ref_bucket)
		TRY(bad_name(r, valid_branch_name(r->at.ref, &r->err)));
	TRY(s3_refuse_unsupported(r));
	if (lock.n && !str_eq_nocase(lock, STR("false")))
		return err_set(&r->err, ERR_NotImplemented,
			       "A header you provided implies functionality that is not implemented: "
			       "x-amz-bucket-object-lock-enabled");
	return refuse_ownership(r);
}

/* Told before it is asked whether they may make buckets: tools that may only write make theirs first. */
static rc existing(struct s3_req *r, const char *read, rc may_create)
{
	if (s3_allows_repo(r, read, r->at.repo, STR_NONE))
		return err_field(err_default(&r->err, ERR_BucketAlreadyOwnedByYou), &r->err, "BucketName",
				 r->at.bucket);
	TRY(may_create);
	return err_default(&r->err, ERR_BucketAlreadyExists);
}

/* Location. */

/* The stores at the time of the request. */
struct places {
	struct store_info *list;
	size_t n;
};

static struct str choices(struct s3_req *r, const struct places *at)
{
	struct str all = r->g->o.region;

	for (size_t i = 0; i < at->n; i++)
		if (at->list[i].id.n)
			all = arena_join(r->a, (struct str[]){all, STR(", "), at->list[i].id}, 3);
	return all;
}

static rc default_store(struct s3_req *r, const struct places *at, const struct store_info **ret)
{
	*ret = stores_default(at->list, at->n);
	if (*ret)
		return RC_OK;
	return err_set(&r->err, ERR_InvalidLocationConstraint,
		       "Several stores are configured and none is the default one: name one as "
		       "LocationConstraint: " STR_FMT ".",
		       STR_ARG(choices(r, at)));
}

/* Nothing else is taken for the region: data that its owner wants elsewhere isn't put here silently. */
static rc store_at(struct s3_req *r, struct str location, const struct store_info **ret)
{
	struct vcall c = s3_vcall(r);
	struct places at;

	stores_list(&c, &at.list, &at.n);
	for (size_t i = 0; location.n && i < at.n; i++)
		if (str_eq(location, at.list[i].id)) {
			*ret = &at.list[i];
			return RC_OK;
		}
	if (!location.n || str_eq(location, r->g->o.region))
		return default_store(r, &at, ret);
	return err_field(err_set(&r->err, ERR_InvalidLocationConstraint,
				 "The specified location-constraint is not valid: it may be the region or "
				 "a store's id: " STR_FMT ".",
				 STR_ARG(choices(r, &at))),
			 &r->err, "LocationConstraint", location);
}

static rc read_location(struct s3_req *r, struct str *ret)
{
	*ret = STR("");
	return r->doc ? location_of_xml(r->doc, ret, &r->err) : RC_OK;
}

/* Repositories. */

static rc join_space(struct s3_req *r, const struct store_info *s, struct str *ret)
{
	struct str p = s->namespace_prefix;

	if (!p.n)
		return err_set(&r->err, ERR_InvalidRequest,
			       "The store '" STR_FMT
			       "' has no default_namespace_prefix, so it is not known where the bucket's "
			       "data should lie: the administrator can set it in the store's "
			       "configuration, or create the repository with a namespace.",
			       STR_ARG(s->id));
	*ret = arena_join(r->a, (struct str[]){p, str_ends(p, STR("/")) ? STR("") : STR("/"), r->at.repo},
			  3);
	return RC_OK;
}

static rc may_attach(struct s3_req *r, struct str space)
{
	return s3_allows_arn(r, "fs:AttachStorageNamespace",
			     arena_join(r->a, (struct str[]){STR("arn:lakefs:fs:::namespace/"), space}, 2));
}

static rc may_create(struct s3_req *r)
{
	return s3_allows_arn(r, "fs:CreateRepository", s3_repo_arn(r, r->at.repo));
}

/* The namespace of a repository of this name that was deleted stays taken, for its data may still be there:
 * then another one beside it, of a name that nobody has. */
static rc create_somewhere(struct s3_req *r, const struct store_info *s, struct str space)
{
	struct vcall c = s3_vcall(r);
	struct repo_create in = {.id = r->at.repo, .storage_namespace = space, .storage_id = s->id};
	char id[XID_CHARS + 1];
	struct repo made;
	rc res = repo_create(&c, &in, &made);

	if (!rc_is(res, INVALID))
		return res;
	xid_now(id);
	in.storage_namespace = arena_join(r->a, (struct str[]){space, STR("-"), str_c(id)}, 3);
	TRY(may_attach(r, in.storage_namespace));
	return repo_create(&c, &in, &made);
}

static rc found(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	rc res = repo_get(&c, r->at.repo, &r->repo);

	r->have_repo = rc_ok(res);
	return res;
}

static rc make_repository(struct s3_req *r)
{
	const struct store_info *store = NULL;
	struct str location, space = STR_NONE;
	rc res = found(r);

	if (rc_ok(res))
		return existing(r, "fs:ReadRepository", may_create(r));
	if (!rc_is(res, NOT_FOUND))
		return res;
	TRY(may_create(r));
	TRY(read_location(r, &location));
	TRY(store_at(r, location, &store));
	TRY(join_space(r, store, &space));
	r->repo = (struct repo){.id = r->at.repo, .storage_id = store->id};
	r->have_repo = true; /* conditions on the store count */
	TRY(may_attach(r, space));
	res = create_somewhere(r, store, space);
	if (!rc_is(res, EXISTS))
		return res;
	/* Somebody else was quicker, or one of that name is on its way out. */
	return rc_ok(found(r)) ? existing(r, "fs:ReadRepository", RC_OK)
			       : err_default(&r->err, ERR_OperationAborted);
}

/* Branches. */

static rc may_branch(struct s3_req *r)
{
	return s3_allows_arn(r, "fs:CreateBranch", s3_branch_arn(r, r->at.repo, r->at.ref));
}

static rc find_parent(struct s3_req *r)
{
	rc res = found(r);

	if (!rc_is(res, NOT_FOUND))
		return res;
	res = s3_no_such_repo(r);
	if (rc_is(res, AccessDenied))
		TRY(may_branch(r)); /* the same words as where it is there */
	if (!rc_is(res, NoSuchBucket))
		return res;
	return err_set(&r->err, ERR_NoSuchBucket,
		       "The bucket would be a branch of repository '" STR_FMT
		       "', which does not exist: create the bucket '" STR_FMT "' first.",
		       STR_ARG(r->at.repo), STR_ARG(r->at.repo));
}

/* A branch is where its repository is. */
static rc check_location(struct s3_req *r)
{
	struct str location;

	TRY(read_location(r, &location));
	if (!location.n || str_eq(location, r->g->o.region) || str_eq(location, r->repo.storage_id))
		return RC_OK;
	return err_field(err_set(&r->err, ERR_InvalidLocationConstraint,
				 "The specified location-constraint is not valid: a branch is where its "
				 "repository is; leave it out."),
			 &r->err, "LocationConstraint", location);
}

static rc make_branch(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct branch b;
	rc res;

	TRY(find_parent(r));
	res = branch_get(&c, &r->repo, r->at.ref, &b);
	if (rc_ok(res))
		return existing(r, "fs:ListObjects", may_branch(r));
	if (!rc_is(res, NOT_FOUND))
		return res;
	TRY(may_branch(r));
	TRY(check_location(r));
	res = branch_create(&c, &r->repo, r->at.ref, STR_NONE);
	if (rc_is(res, NOT_FOUND) && rc_is(repo_stays(&c, &r->repo), NOT_FOUND))
		return err_default(&r->err, ERR_NoSuchBucket);
	if (rc_is(res, NOT_FOUND))
		return err_set(&r->err, ERR_NoSuchBucket,
			       "Repository '" STR_FMT
			       "' has no default branch that a new one could begin at.",
			       STR_ARG(r->at.repo));
	if (!rc_is(res, EXISTS))
		return res;
	if (rc_ok(branch_get(&c, &r->repo, r->at.ref, &b)))
		return existing(r, "fs:ListObjects", RC_OK);
	return err_set(&r->err, ERR_BucketAlreadyExists,
		       "The requested bucket name is not available: the repository has a tag '" STR_FMT
		       "'.",
		       STR_ARG(str_head(r->at.ref, 100)));
}

static rc create_bucket(struct s3_req *r)
{
	return r->at.ref_bucket ? make_branch(r) : make_repository(r);
}

static void reply(struct s3_req *r)
{
	s3_add_header(r, "location", arena_join(r->a, (struct str[]){STR("/"), r->at.bucket}, 2));
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_CreateBucket = {.plan = plan, .run = create_bucket, .reply = reply};
