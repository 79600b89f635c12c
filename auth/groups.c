/* Groups and who is in them. */
#include "auth/internal.h"
#include "auth/store.h"

static struct auth_group shown(struct arena *a, struct str id, const AuthPb__GroupData *g)
{
	return (struct auth_group){
		.id = id,
		.description = arena_dup(a, str_c(g->description)),
		.created_s = g->created_at ? g->created_at->seconds : 0,
	};
}

rc auth_load_group(struct auth_call *c, struct str name, struct str value, void *item, bool *ret_there)
{
	AuthPb__GroupData *g;
	rc r = auth_store_group(c->x->kv, name, c->a, &g, c->err);

	*ret_there = rc_ok(r);
	if (rc_ok(r))
		*(struct auth_group *)item = shown(c->a, name, g);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

rc auth_group_get(struct auth_call *c, struct str id, struct auth_group *ret)
{
	bool there;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Group", c->err));
	TRY(auth_load_group(c, id, STR_NONE, ret, &there));
	return there ? RC_OK : err_set(c->err, ERR_NOT_FOUND, "group not found");
}

static rc sweep_group(struct auth_call *c, struct str id)
{
	TRY(auth_sweep(c->x, auth_key_link(c->a, "gUsers", id, "users", STR("")), STR(""), c->err));
	return auth_sweep(c->x, auth_key_link(c->a, "gPolicies", id, "policies", STR("")), STR(""), c->err);
}

static rc create(struct auth_call *c, struct str id, struct str description, struct auth_group *ret)
{
	AuthPb__GroupData g = AUTH_PB__GROUP_DATA__INIT, *there;
	AuthPb__Timestamp created = auth_now();
	rc r = auth_store_group(c->x->kv, id, c->a, &there, c->err);

	if (rc_ok(r))
		return err_set(c->err, ERR_EXISTS, "Already exists");
	if (!rc_is(r, NOT_FOUND))
		return r;
	TRY(sweep_group(c, id));
	g.created_at = &created;
	g.display_name = arena_cstr(c->a, id);
	g.description = arena_cstr(c->a, description);
	r = auth_store_put(c->x->kv, auth_key_group(c->a, id), &g.base, true, c->err);
	if (rc_is(r, PREDICATE))
		return err_set(c->err, ERR_EXISTS, "Already exists");
	TRY(r);
	*ret = shown(c->a, id, &g);
	auth_audit(c, "group created", "group", id, NULL, STR_NONE);
	return RC_OK;
}

rc auth_group_create(struct auth_call *c, struct str id, struct str description, struct auth_group *ret)
{
	rc r;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Group", c->err));
	if (description.n > AUTH_MAX_DESCRIPTION || memchr(description.p ? description.p : "", 0, description.n))
		return err_set(c->err, ERR_INVALID, "a description has at most %d bytes, and no NUL",
			       AUTH_MAX_DESCRIPTION);
	pthread_mutex_lock(&c->x->changing);
	r = create(c, id, description, ret);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

static rc delete(struct auth_call *c, struct str id)
{
	struct auth_group there;
	rc r = auth_group_get(c, id, &there);

	if (!rc_ok(r) && !rc_is(r, NOT_FOUND))
		return r;
	if (rc_ok(r))
		TRY(kv_delete(c->x->kv, AUTH_PARTITION, auth_key_group(c->a, id), c->err));
	if (rc_ok(r))
		auth_audit(c, "group deleted", "group", id, NULL, STR_NONE);
	/* Also what an earlier try left. */
	TRY(sweep_group(c, id));
	return r;
}

rc auth_group_delete(struct auth_call *c, struct str id)
{
	rc r;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Group", c->err));
	pthread_mutex_lock(&c->x->changing);
	r = delete(c, id);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

rc auth_groups_list(struct auth_call *c, const struct auth_page *p, struct auth_group **ret, size_t *ret_n,
		    bool *ret_more)
{
	struct auth_rows rows;

	TRY(auth_no_rbac(c));
	TRY(auth_rows_list(c, STR("groups/"), p, sizeof(**ret), auth_load_group, &rows));
	*ret = rows.v;
	*ret_n = rows.n;
	*ret_more = rows.more;
	return RC_OK;
}

static rc both_there(struct auth_call *c, struct str group, struct str user)
{
	struct auth_group g;
	struct auth_person u;

	TRY(auth_group_get(c, group, &g));
	return auth_user_get(c, user, &u);
}

rc auth_member_add(struct auth_call *c, struct str group, struct str user)
{
	rc r;

	TRY(auth_no_rbac(c));
	pthread_mutex_lock(&c->x->changing);
	r = both_there(c, group, user);
	if (rc_ok(r))
		r = auth_store_put_index(c->x->kv, auth_key_link(c->a, "gUsers", group, "users", user),
					 auth_key_user(c->a, user), c->err);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	if (rc_ok(r))
		auth_audit(c, "group member added", "group", group, "user", user);
	return r;
}

rc auth_member_remove(struct auth_call *c, struct str group, struct str user)
{
	rc r;

	TRY(auth_no_rbac(c));
	pthread_mutex_lock(&c->x->changing);
	r = both_there(c, group, user);
	if (rc_ok(r))
		r = kv_delete(c->x->kv, AUTH_PARTITION, auth_key_link(c->a, "gUsers", group, "users", user),
			      c->err);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	if (rc_ok(r))
		auth_audit(c, "group member removed", "group", group, "user", user);
	return r;
}

rc auth_members_list(struct auth_call *c, struct str group, const struct auth_page *p,
		     struct auth_person **ret, size_t *ret_n, bool *ret_more)
{
	struct auth_group g;
	struct auth_rows rows;

	TRY(auth_group_get(c, group, &g));
	TRY(auth_rows_list(c, auth_key_link(c->a, "gUsers", group, "users", STR("")), p, sizeof(**ret),
			   auth_load_person, &rows));
	*ret = rows.v;
	*ret_n = rows.n;
	*ret_more = rows.more;
	return RC_OK;
}

rc auth_groups_of_user(struct auth_call *c, struct str user, const struct auth_page *p,
		       struct auth_group **ret, size_t *ret_n, bool *ret_more)
{
	struct auth_person u;
	struct auth_rows rows;
	struct str *names;
	size_t n;

	TRY(auth_no_rbac(c));
	TRY(auth_user_get(c, user, &u));
	TRY(auth_store_groups_of(c->x->kv, user, c->a, &names, &n, c->err));
	TRY(auth_rows_of(c, names, n, p, sizeof(**ret), auth_load_group, &rows));
	*ret = rows.v;
	*ret_n = rows.n;
	*ret_more = rows.more;
	return RC_OK;
}
