#include "tests/conf/conf_test.h"

#include <pthread.h>

static void test_snapshot__counted(void **state)
{
	struct loaded l = load_good(MINIMAL);
	struct conf *c = conf_ref(l.conf);

	unload(&l); /* the arena of the findings goes, and one reference */
	assert_str(c->auth.encrypt.secret_key, "a secret");
	assert_str(c->blockstores.stores[0].type, "mem");
	conf_unref(c);
	conf_unref(NULL);
}

static void test_snapshot__current(void **state)
{
	struct loaded one = load_good(MINIMAL), two = load_good(MINIMAL "installation: "
								       "{fixed_id: two}\n");
	struct conf *held;

	assert_null(conf_current());
	conf_current_set(one.conf);
	held = conf_current();
	assert_ptr_equal(held, one.conf);
	conf_current_set(two.conf);
	unload(&one);
	assert_null(held->installation.fixed_id.p); /* the old one lives while it is held */
	conf_unref(held);
	held = conf_current();
	assert_str(held->installation.fixed_id, "two");
	conf_unref(held);
	conf_current_set(NULL);
	assert_null(conf_current());
	unload(&two);
}

static void *reader(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		struct conf *c = conf_current();

		if (!str_eq(c->auth.encrypt.secret_key, STR("a secret")))
			abort();
		conf_unref(c);
	}
	return NULL;
}

static void test_snapshot__swapped_while_read(void **state)
{
	struct loaded l = load_good(MINIMAL);
	pthread_t threads[4];

	conf_current_set(l.conf);
	unload(&l);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
	for (int i = 0; i < 50; i++) {
		l = load_good(MINIMAL);
		conf_current_set(l.conf);
		unload(&l);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	conf_current_set(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot__counted),
		cmocka_unit_test(test_snapshot__current),
		cmocka_unit_test(test_snapshot__swapped_while_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
