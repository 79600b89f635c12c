/* The first start, and further administrators.
 *
 * Setup is a row of writes each of which may be repeated; setup_timestamp is the last, and only it
 * makes the installation "set up". So a crash anywhere before leaves one that isn't, and setup
 * succeeds when it is called again (a made-up credential of the first try may stay behind: nobody
 * ever saw its secret).
 */
#include "auth/auth.h"

#include "auth/builtin.h"
#include "auth/internal.h"
#include "auth/secret.h"
#include "auth/store.h"
#include "base/encode.h"
#include "base/rand.h"

#define INTERNAL_PARTITION STR("kv-internal-metadata")
#define SCHEMA_KEY STR("kv/schema/version")
#define SETUP_KEY STR("installation_metadata/setup_timestamp")

enum {
	SCHEMA_VERSION = AUTH_SCHEMA_VERSION,
	MAX_NAME = 256,
	MIN_ACCESS_KEY = 3,
	MAX_ACCESS_KEY = 128,
	MAX_SECRET = 1024,
	SECRET_BYTES = 30,
	KEY_RANDOM = 14,
};

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return str_is_utf8(s);
}

static rc check_name(struct str name, struct err *reterr)
{
	if (!name.n || name.n > MAX_NAME)
		return err_set(reterr, ERR_INVALID, "a user's name has 1 to %d bytes", MAX_NAME);
	if (memchr(name.p, '/', name.n) || memchr(name.p, '%', name.n) || !printable(name))
		return err_set(reterr, ERR_INVALID,
			       "a user's name has no '/', no '%%' and no control characters");
	return RC_OK;
}

static rc check_access_key(struct str k, struct err *reterr)
{
	bool good = k.n >= MIN_ACCESS_KEY && k.n <= MAX_ACCESS_KEY;

	for (size_t i = 0; good && i < k.n; i++)
		good = k.p[i] > ' ' && k.p[i] < 0x7f && k.p[i] != '/';
	if (good)
		return RC_OK;
	return err_set(reterr, ERR_INVALID,
		       "an access key id has %d to %d ASCII characters, no '/' and no spaces",
		       MIN_ACCESS_KEY, MAX_ACCESS_KEY);
}

static rc check_secret(struct str s, struct err *reterr)
{
	if (!s.n)
		return err_set(reterr, ERR_INVALID,
			       "the secret access key is empty: give one, or leave it out to have "
			       "one made");
	if (s.n > MAX_SECRET || !printable(s))
		return err_set(reterr, ERR_INVALID,
			       "a secret access key has at most %d bytes and no control characters",
			       MAX_SECRET);
	return RC_OK;
}

/* "AKIAJ", 14 of A-Z2-7, "Q": lakeFS's form. */
struct str auth_made_access_key(struct arena *a)
{
	char middle[KEY_RANDOM + 1] = "";

	rand_bytes(middle, KEY_RANDOM);
	for (size_t i = 0; i < KEY_RANDOM; i++)
		middle[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(uint8_t)middle[i] % 32];
	return arena_printf(a, "AKIAJ%sQ", middle);
}

struct str auth_made_secret(struct arena *a)
{
	uint8_t random[SECRET_BYTES];

	rand_bytes(random, sizeof(random));
	return base64_encode(a, str_make(random, sizeof(random)));
}

static rc complete(const struct auth_credentials *given, struct arena *a,
		   struct auth_credentials *ret, struct err *reterr)
{
	struct auth_credentials c = given ? *given : (struct auth_credentials){};

	if (c.access_key.p)
		TRY(check_access_key(c.access_key, reterr));
	if (c.secret.p)
		TRY(check_secret(c.secret, reterr));
	ret->access_key = c.access_key.p ? arena_dup(a, c.access_key) : auth_made_access_key(a);
	ret->secret = c.secret.p ? arena_dup(a, c.secret) : auth_made_secret(a);
	return RC_OK;
}

/* A given access key may be the user's own already (a try before this one), but nobody else's. */
static rc check_free(struct auth *x, struct str user, struct str access_key, struct arena *a,
		     struct err *reterr)
{
	AuthPb__CredentialData *basic;
	struct str owner;
	rc r = auth_store_credential(x->kv, AUTH_BASIC_PARTITION, AUTH_BASIC_ID, access_key, a,
				     &basic, reterr);

	if (rc_ok(r) && x->single)
		return RC_OK; /* the only user's own */
	if (rc_is(r, NOT_FOUND)) {
		r = auth_owner_of(x, access_key, a, &owner, &basic, reterr);
		if (rc_is(r, InvalidAccessKeyId) || (rc_ok(r) && str_eq(owner, user)))
			return RC_OK;
	}
	TRY(r);
	return err_set(reterr, ERR_EXISTS, "the access key " STR_FMT " belongs to another user",
		       STR_ARG(access_key));
}

/* Without access control, the first user is kept where lakeFS keeps its only one. */
static struct str partition_of(const struct auth *x)
{
	return x->single ? AUTH_BASIC_PARTITION : AUTH_PARTITION;
}

static struct str id_of(const struct auth *x, struct str name)
{
	return x->single ? AUTH_BASIC_ID : name;
}

static rc put_user(struct auth *x, struct str name, struct arena *a, struct err *reterr)
{
	AuthPb__UserData u = AUTH_PB__USER_DATA__INIT;
	AuthPb__Timestamp created = auth_now();

	u.created_at = &created;
	u.username = arena_cstr(a, name);
	u.source = "internal";
	return auth_store_put_in(x->kv, partition_of(x), auth_key_user(a, id_of(x, name)), &u.base, true,
				 reterr);
}

static rc put_credential(struct auth *x, struct str user, const struct auth_credentials *c,
			 struct arena *a, struct err *reterr)
{
	AuthPb__CredentialData record = AUTH_PB__CREDENTIAL_DATA__INIT;
	struct str sealed = auth_secret_seal(x->encrypt_secret, c->secret, a);
	AuthPb__Timestamp issued = auth_now();

	record.access_key_id = arena_cstr(a, c->access_key);
	record.secret_access_key_encrypted_bytes =
		(ProtobufCBinaryData){sealed.n, (uint8_t *)sealed.p};
	record.issued_date = &issued;
	record.user_id = (ProtobufCBinaryData){user.n, (uint8_t *)user.p};
	return auth_store_put_in(x->kv, partition_of(x),
				 auth_key_credential(a, id_of(x, user), c->access_key), &record.base, false,
				 reterr);
}

static rc join_admins(struct auth *x, struct str user, struct arena *a, struct err *reterr)
{
	struct str key = arena_join(
		a, (struct str[]){STR("gUsers/"), AUTH_ADMINS, STR("/users/"), user}, 4);

	return auth_store_put_index(x->kv, key, auth_key_user(a, user), reterr);
}

/* What access control needs. */
static rc make_administrator(struct auth *x, struct str user, struct arena *a, struct err *reterr)
{
	if (x->single)
		return RC_OK;
	TRY(auth_builtin_make(x->kv, reterr));
	return join_admins(x, user, a, reterr);
}

static rc set_absent(struct kv *kv, struct str partition, struct str key, struct str value,
		     struct err *reterr)
{
	rc r = kv_set_if(kv, partition, key, value, KV_IF_ABSENT, STR_NONE, reterr);

	return rc_is(r, PREDICATE) ? RC_OK : r;
}

/* A made-up credential that lost a race is nobody's. A given one may be the winner's as well. */
static void withdraw(struct auth *x, struct str user, const struct auth_credentials *given,
		     const struct auth_credentials *c, struct arena *a)
{
	if (given && given->access_key.p)
		return;
	/* At worst it stays, with a secret that nobody was told. */
	IGNORE_RC(kv_delete(x->kv, partition_of(x),
			    auth_key_credential(a, id_of(x, user), c->access_key), NULL));
}

static rc set_up_already(struct err *reterr)
{
	return err_set(reterr, ERR_EXISTS,
		       "this installation is set up already: `sluice superuser` makes one more "
		       "administrator");
}

/* The last write. Were its outcome unknown to the caller, too, the credentials would be lost; so
 * what is stored decides. */
static rc mark_set_up(struct auth *x, struct arena *a, struct err *reterr)
{
	char iso[25];
	struct str value, stored;
	rc r;

	time_iso_ms(wall_now(), iso);
	value = arena_printf(a, "%.19sZ", iso);
	r = kv_set_if(x->kv, AUTH_PARTITION, SETUP_KEY, value, KV_IF_ABSENT, STR_NONE, reterr);
	if (rc_is(r, UNKNOWN_OUTCOME) &&
	    rc_ok(kv_get(x->kv, KV_BLOCK, AUTH_PARTITION, SETUP_KEY, a, &stored, NULL)) &&
	    str_eq(stored, value))
		return RC_OK;
	return rc_is(r, PREDICATE) ? set_up_already(reterr) : r;
}

static rc setup(struct auth *x, struct str user, const struct auth_credentials *given,
		const struct auth_credentials *c, struct arena *a, struct err *reterr)
{
	rc r;

	TRY(check_free(x, user, c->access_key, a, reterr));
	r = put_user(x, user, a, reterr);
	if (!rc_is(r, PREDICATE))
		TRY(r);
	TRY(put_credential(x, user, c, a, reterr));
	TRY(make_administrator(x, user, a, reterr));
	TRY(set_absent(x->kv, AUTH_PARTITION, STR("installation_id"), uuid4(a), reterr));
	TRY(set_absent(x->kv, INTERNAL_PARTITION, SCHEMA_KEY, STR("4"), reterr));
	r = mark_set_up(x, a, reterr);
	if (rc_is(r, EXISTS))
		withdraw(x, user, given, c, a);
	return r;
}

rc auth_setup_by(struct auth_call *call, struct str user_name, const struct auth_credentials *given,
		    struct auth_credentials *ret)
{
	struct auth *x = call->x;
	struct arena *a = call->a;
	struct err *reterr = call->err;
	struct auth_credentials c;
	bool done;
	rc r;

	TRY(check_name(user_name, reterr));
	TRY(complete(given, a, &c, reterr));
	TRY(auth_check_schema(x->kv, reterr));
	TRY(auth_is_setup(x, &done, reterr));
	if (done)
		return set_up_already(reterr);
	pthread_mutex_lock(&x->changing);
	r = setup(x, user_name, given, &c, a, reterr);
	pthread_mutex_unlock(&x->changing);
	auth_changed(x);
	TRY(r);
	*ret = c;
	auth_audit(call, "administrator created", "user", user_name, "access_key_id",
		   c.access_key);
	return RC_OK;
}

rc auth_setup(struct auth *x, struct str user_name, const struct auth_credentials *given, struct arena *a,
	   struct auth_credentials *ret, struct err *reterr)
{
	struct auth_call call = {.x = x, .a = a, .err = reterr};

	return auth_setup_by(&call, user_name, given, ret);
}

rc auth_is_setup(struct auth *x, bool *ret, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str value;
	rc r = kv_get(x->kv, KV_BLOCK, AUTH_PARTITION, SETUP_KEY, a, &value, reterr);

	arena_free(a);
	*ret = rc_ok(r);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

static rc user_exists(struct str name, struct err *reterr)
{
	return err_set(reterr, ERR_EXISTS, "the user " STR_FMT " exists already: choose another name",
		       STR_ARG(name));
}

static rc check_new(struct auth *x, struct str user, struct arena *a, struct err *reterr)
{
	AuthPb__UserData *there;
	rc r = auth_store_user(x->kv, partition_of(x), id_of(x, user), a, &there, reterr);

	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	return rc_ok(r) ? user_exists(user, reterr) : r;
}

/* The user comes last: a crash before leaves a credential without owner, which opens nothing, and
 * the command can be repeated. Groups may be missing where lakeFS's single user was taken over. */
static rc superuser(struct auth *x, struct str user, const struct auth_credentials *given,
		    const struct auth_credentials *c, struct arena *a, struct err *reterr)
{
	rc r;

	TRY(check_new(x, user, a, reterr));
	TRY(check_free(x, user, c->access_key, a, reterr));
	if (!x->single)
		TRY(auth_sweep_user(x, user, a, reterr)); /* what one of that name had */
	TRY(put_credential(x, user, c, a, reterr));
	TRY(make_administrator(x, user, a, reterr));
	r = put_user(x, user, a, reterr);
	if (!rc_is(r, PREDICATE))
		return r;
	withdraw(x, user, given, c, a);
	return user_exists(user, reterr);
}

rc auth_superuser_by(struct auth_call *call, struct str user_name, const struct auth_credentials *given,
		    struct auth_credentials *ret)
{
	struct auth *x = call->x;
	struct arena *a = call->a;
	struct err *reterr = call->err;
	struct auth_credentials c;
	bool done;
	rc r;

	TRY(check_name(user_name, reterr));
	TRY(complete(given, a, &c, reterr));
	TRY(auth_check_schema(x->kv, reterr));
	TRY(auth_is_setup(x, &done, reterr));
	if (!done)
		return err_set(reterr, ERR_CONFIG,
			       "this installation is not set up: `sluice setup` makes the first "
			       "administrator");
	pthread_mutex_lock(&x->changing);
	r = superuser(x, user_name, given, &c, a, reterr);
	pthread_mutex_unlock(&x->changing);
	auth_changed(x);
	TRY(r);
	*ret = c;
	auth_audit(call, "administrator created", "user", user_name, "access_key_id",
		   c.access_key);
	return RC_OK;
}

rc auth_superuser(struct auth *x, struct str user_name, const struct auth_credentials *given, struct arena *a,
	   struct auth_credentials *ret, struct err *reterr)
{
	struct auth_call call = {.x = x, .a = a, .err = reterr};

	return auth_superuser_by(&call, user_name, given, ret);
}

rc auth_check_schema_version(struct str text, struct err *reterr)
{
	uint64_t version;

	if (!str_to_u64(text, &version))
		return err_set(reterr, ERR_CONFIG,
			       "the KV store's schema version is not a number: this is not a KV "
			       "store of lakeFS or sluice; set database to another one");
	if (version > SCHEMA_VERSION)
		return err_set(reterr, ERR_CONFIG,
			       "the KV store has schema version %llu, and this sluice knows %d: use "
			       "the sluice that wrote it, or a newer one",
			       (unsigned long long)version, SCHEMA_VERSION);
	if (version < SCHEMA_VERSION)
		return err_set(reterr, ERR_CONFIG,
			       "the KV store has schema version %llu, and sluice needs %d: run "
			       "`lakefs migrate up` of the newest lakeFS 1.x on it first",
			       (unsigned long long)version, SCHEMA_VERSION);
	return RC_OK;
}

rc auth_check_schema(struct kv *kv, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str text;
	rc r = kv_get(kv, KV_BLOCK, INTERNAL_PARTITION, SCHEMA_KEY, a, &text, reterr);

	if (rc_ok(r))
		r = auth_check_schema_version(text, reterr);
	else if (rc_is(r, NOT_FOUND))
		r = RC_OK;
	arena_free(a);
	return r;
}
