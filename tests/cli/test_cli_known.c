/* Which records a migration knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/known.h"

static enum err_code ask(struct str partition, struct str key, struct str value, struct err *err)
{
	const struct kv_record r = {partition, key, value};

	return known_record(NULL, &r, err).code;
}

static void test_known__what_lakefs_and_sluice_write(void **state)
{
	static const struct {
		struct str partition, key;
	} rows[] = {
		{STR("graveler"), STR("repos/example")},
		{STR("example-dc0gi1hksdu8mm21f6b0"), STR("branches/main")},
		{STR("example-dc0gi1hksdu8mm21f6b0"), STR("commits/0123")},
		{STR("example-dc0gi1hksdu8mm21f6b0"), STR("settings/protected_branches")},
		{STR("example-dc0gi1hksdu8mm21f6b0"), STR("repo-metadata")},
		{STR("example-main:4536af16-0000-4000-8000-0123456789ab"), STR("any/\xff path")},
		{STR("auth"), STR("users/admin")},
		{STR("auth"), STR("installation_id")},
		{STR("basicAuth"), STR("users/superAdmin")},
		{STR("actions"), STR("repos/example/runs/1")},
		{STR("multiparts"), STR("any")},
		{STR("sluice-parts"), STR("any/00001")},
		{STR("kv-internal-metadata"), STR("kv/schema/version-of-something")},
	};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ask(rows[i].partition, rows[i].key, STR("v"), &err) != ERR_NONE)
			fail_msg("row %zu: %s", i, err.msg);
}

static void test_known__what_nobody_knows(void **state)
{
	static const struct {
		struct str partition, key;
	} rows[] = {
		{STR("graveler"), STR("repositories/example")},
		{STR("graveler2"), STR("repos/example")},
		{STR("example-dc0gi1hksdu8mm21f6b0"), STR("worktrees/x")},
		{STR("-dc0gi1hksdu8mm21f6b0"), STR("branches/main")},
		{STR("example-main:4536af16-0000-4000-8000-0123456789a"), STR("k")},
		{STR("4536af16-0000-4000-8000-0123456789ab"), STR("k")},
		{STR("sluice-from-the-future"), STR("k")},
		{STR("auth"), STR("roles/x")},
		{STR("\xff\n"), STR("\xff\n")},
	};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ask(rows[i].partition, rows[i].key, STR("v"), &err), ERR_CONFIG);
		assert_non_null(strstr(err.msg, "--unknown-records"));
		assert_null(strchr(err.msg, '\n'));
	}
}

static void test_known__the_schema(void **state)
{
	const struct str p = STR("kv-internal-metadata"), k = STR("kv/schema/version");
	struct err err = {0};

	assert_int_equal(ask(p, k, STR("4"), &err), ERR_NONE);
	assert_int_equal(ask(p, k, STR("5"), &err), ERR_CONFIG);
	assert_non_null(strstr(err.msg, "newer"));
	assert_int_equal(ask(p, k, STR("3"), &err), ERR_CONFIG);
	assert_int_equal(ask(p, k, STR("four"), &err), ERR_CONFIG);
	assert_true(rc_ok(known_schema(NULL, &(struct kv_record){STR("x"), STR("y"), STR("")}, &err)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known__what_lakefs_and_sluice_write),
		cmocka_unit_test(test_known__what_nobody_knows),
		cmocka_unit_test(test_known__the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
