#include "check.h"

#include "base/err.h"

static void expect_field(const struct err *e, unsigned *at, const char *name, const char *value)
{
	struct str n, v;

	assert_true(err_next_field(e, at, &n, &v));
	assert_true(str_eq(n, str_c(name)));
	assert_true(str_eq(v, str_c(value)));
}

static void test_base_err__fields(void **state)
{
	struct err e;
	struct str n, v;
	unsigned at = 0;
	rc failed = err_argument(&e, "max-keys", STR("-1\x01"), "at least %d", 0);

	(void)state;
	assert_true(rc_is(failed, InvalidArgument));
	failed = err_field_u64(failed, &e, "Size", 18446744073709551615u);
	failed = err_field(failed, &e, "Empty", STR(""));
	failed = err_field(failed, &e, "Bytes", STR("a\xff"));
	assert_true(rc_is(failed, InvalidArgument));
	assert_string_equal(e.msg, "at least 0");
	expect_field(&e, &at, "ArgumentName", "max-keys");
	expect_field(&e, &at, "ArgumentValue", "-1?");
	expect_field(&e, &at, "Size", "18446744073709551615");
	expect_field(&e, &at, "Bytes", "a?");
	assert_false(err_next_field(&e, &at, &n, &v));
}

static void test_base_err__fields_are_the_last_errors(void **state)
{
	struct err e;
	struct str n, v;
	unsigned at = 0;

	(void)state;
	IGNORE_RC(err_argument(&e, "a", STR("b"), "text"));
	IGNORE_RC(err_default(&e, ERR_NoSuchKey));
	assert_false(err_next_field(&e, &at, &n, &v));
}

static void test_base_err__fields_without_room_are_left_out(void **state)
{
	char big[sizeof(((struct err *)0)->fields)];
	struct err e;
	unsigned at = 0;
	struct str n, v;
	rc failed = err_default(&e, ERR_NoSuchKey);

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t size = sizeof(big); size >= sizeof(big) - 3; size--)
		failed = err_field(failed, &e, "n", str_make(big, size));
	assert_int_equal(e.fields_n, sizeof(big));
	failed = err_field(failed, &e, "m", STR("1"));
	failed = err_field(failed, NULL, "m", STR("1"));
	assert_true(rc_is(failed, NoSuchKey));
	assert_true(err_next_field(&e, &at, &n, &v));
	assert_int_equal(v.n, sizeof(big) - 3);
	assert_false(err_next_field(&e, &at, &n, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_err__fields),
		cmocka_unit_test(test_base_err__fields_are_the_last_errors),
		cmocka_unit_test(test_base_err__fields_without_room_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
