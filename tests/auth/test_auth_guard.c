/* Who guesses waits, and nobody else. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/guard.h"

/* So long that no time passes in a test. */
enum { LONG_MS = 3600 * 1000, FAILURES = 20 };

#define KEY STR("AKIAJKEY")
#define HERE STR("10.0.0.1")

static void exhaust(struct auth_guard *g, struct str source, struct str key)
{
	for (int i = 1; i < FAILURES; i++)
		assert_false(auth_guard_failed(g, source, key));
	assert_int_equal(auth_guard_wait_ms(g, source, key), 0);
	assert_true(auth_guard_failed(g, source, key));
	assert_true(auth_guard_wait_ms(g, source, key) > LONG_MS - 60000);
	assert_true(auth_guard_wait_ms(g, source, key) <= LONG_MS);
}

static void test_guard__an_address_that_guesses_waits(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);

	exhaust(g, HERE, KEY);
	/* Whatever else it tries. */
	assert_true(auth_guard_wait_ms(g, HERE, STR("AKIAJOTHER")) > 0);
	assert_true(auth_guard_wait_ms(g, HERE, STR("")) > 0);
	/* However it is written. */
	assert_true(auth_guard_wait_ms(g, STR("::ffff:10.0.0.1"), KEY) > 0);
	/* Not its neighbour, and not who has that key elsewhere. */
	assert_int_equal(auth_guard_wait_ms(g, STR("10.0.0.2"), KEY), 0);
	assert_int_equal(auth_guard_wait_ms(g, STR("::1"), KEY), 0);
	auth_guard_free(g);
}

static void test_guard__made_up_keys_count_together(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);
	char key[32];

	for (int i = 0; i < FAILURES; i++) {
		snprintf(key, sizeof(key), "AKIAJ%d", i);
		assert_int_equal(auth_guard_wait_ms(g, HERE, str_c(key)), 0);
		auth_guard_failed(g, HERE, str_c(key));
	}
	assert_true(auth_guard_wait_ms(g, HERE, KEY) > 0);
	auth_guard_free(g);
}

static void test_guard__v6_by_network(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);

	exhaust(g, STR("2001:db8:1:2::1"), KEY);
	assert_true(auth_guard_wait_ms(g, STR("2001:db8:1:2:ffff::9"), KEY) > 0);
	assert_int_equal(auth_guard_wait_ms(g, STR("2001:db8:1:3::1"), KEY), 0);
	auth_guard_free(g);
}

/* Many behind one address: one who guesses doesn't keep out who is known there. */
static void test_guard__who_was_right_there_goes_on(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);

	auth_guard_succeeded(g, HERE, KEY);
	exhaust(g, HERE, STR("AKIAJGUESSED"));
	assert_int_equal(auth_guard_wait_ms(g, HERE, KEY), 0);
	/* Nor may that key be guessed there for ever. */
	for (int i = 0; i < FAILURES; i++) {
		assert_int_equal(auth_guard_wait_ms(g, HERE, KEY), 0);
		assert_false(auth_guard_failed(g, HERE, KEY));
	}
	assert_true(auth_guard_wait_ms(g, HERE, KEY) > 0);
	auth_guard_free(g);
}

/* Strangers from everywhere try one key. */
static void test_guard__a_key_alone_is_never_refused(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);
	char source[32];

	for (int i = 0; i < 200; i++) {
		snprintf(source, sizeof(source), "10.1.%d.1", i);
		auth_guard_failed(g, str_c(source), KEY);
	}
	/* Its owner, from a new address: at the first try. */
	assert_int_equal(auth_guard_wait_ms(g, HERE, KEY), 0);
	/* A stranger: a quarter of what an address may else. */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(auth_guard_wait_ms(g, HERE, KEY), 0);
		auth_guard_failed(g, HERE, KEY);
	}
	assert_true(auth_guard_wait_ms(g, HERE, KEY) > 0);
	auth_guard_free(g);
}

static void test_guard__time_heals(void **state)
{
	struct auth_guard *g = auth_guard_new(3, 40);
	struct timespec nap = {0, 20 * 1000000L};
	int tries = 0;

	for (int i = 0; i < 3; i++)
		auth_guard_failed(g, HERE, KEY);
	for (; auth_guard_wait_ms(g, HERE, KEY) > 0 && tries < 1000; tries++)
		nanosleep(&nap, NULL);
	assert_true(tries < 1000);
	auth_guard_free(g);
}

static void test_guard__can_be_off(void **state)
{
	struct auth_guard *g = auth_guard_new(0, 1000);

	for (int i = 0; i < 1000; i++)
		assert_false(auth_guard_failed(g, HERE, KEY));
	auth_guard_succeeded(g, HERE, KEY);
	assert_int_equal(auth_guard_wait_ms(g, HERE, KEY), 0);
	auth_guard_free(g);
}

/* State has a bound: many more addresses than rows. */
static void test_guard__more_addresses_than_rows(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, LONG_MS);
	char source[32];

	for (int i = 0; i < 100000; i++) {
		snprintf(source, sizeof(source), "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
		auth_guard_failed(g, str_c(source), STR(""));
	}
	exhaust(g, STR("192.0.2.1"), KEY);
	auth_guard_free(g);
}

static void *hammer(void *arg)
{
	struct auth_guard *g = arg;
	char source[32];

	for (int i = 0; i < 20000; i++) {
		struct str key = i % 3 ? KEY : STR("AKIAJOTHER");

		snprintf(source, sizeof(source), "10.0.%d.%d", i % 7, i % 5);
		if (auth_guard_wait_ms(g, str_c(source), key))
			continue;
		if (i % 2)
			auth_guard_succeeded(g, str_c(source), key);
		else
			auth_guard_failed(g, str_c(source), key);
	}
	return NULL;
}

static void test_guard__from_many_threads(void **state)
{
	struct auth_guard *g = auth_guard_new(FAILURES, 1);
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, g), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	auth_guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard__an_address_that_guesses_waits),
		cmocka_unit_test(test_guard__made_up_keys_count_together),
		cmocka_unit_test(test_guard__v6_by_network),
		cmocka_unit_test(test_guard__who_was_right_there_goes_on),
		cmocka_unit_test(test_guard__a_key_alone_is_never_refused),
		cmocka_unit_test(test_guard__time_heals),
		cmocka_unit_test(test_guard__can_be_off),
		cmocka_unit_test(test_guard__more_addresses_than_rows),
		cmocka_unit_test(test_guard__from_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
