#include "auth/auth.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "auth/internal.h"
#include "auth/secret.h"
#include "auth/store.h"
#include "auth/user.h"
#include "base/work.h"

enum { UNKNOWN_MAX = 4096, UNKNOWN_MS = 5000 };

static struct str own(struct str s)
{
	char *p = malloc(s.n + 1);

	if (!p)
		abort();
	if (s.n)
		memcpy(p, s.p, s.n);
	return str_make(p, s.n);
}

struct auth *auth_new(const struct auth_options *o)
{
	struct auth_cache_options cache = {
		.max = o->cache_size,
		.unknown_max = UNKNOWN_MAX,
		.ttl_ms = o->cache_size ? o->cache_ms : 0,
		.jitter_ms = o->cache_jitter_ms,
		.unknown_ttl_ms = o->cache_ms < UNKNOWN_MS ? o->cache_ms : UNKNOWN_MS,
	};
	struct auth *x = calloc(1, sizeof(*x));

	if (!x || sodium_init() < 0)
		abort();
	x->kv = o->kv;
	x->single = o->single;
	x->login_ms = o->login_ms;
	pthread_mutex_init(&x->changing, NULL);
	x->encrypt_secret = own(o->encrypt_secret);
	auth_session_keys_of(x->encrypt_secret, &x->session_keys);
	x->session_max_s = o->session_max_ms / 1000;
	x->cache = auth_cache_new(&cache);
	x->owners = auth_owners_new(o->kv);
	x->guard = auth_guard_new(o->failures, o->recovery_ms);
	for (size_t i = 0; i < AUTH_LOADS; i++)
		pthread_mutex_init(&x->loading[i], NULL);
	return x;
}

void auth_free(struct auth *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < AUTH_LOADS; i++)
		pthread_mutex_destroy(&x->loading[i]);
	pthread_mutex_destroy(&x->changing);
	auth_guard_free(x->guard);
	auth_owners_free(x->owners);
	auth_cache_free(x->cache);
	sodium_memzero((char *)x->encrypt_secret.p, x->encrypt_secret.n);
	free((char *)x->encrypt_secret.p);
	sodium_memzero(&x->session_keys, sizeof(x->session_keys));
	free(x);
}

/* Owners first: what is looked up after the cache was cleared must not find the old hints fresh. */
void auth_changed(struct auth *x)
{
	auth_owners_expire(x->owners);
	auth_cache_clear(x->cache);
}

static rc unknown_key(struct err *reterr)
{
	return err_default(reterr, ERR_InvalidAccessKeyId);
}

static rc not_found_is_unknown(rc r, struct err *reterr)
{
	return rc_is(r, NOT_FOUND) ? unknown_key(reterr) : r;
}

static struct str bytes(ProtobufCBinaryData b)
{
	return str_make(b.data, b.len);
}

/* NOT_FOUND: the hint is old. */
static rc try_owner(struct auth *x, struct str user, struct str access_key, struct arena *a,
		    AuthPb__CredentialData **ret, struct err *reterr)
{
	return auth_store_credential(x->kv, AUTH_PARTITION, user, access_key, a, ret, reterr);
}

rc auth_owner_of(struct auth *x, struct str access_key, struct arena *a, struct str *ret_user,
		 AuthPb__CredentialData **ret, struct err *reterr)
{
	int64_t since_us = mono_us();
	rc r = RC(NOT_FOUND);

	if (auth_owners_find(x->owners, access_key, a, ret_user))
		r = try_owner(x, *ret_user, access_key, a, ret, reterr);
	if (!rc_is(r, NOT_FOUND))
		return r;
	TRY(auth_owners_refresh(x->owners, since_us, reterr));
	if (auth_owners_find(x->owners, access_key, a, ret_user))
		r = try_owner(x, *ret_user, access_key, a, ret, reterr);
	return not_found_is_unknown(r, reterr);
}

static rc load_basic_user(struct auth *x, struct arena *a, struct auth_user **ret, struct err *reterr)
{
	AuthPb__UserData *u;

	TRY(auth_store_user(x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, a, &u, reterr));
	*ret = auth_user_administrator(u->username[0] ? str_c(u->username) : AUTH_BASIC_ID);
	auth_user_created(*ret, u);
	return RC_OK;
}

/* lakeFS's single user, under the name in its record. */
static rc load_basic(struct auth *x, struct str access_key, struct arena *a,
		     struct auth_user **ret_user, AuthPb__CredentialData **ret, struct err *reterr)
{
	TRY(auth_store_credential(x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, access_key, a, ret,
				  reterr));
	return load_basic_user(x, a, ret_user, reterr);
}

static rc load_user(struct auth *x, struct str name, struct arena *a, struct auth_user **ret,
		    struct err *reterr)
{
	AuthPb__UserData *u;

	if (!x->single)
		return auth_store_load_user(x->kv, name, ret, reterr);
	TRY(auth_store_user(x->kv, AUTH_PARTITION, name, a, &u, reterr));
	*ret = auth_user_administrator(name);
	auth_user_created(*ret, u);
	return RC_OK;
}

static rc load_owner(struct auth *x, struct str access_key, struct arena *a,
		     struct auth_user **ret_user, AuthPb__CredentialData **ret, struct err *reterr)
{
	struct str name;
	rc r = RC(NOT_FOUND);

	if (x->single)
		r = load_basic(x, access_key, a, ret_user, ret, reterr);
	if (!rc_is(r, NOT_FOUND))
		return r;
	TRY(auth_owner_of(x, access_key, a, &name, ret, reterr));
	/* Credentials may outlive their user. */
	return not_found_is_unknown(load_user(x, name, a, ret_user, reterr), reterr);
}

static rc load(struct auth *x, struct str access_key, struct arena *a,
	       struct auth_user **ret_user, struct str *ret_secret, struct err *reterr)
{
	uint64_t epoch = auth_cache_epoch(x->cache);
	AuthPb__CredentialData *k;
	struct auth_user *u = NULL;
	rc r;

	r = load_owner(x, access_key, a, &u, &k, reterr);
	if (rc_is(r, InvalidAccessKeyId))
		auth_cache_put_unknown(x->cache, epoch, access_key);
	TRY(r);
	r = auth_secret_open(x->encrypt_secret, bytes(k->secret_access_key_encrypted_bytes), a, ret_secret,
			     reterr);
	if (!rc_ok(r)) {
		auth_user_unref(u);
		return err_wrap(r, reterr, "access key " STR_FMT, STR_ARG(access_key));
	}
	u->access_key = arena_dup(u->arena, access_key);
	u->expires_s = k->expires_at;
	auth_cache_put(x->cache, epoch, access_key, u, *ret_secret);
	*ret_user = u;
	return RC_OK;
}

/* True: *ret_rc is the answer. */
static bool from_cache(struct auth *x, struct str access_key, struct arena *a,
		       struct auth_user **ret_user, struct str *ret_secret, rc *ret_rc,
		       struct err *reterr)
{
	switch (auth_cache_find(x->cache, access_key, a, ret_user, ret_secret)) {
	case AUTH_CACHE_KNOWN:
		*ret_rc = RC_OK;
		return true;
	case AUTH_CACHE_UNKNOWN:
		*ret_rc = unknown_key(reterr);
		return true;
	case AUTH_CACHE_MISS:
		break;
	}
	return false;
}

static pthread_mutex_t *loading(struct auth *x, struct str access_key)
{
	unsigned h = 0;

	for (size_t i = 0; i < access_key.n; i++)
		h = h * 31 + (uint8_t)access_key.p[i];
	return &x->loading[h % AUTH_LOADS];
}

rc auth_find_key(struct auth *x, enum kv_wait wait, struct str access_key, struct arena *a,
		 struct auth_user **ret_user, struct str *ret_secret, struct err *reterr)
{
	pthread_mutex_t *mutex;
	rc r;

	if (!access_key.n || access_key.n > AUTH_MAX_ACCESS_KEY ||
	    memchr(access_key.p, '/', access_key.n))
		return unknown_key(reterr);
	if (from_cache(x, access_key, a, ret_user, ret_secret, &r, reterr))
		return r;
	if (wait == KV_NOWAIT)
		return err_default(reterr, ERR_WOULD_BLOCK);
	assert(!on_loop());
	mutex = loading(x, access_key);
	pthread_mutex_lock(mutex);
	if (!from_cache(x, access_key, a, ret_user, ret_secret, &r, reterr))
		r = load(x, access_key, a, ret_user, ret_secret, reterr);
	pthread_mutex_unlock(mutex);
	return r;
}

/* Users in the cache, by a name that no access key has. */
static struct str cache_name(struct arena *a, struct str user)
{
	return arena_join(a, (struct str[]){STR("/"), user}, 2);
}

static rc load_named(struct auth *x, struct str name, struct arena *a, struct auth_user **ret,
		     struct err *reterr)
{
	uint64_t epoch = auth_cache_epoch(x->cache);
	struct auth_user *basic = NULL;
	rc r = load_user(x, name, a, ret, reterr);

	if (rc_is(r, NOT_FOUND) && x->single) {
		r = load_basic_user(x, a, &basic, reterr);
		if (rc_ok(r) && !str_eq(basic->name, name)) {
			auth_user_unref(basic);
			return RC(NOT_FOUND);
		}
		*ret = basic;
	}
	if (rc_is(r, NOT_FOUND))
		auth_cache_put_unknown(x->cache, epoch, cache_name(a, name));
	TRY(r);
	auth_cache_put(x->cache, epoch, cache_name(a, name), *ret, STR(""));
	return RC_OK;
}

rc auth_find_user(struct auth *x, enum kv_wait wait, struct str name, struct arena *a,
		  struct auth_user **ret_user, struct err *reterr)
{
	struct str key = cache_name(a, name), none;
	pthread_mutex_t *mutex;
	rc r;

	if (from_cache(x, key, a, ret_user, &none, &r, reterr))
		return r;
	if (wait == KV_NOWAIT)
		return err_default(reterr, ERR_WOULD_BLOCK);
	assert(!on_loop());
	mutex = loading(x, key);
	pthread_mutex_lock(mutex);
	if (!from_cache(x, key, a, ret_user, &none, &r, reterr))
		r = load_named(x, name, a, ret_user, reterr);
	pthread_mutex_unlock(mutex);
	return not_found_is_unknown(r, reterr);
}
