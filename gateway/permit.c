/* Who is it, and may they: from a row of the table, so that no handler can forget it. */
#include <assert.h>

#include "base/clock.h"
#include "base/encode.h"
#include "gateway/s3.h"

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

rc s3_authenticate(struct s3_req *r)
{
	struct sigv4_request sr = signed_request(r);
	struct auth_user *user;
	struct str secret, prefix = STR("");
	rc verdict;

	TRY(sigv4_parse(&sr, wall_now().s, r->a, &r->sig, &r->err));
	if (r->sig.form == SIGV4_NONE)
		return err_set(&r->err, ERR_AccessDenied,
			       "Access Denied: the request is not signed; give the client an access key.");
	TRY(auth_find_key(r->g->o.auth, r->wait, r->sig.access_key, r->a, &user, &secret, &r->err));
	if (r->at.virtual_host)
		prefix = arena_join(r->a, (struct str[]){STR("/"), r->at.bucket}, 2);
	verdict = sigv4_verify(&r->sig, &sr, secret, prefix, r->a, &r->err);
	if (!rc_ok(verdict)) {
		auth_user_unref(user);
		return verdict;
	}
	r->user = user;
	r->authenticated = true;
	return RC_OK;
}

/* lakeFS's rule (API.md 2.6): who may not list repositories isn't told which exist. */
static rc no_such_bucket(struct s3_req *r)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = STR("fs:ListRepositories"),
				 .resource = STR("*")};
	struct auth_context ctx = {0};

	if (!rc_ok(auth_allows(r->user, &need, &ctx, NULL)))
		return err_default(&r->err, ERR_AccessDenied);
	return err_default(&r->err, ERR_NoSuchBucket);
}

rc s3_find_repo(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	rc found = repo_get(&c, r->at.repo, &r->repo);

	if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
		return no_such_bucket(r);
	r->have_repo = rc_ok(found);
	return found;
}

static bool is_trusted(struct s3_req *r, struct str peer)
{
	for (size_t i = 0; i < r->g->o.trusted_proxies_n; i++)
		if (str_eq(r->g->o.trusted_proxies[i], peer))
			return true;
	return false;
}

/* The nearest address that is not a trusted proxy's: only what a trusted one wrote counts. */
static struct str source_ip(struct s3_req *r)
{
	struct str peer = http_req_peer(r->http), list = s3_header(r, "x-forwarded-for");

	while (list.n && is_trusted(r, peer)) {
		size_t comma = list.n;

		while (comma > 0 && list.p[comma - 1] != ',')
			comma--;
		peer = str_trim(str_skip(list, comma));
		list = str_head(list, comma ? comma - 1 : 0);
	}
	return peer;
}

static struct auth_context context(struct s3_req *r)
{
	return (struct auth_context){
		.source_ip = source_ip(r),
		.storage_id = r->have_repo ? r->repo.storage_id : STR_NONE,
	};
}

static struct str repo_arn(struct s3_req *r, struct str repo)
{
	return arena_join(r->a, (struct str[]){STR("arn:lakefs:fs:::repository/"), repo}, 2);
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

rc s3_allows_object(struct s3_req *r, const char *action, struct str repo, struct str path)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = str_c(action),
				 .resource = object_arn(r, repo, path)};

	return allows(r, &need);
}

bool s3_allows_repo(struct s3_req *r, const char *action, struct str repo)
{
	struct auth_need need = {.kind = NEED_PERMISSION,
				 .action = str_c(action),
				 .resource = repo_arn(r, repo)};
	struct auth_context ctx = context(r);

	return rc_ok(auth_allows(r->user, &need, &ctx, NULL));
}

/* Writing here and reading there. A source that can't be parsed is the handler's error to tell. */
static rc allows_copy(struct s3_req *r)
{
	struct s3_address from = {0};
	struct str source = s3_header(r, "x-amz-copy-source"), key;

	if (!uri_decode(r->a, source, true, &source))
		return err_set(&r->err, ERR_InvalidArgument,
			       "x-amz-copy-source has a malformed percent-encoding.");
	if (source.n && source.p[0] == '/')
		source = str_skip(source, 1);
	source = str_cut(source, '/', &key);
	TRY(s3_split_address(source, key, &from));
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

rc s3_authorize(struct s3_req *r)
{
	struct auth_need need = {.kind = NEED_PERMISSION, .action = str_c(r->op->action)};
	struct str prefix;

	switch (r->op->resource) {
	case RES_PER_KEY: /* the handler asks for each key */
		return RC_OK;
	case RES_SOMEWHERE: /* the entrance; the handler filters */
		if (auth_allows_somewhere(r->user, need.action))
			return RC_OK;
		return err_default(&r->err, ERR_AccessDenied);
	case RES_COPY:
		return allows_copy(r);
	case RES_OBJECT:
		need.resource = object_arn(r, r->at.repo, r->at.path);
		return allows(r, &need);
	case RES_LISTING:
		prefix = s3_query(r, "prefix");
		if (str_index(prefix, '/') == prefix.n)
			need.action = STR("fs:ListBranches");
		break;
	case RES_REPO:
		break;
	case RES_ALL:
		need.resource = STR("*");
		return allows(r, &need);
	}
	need.resource = repo_arn(r, r->at.repo);
	return allows(r, &need);
}
