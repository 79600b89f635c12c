#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/registry.h"
#include "conf/conf.h"
#include "tests/backends/stores.h"

static struct backend *mem(const char *id)
{
	return backend_mem_new(str_c(id), NULL);
}

static void test_registry__by_id(void **state)
{
	struct backend *stores[] = {mem("one"), mem("two")}, *b;
	struct registry *r = registry_of(stores, 2, STR("two"));

	assert_int_equal(registry_count(r), 2);
	assert_ptr_equal(registry_at(r, 0), stores[0]);
	assert_ptr_equal(registry_at(r, 1), stores[1]);
	ok(registry_get(r, STR("one"), &b, &test_err));
	assert_ptr_equal(b, stores[0]);
	ok(registry_get(r, STR(""), &b, &test_err));
	assert_ptr_equal(b, stores[1]);
	fails(registry_get(r, STR("three"), &b, &test_err), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "\"three\""));
	assert_ptr_equal(registry_ref(r), r);
	registry_unref(r);
	ok(registry_get(r, STR("two"), &b, &test_err));
	registry_unref(r);
	registry_unref(NULL);
}

static void test_registry__default(void **state)
{
	struct backend *two[] = {mem("one"), mem("two")}, *one[] = {mem("only")}, *b;
	struct registry *r = registry_of(two, 2, STR("none"));

	fails(registry_default(r, STR_NONE, &b, &test_err), INVALID);
	fails(registry_default(r, STR("mem://both"), &b, &test_err), INVALID);
	fails(registry_default(r, STR("s3://none"), &b, &test_err), INVALID);
	fails(registry_get(r, STR(""), &b, &test_err), ServiceUnavailable);
	registry_unref(r);
	r = registry_of(one, 1, STR("only"));
	ok(registry_default(r, STR_NONE, &b, &test_err));
	assert_ptr_equal(b, one[0]);
	registry_unref(r);
}

static struct conf conf_of(struct conf_store *stores, size_t n, bool single)
{
	return (struct conf){
		.blockstores = {.stores = stores, .stores_n = n, .single = single}};
}

static void test_registry__opens_what_is_configured(void **state)
{
	char root[64];
	struct conf_store stores[] = {
		{.id = STR("disk"), .type = STR("local")},
		{.id = STR("ram"), .type = STR("mem")},
	};
	struct conf c = conf_of(stores, 2, false);
	struct registry *r;
	struct backend *b;

	store_dir_new(root);
	stores[0].local.path = str_c(root);
	ok(registry_open(&c, NULL, &r, &test_err));
	assert_string_equal(registry_at(r, 0)->type, "local");
	assert_string_equal(registry_at(r, 1)->type, "mem");
	fails(registry_get(r, STR(""), &b, &test_err), ServiceUnavailable);
	ok(registry_default(r, STR("mem://x"), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1));
	ok(registry_default(r, STR("local://x"), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 0));
	registry_unref(r);

	stores[1].backward_compatible = true;
	ok(registry_open(&c, NULL, &r, &test_err));
	ok(registry_get(r, STR(""), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1));
	ok(registry_default(r, STR("local://x"), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1));
	registry_unref(r);

	c = conf_of(stores, 1, true);
	stores[0].id = STR("");
	ok(registry_open(&c, NULL, &r, &test_err));
	ok(registry_get(r, STR(""), &b, &test_err));
	ok(registry_default(r, STR_NONE, &b, &test_err));
	registry_unref(r);
	store_dir_remove(root);
}

static void test_registry__refuses(void **state)
{
	struct conf_store stores[] = {
		{.id = STR("ram"), .type = STR("mem")},
		{.id = STR("cloud"), .type = STR("s3")},
	};
	struct conf c = conf_of(stores, 2, false);
	struct registry *r;

	fails(registry_open(&c, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"cloud\""));
	assert_non_null(strstr(test_err.msg, "\"s3\""));
	assert_int_equal(test_err.code, ERR_CONFIG);
	stores[1] = stores[0];
	fails(registry_open(&c, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"ram\""));
	stores[1] = (struct conf_store){.id = STR("disk"), .type = STR("local"),
					.local.path = STR("/proc/no/such")};
	fails(registry_open(&c, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"disk\""));
	assert_int_equal(test_err.code, ERR_CONFIG);
	c = conf_of(stores, 0, false);
	fails(registry_open(&c, NULL, &r, &test_err), CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry__by_id),
		cmocka_unit_test(test_registry__default),
		cmocka_unit_test(test_registry__opens_what_is_configured),
		cmocka_unit_test(test_registry__refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
