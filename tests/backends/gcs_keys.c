/* The account's key, and what is signed with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/backends/gcs_gate.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_PKEY *keys[2];

static void drop_keys(void)
{
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

static void make_keys(void)
{
	for (int i = 0; i < 2; i++)
		keys[i] = EVP_RSA_gen(2048);
	if (!keys[0] || !keys[1] || atexit(drop_keys) != 0)
		abort();
}

/* As a JSON string's inside. */
static char *escaped_pem(EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text, *out, *to;
	long n;

	if (PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	n = BIO_get_mem_data(b, &text);
	out = to = malloc((size_t)n * 2 + 1);
	for (long i = 0; i < n; i++) {
		if (text[i] == '\n')
			*to++ = '\\';
		*to++ = text[i] == '\n' ? 'n' : text[i];
	}
	*to = 0;
	BIO_free(b);
	return out;
}

char *gcs_gate_account(unsigned token_port, bool wrong)
{
	char *pem, *text;

	pthread_once(&once, make_keys);
	pem = escaped_pem(keys[wrong]);
	if (asprintf(&text,
		     "{\"type\": \"service_account\", \"project_id\": \"p\", \"private_key_id\": "
		     "\"k1\", "
		     "\"private_key\": \"%s\", \"client_email\": "
		     "\"sluice@test.iam.gserviceaccount.com\", "
		     "\"client_id\": \"1\", \"token_uri\": \"http://127.0.0.1:%u/token\"}",
		     pem, token_port) < 0)
		abort();
	free(pem);
	return text;
}

bool gcs_gate_verify(struct str data, struct str signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good;

	pthread_once(&once, make_keys);
	good = EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, keys[0]) == 1 &&
	       EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
				(const unsigned char *)data.p, data.n) == 1;
	EVP_MD_CTX_free(c);
	return good;
}
