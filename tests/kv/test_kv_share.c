/* Reads that share a request: how many requests go out, and that nobody sees what was there before its
 * call. Below the filter is a driver whose gets wait at a gate, before and after they look. */
#include "tests/kv/conformance.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static const struct str P = STR("p"), K = STR("k");

enum { THREADS = 12 };

/* The driver at the gate. */

struct gate {
	struct kv kv;
	struct kv *next;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct {
		int looked;   /* gets that have read the value, and wait to return it */
		int may_pass; /* of those, how many may */
		bool open;
	} locked;
	atomic_int gets;
	bool fails;
	int64_t slow_ns; /* between looking and answering */
};

static rc gate_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		   struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct gate *g = (struct gate *)kv;
	rc r = g->fails ? err_set(reterr, ERR_IO, "the disk is on fire")
			: kv_get(g->next, wait, partition, key, a, ret_value, reterr);

	atomic_fetch_add(&g->gets, 1);
	if (g->slow_ns)
		nanosleep(&(struct timespec){.tv_nsec = g->slow_ns}, NULL);
	pthread_mutex_lock(&g->lock);
	g->locked.looked++;
	pthread_cond_broadcast(&g->moved);
	while (!g->locked.open && g->locked.may_pass == 0)
		pthread_cond_wait(&g->moved, &g->lock);
	if (!g->locked.open)
		g->locked.may_pass--;
	pthread_mutex_unlock(&g->lock);
	return r;
}

static rc gate_set(struct kv *kv, struct str partition, struct str key, struct str value,
		   struct err *reterr)
{
	return kv_set(((struct gate *)kv)->next, partition, key, value, reterr);
}

static void gate_free(struct kv *kv)
{
	struct gate *g = (struct gate *)kv;

	kv_free(g->next);
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->moved);
	free(g);
}

static const struct kv_ops gate_ops = {
	.name = "gate", .get = gate_get, .set = gate_set, .free = gate_free};

static struct gate *gate_new(void)
{
	struct gate *g = calloc(1, sizeof(*g));

	g->kv.ops = &gate_ops;
	g->next = kv_mem_new();
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->moved, NULL);
	return g;
}

static void let_pass(struct gate *g, int n)
{
	pthread_mutex_lock(&g->lock);
	g->locked.may_pass += n;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->locked.open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

static void wait_until_looked(struct gate *g, int n)
{
	pthread_mutex_lock(&g->lock);
	while (g->locked.looked < n)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

/* Readers. */

struct reader {
	struct kv *kv;
	pthread_t thread;
	atomic_int came, done;
	char got[64];
	rc r;
	struct err err;
};

static void *read_one(void *arg)
{
	struct reader *me = arg;
	struct arena *a = arena_new();
	struct str v = STR_NONE;

	atomic_store(&me->came, 1);
	me->r = kv_get(me->kv, KV_BLOCK, P, K, a, &v, &me->err);
	CHECK(v.n < sizeof(me->got));
	if (rc_ok(me->r))
		memcpy(me->got, v.p, v.n);
	arena_free(a);
	atomic_store(&me->done, 1);
	return NULL;
}

static void start(struct reader *r, struct kv *kv)
{
	*r = (struct reader){.kv = kv};
	CHECK(pthread_create(&r->thread, NULL, read_one, r) == 0);
}

static void finish(struct reader *r)
{
	pthread_join(r->thread, NULL);
}

/* Long enough for n threads to come to the filter; whatever they do there, the test holds. */
static void some_time(const struct reader *r, int n)
{
	for (int i = 0; i < n; i++)
		while (!atomic_load(&r[i].came))
			sched_yield();
	nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
}

static struct gate *gate;
static struct kv *kv;

static int setup(void **state)
{
	gate = gate_new();
	kv = kv_share_new(&gate->kv);
	return !rc_ok(kv_set(kv, P, K, STR("old"), NULL));
}

static int teardown(void **state)
{
	kv_free(kv);
	return 0;
}

static void test_share__those_who_wait_share_the_next_request(void **state)
{
	struct reader r[THREADS];

	start(&r[0], kv);
	start(&r[1], kv);
	wait_until_looked(gate, 2);
	/* Both are out, and have seen the old value. */
	assert_true(rc_ok(kv_set(kv, P, K, STR("new"), NULL)));
	for (int i = 2; i < THREADS; i++)
		start(&r[i], kv);
	some_time(r + 2, THREADS - 2);
	assert_int_equal(gate->gets, 2);
	let_pass(gate, 1);
	wait_until_looked(gate, 3); /* the group's, for all of it */
	open_gate(gate);
	for (int i = 0; i < THREADS; i++) {
		finish(&r[i]);
		assert_true(rc_ok(r[i].r));
		assert_string_equal(r[i].got, i < 2 ? "old" : "new");
	}
	/* One for them all; one more for each that was late to come (a busy machine). */
	assert_in_range(gate->gets, 3, THREADS - 1);
}

/* What is on its way may have looked already: who comes now must not have its answer. */
static void test_share__who_comes_late_waits_for_another_request(void **state)
{
	struct reader r[6];

	start(&r[0], kv);
	start(&r[1], kv);
	wait_until_looked(gate, 2);
	start(&r[2], kv);
	some_time(r + 2, 1);
	let_pass(gate, 1); /* of the first two: then the third goes out */
	wait_until_looked(gate, 3);
	assert_true(rc_ok(kv_set(kv, P, K, STR("new"), NULL)));
	start(&r[3], kv);
	start(&r[4], kv);
	start(&r[5], kv);
	some_time(r + 3, 3);
	assert_int_equal(gate->gets, 3);
	open_gate(gate);
	for (int i = 0; i < 6; i++) {
		finish(&r[i]);
		assert_true(rc_ok(r[i].r));
		assert_string_equal(r[i].got, i < 3 ? "old" : "new");
	}
}

static void test_share__a_lone_read_goes_at_once(void **state)
{
	struct reader r[2];

	open_gate(gate);
	for (int i = 0; i < 2; i++) {
		start(&r[i], kv);
		finish(&r[i]);
		assert_string_equal(r[i].got, "old");
		assert_int_equal(gate->gets, i + 1);
	}
}

static void test_share__errors_are_shared_with_their_story(void **state)
{
	struct reader r[6];

	gate->fails = true;
	for (int i = 0; i < 2; i++)
		start(&r[i], kv);
	wait_until_looked(gate, 2);
	for (int i = 2; i < 6; i++)
		start(&r[i], kv);
	some_time(r + 2, 4);
	open_gate(gate);
	for (int i = 0; i < 6; i++) {
		finish(&r[i]);
		assert_rc(r[i].r, IO);
		assert_int_equal(r[i].err.code, ERR_IO);
		assert_string_equal(r[i].err.msg, "the disk is on fire");
	}
}

/* A writer counts up and tells each number once it is acknowledged; a reader that begins after that must see it or
 * a later one. */
enum { WRITES = 3000, KEYS = 3 };

static atomic_int told[KEYS];
static atomic_long all_reads;
static atomic_bool over;

static struct str number(char to[16], int n)
{
	return str_make(to, (size_t)snprintf(to, 16, "%d", n));
}

/* Until some have shared: the readers may be slow to come. */
static void *count_up(void *arg)
{
	int64_t until = mono_ms() + 60000;
	char key[16], value[16];

	for (int n = 1; n <= WRITES || (gate->gets >= all_reads && mono_ms() < until); n++)
		for (int k = 0; k < KEYS; k++) {
			CHECK(rc_ok(kv_set(kv, P, number(key, k), number(value, n), NULL)));
			atomic_store(&told[k], n);
		}
	atomic_store(&over, true);
	return NULL;
}

static void *read_on(void *arg)
{
	char key[16];

	for (int k = 0; !atomic_load(&over); k = (k + 1) % KEYS) {
		struct arena *a = arena_new();
		int least = atomic_load(&told[k]);
		struct str v;
		uint64_t n;

		CHECK(rc_ok(kv_get(kv, KV_BLOCK, P, number(key, k), a, &v, NULL)));
		CHECK(str_to_u64(v, &n) && (int)n >= least);
		atomic_fetch_add(&all_reads, 1);
		arena_free(a);
	}
	return NULL;
}

static void test_share__no_read_is_older_than_its_call(void **state)
{
	pthread_t writer, readers[THREADS];
	char key[16];

	open_gate(gate);
	gate->slow_ns = 200000;
	atomic_store(&over, false);
	atomic_store(&all_reads, 0);
	for (int k = 0; k < KEYS; k++) {
		atomic_store(&told[k], 0);
		CHECK(rc_ok(kv_set(kv, P, number(key, k), STR("0"), NULL)));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&readers[i], NULL, read_on, NULL) == 0);
	CHECK(pthread_create(&writer, NULL, count_up, NULL) == 0);
	pthread_join(writer, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(readers[i], NULL);
	print_message("%ld reads, %d requests\n", atomic_load(&all_reads), atomic_load(&gate->gets));
	assert_true(gate->gets < all_reads);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_share__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(those_who_wait_share_the_next_request),
		TEST(who_comes_late_waits_for_another_request),
		TEST(a_lone_read_goes_at_once),
		TEST(errors_are_shared_with_their_story),
		TEST(no_read_is_older_than_its_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
