/* Access keys of users. */
#include <limits.h>

#include "auth/internal.h"
#include "auth/secret.h"
#include "auth/store.h"
#include "auth/user.h"

static struct auth_credential shown(struct arena *a, struct str access_key, const AuthPb__CredentialData *k)
{
	return (struct auth_credential){
		.access_key = access_key,
		.name = arena_dup(a, str_c(k->name)),
		.created_s = k->issued_date ? k->issued_date->seconds : 0,
		.expires_s = k->expires_at,
	};
}

static rc load_credential(struct auth_call *c, struct str name, struct str value, void *item, bool *ret_there)
{
	AuthPb__CredentialData *k;

	TRY(auth_store_unpack(&auth_pb__credential_data__descriptor, name, value, c->a, (void **)&k, c->err));
	*(struct auth_credential *)item = shown(c->a, name, k);
	*ret_there = true;
	return RC_OK;
}

static struct str key_prefix(struct auth_call *c, struct str user)
{
	return auth_key_credential(c->a, user, STR(""));
}

rc auth_credentials_list(struct auth_call *c, struct str user, const struct auth_page *p,
			 struct auth_credential **ret, size_t *ret_n, bool *ret_more)
{
	struct auth_person u;
	struct auth_rows rows;

	TRY(auth_no_rbac(c));
	TRY(auth_user_get(c, user, &u));
	TRY(auth_rows_list(c, key_prefix(c, user), p, sizeof(**ret), load_credential, &rows));
	*ret = rows.v;
	*ret_n = rows.n;
	*ret_more = rows.more;
	return RC_OK;
}

static rc get(struct auth_call *c, struct str user, struct str access_key, AuthPb__CredentialData **ret)
{
	struct auth_person u;
	rc r = auth_store_credential(c->x->kv, AUTH_PARTITION, user, access_key, c->a, ret, c->err);

	if (rc_is(r, NOT_FOUND) && c->x->single && rc_ok(auth_user_get(c, user, &u)))
		r = auth_store_credential(c->x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, access_key, c->a, ret,
					  c->err);
	return r;
}

rc auth_credential_get(struct auth_call *c, struct str user, struct str access_key,
		       struct auth_credential *ret)
{
	AuthPb__CredentialData *k;
	struct auth_person u;
	rc r;

	TRY(auth_check_id(user, "User", c->err));
	TRY(auth_check_id(access_key, "Credentials", c->err));
	r = auth_user_get(c, user, &u);
	if (rc_ok(r))
		r = get(c, user, access_key, &k);
	if (rc_is(r, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "credentials not found");
	TRY(r);
	*ret = shown(c->a, access_key, k);
	return RC_OK;
}

static rc count_in(struct auth_call *c, struct str partition, struct str user, size_t *n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(kv_scan(c->x->kv, partition, key_prefix(c, user), AUTH_MAX_USER_KEYS, &it, c->err));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, key_prefix(c, user)))
			return RC_OK;
		++*n;
	}
}

/* Without access control a user has one pair, and lakeFS's words for it. */
static rc check_room(struct auth_call *c, struct str user)
{
	size_t n = 0;

	TRY(count_in(c, AUTH_PARTITION, user, &n));
	if (c->x->single) {
		TRY(count_in(c, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, &n));
		return n ? err_set(c->err, ERR_INVALID, "exceeded number of allowed credentials: invalid request")
			 : RC_OK;
	}
	if (n >= AUTH_MAX_USER_KEYS)
		return err_set(c->err, ERR_INVALID,
			       "exceeded number of allowed credentials: a user has %d at most; delete those that are "
			       "not in use",
			       AUTH_MAX_USER_KEYS);
	return RC_OK;
}

static rc put(struct auth_call *c, struct str user, const struct auth_credential *k, struct str secret)
{
	AuthPb__CredentialData record = AUTH_PB__CREDENTIAL_DATA__INIT;
	struct str sealed = auth_secret_seal(c->x->encrypt_secret, secret, c->a);
	AuthPb__Timestamp issued = auth_now();

	issued.seconds = k->created_s;
	record.access_key_id = arena_cstr(c->a, k->access_key);
	record.secret_access_key_encrypted_bytes =
		(ProtobufCBinaryData){sealed.n, (uint8_t *)sealed.p};
	record.issued_date = &issued;
	record.user_id = (ProtobufCBinaryData){user.n, (uint8_t *)user.p};
	record.name = arena_cstr(c->a, k->name);
	record.expires_at = k->expires_s;
	return auth_store_put(c->x->kv, auth_key_credential(c->a, user, k->access_key), &record.base, true,
			      c->err);
}

static rc create(struct auth_call *c, struct str user, struct auth_credential *k, struct str *ret_secret)
{
	struct auth_person u;

	TRY(auth_user_get(c, user, &u));
	TRY(check_room(c, user));
	k->access_key = auth_made_access_key(c->a);
	*ret_secret = auth_made_secret(c->a);
	TRY(put(c, user, k, *ret_secret));
	auth_audit(c, "credentials created", "user", user, "access_key_id", k->access_key);
	return RC_OK;
}

static rc check_name(struct str name, struct err *reterr)
{
	bool good = name.n <= AUTH_MAX_ID && (!name.n || str_is_utf8(name));

	for (size_t i = 0; good && i < name.n; i++)
		good = (uint8_t)name.p[i] >= ' ' && name.p[i] != 0x7f;
	if (good)
		return RC_OK;
	return err_set(reterr, ERR_INVALID, "the credentials' name has at most %d bytes, no control characters",
		       AUTH_MAX_ID);
}

rc auth_credential_create(struct auth_call *c, struct str user, struct str name, int64_t expires_s,
			  struct auth_credential *ret, struct str *ret_secret)
{
	int64_t now = wall_now().s;
	rc r;

	TRY(auth_check_id(user, "User", c->err));
	TRY(check_name(name, c->err));
	if (expires_s < 0 || (expires_s && expires_s <= now))
		return err_set(c->err, ERR_INVALID, "expires_at is in the past: it is a time in seconds since 1970");
	*ret = (struct auth_credential){
		.name = name.p ? name : STR(""), .created_s = now, .expires_s = expires_s};
	pthread_mutex_lock(&c->x->changing);
	r = create(c, user, ret, ret_secret);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

static rc delete(struct auth_call *c, struct str user, struct str access_key)
{
	struct auth_credential k;

	TRY(auth_credential_get(c, user, access_key, &k));
	/* What was taken over from lakeFS must not come back at the next start, so it goes first. */
	TRY(kv_delete(c->x->kv, AUTH_BASIC_PARTITION, auth_key_credential(c->a, AUTH_BASIC_ID, access_key),
		      c->err));
	TRY(kv_delete(c->x->kv, AUTH_PARTITION, auth_key_credential(c->a, user, access_key), c->err));
	auth_audit(c, "credentials deleted", "user", user, "access_key_id", access_key);
	return RC_OK;
}

rc auth_credential_delete(struct auth_call *c, struct str user, struct str access_key)
{
	rc r;

	TRY(auth_no_rbac(c));
	pthread_mutex_lock(&c->x->changing);
	r = delete(c, user, access_key);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

rc auth_not_expired(const struct auth_user *u, struct err *reterr)
{
	char iso[25];

	if (!u->expires_s || wall_now().s < u->expires_s)
		return RC_OK;
	time_iso_ms((struct timestamp){.s = u->expires_s}, iso);
	return err_set(reterr, ERR_ExpiredToken,
		       "The access key " STR_FMT " expired at %.19sZ: ask an administrator for a new one.",
		       STR_ARG(u->access_key), iso);
}
