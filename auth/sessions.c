/* Making temporary credentials, and whose they are. */
#include "auth/internal.h"
#include "auth/statements.h"
#include "auth/store.h"
#include "auth/user.h"

static rc check_user(const struct auth_user *u, struct err *reterr)
{
	if (u->temporary)
		return err_set(reterr, ERR_AccessDenied, "temporary credentials can't make others");
	if (!u->access_key.n)
		return err_set(reterr, ERR_AccessDenied,
			       "temporary credentials are made with an access key, and end with it: a login isn't "
			       "one");
	return RC_OK;
}

int64_t auth_session_max_s(const struct auth *x)
{
	int64_t max = x->session_max_s;

	return max >= AUTH_SESSION_MIN_S && max < AUTH_SESSION_MAX_S ? max : AUTH_SESSION_MAX_S;
}

static rc check_seconds(const struct auth *x, int64_t seconds, struct err *reterr)
{
	if (seconds >= AUTH_SESSION_MIN_S && seconds <= auth_session_max_s(x))
		return RC_OK;
	return err_set(reterr, ERR_INVALID,
		       "the duration of temporary credentials is %d to %lld seconds (auth.sts.max_duration)",
		       AUTH_SESSION_MIN_S, (long long)auth_session_max_s(x));
}

static rc set_scope(struct auth_call *c, const struct auth_document *scope, AuthPb__SessionData *d)
{
	size_t n;

	if (!scope)
		return RC_OK;
	TRY(auth_document_check(scope, c->err));
	d->scope = auth_policy_record(c->a, STR(""), scope);
	d->scope->created_at = NULL;
	n = auth_pb__policy_data__get_packed_size(d->scope);
	if (n > AUTH_SESSION_POLICY_MAX)
		return err_set(c->err, ERR_EntityTooLarge,
			       "the session's policy has %zu bytes as it is packed into the token, and may have %d",
			       n, AUTH_SESSION_POLICY_MAX);
	return RC_OK;
}

rc auth_session_make(struct auth_call *c, const struct auth_user *u, int64_t seconds,
		     const struct auth_document *scope, struct auth_session *ret)
{
	AuthPb__SessionData d = AUTH_PB__SESSION_DATA__INIT;
	AuthPb__Timestamp created = AUTH_PB__TIMESTAMP__INIT;

	TRY(check_user(u, c->err));
	TRY(check_seconds(c->x, seconds, c->err));
	TRY(set_scope(c, scope, &d));
	d.user = arena_cstr(c->a, u->name);
	d.access_key_id = arena_cstr(c->a, u->access_key);
	d.issued_at = wall_now().s;
	d.expires_at = d.issued_at + seconds;
	if (u->expires_s && u->expires_s < d.expires_at)
		d.expires_at = u->expires_s;
	created.seconds = u->created_s;
	created.nanos = u->created_ns;
	d.user_created_at = &created;
	ret->access_key = auth_session_access_key(c->a);
	ret->token = auth_session_seal(&c->x->session_keys, ret->access_key, &d, c->a);
	ret->secret = auth_session_secret(&c->x->session_keys, ret->token, c->a);
	ret->expires_s = d.expires_at;
	auth_audit(c, scope ? "scoped session created" : "session created", "access_key_id", u->access_key,
		   "temporary_access_key_id", ret->access_key);
	return RC_OK;
}

static bool is_same_user(const struct auth_user *u, const AuthPb__SessionData *d)
{
	const AuthPb__Timestamp *t = d->user_created_at;

	return str_eq(u->name, str_c(d->user)) && u->created_s == (t ? t->seconds : 0) &&
	       u->created_ns == (t ? t->nanos : 0);
}

static rc session_of(struct auth_user *base, const AuthPb__SessionData *d, struct arena *a,
		     struct auth_user **ret, struct err *reterr)
{
	struct auth_statements scope = {.max = AUTH_MAX_STATEMENTS, .a = a};

	if (d->scope)
		TRY(auth_statements_add(&scope, d->scope, reterr));
	*ret = auth_user_session(base, d->scope ? &scope : NULL);
	return RC_OK;
}

rc auth_find_session(struct auth *x, enum kv_wait wait, struct str access_key, struct str token, struct arena *a,
		     struct auth_user **ret_user, struct str *ret_secret, struct err *reterr)
{
	AuthPb__SessionData *d;
	struct auth_user *base;
	struct str unused;
	rc r;

	TRY(auth_session_open(&x->session_keys, access_key, token, wall_now().s, a, &d, reterr));
	TRY(auth_find_key(x, wait, str_c(d->access_key_id), a, &base, &unused, reterr));
	r = is_same_user(base, d) ? session_of(base, d, a, ret_user, reterr)
				  : err_default(reterr, ERR_InvalidAccessKeyId);
	auth_user_unref(base);
	TRY(r);
	(*ret_user)->access_key = arena_dup((*ret_user)->arena, access_key);
	(*ret_user)->expires_s = d->expires_at;
	*ret_secret = auth_session_secret(&x->session_keys, token, a);
	return RC_OK;
}
