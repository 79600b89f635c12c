/* Users. Without access control there is one: lakeFS's, in a partition of its own, or the first that was made. */
#include "auth/internal.h"
#include "auth/store.h"

static struct auth_person shown(struct arena *a, struct str id, const AuthPb__UserData *u)
{
	return (struct auth_person){
		.id = id,
		.friendly_name = arena_dup(a, str_c(u->friendly_name)),
		.email = arena_dup(a, str_c(u->email)),
		.created_s = u->created_at ? u->created_at->seconds : 0,
	};
}

rc auth_load_person(struct auth_call *c, struct str name, struct str value, void *item, bool *ret_there)
{
	AuthPb__UserData *u;
	rc r = auth_store_user(c->x->kv, AUTH_PARTITION, name, c->a, &u, c->err);

	*ret_there = rc_ok(r);
	if (rc_ok(r))
		*(struct auth_person *)item = shown(c->a, name, u);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

/* lakeFS's only user, if it is there and that is its name (STR_NONE: whatever it is). */
static rc basic_user(struct auth_call *c, struct str id, struct auth_person *ret, bool *ret_there)
{
	AuthPb__UserData *u;
	rc r = auth_store_user(c->x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, c->a, &u, c->err);
	struct str name;

	*ret_there = false;
	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	name = u->username[0] ? str_c(u->username) : AUTH_BASIC_ID;
	*ret_there = !id.p || str_eq(id, name);
	*ret = shown(c->a, name, u);
	return RC_OK;
}

rc auth_user_get(struct auth_call *c, struct str id, struct auth_person *ret)
{
	bool there;

	TRY(auth_check_id(id, "User", c->err));
	TRY(auth_load_person(c, id, STR_NONE, ret, &there));
	if (!there && c->x->single)
		TRY(basic_user(c, id, ret, &there));
	return there ? RC_OK : err_set(c->err, ERR_NOT_FOUND, "user not found");
}

/* lakeFS's only user where it isn't in the listing of the others. */
static rc add_basic(struct auth_call *c, const struct auth_page *p, struct auth_rows *rows)
{
	struct auth_person u, *list = rows->v;
	bool there;

	TRY(basic_user(c, STR_NONE, &u, &there));
	for (size_t i = 0; there && i < rows->n; i++)
		there = !str_eq(list[i].id, u.id);
	if (there && str_starts(u.id, p->prefix) && (!p->after.p || str_cmp(u.id, p->after) > 0) &&
	    rows->n < p->amount)
		list[rows->n++] = u;
	return RC_OK;
}

rc auth_users_list(struct auth_call *c, const struct auth_page *p, struct auth_person **ret, size_t *ret_n,
		   bool *ret_more)
{
	struct auth_rows rows;

	TRY(auth_rows_list(c, STR("users/"), p, sizeof(**ret), auth_load_person, &rows));
	if (c->x->single)
		TRY(add_basic(c, p, &rows));
	*ret = rows.v;
	*ret_n = rows.n;
	*ret_more = rows.more;
	return RC_OK;
}

rc auth_sweep_user(struct auth *x, struct str id, struct arena *a, struct err *reterr)
{
	struct str ending = arena_join(a, (struct str[]){STR("/users/"), id}, 2);

	TRY(auth_sweep(x, auth_key_credential(a, id, STR("")), STR(""), reterr));
	TRY(auth_sweep(x, auth_key_link(a, "uPolicies", id, "policies", STR("")), STR(""), reterr));
	return auth_sweep(x, STR("gUsers/"), ending, reterr);
}

/* Without access control, one is enough. */
static rc check_room(struct auth_call *c)
{
	struct auth_person *list;
	size_t n;
	bool more;

	if (!c->x->single)
		return RC_OK;
	TRY(auth_users_list(c, &(struct auth_page){.prefix = STR(""), .amount = 1}, &list, &n, &more));
	return n ? err_set(c->err, ERR_EXISTS, "Already exists") : RC_OK;
}

static rc create(struct auth_call *c, struct str id, struct auth_person *ret)
{
	AuthPb__UserData u = AUTH_PB__USER_DATA__INIT;
	AuthPb__Timestamp created = auth_now();
	bool there;
	rc r;

	TRY(auth_load_person(c, id, STR_NONE, ret, &there));
	if (there)
		return err_set(c->err, ERR_EXISTS, "Already exists");
	TRY(check_room(c));
	TRY(auth_sweep_user(c->x, id, c->a, c->err));
	u.created_at = &created;
	u.username = arena_cstr(c->a, id);
	u.source = "internal";
	r = auth_store_put(c->x->kv, auth_key_user(c->a, id), &u.base, true, c->err);
	if (rc_is(r, PREDICATE))
		return err_set(c->err, ERR_EXISTS, "Already exists");
	TRY(r);
	*ret = shown(c->a, id, &u);
	auth_audit(c, "user created", "user", id, NULL, STR_NONE);
	return RC_OK;
}

rc auth_user_create(struct auth_call *c, struct str id, struct auth_person *ret)
{
	rc r;

	TRY(auth_check_id(id, "User", c->err));
	pthread_mutex_lock(&c->x->changing);
	r = create(c, id, ret);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

/* What was taken over from lakeFS must not come back at the next start, so it goes first. */
static rc forget_basic(struct auth_call *c, struct str id)
{
	struct auth_person u;
	bool there;

	TRY(basic_user(c, id, &u, &there));
	return there ? kv_delete(c->x->kv, AUTH_BASIC_PARTITION, auth_key_user(c->a, AUTH_BASIC_ID), c->err)
		     : RC_OK;
}

static rc delete(struct auth_call *c, struct str id)
{
	struct auth_person u;
	rc r = auth_user_get(c, id, &u);

	if (!rc_ok(r) && !rc_is(r, NOT_FOUND))
		return r;
	if (rc_ok(r) && c->x->single)
		return err_set(c->err, ERR_INVALID,
			       "without access control (auth.ui_config.rbac: none) the only user can't be deleted: "
			       "nobody could come in any more");
	if (rc_ok(r)) {
		TRY(forget_basic(c, id));
		TRY(kv_delete(c->x->kv, AUTH_PARTITION, auth_key_user(c->a, id), c->err));
		auth_audit(c, "user deleted", "user", id, NULL, STR_NONE);
	}
	/* Also what an earlier try left. */
	TRY(auth_sweep_user(c->x, id, c->a, c->err));
	return rc_ok(r) ? r : err_set(c->err, ERR_NOT_FOUND, "user not found");
}

rc auth_user_delete(struct auth_call *c, struct str id)
{
	rc r;

	TRY(auth_check_id(id, "User", c->err));
	pthread_mutex_lock(&c->x->changing);
	r = delete(c, id);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}
