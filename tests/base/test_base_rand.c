#include "check.h"

#include "base/clock.h"
#include "base/rand.h"

static void test_rand__uuid4(void **state)
{
	struct arena *a = arena_new();
	struct str u = uuid4(a), other = uuid4(a);

	assert_int_equal(u.n, 36);
	for (size_t i = 0; i < u.n; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23)
			assert_int_equal(u.p[i], '-');
		else
			assert_true((u.p[i] >= '0' && u.p[i] <= '9') ||
				    (u.p[i] >= 'a' && u.p[i] <= 'f'));
	}
	assert_int_equal(u.p[14], '4');
	assert_non_null(strchr("89ab", u.p[19]));
	assert_false(str_eq(u, other));
	arena_free(a);
}

static void test_rand__xid_seconds(void **state)
{
	static const uint32_t s[] = {0, 1, 7, 0x12345678, UINT32_MAX};

	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		char id[XID_CHARS + 1];
		uint32_t back;

		xid_at(s[i], id);
		assert_int_equal(strlen(id), XID_CHARS);
		assert_true(id[19] == '0' || id[19] == 'g');
		assert_true(xid_valid(str_c(id), &back));
		assert_int_equal(back, s[i]);
	}
}

/* The example of the xid specification, whose time is 1300816219 (2011-03-22T17:50:19Z). */
static void test_rand__xid_known(void **state)
{
	uint32_t s;

	assert_true(xid_valid(STR("9m4e2mr0ui3e8a215n4g"), &s));
	assert_int_equal(s, 1300816219);
	assert_false(xid_valid(STR("9m4e2mr0ui3e8a215n4"), &s));
	assert_false(xid_valid(STR("9m4e2mr0ui3e8a215n4h"), &s));
	assert_false(xid_valid(STR("9m4e2mr0ui3e8a215n4w"), &s));
	assert_false(xid_valid(STR("9M4e2mr0ui3e8a215n4g"), &s));
	assert_true(xid_valid(STR("9m4e2mr0ui3e8a215n4g"), NULL));
}

static void test_rand__xid_order(void **state)
{
	char a[XID_CHARS + 1], b[XID_CHARS + 1];
	int64_t before;
	uint32_t s;

	xid_at(1000, a);
	xid_at(1001, b);
	assert_true(strcmp(a, b) < 0);
	before = wall_now().s;
	xid_descending(a);
	assert_true(xid_valid(str_c(a), &s));
	assert_in_range((uint32_t)(64060588800 - s), before - 2, wall_now().s + 2);
	before = wall_now().s;
	xid_now(b);
	assert_true(xid_valid(str_c(b), &s));
	assert_in_range(s, before - 2, wall_now().s);
}

static void test_rand__xid_counts(void **state)
{
	char a[XID_CHARS + 1], b[XID_CHARS + 1];

	for (int i = 0; i < 1000; i++) {
		xid_at(5, a);
		xid_at(5, b);
		assert_string_not_equal(a, b);
		assert_memory_equal(a, b, 14); /* 72 bits: seconds and process */
	}
}

static void test_rand__bytes(void **state)
{
	uint8_t p[600] = {0};
	int zeros = 0;

	rand_bytes(p, sizeof(p));
	for (size_t i = 0; i < sizeof(p); i++)
		zeros += p[i] == 0;
	assert_true(zeros < 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rand__uuid4),	 cmocka_unit_test(test_rand__xid_seconds),
		cmocka_unit_test(test_rand__xid_known),	 cmocka_unit_test(test_rand__xid_order),
		cmocka_unit_test(test_rand__xid_counts), cmocka_unit_test(test_rand__bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
