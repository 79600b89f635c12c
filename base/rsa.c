#include "base/rsa.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static void key_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

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

static rc sign(struct arena *a, struct str pem, struct str data, struct str *ret,
	       struct err *reterr)
{
	CLEANUP(key_freep) EVP_PKEY *key = key_of(pem);
	CLEANUP(md_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t n = 0;
	char *out;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		return err_set(reterr, ERR_CONFIG, "the private key is no RSA key in PEM form");
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

rc rsa_sha256_sign(struct arena *a, struct str pem, struct str data, struct str *ret,
		   struct err *reterr)
{
	rc r = sign(a, pem, data, ret, reterr);

	if (!rc_ok(r))
		ERR_clear_error(); /* or the thread's next TLS connection would take it for its own
				    */
	return r;
}
