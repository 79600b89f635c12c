#include "base/rsa.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static void md_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static EVP_PKEY *key_of(struct str pem)
{
	BIO *in = pem.n && pem.n < INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	/* "": never asks a terminal for a pass phrase */
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, (void *)"") : NULL;

	BIO_free(in);
	return key;
}

/* An EVP_PKEY, which counts its users itself and may be used by several threads. */
static EVP_PKEY *pkey(struct rsa_key *k)
{
	return (EVP_PKEY *)k;
}

/* Or the thread's next TLS connection would take it for its own. */
static rc forgotten(rc r)
{
	if (!rc_ok(r))
		ERR_clear_error();
	return r;
}

rc rsa_key_new(struct str pem, struct rsa_key **ret, struct err *reterr)
{
	EVP_PKEY *key = key_of(pem);

	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		*ret = (struct rsa_key *)key;
		return RC_OK;
	}
	EVP_PKEY_free(key);
	return forgotten(
	    err_set(reterr, ERR_CONFIG, "the private key is no RSA key in PEM form"));
}

void rsa_key_free(struct rsa_key *k)
{
	EVP_PKEY_free(pkey(k));
}

static rc sign(EVP_PKEY *key, struct arena *a, struct str data, struct str *ret,
	       struct err *reterr)
{
	CLEANUP(md_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t n = 0;
	char *out;

	if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(md, NULL, &n, (const unsigned char *)data.p, data.n) != 1)
		return err_set(reterr, ERR_CONFIG, "the private key can't sign");
	out = arena_alloc(a, n);
	if (EVP_DigestSign(md, (unsigned char *)out, &n, (const unsigned char *)data.p, data.n) !=
	    1)
		return err_set(reterr, ERR_CONFIG, "the private key can't sign");
	*ret = str_make(out, n);
	return RC_OK;
}

rc rsa_key_sign(struct rsa_key *k, struct arena *a, struct str data, struct str *ret,
		struct err *reterr)
{
	return forgotten(sign(pkey(k), a, data, ret, reterr));
}

rc rsa_sha256_sign(struct arena *a, struct str pem, struct str data, struct str *ret,
		   struct err *reterr)
{
	struct rsa_key *k;
	rc r;

	TRY(rsa_key_new(pem, &k, reterr));
	r = rsa_key_sign(k, a, data, ret, reterr);
	rsa_key_free(k);
	return r;
}
