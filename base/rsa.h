/* RSA signatures (OpenSSL): RS256 of JWTs (RFC 7518 section 3.3), RSASSA-PKCS1-v1_5 with SHA-256.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* pem: a private key, PKCS #8 or PKCS #1, without a pass phrase. CONFIG when it is none; the
 * message has nothing of the key. */
rc rsa_sha256_sign(struct arena *a, struct str pem, struct str data, struct str *ret,
		   struct err *reterr);

/* The same with a key that was read before, which costs as much as a signature. Any thread. */
struct rsa_key;
rc rsa_key_new(struct str pem, struct rsa_key **ret, struct err *reterr);
void rsa_key_free(struct rsa_key *k); /* NULL is allowed */
rc rsa_key_sign(struct rsa_key *k, struct arena *a, struct str data, struct str *ret,
		struct err *reterr);
