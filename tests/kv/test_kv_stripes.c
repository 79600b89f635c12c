#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kv/stripes.h"

enum { THREADS = 8, ROUNDS = 3000 };

struct shared {
	struct stripes *stripes;
	long plain[4]; /* guarded by stripes 0 to 3 */
	atomic_bool stop;
	atomic_long passes;
};

static void run(void *(*fn)(void *), struct shared *s, int n)
{
	pthread_t t[THREADS];

	for (int i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, fn, s) != 0)
			abort();
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void *own_and_share(void *arg)
{
	static atomic_uint seeds;
	struct shared *s = arg;
	unsigned x = atomic_fetch_add(&seeds, 1) * 77 + 1;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned a = (x = x * 1664525 + 1013904223) >> 30, b = x >> 28 & 3;

		if (x >> 20 & 1) {
			stripe_own(s->stripes, a);
			s->plain[a]++;
			stripe_disown(s->stripes, a);
		} else {
			long before, other;

			stripe_share_pair(s->stripes, a, b);
			before = s->plain[a];
			other = s->plain[b];
			sched_yield();
			must(before == s->plain[a] && other == s->plain[b]);
			stripe_unshare_pair(s->stripes, b, a);
		}
	}
	return NULL;
}

static void test_stripes__owners_are_alone(void **state)
{
	struct shared s = {.stripes = stripes_new()};

	run(own_and_share, &s, THREADS);
	assert_true(s.plain[0] + s.plain[1] + s.plain[2] + s.plain[3] > THREADS * ROUNDS / 4);
	stripes_free(s.stripes);
}

/* Those who share several and those who own one, all at once: nobody waits for ever. */
static void *share_many_or_own(void *arg)
{
	static atomic_uint seeds;
	struct shared *s = arg;
	unsigned x = atomic_fetch_add(&seeds, 1) * 91 + 5;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned many[6];
		size_t n;

		for (int k = 0; k < 6; k++)
			many[k] = (x = x * 1664525 + 1013904223) >> 30;
		if (x >> 20 & 1) {
			stripe_own(s->stripes, many[0]);
			s->plain[many[0]]++;
			stripe_disown(s->stripes, many[0]);
			continue;
		}
		n = stripe_share_many(s->stripes, many, 6);
		must(n >= 1 && n <= 4);
		for (size_t k = 0; k + 1 < n; k++)
			must(many[k] < many[k + 1] && s->plain[many[k]] >= 0);
		sched_yield();
		stripe_unshare_many(s->stripes, many, n);
	}
	return NULL;
}

static void test_stripes__several_at_once(void **state)
{
	struct shared s = {.stripes = stripes_new()};

	run(share_many_or_own, &s, THREADS);
	assert_int_equal(stripe_share_many(s.stripes, NULL, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		stripe_own(s.stripes, i);
		stripe_disown(s.stripes, i);
	}
	stripes_free(s.stripes);
}

static void *share_until_stopped(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop)) {
		stripe_share(s->stripes, 1);
		usleep(200);
		atomic_fetch_add(&s->passes, 1);
		stripe_unshare(s->stripes, 1);
	}
	return NULL;
}

static void *own_until_stopped(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop)) {
		stripe_own(s->stripes, 1);
		usleep(200);
		stripe_disown(s->stripes, 1);
	}
	return NULL;
}

/* Six overlap in sharing without end: an owner gets in all the same. */
static void test_stripes__an_owner_gets_in(void **state)
{
	struct shared s = {.stripes = stripes_new()};
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, share_until_stopped, &s), 0);
	while (atomic_load(&s.passes) < 20)
		sched_yield();
	for (int i = 0; i < 20; i++) {
		stripe_own(s.stripes, 1);
		stripe_disown(s.stripes, 1);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	stripes_free(s.stripes);
}

/* Four own in turn without end: those who share get in all the same. */
static void test_stripes__a_sharer_gets_in(void **state)
{
	struct shared s = {.stripes = stripes_new()};
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, own_until_stopped, &s), 0);
	for (int i = 0; i < 20; i++) {
		stripe_share_pair(s.stripes, 1, 1);
		stripe_unshare_pair(s.stripes, 1, 1);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	stripes_free(s.stripes);
}

static void test_stripes__keys_spread(void **state)
{
	static int used[4096];
	int distinct = 0;
	char key[32];

	for (int i = 0; i < 4096; i++) {
		int n = snprintf(key, sizeof(key), "branches/b%d", i);
		unsigned s = stripe_of(str_make(key, (size_t)n));

		assert_true(s < 4096);
		distinct += used[s]++ == 0;
	}
	assert_true(distinct > 900);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stripes__owners_are_alone),
		cmocka_unit_test(test_stripes__several_at_once),
		cmocka_unit_test(test_stripes__an_owner_gets_in),
		cmocka_unit_test(test_stripes__a_sharer_gets_in),
		cmocka_unit_test(test_stripes__keys_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
