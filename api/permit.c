/* May they: from a row of the table, so that no handler can forget it. */
#include "api/rest.h"
#include "http/forwarded.h"

struct str api_source(struct api_req *r)
{
	return http_source(r->http, r->x->o.trusted_proxies, r->x->o.trusted_proxies_n);
}

static struct auth_context context(struct api_req *r)
{
	return (struct auth_context){
		.source_ip = api_source(r),
		.storage_id = r->have_repo ? r->repo.storage_id : STR_NONE,
	};
}

static rc asked(struct api_req *r, const struct auth_need *need)
{
	struct auth_context ctx = context(r);

	return auth_allows(r->user, need, &ctx, &r->err);
}

static rc allows(struct api_req *r, const char *action, struct str resource)
{
	struct auth_need need = {
		.kind = NEED_PERMISSION, .action = str_c(action), .resource = resource};

	return asked(r, &need);
}

static struct str repo_arn(struct api_req *r, struct str repo)
{
	return arena_join(r->a, (struct str[]){STR("arn:lakefs:fs:::repository/"), repo}, 2);
}

static struct str below_arn(struct api_req *r, const char *kind, struct str name)
{
	const struct str pieces[] = {STR("arn:lakefs:fs:::repository/"), r->repository, str_c(kind), name};

	return arena_join(r->a, pieces, 4);
}

rc api_allows_object(struct api_req *r, const char *action, struct str path)
{
	return allows(r, action, below_arn(r, "/object/", path));
}

rc api_allows_all(struct api_req *r, const char *action, const char *below)
{
	struct auth_need need = {
		.kind = NEED_BELOW, .action = str_c(action), .resource = below_arn(r, below, STR(""))};

	return asked(r, &need);
}

rc api_allows_namespace(struct api_req *r, const char *action, struct str space)
{
	return allows(r, action, arena_join(r->a, (struct str[]){STR("arn:lakefs:fs:::namespace/"), space}, 2));
}

/* Of another repository than the path's. */
static rc allows_in(struct api_req *r, const char *action, const struct repo *repo, struct str resource,
		    struct err *reterr)
{
	struct auth_need need = {
		.kind = NEED_PERMISSION, .action = str_c(action), .resource = resource};
	struct auth_context ctx = {.source_ip = api_source(r), .storage_id = repo->storage_id};

	return auth_allows(r->user, &need, &ctx, reterr);
}

bool api_allows_repo(struct api_req *r, const char *action, const struct repo *repo)
{
	return rc_ok(allows_in(r, action, repo, repo_arn(r, repo->id), NULL));
}

rc api_allows_object_of(struct api_req *r, const char *action, const struct repo *repo, struct str path)
{
	const struct str arn[] = {repo_arn(r, repo->id), STR("/object/"), path};

	return allows_in(r, action, repo, arena_join(r->a, arn, 3), &r->err);
}

static rc allowed_somewhere(struct api_req *r, const char *action)
{
	if (auth_allows_somewhere(r->user, str_c(action)))
		return RC_OK;
	return err_set(&r->err, ERR_AccessDenied, "insufficient permissions: not allowed to %s", action);
}

static struct str auth_arn(struct api_req *r, const char *kind, struct str id)
{
	return arena_join(r->a, (struct str[]){STR("arn:lakefs:auth:::"), str_c(kind), id}, 3);
}

static rc permitted(struct api_req *r, const struct api_permit *p)
{
	switch (p->on) {
	case ON_PUBLIC:
	case ON_VISITOR:
	case ON_AUTHENTICATED:
	case ON_EACH:
		return RC_OK;
	case ON_SOMEWHERE:
		return allowed_somewhere(r, p->action);
	case ON_REPO:
		return allows(r, p->action, repo_arn(r, r->repository));
	case ON_BRANCH:
		return allows(r, p->action, below_arn(r, "/branch/", r->branch));
	case ON_REF:
		return allows(r, p->action, below_arn(r, "/branch/", r->ref));
	case ON_TAG:
		return allows(r, p->action, below_arn(r, "/tag/", r->tag));
	case ON_OBJECT:
		return allows(r, p->action, below_arn(r, "/object/", r->path));
	case ON_OBJECTS:
		return api_allows_all(r, p->action, "/object/");
	case ON_NAMESPACE:
		return api_allows_namespace(r, p->action, r->space);
	case ON_ALL:
		return allows(r, p->action, STR("*"));
	case ON_USER:
		return allows(r, p->action, auth_arn(r, "user/", r->user_id));
	case ON_GROUP:
		return allows(r, p->action, auth_arn(r, "group/", r->group_id));
	case ON_POLICY:
		return allows(r, p->action, auth_arn(r, "policy/", r->policy_id));
	case ON_ACL_POLICY:
		return allows(r, p->action, auth_arn(r, "policy/ACL(_-_)", r->group_id));
	case ON_PRINCIPAL:
		return allows(r, p->action, auth_arn(r, "externalPrincipal/", r->id));
	}
	return err_default(&r->err, ERR_AccessDenied);
}

rc api_authorize(struct api_req *r)
{
	for (size_t i = 0; i < r->route->permits_n; i++)
		TRY(permitted(r, &r->route->permits[i]));
	return RC_OK;
}
