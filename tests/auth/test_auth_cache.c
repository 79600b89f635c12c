#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "auth/cache.h"

static struct str numbered(char out[24], int i)
{
	snprintf(out, 24, "KEY%d", i);
	return str_c(out);
}

static struct auth_cache *cache(size_t max, int64_t ttl_ms)
{
	struct auth_cache_options o = {
		.max = max, .unknown_max = max, .ttl_ms = ttl_ms, .unknown_ttl_ms = ttl_ms};

	return auth_cache_new(&o);
}

static void put(struct auth_cache *c, struct str key, struct str secret)
{
	struct auth_user *u = auth_user_of(key, NULL, 0);

	auth_cache_put(c, auth_cache_epoch(c), key, u, secret);
	auth_user_unref(u);
}

static enum auth_cached find(struct auth_cache *c, struct str key)
{
	struct arena *a = arena_new();
	struct auth_user *u = NULL;
	struct str secret;
	enum auth_cached found = auth_cache_find(c, key, a, &u, &secret);

	if (found == AUTH_CACHE_KNOWN)
		assert_true(str_eq(auth_user_name(u), key));
	auth_user_unref(u);
	arena_free(a);
	return found;
}

static void nap_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL);
}

static void test_cache__known_and_unknown(void **state)
{
	struct auth_cache *c = cache(10, 60000);
	struct arena *a = arena_new();
	struct auth_user *u = NULL;
	struct str secret;

	assert_int_equal(find(c, STR("A")), AUTH_CACHE_MISS);
	put(c, STR("A"), STR("one"));
	put(c, STR("A"), STR("two"));
	auth_cache_put_unknown(c, auth_cache_epoch(c), STR("B"));
	assert_int_equal(auth_cache_count(c), 2);
	assert_int_equal(auth_cache_find(c, STR("A"), a, &u, &secret), AUTH_CACHE_KNOWN);
	assert_true(str_eq(secret, STR("two")));
	assert_int_equal(find(c, STR("B")), AUTH_CACHE_UNKNOWN);
	/* Made after it was asked for. */
	put(c, STR("B"), STR("three"));
	assert_int_equal(find(c, STR("B")), AUTH_CACHE_KNOWN);
	auth_cache_free(c);
	/* The reference outlives the cache. */
	assert_true(str_eq(auth_user_name(u), STR("A")));
	auth_user_unref(u);
	arena_free(a);
}

static void test_cache__bounded_oldest_first(void **state)
{
	struct auth_cache *c = cache(100, 60000);
	char name[24];

	for (int i = 0; i < 1000; i++) {
		put(c, numbered(name, i), STR("s"));
		auth_cache_put_unknown(c, auth_cache_epoch(c), numbered(name, 100000 + i));
		assert_int_equal(find(c, STR("KEY0")), AUTH_CACHE_KNOWN);
		assert_true(auth_cache_count(c) <= 200);
	}
	assert_int_equal(auth_cache_count(c), 200);
	for (int i = 1; i < 901; i++)
		assert_int_equal(find(c, numbered(name, i)), AUTH_CACHE_MISS);
	for (int i = 901; i < 1000; i++)
		assert_int_equal(find(c, numbered(name, i)), AUTH_CACHE_KNOWN);
	auth_cache_free(c);
}

static void test_cache__expiry(void **state)
{
	struct auth_cache_options o = {.max = 10, .unknown_max = 10, .ttl_ms = 40, .jitter_ms = 10,
				       .unknown_ttl_ms = 20};
	struct auth_cache *c = auth_cache_new(&o);

	put(c, STR("A"), STR("s"));
	auth_cache_put_unknown(c, auth_cache_epoch(c), STR("B"));
	nap_ms(60);
	assert_int_equal(find(c, STR("A")), AUTH_CACHE_MISS);
	assert_int_equal(find(c, STR("B")), AUTH_CACHE_MISS);
	assert_int_equal(auth_cache_count(c), 0);
	auth_cache_free(c);
}

static void test_cache__jitter_spreads(void **state)
{
	enum { N = 64 };
	struct auth_cache_options o = {.max = N, .unknown_max = 1, .ttl_ms = 150, .jitter_ms = 140,
				       .unknown_ttl_ms = 1};
	struct auth_cache *c = auth_cache_new(&o);
	char name[24];
	int alive = 0;

	for (int i = 0; i < N; i++)
		put(c, numbered(name, i), STR("s"));
	nap_ms(150);
	for (int i = 0; i < N; i++)
		alive += find(c, numbered(name, i)) == AUTH_CACHE_KNOWN;
	assert_true(alive < N);
	nap_ms(160);
	for (int i = 0; i < N; i++)
		assert_int_equal(find(c, numbered(name, i)), AUTH_CACHE_MISS);
	auth_cache_free(c);
}

static void test_cache__nothing_kept_without_ttl_or_room(void **state)
{
	struct auth_cache *c = cache(10, 0);

	put(c, STR("A"), STR("s"));
	auth_cache_put_unknown(c, auth_cache_epoch(c), STR("B"));
	assert_int_equal(auth_cache_count(c), 0);
	auth_cache_free(c);
	c = cache(0, 1000);
	put(c, STR("A"), STR("s"));
	auth_cache_put_unknown(c, auth_cache_epoch(c), STR("B"));
	assert_int_equal(auth_cache_count(c), 0);
	auth_cache_free(c);
}

static void test_cache__clear_refuses_what_was_read_before(void **state)
{
	struct auth_cache *c = cache(10, 60000);
	uint64_t epoch = auth_cache_epoch(c);
	struct auth_user *u = auth_user_of(STR("B"), NULL, 0);

	put(c, STR("A"), STR("s"));
	auth_cache_clear(c);
	auth_cache_put(c, epoch, STR("B"), u, STR("s"));
	auth_cache_put_unknown(c, epoch, STR("C"));
	assert_int_equal(auth_cache_count(c), 0);
	auth_user_unref(u);
	auth_cache_free(c);
}

static void *hammer(void *arg)
{
	struct auth_cache *c = arg;
	char name[24];

	for (int i = 0; i < 3000; i++) {
		struct str key = numbered(name, i % 37);

		if (i % 5 == 0)
			put(c, key, STR("secret"));
		else if (i % 97 == 0)
			auth_cache_clear(c);
		else if (i % 7 == 0)
			auth_cache_put_unknown(c, auth_cache_epoch(c), key);
		else
			find(c, key);
	}
	return NULL;
}

static void test_cache__threads(void **state)
{
	struct auth_cache *c = cache(20, 1);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, c), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(auth_cache_count(c) <= 40);
	auth_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache__known_and_unknown),
		cmocka_unit_test(test_cache__bounded_oldest_first),
		cmocka_unit_test(test_cache__expiry),
		cmocka_unit_test(test_cache__jitter_spreads),
		cmocka_unit_test(test_cache__nothing_kept_without_ttl_or_room),
		cmocka_unit_test(test_cache__clear_refuses_what_was_read_before),
		cmocka_unit_test(test_cache__threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
