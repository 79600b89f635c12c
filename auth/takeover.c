/* lakeFS's single user becomes an administrator like others. */
#include "auth/auth.h"

#include "auth/builtin.h"
#include "auth/internal.h"
#include "auth/store.h"
#include "base/log.h"

static struct str name_of(const AuthPb__UserData *u)
{
	return u->username[0] ? str_c(u->username) : AUTH_BASIC_ID;
}

/* Sealed as they are. Those that were deleted since are gone in lakeFS's partition, too. */
static rc copy_credentials(struct auth *x, struct str user, struct arena *a, size_t *ret_n,
			   struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str prefix = auth_key_credential(a, AUTH_BASIC_ID, STR(""));
	struct kv_entry e;
	bool end;

	*ret_n = 0;
	TRY(kv_scan(x->kv, AUTH_BASIC_PARTITION, prefix, 0, &it, reterr));
	for (;;) {
		rc r;

		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, prefix))
			return RC_OK;
		r = kv_set_if(x->kv, AUTH_PARTITION,
			      auth_key_credential(a, user, str_skip(e.key, prefix.n)), e.value, KV_IF_ABSENT,
			      STR_NONE, reterr);
		if (!rc_is(r, PREDICATE))
			TRY(r);
		*ret_n += rc_ok(r);
	}
}

/* The user last: until it is there, this begins anew at each start. */
static rc make(struct auth *x, const AuthPb__UserData *u, struct arena *a, bool *ret_new, struct err *reterr)
{
	struct str name = name_of(u), key = auth_key_user(a, name);
	AuthPb__UserData *there;
	rc r = auth_store_user(x->kv, AUTH_PARTITION, name, a, &there, reterr);
	size_t n;

	if (!rc_is(r, NOT_FOUND)) {
		*ret_new = false;
		TRY(r);
		TRY(copy_credentials(x, name, a, &n, reterr));
		*ret_new = n > 0;
		return RC_OK;
	}
	TRY(auth_builtin_make(x->kv, reterr));
	TRY(auth_sweep_user(x, name, a, reterr));
	TRY(copy_credentials(x, name, a, &n, reterr));
	TRY(auth_store_put_index(x->kv, auth_key_link(a, "gUsers", AUTH_ADMINS, "users", name), key, reterr));
	r = auth_store_put(x->kv, key, &u->base, true, reterr);
	*ret_new = rc_ok(r);
	return rc_is(r, PREDICATE) ? RC_OK : r;
}

static rc take_over(struct auth *x, struct arena *a, struct err *reterr)
{
	AuthPb__UserData *u;
	bool made;
	rc r = auth_store_user(x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, a, &u, reterr);

	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	TRY(make(x, u, a, &made, reterr));
	if (made)
		log_event(LOG_INFO, "audit", "lakeFS's user taken over as an administrator",
			  F_STR("user", name_of(u)));
	return RC_OK;
}

rc auth_take_over(struct auth *x, struct err *reterr)
{
	struct arena *a;
	rc r;

	if (x->single)
		return RC_OK;
	a = arena_new();
	pthread_mutex_lock(&x->changing);
	r = take_over(x, a, reterr);
	pthread_mutex_unlock(&x->changing);
	arena_free(a);
	auth_changed(x);
	return rc_ok(r) ? r : err_wrap(r, reterr, "lakeFS's user could not be taken over");
}
