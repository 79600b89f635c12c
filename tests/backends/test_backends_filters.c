/* Filters: what each does to calls, from one thread and from many. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "tests/backends/stores.h"

/* Generous: the machine may be busy. */
enum { WAIT_MS = 60000 };

static struct store s;
static struct backend *fault;

/* A store in memory behind a fault, for the filter under test to be put over. */
static void begin(const char *id)
{
	fault = backend_fault_new(backend_mem_new(str_c(id), NULL));
	s = (struct store){.b = fault, .space = STR("mem://space")};
}

static void end(void)
{
	store_close(&s);
}

#define UNTIL(condition)                                                                            \
	do {                                                                                       \
		int64_t end_ = mono_ms() + WAIT_MS;                                                \
		while (!(condition)) {                                                             \
			assert_true(mono_ms() < end_);                                             \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

static rc head(const char *key)
{
	struct object_ptr p = at(&s, key);
	struct arena *a = arena_new();
	struct backend_stat st;
	rc r = backend_head_now(s.b, &p, a, &st, &test_err);

	arena_free(a);
	return r;
}

static rc read_some(const char *key, char *dst, size_t n, size_t *ret_n)
{
	struct object_ptr p = at(&s, key);

	return backend_read_now(s.b, &p, 0, dst, n, ret_n, &test_err);
}

/* fault */

static void test_filters__fault_cuts_delays_and_holds(void **state)
{
	char bytes[16];
	size_t n;
	int64_t began;

	begin("f");
	ok(put_bytes(&s, "a", STR("0123456789")));
	backend_fault_truncate(fault, 2, 4);
	ok(read_some("a", bytes, sizeof(bytes), &n));
	assert_int_equal(n, 10);
	ok(read_some("a", bytes, sizeof(bytes), &n));
	assert_int_equal(n, 6);
	ok(read_some("a", bytes, sizeof(bytes), &n));
	assert_int_equal(n, 10);

	backend_fault_delay(fault, BACKEND_CALL_GET, 30);
	began = mono_ms();
	ok(head("a"));
	assert_true(mono_ms() - began >= 30);
	backend_fault_delay(fault, 0, 0);

	backend_fault_always(fault, BACKEND_CALL_GET, ERR_AccessDenied);
	fails(head("a"), AccessDenied);
	fails(head("a"), AccessDenied);
	ok(put_bytes(&s, "b", STR("written all the same")));
	backend_fault_always(fault, 0, ERR_IO);
	ok(head("a"));
	assert_int_equal(backend_fault_calls(fault, BACKEND_CALL_GET), 7);
	end();
}

/* A filter shows what the store below has, and hides what it lacks: callers look at the pointers. */
static void test_filters__mask_what_is_lacking(void **state)
{
	const struct backend_blocking_ops *ops;
	struct store disk;

	begin("m");
	ops = s.b->blocking;
	assert_null(ops->open_file);
	assert_null(ops->open_reader);
	assert_null(ops->probe);
	assert_null(ops->sweep);
	assert_non_null(ops->list);
	assert_non_null(ops->mpu_create);
	end();
	store_open(&disk, STORE_LOCAL, NULL);
	disk.b = backend_metrics_new(disk.b);
	assert_non_null(disk.b->blocking->open_file);
	assert_non_null(disk.b->blocking->open_file_nowait);
	assert_non_null(disk.b->blocking->sweep);
	assert_true(disk.b->caps & BACKEND_CAP_FILE);
	store_close(&disk);
}

/* retry */

static void test_filters__retry_repeats_what_did_no_harm(void **state)
{
	static const struct {
		unsigned mask;
		enum err_code code;
		bool again;
	} cases[] = {
		{BACKEND_CALL_GET, ERR_IO, true},
		{BACKEND_CALL_GET, ERR_ServiceUnavailable, true},
		{BACKEND_CALL_GET, ERR_NOT_FOUND, false},
		{BACKEND_CALL_GET, ERR_AccessDenied, false},
		{BACKEND_CALL_REMOVE, ERR_SlowDown, true},
		{BACKEND_CALL_REMOVE, ERR_IO, false},
		{BACKEND_CALL_PUT, ERR_ServiceUnavailable, true}, /* opening the writer */
		{BACKEND_CALL_PUT, ERR_IO, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct object_ptr p;
		rc r;

		begin("r");
		ok(put_bytes(&s, "a", STR("x")));
		s.b = backend_retry_new(fault, 2);
		p = at(&s, "a");
		backend_fault_arm(fault, cases[i].mask, 1, cases[i].code, false);
		if (cases[i].mask == BACKEND_CALL_GET)
			r = head("a");
		else if (cases[i].mask == BACKEND_CALL_PUT)
			r = put_bytes(&s, "b", STR("y"));
		else
			r = backend_remove_now(s.b, &p, &test_err);
		assert_true(backend_fault_fired(fault));
		assert_int_equal(rc_ok(r), cases[i].again);
		end();
	}
}

static void test_filters__retry_gives_up(void **state)
{
	begin("r");
	ok(put_bytes(&s, "a", STR("x")));
	s.b = backend_retry_new(fault, 2);
	backend_fault_always(fault, BACKEND_CALL_GET, ERR_ServiceUnavailable);
	fails(head("a"), ServiceUnavailable);
	assert_int_equal(backend_fault_calls(fault, BACKEND_CALL_GET), 3);
	/* a commit is never repeated: it may have been done */
	backend_fault_always(fault, 0, ERR_IO);
	backend_fault_arm(fault, BACKEND_CALL_PUT, 3, ERR_ServiceUnavailable, false);
	fails(put_bytes(&s, "b", STR("y")), ServiceUnavailable);
	fails(head("b"), NOT_FOUND);
	end();
}

/* health */

static struct backend_health health(void)
{
	struct backend_health h;

	backend_health(s.b, &h);
	return h;
}

static void with_health(unsigned probe_ms)
{
	s.b = backend_health_new(fault, &(struct backend_health_options){.down_after = 5, .probe_ms = probe_ms});
}

static int64_t state_metric(const char *label)
{
	return metric_value(metric_get(METRIC_GAUGE, "sluice_store_state", "", label));
}

static void fail_until_down(void)
{
	backend_fault_always(fault, BACKEND_CALL_GET, ERR_ServiceUnavailable);
	fails(head("a"), ServiceUnavailable);
	assert_int_equal(health().state, BACKEND_OK); /* one is no news */
	fails(head("a"), ServiceUnavailable);
	fails(head("a"), ServiceUnavailable);
	assert_int_equal(health().state, BACKEND_FAILING);
	assert_string_equal(health().reason, "a fault was injected");
	assert_int_equal(state_metric("store=\"h\\\"1\""), 1);
	fails(head("a"), ServiceUnavailable);
	fails(head("a"), ServiceUnavailable);
	assert_int_equal(health().state, BACKEND_DOWN);
	assert_int_equal(state_metric("store=\"h\\\"1\""), 2);
	assert_true(health().since_s > 0);
}

static void begin_remote(unsigned probe_ms)
{
	begin("h\"1");
	fault->caps &= ~(unsigned)BACKEND_CAP_BLOCKING;
	ok(put_bytes(&s, "a", STR("x")));
	with_health(probe_ms);
	ok(head("a"));
	assert_int_equal(health().state, BACKEND_OK);
}

static void test_filters__health_spares_a_store_that_is_down(void **state)
{
	begin_remote(60 * 60 * 1000);
	fail_until_down();
	backend_fault_always(fault, 0, ERR_IO);
	for (int i = 0; i < 3; i++)
		fails(head("a"), ServiceUnavailable);
	assert_int_equal(backend_fault_calls(fault, BACKEND_CALL_GET), 6);
	fails(put_bytes(&s, "b", STR("y")), ServiceUnavailable);
	fails(backend_admit(s.b, &test_err), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "store \"h\"1\" (mem) is down: a fault was injected"));
	end();
}

static void test_filters__health_recovers(void **state)
{
	begin_remote(10);
	fail_until_down();
	UNTIL(((void)head("a").code, backend_fault_calls(fault, BACKEND_CALL_GET) >= 9));
	assert_int_equal(health().state, BACKEND_DOWN);
	backend_fault_always(fault, 0, ERR_IO);
	UNTIL(rc_ok(head("a")));
	assert_int_equal(health().state, BACKEND_OK);
	assert_int_equal(health().failures, 0);
	assert_string_equal(health().reason, "");
	assert_int_equal(state_metric("store=\"h\\\"1\""), 0);
	ok(backend_admit(s.b, &test_err));
	ok(put_bytes(&s, "b", STR("y")));
	end();
}

/* An answer is an answer; who may not is told so, and not that the store were away. */
static void test_filters__health_tells_faults_apart(void **state)
{
	static const struct {
		enum err_code code;
		enum backend_state state;
	} cases[] = {
		{ERR_NOT_FOUND, BACKEND_OK},	    {ERR_EXISTS, BACKEND_OK},
		{ERR_SlowDown, BACKEND_OK},	    {ERR_CANCELLED, BACKEND_OK},
		{ERR_AccessDenied, BACKEND_FAILING}, {ERR_IO, BACKEND_DOWN},
		{ERR_UNKNOWN_OUTCOME, BACKEND_DOWN}, {ERR_ServiceUnavailable, BACKEND_DOWN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin("h2");
		fault->caps &= ~(unsigned)BACKEND_CAP_BLOCKING;
		with_health(60 * 60 * 1000);
		backend_fault_always(fault, BACKEND_CALL_GET, cases[i].code);
		for (int n = 0; n < 8; n++)
			assert_int_equal(head("a").code,
					 n >= 5 && cases[i].state == BACKEND_DOWN ? ERR_ServiceUnavailable
										 : cases[i].code);
		assert_int_equal(health().state, cases[i].state);
		end();
	}
	/* a local disk that is full may be read */
	begin("h2");
	ok(put_bytes(&s, "a", STR("x")));
	with_health(60 * 60 * 1000);
	backend_fault_always(fault, BACKEND_CALL_PUT, ERR_IO);
	for (int n = 0; n < 8; n++)
		fails(put_bytes(&s, "b", STR("y")), IO);
	assert_int_equal(health().state, BACKEND_FAILING);
	ok(head("a"));
	assert_int_equal(health().state, BACKEND_OK);
	end();
}

struct callers {
	atomic_bool stop;
	atomic_uint good, down, other;
};

static void *call_on(void *ud)
{
	struct callers *c = ud;
	struct arena *a = arena_new();
	struct object_ptr p = at(&s, "a");
	struct backend_stat st;
	struct err err;

	while (!atomic_load(&c->stop)) {
		rc r = backend_head_now(s.b, &p, a, &st, &err);

		atomic_fetch_add(rc_ok(r)			? &c->good
				 : rc_is(r, ServiceUnavailable) ? &c->down
								: &c->other,
				 1);
		usleep(100);
	}
	arena_free(a);
	return NULL;
}

/* Of many callers one at a time asks a store that is down. */
static void test_filters__health_one_probe_at_a_time(void **state)
{
	struct callers c = {0};
	pthread_t threads[8];

	begin("h3");
	fault->caps &= ~(unsigned)BACKEND_CAP_BLOCKING;
	ok(put_bytes(&s, "a", STR("x")));
	with_health(10);
	backend_fault_always(fault, BACKEND_CALL_GET, ERR_ServiceUnavailable);
	for (int i = 0; i < 5; i++)
		fails(head("a"), ServiceUnavailable);
	backend_fault_hold(fault, BACKEND_CALL_GET);
	for (size_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, call_on, &c);
	UNTIL(backend_fault_held(fault) == 1);
	for (unsigned before = atomic_load(&c.down); atomic_load(&c.down) < before + 500;)
		assert_true(backend_fault_held(fault) <= 1);
	backend_fault_always(fault, 0, ERR_IO);
	backend_fault_hold(fault, 0);
	UNTIL(atomic_load(&c.good) > 100);
	atomic_store(&c.stop, true);
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.other), 0);
	assert_int_equal(health().state, BACKEND_OK);
	end();
}

/* limit */

struct job {
	struct work work;
	struct backend *b;
	rc result;
	struct err err;
	atomic_bool done;
};

static void job_run(struct work *w)
{
	struct job *j = (struct job *)w;
	struct object_ptr p = at(&s, "a");
	struct arena *a = arena_new();
	struct backend_stat st;

	j->result = backend_head_now(j->b, &p, a, &st, &j->err);
	arena_free(a);
}

static void job_done(struct work *w)
{
	atomic_store(&((struct job *)w)->done, true);
}

static void submit(struct work_pool *pool, struct job *j, struct backend *b)
{
	j->work = (struct work){.run = job_run, .done = job_done};
	j->b = b;
	atomic_store(&j->done, false);
	assert_true(work_submit(pool, &j->work));
}

static void with_limit(unsigned patience_ms)
{
	s.b = backend_limit_new(fault, &(struct backend_limit_options){.share = 50, .patience_ms = patience_ms});
}

/* A store that hangs has half of the workers; the others serve the next store. */
static void test_filters__limit_leaves_workers_to_others(void **state)
{
	struct work_pool *pool = work_pool_new("meta", 4, 100), *tasks = work_pool_new("tasks", 1, 100);
	struct backend *other = backend_mem_new(STR("other"), NULL);
	struct job held[2] = {0}, refused[3] = {0}, served = {0}, elsewhere = {0};

	begin("hanging");
	ok(put_bytes(&s, "a", STR("x")));
	with_limit(20);
	backend_fault_hold(fault, BACKEND_CALL_GET);
	for (int i = 0; i < 2; i++)
		submit(pool, &held[i], s.b);
	UNTIL(backend_fault_held(fault) == 2);
	for (int i = 0; i < 3; i++) {
		submit(pool, &refused[i], s.b);
		UNTIL(atomic_load(&refused[i].done));
		assert_int_equal(refused[i].result.code, ERR_ServiceUnavailable);
		assert_non_null(strstr(refused[i].err.msg, "store \"hanging\" (mem) is slow: 2 calls"));
	}
	submit(pool, &served, other);
	UNTIL(atomic_load(&served.done));
	assert_int_equal(served.result.code, ERR_NOT_FOUND); /* an answer */
	submit(tasks, &elsewhere, s.b); /* each pool has its share, at least one */
	UNTIL(backend_fault_held(fault) == 3);
	backend_fault_hold(fault, 0);
	for (int i = 0; i < 2; i++) {
		UNTIL(atomic_load(&held[i].done));
		ok(held[i].result);
	}
	UNTIL(atomic_load(&elsewhere.done));
	submit(pool, &served, s.b);
	UNTIL(atomic_load(&served.done));
	ok(served.result);
	work_pool_free(pool);
	work_pool_free(tasks);
	backend_free(other);
	end();
}

/* More callers than the store's share, and a store that answers: nobody is refused. */
static void test_filters__limit_refuses_nobody_who_is_served(void **state)
{
	enum { JOBS = 200 };
	struct work_pool *pool = work_pool_new("meta", 8, JOBS);
	struct job *jobs = calloc(JOBS, sizeof(*jobs));

	begin("busy");
	ok(put_bytes(&s, "a", STR("x")));
	with_limit(WAIT_MS);
	backend_fault_delay(fault, BACKEND_CALL_GET, 1);
	for (int i = 0; i < JOBS; i++)
		submit(pool, &jobs[i], s.b);
	for (int i = 0; i < JOBS; i++) {
		UNTIL(atomic_load(&jobs[i].done));
		ok(jobs[i].result);
	}
	work_pool_free(pool);
	free(jobs);
	end();
}

/* Workers that are the store's own, and threads that are no pool's, are not bounded here. */
static void test_filters__limit_of_its_own_pool(void **state)
{
	struct work_pool *own = work_pool_new("own", 4, 100);
	struct job jobs[4] = {0};

	fault = backend_fault_new(backend_mem_new(STR("own"), own));
	s = (struct store){.b = fault, .space = STR("mem://space")};
	ok(put_bytes(&s, "a", STR("x")));
	s.b = backend_limit_new(fault, &(struct backend_limit_options){
					       .share = 50, .patience_ms = 20, .own_pool = true});
	backend_fault_hold(fault, BACKEND_CALL_GET);
	for (int i = 0; i < 4; i++)
		submit(own, &jobs[i], s.b);
	UNTIL(backend_fault_held(fault) == 4);
	backend_fault_hold(fault, 0);
	for (int i = 0; i < 4; i++) {
		UNTIL(atomic_load(&jobs[i].done));
		ok(jobs[i].result);
	}
	ok(head("a"));
	work_pool_free(own);
	end();
}

/* metrics */

static int64_t counted(const char *labels)
{
	return metric_value(metric_get(METRIC_COUNTER, "sluice_store_calls_total", "", labels));
}

static void test_filters__metrics_count(void **state)
{
	char bytes[16];
	size_t n;

	begin("counted");
	s.b = backend_metrics_new(fault);
	ok(put_bytes(&s, "a", STR("0123456789")));
	ok(read_some("a", bytes, sizeof(bytes), &n));
	fails(head("none"), NOT_FOUND);
	ok(head("a"));
	backend_fault_arm(fault, BACKEND_CALL_GET, 1, ERR_IO, false);
	fails(head("a"), IO);
	assert_int_equal(counted("store=\"counted\",operation=\"put\",outcome=\"ok\""), 3);
	assert_int_equal(counted("store=\"counted\",operation=\"get\",outcome=\"ok\""), 1);
	assert_int_equal(counted("store=\"counted\",operation=\"head\",outcome=\"ok\""), 2);
	assert_int_equal(counted("store=\"counted\",operation=\"head\",outcome=\"error\""), 1);
	assert_int_equal(metric_value(metric_get(METRIC_COUNTER, "sluice_store_written_bytes_total", "",
						 "store=\"counted\"")),
			 10);
	assert_int_equal(metric_value(metric_get(METRIC_COUNTER, "sluice_store_read_bytes_total", "",
						 "store=\"counted\"")),
			 10);
	assert_int_equal(metric_value(metric_get(METRIC_GAUGE, "sluice_store_calls_in_flight", "",
						 "store=\"counted\"")),
			 0);
	assert_int_equal(metric_value(metric_get(METRIC_HISTOGRAM, "sluice_store_call_seconds", "",
						 "store=\"counted\",operation=\"head\"")),
			 3);
	end();
}

/* Counting of references: the last may go on a loop, which doesn't wait for a store's end. */

static pthread_t ended_on;
static atomic_bool ended;

static void (*real_free)(struct backend *b);

static void slow_free(struct backend *b)
{
	ended_on = pthread_self();
	usleep(20 * 1000);
	real_free(b);
	atomic_store(&ended, true);
}

static void test_filters__the_end_is_elsewhere(void **state)
{
	struct backend *b = backend_mem_new(STR("ends"), NULL);

	real_free = b->free;
	b->free = slow_free;
	b = backend_metrics_new(b);
	backend_ref(b);
	backend_unref(b);
	assert_false(atomic_load(&ended));
	thread_is_loop(true);
	backend_unref(b);
	thread_is_loop(false);
	backend_settle();
	assert_true(atomic_load(&ended));
	assert_false(pthread_equal(ended_on, pthread_self()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters__fault_cuts_delays_and_holds),
		cmocka_unit_test(test_filters__mask_what_is_lacking),
		cmocka_unit_test(test_filters__retry_repeats_what_did_no_harm),
		cmocka_unit_test(test_filters__retry_gives_up),
		cmocka_unit_test(test_filters__health_spares_a_store_that_is_down),
		cmocka_unit_test(test_filters__health_recovers),
		cmocka_unit_test(test_filters__health_tells_faults_apart),
		cmocka_unit_test(test_filters__health_one_probe_at_a_time),
		cmocka_unit_test(test_filters__limit_leaves_workers_to_others),
		cmocka_unit_test(test_filters__limit_refuses_nobody_who_is_served),
		cmocka_unit_test(test_filters__limit_of_its_own_pool),
		cmocka_unit_test(test_filters__metrics_count),
		cmocka_unit_test(test_filters__the_end_is_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
