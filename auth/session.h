/* Temporary credentials, for S3: an access key, a secret and a token that says whose they are, until when, and
 * what they are bounded to. Nothing is stored, so that any number of servers with one auth.encrypt.secret_key
 * honour what one of them made:
 *
 *   token  = base64url(version[1] | nonce[24] | XChaCha20-Poly1305(SessionData)), with the access key as what
 *            is authenticated besides
 *   secret = 40 characters of base64url(HMAC-SHA256(the token's text))
 *
 * each under a key of its own that is derived from auth.encrypt.secret_key. Pure.
 */
#pragma once

#include "auth/auth.h"
#include "auth/auth_records.pb-c.h"

enum {
	AUTH_SESSION_TOKEN_MAX = 4096,  /* bytes of a token's text */
	AUTH_SESSION_POLICY_MAX = 2048, /* bytes of a scope's record */
	AUTH_SESSION_MIN_S = 900,       /* AWS's bounds of GetSessionToken */
	AUTH_SESSION_MAX_S = 129600,
};

struct auth_session_keys {
	uint8_t seal[32], secret[32];
};
void auth_session_keys_of(struct str encrypt_secret, struct auth_session_keys *ret);

/* "ASIA", 16 of A-Z2-7. */
struct str auth_session_access_key(struct arena *a);
struct str auth_session_seal(const struct auth_session_keys *k, struct str access_key,
			     const AuthPb__SessionData *d, struct arena *a);
/* The same of a packed record; for tests. */
struct str auth_session_wrap(const struct auth_session_keys *k, struct str access_key, struct str plain,
			     struct arena *a);
/* InvalidToken: not made here, or for another access key; ExpiredToken. */
rc auth_session_open(const struct auth_session_keys *k, struct str access_key, struct str token, int64_t now_s,
		     struct arena *a, AuthPb__SessionData **ret, struct err *reterr);
struct str auth_session_secret(const struct auth_session_keys *k, struct str token, struct arena *a);
