/* JSON Web Tokens of logins (RFC 7519): lakeFS's claims, signed with HMAC. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum { AUTH_TOKEN_MAX = 8192 };

struct auth_claims {
	struct str subject;
	int64_t issued_s, expires_s; /* issued_s 0: not told */
};

/* HS256. */
struct str auth_token_sign(struct str key, const struct auth_claims *c, struct arena *a);
/* HS256, HS384 and HS512 are taken; issuer "auth", audience "login" or none, exp demanded. InvalidToken with
 * the reason; ExpiredToken. */
rc auth_token_verify(struct str key, struct str token, int64_t now_s, struct arena *a, struct auth_claims *ret,
		     struct err *reterr);
