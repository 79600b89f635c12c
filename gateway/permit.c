/* Who is it, and may they: from a row of the table, so that no handler can forget it. */
#include <assert.h>

#include "base/clock.h"
#include "gateway/s3.h"
#include "http/forwarded.h"

static_assert(sizeof(struct http_header) == sizeof(struct sigv4_header) &&
		      offsetof(struct http_header, value) == offsetof(struct sigv4_header, value),
	      "the head is handed to sigv4 as it is");

static struct sigv4_request signed_request(struct s3_req *r)
{
	const struct http_header *h;
	size_t n = http_req_headers(r->http, &h);

	return (struct sigv4_request){
		.method = http_req_method(r->http),
		.path = r->at.raw_path,
		.query = r->at.raw_query,
		.headers = (const struct sigv4_header *)h,
		.headers_n = n,
	};
}

/* Chunks are for objects and parts. */
static rc check_payload(struct s3_req *r)
{
	if (r->op->level == LEVEL_OBJECT || !str_eq(http_req_method(r->http), STR("PUT")) ||
	    r->sig.payload < SIGV4_CHUNKED)
		return RC_OK;
	return err_set(&r->err, ERR_InvalidRequest,
		       "The value of x-amz-content-sha256 header is invalid.");
}

static bool is_v4(const struct s3_req *r)
{
	return r->sig.form == SIGV4_HEADER || r->sig.form == SIGV4_QUERY;
}

static rc check_region(struct s3_req *r)
{
	struct str region = r->g->o.region;
	bool query = r->sig.form == SIGV4_QUERY;
	rc failed;

	if (!r->g->o.verify_region || !is_v4(r) || str_eq(r->sig.region, region))
		return RC_OK;
	failed = err_set(&r->err,
			 query ? ERR_AuthorizationQueryParametersError
			       : ERR_AuthorizationHeaderMalformed,
			 "%s; the region \"" STR_FMT "\" is wrong; expecting \"" STR_FMT "\"",
			 query ? "Error parsing the X-Amz-Credential parameter"
			       : "The authorization header is malformed",
			 STR_ARG(r->sig.region), STR_ARG(region));
	return err_field(failed, &r->err, "Region", region);
}

static rc find_user(struct s3_req *r, const struct auth_attempt *t, struct auth_user **ret, struct str *ret_secret)
{
	rc found = auth_find_signer(r->g->o.auth, r->wait, t, r->sig.token, r->a, ret, ret_secret, &r->err);

	if (rc_is(found, InvalidAccessKeyId))
		return err_field(found, &r->err, "AWSAccessKeyId", r->sig.access_key);
	return found;
}

/* A hash that isn't that of no bytes, where no bytes come: known before anything is looked up. */
static rc check_empty_body(struct s3_req *r)
{
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct str method = http_req_method(r->http);
	rc failed;

	if (!is_v4(r) || r->sig.payload != SIGV4_SHA256 || http_req_body(r->http)->length != 0 ||
	    (!str_eq(method, STR("PUT")) && !str_eq(method, STR("POST"))) ||
	    str_eq(r->sig.payload_hash, str_c(empty)))
		return RC_OK;
	failed = err_default(&r->err, ERR_XAmzContentSHA256Mismatch);
	failed = err_field(failed, &r->err, "ClientComputedContentSHA256", r->sig.payload_hash);
	return err_field(failed, &r->err, "S3ComputedContentSHA256", str_c(empty));
}

static struct str source(struct s3_req *r)
{
	return http_source(r->http, r->g->o.trusted_proxies, r->g->o.trusted_proxies_n);
}

static struct auth_attempt attempt(struct s3_req *r)
{
	return (struct auth_attempt){.source = source(r),
				     .access_key = r->sig.access_key,
				     .request_id = http_req_id(r->http),
				     .how = "signature"};
}

rc s3_authenticate(struct s3_req *r)
{
	struct sigv4_request sr = signed_request(r);
	struct auth_user *user;
	struct str secret, prefix = STR("");
	struct auth_attempt t;
	rc verdict;

	TRY(sigv4_parse(&sr, wall_now().s, r->a, &r->sig, &r->err));
	TRY(check_payload(r));
	if (r->sig.form == SIGV4_NONE)
		return err_set(&r->err, ERR_AccessDenied,
			       "Access Denied: the request is not signed; give the client an access key.");
	TRY(check_region(r));
	t = attempt(r);
	TRY(find_user(r, &t, &user, &secret));
	if (r->at.virtual_host)
		prefix = arena_join(r->a, (struct str[]){STR("/"), r->at.bucket}, 2);
	verdict = sigv4_verify(&r->sig, &sr, secret, prefix, r->a, &r->err);
	auth_tried(r->g->o.auth, &t, rc_ok(verdict));
	if (!rc_ok(verdict)) {
		auth_user_unref(user);
		/* A permanent key needs none: a token that is signed is of no use, one that isn't is wrong. */
		return r->sig.token.n && !auth_is_temporary(r->sig.access_key)
			       ? err_default(&r->err, ERR_InvalidToken)
			       : verdict;
	}
	r->user = user;
	TRY(auth_not_expired(user, &r->err));
	r->authenticated = true;
	return check_empty_body(r);
}

/* lakeFS's rule (API.md 2.6): who may not list repositories isn't told which exist. */
static bool may_know(const struct s3_req *r)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = STR("fs:ListRepositories"),
				 .resource = STR("*")};
	struct auth_context ctx = {0};

	return rc_ok(auth_allows(r->user, &need, &ctx, NULL));
}

/* To others it is refused in the words that one which is there would be. */
rc s3_no_such_repo(struct s3_req *r)
{
	if (!may_know(r)) {
		rc denied = s3_authorize(r);

		return rc_is(denied, AccessDenied) ? denied : err_default(&r->err, ERR_AccessDenied);
	}
	if (str_eq(r->at.bucket, STR("api")) && str_starts(r->at.key, STR("v1")))
		return err_set(&r->err, ERR_PossibleAPIEndpoint,
			       "Repository \"api\" not found: /api/v1 is the REST API's. An S3 endpoint "
			       "is the server's address alone.");
	return err_default(&r->err, ERR_NoSuchBucket);
}

/* Who may not use a bucket isn't told which refs there are. */
static rc find_ref(struct s3_req *r, bool uniform)
{
	rc found = s3_bucket_there(r);
	struct err missing = r->err;

	if (!rc_is(found, NoSuchBucket) || may_know(r))
		return found;
	if (uniform)
		return RC_OK;
	TRY(s3_authorize(r));
	r->err = missing;
	return found;
}

rc s3_find_repo(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	/* Refused as a whole or key by key, there or not. */
	bool uniform = (r->op->flags & OP_ABSENT) || r->op->resource == RES_PER_KEY;
	rc found = repo_get(&c, r->at.repo, &r->repo);

	if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
		return uniform && !may_know(r) ? RC_OK : s3_no_such_repo(r);
	TRY(found);
	if (r->at.ref_bucket && r->op->level == LEVEL_BUCKET)
		TRY(find_ref(r, uniform));
	r->have_repo = true;
	return RC_OK;
}

static struct auth_context context(struct s3_req *r)
{
	return (struct auth_context){
		.source_ip = source(r),
		.storage_id = r->have_repo ? r->repo.storage_id : STR_NONE,
	};
}

struct str s3_repo_arn(struct s3_req *r, struct str repo)
{
	return arena_join(r->a, (struct str[]){STR("arn:lakefs:fs:::repository/"), repo}, 2);
}

struct str s3_branch_arn(struct s3_req *r, struct str repo, struct str branch)
{
	return arena_join(r->a,
			  (struct str[]){STR("arn:lakefs:fs:::repository/"), repo,
					 STR("/branch/"), branch},
			  4);
}

static struct str object_arn(struct s3_req *r, struct str repo, struct str path)
{
	return arena_join(r->a,
			  (struct str[]){STR("arn:lakefs:fs:::repository/"), repo,
					 STR("/object/"), path},
			  4);
}

static rc allows(struct s3_req *r, const struct auth_need *need)
{
	struct auth_context ctx = context(r);

	return auth_allows(r->user, need, &ctx, &r->err);
}

rc s3_allows_arn(struct s3_req *r, const char *action, struct str arn)
{
	return allows(r, &(struct auth_need){
				 .kind = NEED_PERMISSION, .action = str_c(action), .resource = arn});
}

rc s3_allows_object(struct s3_req *r, const char *action, struct str repo, struct str path)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = str_c(action),
				 .resource = object_arn(r, repo, path)};

	return allows(r, &need);
}

bool s3_allows_repo(struct s3_req *r, const char *action, struct str repo, struct str storage_id)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = str_c(action),
				 .resource = s3_repo_arn(r, repo)};
	struct auth_context ctx = context(r);

	ctx.storage_id = storage_id;
	return rc_ok(auth_allows(r->user, &need, &ctx, NULL));
}

/* If-Match finds out an ETag: who writes on that condition must be one who may read (S3 wants GetObject). */
static rc allows_condition(struct s3_req *r)
{
	if (!str_eq(str_c(r->op->action), STR("fs:WriteObject")) || !s3_header(r, "if-match").p)
		return RC_OK;
	return s3_allows_object(r, "fs:ReadObject", r->at.repo, r->at.path);
}

/* Writing here and reading there. */
static rc allows_copy(struct s3_req *r)
{
	struct s3_address from;
	rc source = s3_copy_source(r, &from);
	struct err err = r->err;

	if (!rc_ok(source)) { /* first of all, where is it to go? */
		TRY(s3_allows_object(r, "fs:WriteObject", r->at.repo, r->at.path));
		if (r->at.ref_bucket && r->have_repo)
			TRY(s3_bucket_there(r));
		r->err = err;
		return source;
	}
	return allows(r, &(struct auth_need){
				 .kind = NEED_AND,
				 .kids = (struct auth_need[]){
					 {.kind = NEED_PERMISSION,
					  .action = STR("fs:WriteObject"),
					  .resource = object_arn(r, r->at.repo, r->at.path)},
					 {.kind = NEED_PERMISSION,
					  .action = STR("fs:ReadObject"),
					  .resource = object_arn(r, from.repo, from.path)},
				 },
				 .kids_n = 2});
}

static rc may_remove(struct s3_req *r)
{
	if (r->at.ref_bucket)
		return s3_allows_arn(r, "fs:DeleteBranch", s3_branch_arn(r, r->at.repo, r->at.ref));
	return s3_allows_arn(r, "fs:DeleteRepository", s3_repo_arn(r, r->at.repo));
}

rc s3_authorize(struct s3_req *r)
{
	struct auth_need need = {.kind = NEED_PERMISSION, .action = str_c(r->op->action)};
	struct str prefix;

	switch (r->op->resource) {
	case RES_PER_KEY: /* the handler asks for each key */
		return RC_OK;
	case RES_BUCKET:
		return r->op->id == S3_DeleteBucket ? may_remove(r) : RC_OK; /* CreateBucket asks */
	case RES_SOMEWHERE: /* the entrance; the handler filters */
		if (auth_allows_somewhere(r->user, need.action))
			return RC_OK;
		return err_default(&r->err, ERR_AccessDenied);
	case RES_COPY:
		TRY(allows_condition(r));
		return allows_copy(r);
	case RES_OBJECT:
		TRY(allows_condition(r));
		need.resource = object_arn(r, r->at.repo, r->at.path);
		return allows(r, &need);
	case RES_LISTING:
		prefix = s3_query(r, "prefix");
		if (!r->at.ref_bucket && str_index(prefix, '/') == prefix.n)
			need.action = STR("fs:ListBranches");
		break;
	case RES_REPO:
		break;
	case RES_ALL:
		need.resource = STR("*");
		return allows(r, &need);
	}
	need.resource = s3_repo_arn(r, r->at.repo);
	return allows(r, &need);
}
