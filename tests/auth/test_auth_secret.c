#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/secret.h"
#include "auth/store.h"
#include "lakefs_records.h"

static int make_arena(void **state)
{
	*state = arena_new();
	return 0;
}

static int drop_arena(void **state)
{
	arena_free(*state);
	return 0;
}

static struct str lakefs_sealed(struct arena *a)
{
	AuthPb__CredentialData *c = auth_pb__credential_data__unpack(
		NULL, sizeof(lakefs_credential), lakefs_credential);
	struct str sealed;

	assert_non_null(c);
	sealed = arena_dup(a, str_make(c->secret_access_key_encrypted_bytes.data,
				       c->secret_access_key_encrypted_bytes.len));
	assert_string_equal(c->access_key_id, LAKEFS_ACCESS_KEY.p);
	auth_pb__credential_data__free_unpacked(c, NULL);
	return sealed;
}

static void test_secret__opens_what_lakefs_sealed(void **state)
{
	struct arena *a = *state;
	struct str plain;
	struct err err;

	assert_true(rc_ok(auth_secret_open(LAKEFS_ENCRYPT_SECRET, lakefs_sealed(a), a, &plain, &err)));
	assert_true(str_eq(plain, LAKEFS_SECRET));
}

static void test_secret__another_key_is_told(void **state)
{
	struct arena *a = *state;
	struct str plain;
	struct err err;

	assert_true(rc_is(auth_secret_open(STR("another"), lakefs_sealed(a), a, &plain, &err), CORRUPT));
	assert_non_null(strstr(err.msg, "auth.encrypt.secret_key"));
}

static void test_secret__round_trip(void **state)
{
	struct arena *a = *state;
	struct str key = STR("k"), plain, one, two;

	for (size_t n = 0; n < 70; n += 23) {
		struct str text = str_make("0123456789012345678901234567890123456789012345678901234567890123456789", n);

		one = auth_secret_seal(key, text, a);
		two = auth_secret_seal(key, text, a);
		assert_int_equal(one.n, 8 + 24 + 16 + n);
		assert_false(str_eq(one, two));
		assert_true(rc_ok(auth_secret_open(key, one, a, &plain, NULL)));
		assert_true(str_eq(plain, text));
	}
}

static void test_secret__any_flipped_bit_is_found(void **state)
{
	struct arena *a = *state;
	struct str sealed = auth_secret_seal(STR("k"), STR("secret"), a), plain;

	for (size_t i = 0; i < sealed.n; i++) {
		((char *)sealed.p)[i] ^= 0x10;
		assert_true(rc_is(auth_secret_open(STR("k"), sealed, a, &plain, NULL), CORRUPT));
		((char *)sealed.p)[i] ^= 0x10;
	}
	for (size_t n = 0; n < sealed.n; n++)
		assert_true(rc_is(auth_secret_open(STR("k"), str_head(sealed, n), a, &plain, NULL),
				  CORRUPT));
	assert_true(rc_ok(auth_secret_open(STR("k"), sealed, a, &plain, NULL)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret__opens_what_lakefs_sealed),
		cmocka_unit_test(test_secret__another_key_is_told),
		cmocka_unit_test(test_secret__round_trip),
		cmocka_unit_test(test_secret__any_flipped_bit_is_found),
	};

	return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
