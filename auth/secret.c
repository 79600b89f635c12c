#include "auth/secret.h"

#include <sodium.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "base/rand.h"

enum {
	SALT = 8,
	NONCE = crypto_secretbox_NONCEBYTES,
	TAG = crypto_secretbox_MACBYTES,
	HEAD = SALT + NONCE,
	SCRYPT_N = 512,
	SCRYPT_R = 8,
	SCRYPT_P = 1,
};

static void derive(struct str encrypt_secret, const uint8_t salt[SALT],
		   uint8_t out[crypto_secretbox_KEYBYTES])
{
	int failed = crypto_pwhash_scryptsalsa208sha256_ll(
		(const uint8_t *)encrypt_secret.p, encrypt_secret.n, salt, SALT, SCRYPT_N, SCRYPT_R,
		SCRYPT_P, out, crypto_secretbox_KEYBYTES);

	/* Half a MiB that can't be had: as everywhere, out of memory aborts. */
	if (failed)
		abort();
}

bool auth_secret_is(struct str secret, struct str given)
{
	return secret.n == given.n && sodium_memcmp(secret.p, given.p, given.n) == 0;
}

struct str auth_secret_seal(struct str encrypt_secret, struct str plain, struct arena *a)
{
	uint8_t *out = arena_alloc(a, HEAD + TAG + plain.n);
	uint8_t key[crypto_secretbox_KEYBYTES];

	rand_bytes(out, HEAD);
	derive(encrypt_secret, out, key);
	if (crypto_secretbox_easy(out + HEAD, (const uint8_t *)plain.p, plain.n, out + SALT, key))
		abort();
	sodium_memzero(key, sizeof(key));
	return str_make(out, HEAD + TAG + plain.n);
}

rc auth_secret_open(struct str encrypt_secret, struct str sealed, struct arena *a,
		    struct str *ret_plain, struct err *reterr)
{
	const uint8_t *in = (const uint8_t *)sealed.p;
	uint8_t key[crypto_secretbox_KEYBYTES];
	uint8_t *out;
	int failed;

	if (sealed.n < HEAD + TAG)
		return err_set(reterr, ERR_CORRUPT,
			       "the sealed secret has %zu bytes, too few to be one: make the user "
			       "new credentials",
			       sealed.n);
	out = arena_alloc(a, sealed.n - HEAD - TAG + 1);
	derive(encrypt_secret, in, key);
	failed = crypto_secretbox_open_easy(out, in + HEAD, sealed.n - HEAD, in + SALT, key);
	sodium_memzero(key, sizeof(key));
	if (failed)
		return err_set(reterr, ERR_CORRUPT,
			       "the stored secret can't be opened: auth.encrypt.secret_key is not the "
			       "one it was sealed with; set it back to the former value, or make the "
			       "user new credentials");
	*ret_plain = str_make(out, sealed.n - HEAD - TAG);
	return RC_OK;
}
