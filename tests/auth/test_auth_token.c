/* Tokens of logins: RFC 7515's shape, lakeFS's claims, and everything that is none of ours. The e2e tests sign with
 * another implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/token.h"
#include "base/digest.h"
#include "base/encode.h"

#define KEY STR("fixture-secret-key-0123456789")
#define NOW 1795235886

static int set_up(void **state)
{
	*state = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	arena_free(*state);
	return 0;
}

static struct str signed_by_hand(struct arena *a, const char *head, const char *claims)
{
	const struct str parts[] = {base64url_encode(a, str_c(head)), STR("."), base64url_encode(a, str_c(claims))};
	struct str text = arena_join(a, parts, 3);
	uint8_t mac[32];

	hmac_sha256(KEY, text, mac);
	return arena_join(a, (struct str[]){text, STR("."), base64url_encode(a, str_make(mac, 32))}, 3);
}

static bool good(struct arena *a, struct str token, struct auth_claims *c)
{
	struct err err = {0};
	rc r = auth_token_verify(KEY, token, NOW, a, c, &err);

	assert_true(rc_ok(r) || ((rc_is(r, InvalidToken) || rc_is(r, ExpiredToken)) && err.msg[0]));
	return rc_ok(r);
}

static void test_token__what_is_signed_is_verified(void **state)
{
	struct auth_claims c = {STR("admin \"x\" \xc3\xa9"), NOW, NOW + 10}, got;
	struct str token = auth_token_sign(KEY, &c, *state);

	assert_true(good(*state, token, &got));
	assert_true(str_eq(got.subject, c.subject));
	assert_int_equal(got.expires_s, NOW + 10);
	assert_int_equal(got.issued_s, NOW);
	assert_true(rc_is(auth_token_verify(STR("another"), token, NOW, *state, &got, NULL), InvalidToken));
	assert_true(rc_ok(auth_token_verify(KEY, token, NOW + 9, *state, &got, NULL)));
	assert_true(rc_is(auth_token_verify(KEY, token, NOW + 10, *state, &got, NULL), ExpiredToken));
}

static void test_token__every_changed_byte_is_noticed(void **state)
{
	struct auth_claims c = {STR("admin"), NOW, NOW + 10}, got;
	struct str token = auth_token_sign(KEY, &c, *state);

	for (size_t i = 0; i < token.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct str copy = arena_dup(*state, token);

			((char *)copy.p)[i] ^= (char)(1 << bit);
			assert_false(good(*state, copy, &got));
		}
	for (size_t n = 0; n < token.n; n++)
		assert_false(good(*state, str_head(token, n), &got));
}

static void test_token__rules(void **state)
{
	static const char *const head = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	static const struct {
		const char *head, *claims;
		bool good;
	} rows[] = {
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", true},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"aud\":\"\"}", true},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"aud\":[\"x\",\"login\"]}", true},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"aud\":[\"x\"]}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"aud\":7}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"nbf\":1795235986}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887,\"iat\":1795235986}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235886}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":\"1795235887\"}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"u\"}", false},
		{NULL, "{\"iss\":\"x\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{NULL, "{\"sub\":\"u\",\"exp\":1795235887}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":\"\",\"exp\":1795235887}", false},
		{NULL, "{\"iss\":\"auth\",\"sub\":7,\"exp\":1795235887}", false},
		{NULL, "[]", false},
		{NULL, "", false},
		{"{\"alg\":\"none\"}", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{"{\"alg\":\"hs256\"}", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{"{\"alg\":\"HS512\"}", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{"{}", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{"{\"alg\":\"HS256\",\"crit\":[]}", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
		{"HS256", "{\"iss\":\"auth\",\"sub\":\"u\",\"exp\":1795235887}", false},
	};
	struct auth_claims got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str token = signed_by_hand(*state, rows[i].head ? rows[i].head : head, rows[i].claims);

		if (good(*state, token, &got) != rows[i].good)
			fail_msg("%s %s", rows[i].head ? rows[i].head : "", rows[i].claims);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token__what_is_signed_is_verified, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_token__every_changed_byte_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_token__rules, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
