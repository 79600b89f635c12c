#include "check.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/rsa.h"

static EVP_PKEY *rsa, *ec;

static int set_up(void **state)
{
	*state = arena_new();
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	return rsa && ec ? 0 : -1;
}

static int tear_down(void **state)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	arena_free(*state);
	return 0;
}

enum form { PKCS8, PKCS1, SEALED, PUBLIC };

static struct str pem(struct arena *a, EVP_PKEY *key, enum form form)
{
	BIO *b = BIO_new(BIO_s_mem());
	struct str text;
	char *p;
	long n;
	int written = form == PKCS1
			  ? PEM_write_bio_PrivateKey_traditional(b, key, NULL, NULL, 0, NULL, NULL)
		      : form == PUBLIC ? PEM_write_bio_PUBKEY(b, key)
		      : form == SEALED
			  ? PEM_write_bio_PrivateKey(b, key, EVP_aes_128_cbc(),
						     (const unsigned char *)"words", 5, NULL, NULL)
			  : PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);

	assert_int_equal(written, 1);
	n = BIO_get_mem_data(b, &p);
	text = arena_dup(a, str_make(p, (size_t)n));
	BIO_free(b);
	return text;
}

static bool verifies(struct str data, struct str signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool yes = EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, rsa) == 1 &&
		   EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
				    (const unsigned char *)data.p, data.n) == 1;

	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return yes;
}

static void test_rsa__signs(void **state)
{
	static const enum form forms[] = {PKCS8, PKCS1};
	struct str first = STR_NONE, s;
	struct err e;

	for (size_t i = 0; i < 2; i++) {
		assert_true(rc_ok(
		    rsa_sha256_sign(*state, pem(*state, rsa, forms[i]), STR("text"), &s, &e)));
		assert_int_equal(s.n, 256);
		assert_true(verifies(STR("text"), s));
		assert_false(verifies(STR("texts"), s));
		if (first.p) /* RSASSA-PKCS1-v1_5 has no chance in it */
			assert_str(s, first);
		first = s;
	}
	assert_true(rc_ok(rsa_sha256_sign(*state, pem(*state, rsa, PKCS8), STR(""), &s, &e)));
	assert_true(verifies(STR(""), s));
}

/* Without a question on the terminal, a word of the key, or an error that the next TLS connection
 * would find. */
static void test_rsa__refuses(void **state)
{
	struct str whole = pem(*state, rsa, PKCS8), s;
	const struct str keys[] = {
	    STR_NONE,
	    STR(""),
	    STR("SECRET"),
	    STR("-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"),
	    str_head(whole, whole.n / 2),
	    pem(*state, rsa, SEALED),
	    pem(*state, rsa, PUBLIC),
	    pem(*state, ec, PKCS8)};
	struct err e;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		assert_true(rc_is(rsa_sha256_sign(*state, keys[i], STR("text"), &s, &e), CONFIG));
		assert_non_null(strstr(e.msg, "PEM"));
		assert_null(strstr(e.msg, "SECRET"));
		assert_int_equal(ERR_peek_error(), 0);
		assert_true(rc_is(rsa_sha256_sign(*state, keys[i], STR("text"), &s, NULL), CONFIG));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rsa__signs),
	    cmocka_unit_test(test_rsa__refuses),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
