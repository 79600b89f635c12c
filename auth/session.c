#include "auth/session.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "auth/store.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/rand.h"

enum {
	VERSION = 1,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	HEAD = 1 + NONCE,
	KEY_RANDOM = 16,
	KEY_CHARS = 4 + KEY_RANDOM,
	SECRET_CHARS = 40,
};

static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == sizeof((struct auth_session_keys){}.seal),
	      "the key has the cipher's size");

/* Logins' tokens are signed with the secret itself, over texts with a dot in them: these have none. */
void auth_session_keys_of(struct str encrypt_secret, struct auth_session_keys *ret)
{
	hmac_sha256(encrypt_secret, STR("sluice session: seal"), ret->seal);
	hmac_sha256(encrypt_secret, STR("sluice session: secret"), ret->secret);
}

bool auth_is_temporary(struct str access_key)
{
	return access_key.n == KEY_CHARS && str_starts(access_key, STR("ASIA"));
}

struct str auth_session_access_key(struct arena *a)
{
	char random[KEY_RANDOM + 1] = "";

	rand_bytes(random, KEY_RANDOM);
	for (size_t i = 0; i < KEY_RANDOM; i++)
		random[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(uint8_t)random[i] % 32];
	return arena_printf(a, "ASIA%s", random);
}

struct str auth_session_wrap(const struct auth_session_keys *k, struct str access_key, struct str plain,
			     struct arena *a)
{
	uint8_t *out = arena_alloc(a, HEAD + plain.n + TAG);

	out[0] = VERSION;
	rand_bytes(out + 1, NONCE);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(out + HEAD, NULL, (const uint8_t *)plain.p, plain.n,
						       (const uint8_t *)access_key.p, access_key.n, NULL, out + 1,
						       k->seal))
		abort();
	return base64url_encode(a, str_make(out, HEAD + plain.n + TAG));
}

struct str auth_session_seal(const struct auth_session_keys *k, struct str access_key,
			     const AuthPb__SessionData *d, struct arena *a)
{
	size_t n = auth_pb__session_data__get_packed_size(d);
	uint8_t *plain = arena_alloc(a, n);

	auth_pb__session_data__pack(d, plain);
	return auth_session_wrap(k, access_key, str_make(plain, n), a);
}

static rc invalid(struct err *reterr)
{
	return err_default(reterr, ERR_InvalidToken);
}

static rc unpack(struct str plain, struct arena *a, AuthPb__SessionData **ret, struct err *reterr)
{
	rc r = auth_store_unpack(&auth_pb__session_data__descriptor, STR("session"), plain, a, (void **)ret, NULL);

	return rc_ok(r) && (*ret)->user[0] && (*ret)->access_key_id[0] ? RC_OK : invalid(reterr);
}

rc auth_session_open(const struct auth_session_keys *k, struct str access_key, struct str token, int64_t now_s,
		     struct arena *a, AuthPb__SessionData **ret, struct err *reterr)
{
	struct str sealed;
	uint8_t *plain;

	if (!token.n || token.n > AUTH_SESSION_TOKEN_MAX || !base64url_decode(a, token, &sealed) ||
	    sealed.n < HEAD + TAG || sealed.p[0] != VERSION)
		return invalid(reterr);
	plain = arena_alloc(a, sealed.n);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, (const uint8_t *)sealed.p + HEAD,
						       sealed.n - HEAD, (const uint8_t *)access_key.p,
						       access_key.n, (const uint8_t *)sealed.p + 1, k->seal))
		return invalid(reterr);
	TRY(unpack(str_make(plain, sealed.n - HEAD - TAG), a, ret, reterr));
	return now_s < (*ret)->expires_at ? RC_OK : err_default(reterr, ERR_ExpiredToken);
}

struct str auth_session_secret(const struct auth_session_keys *k, struct str token, struct arena *a)
{
	uint8_t mac[32];

	hmac_sha256(str_make(k->secret, sizeof(k->secret)), token, mac);
	return str_head(base64url_encode(a, str_make(mac, sizeof(mac))), SECRET_CHARS);
}
