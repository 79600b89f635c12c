/* Secrets at rest, sealed as lakeFS seals them (FORMATS.md 6.5):
 *
 *   salt[8] | nonce[24] | NaCl secretbox (XSalsa20-Poly1305: tag[16], then the text)
 *   key = scrypt(auth.encrypt.secret_key, salt, N = 512, r = 8, p = 1)
 *
 * Both take about a millisecond by design: never on a loop.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct str auth_secret_seal(struct str encrypt_secret, struct str plain, struct arena *a);
/* CORRUPT, with the remedy, when it was sealed with another key, or is damaged. */
rc auth_secret_open(struct str encrypt_secret, struct str sealed, struct arena *a,
		    struct str *ret_plain, struct err *reterr);
