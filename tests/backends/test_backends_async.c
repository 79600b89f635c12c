/* The asynchronous form as derived from the blocking one: a loop, a pool, sources that wait. */
#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/backends/relay.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"
#include "tests/base/fake_loop.h"

static struct store s;
static struct fake_loop *loop;
static struct work_pool *pool;

static void open_with(enum store_kind k, unsigned threads, size_t queue)
{
	loop = fake_loop_new();
	pool = work_pool_new("data", threads, queue);
	store_open(&s, k, pool);
}

static void close_all(void)
{
	work_pool_free(pool);
	fake_loop_free(loop);
	store_close(&s);
}

/* A source of `left` pattern bytes that now and then has nothing yet. */
struct slow {
	struct body body;
	uint64_t at, end;
	uint64_t fail_at;
	unsigned seed, random;
	bool stuck; /* once waiting, waits for ever */
	struct mail mail;
	body_ready_fn *ready;
	void *ud;
	sem_t *armed; /* posted at each arm when stuck */
};

static enum body_state slow_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	struct slow *w = (struct slow *)b;
	size_t n = w->end - w->at < cap ? (size_t)(w->end - w->at) : cap;

	w->random = w->random * 1103515245 + 12345;
	if ((w->random >> 16) % 4 == 0)
		return BODY_WAIT;
	if (w->at >= w->fail_at) {
		IGNORE_RC(err_default(reterr, ERR_IncompleteBody));
		return BODY_FAIL;
	}
	if (n == 0)
		return BODY_END;
	if (n > 1)
		n = 1 + (w->random >> 8) % n;
	for (size_t i = 0; i < n; i++)
		((char *)dst)[i] = pattern(w->at + i, w->seed);
	w->at += n;
	*ret_n = n;
	return BODY_MORE;
}

static void slow_deliver(struct mail *m)
{
	struct slow *w = (struct slow *)((char *)m - offsetof(struct slow, mail));

	w->ready(w->ud);
}

static void slow_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct slow *w = (struct slow *)b;

	assert_true(on_loop());
	w->ready = fn;
	w->ud = ud;
	w->mail.deliver = slow_deliver;
	if (!w->stuck)
		mailbox_post(fake_loop_mailbox(loop), &w->mail);
	if (w->armed)
		sem_post(w->armed);
}

static const struct body_ops slow_ops = {.name = "slow", .pull = slow_pull, .arm = slow_arm};

static struct slow *slow_new(struct arena *a, uint64_t n, unsigned seed)
{
	struct slow *w = ARENA_NEW(a, struct slow);

	body_init(&w->body, &slow_ops, NULL, -1);
	w->end = n;
	w->fail_at = UINT64_MAX;
	w->seed = w->random = seed;
	return w;
}

/* One operation from the main thread's view. */
struct test_op {
	struct backend_op op;
	void (*call)(struct backend *b, struct backend_op *op);
	sem_t over;
	bool inside; /* the call hasn't returned: done() would be too early */
};

static void op_done(struct backend_op *op)
{
	struct test_op *t = (struct test_op *)op;

	assert_true(on_loop());
	assert_false(t->inside);
	sem_post(&t->over);
}

static void start_on_loop(void *ud)
{
	struct test_op *t = ud;

	t->inside = true;
	t->call(s.b, &t->op);
	t->inside = false;
}

static struct test_op *op_new(const char *key)
{
	struct arena *a = arena_new();
	struct test_op *t = ARENA_NEW(a, struct test_op);

	t->op.a = a;
	t->op.home = fake_loop_mailbox(loop);
	t->op.done = op_done;
	t->op.to = t->op.from = at(&s, key);
	t->op.length = UINT64_MAX;
	sem_init(&t->over, 0, 0);
	return t;
}

static void op_start(struct test_op *t, void (*call)(struct backend *, struct backend_op *))
{
	t->call = call;
	fake_loop_call(loop, start_on_loop, t);
}

static rc op_wait(struct test_op *t)
{
	while (sem_wait(&t->over))
		;
	test_err = t->op.err;
	return t->op.result;
}

static rc op_run(struct test_op *t, void (*call)(struct backend *, struct backend_op *))
{
	op_start(t, call);
	return op_wait(t);
}

static void close_on_loop(void *ud)
{
	body_close(ud);
}

static void op_free(struct test_op *t)
{
	if (t->op.body)
		fake_loop_call(loop, close_on_loop, t->op.body);
	if (t->op.got)
		fake_loop_call(loop, close_on_loop, t->op.got);
	sem_destroy(&t->over);
	arena_free(t->op.a);
}

static void cancel_on_loop(void *ud)
{
	backend_cancel(ud);
}

/* Drains op.got on the loop; counts, compares with the pattern. */
struct drain {
	struct body *body;
	uint64_t at, stop_at;
	unsigned seed;
	bool same;
	enum body_state end;
	struct err err;
	sem_t over;
};

static void drain(void *ud)
{
	struct drain *d = ud;
	char chunk[50000];
	size_t n;

	while ((d->end = body_pull(d->body, chunk, sizeof(chunk), &n, &d->err)) == BODY_MORE) {
		for (size_t i = 0; i < n; i++)
			d->same &= chunk[i] == pattern(d->at + i, d->seed);
		d->at += n;
		if (d->at >= d->stop_at)
			break;
	}
	if (d->end == BODY_WAIT)
		body_arm(d->body, drain, d);
	else
		sem_post(&d->over);
}

static struct drain drain_all(struct test_op *t, uint64_t offset, unsigned seed, uint64_t stop_at)
{
	struct drain d = {.body = t->op.got, .at = offset, .seed = seed, .same = true,
			  .stop_at = stop_at};

	sem_init(&d.over, 0, 0);
	fake_loop_call(loop, drain, &d);
	while (sem_wait(&d.over))
		;
	sem_destroy(&d.over);
	return d;
}

static void expect_object(const char *key, uint64_t size, unsigned seed)
{
	struct test_op *t = op_new(key);
	struct drain d;

	ok(op_run(t, backend_get));
	assert_int_equal(t->op.stat.size, size);
	assert_int_equal(t->op.got->length, size);
	d = drain_all(t, 0, seed, UINT64_MAX);
	assert_int_equal(d.end, BODY_END);
	assert_int_equal(d.at, size);
	assert_true(d.same);
	op_free(t);
}

static void put_slow(const char *key, uint64_t size, unsigned seed)
{
	struct test_op *t = op_new(key);

	t->op.body = &slow_new(t->op.a, size, seed)->body;
	ok(op_run(t, backend_put));
	assert_int_equal(t->op.stat.size, size);
	op_free(t);
}

static void test_async__streams(void **state)
{
	EACH_KIND (k) {
		open_with(k, 2, 64);
		put_slow("a/empty", 0, 1);
		put_slow("a/small", 1000, 2);
		put_slow("a/slot", 128 * 1024, 3);
		put_slow("a/big", 9 * 1024 * 1024 + 17, 4);
		expect_object("a/empty", 0, 1);
		expect_object("a/small", 1000, 2);
		expect_object("a/slot", 128 * 1024, 3);
		expect_object("a/big", 9 * 1024 * 1024 + 17, 4);
		close_all();
	}
}

static void test_async__ranges(void **state)
{
	static const struct {
		uint64_t offset, length, expected;
	} rows[] = {{0, 10, 10},
		    {299999, 10, 1},
		    {100000, 150000, 150000},
		    {100, UINT64_MAX, 299900},
		    {5, 0, 0}};

	open_with(STORE_MEM, 2, 64);
	put_slow("k", 300000, 9);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct test_op *t = op_new("k");
		struct drain d;

		t->op.offset = rows[i].offset;
		t->op.length = rows[i].length;
		ok(op_run(t, backend_get));
		assert_int_equal(t->op.got->length, rows[i].expected);
		d = drain_all(t, rows[i].offset, 9, UINT64_MAX);
		assert_int_equal(d.at - rows[i].offset, rows[i].expected);
		assert_true(d.same && d.end == BODY_END);
		op_free(t);
	}
	for (uint64_t offset = 300000; offset < 300002; offset++) {
		struct test_op *t = op_new("k");

		t->op.offset = offset;
		fails(op_run(t, backend_get), InvalidRange);
		assert_null(t->op.got);
		op_free(t);
	}
	close_all();
}

/* Closed in the middle, with a read-ahead under way, and after the store's owner let go of it. */
static void test_async__got_body_closes_any_time(void **state)
{
	EACH_KIND (k) {
		struct test_op *t;

		open_with(k, 1, 4);
		put_slow("k", 1000000, 9);
		for (uint64_t stop_at = 1; stop_at < 400000; stop_at += 66000) {
			t = op_new("k");
			ok(op_run(t, backend_get));
			assert_true(drain_all(t, 0, 9, stop_at).same);
			op_free(t);
		}
		t = op_new("k");
		ok(op_run(t, backend_get));
		backend_free(s.b);
		s.b = NULL;
		assert_int_equal(drain_all(t, 0, 9, UINT64_MAX).at, 1000000);
		op_free(t);
		close_all();
	}
}

static void test_async__get_fails_midway(void **state)
{
	struct test_op *t;
	struct drain d;

	open_with(STORE_FAULT, 1, 4);
	put_slow("k", 1000000, 9);
	t = op_new("k");
	backend_fault_arm(s.b, BACKEND_CALL_GET, 4, ERR_IO, false);
	ok(op_run(t, backend_get));
	d = drain_all(t, 0, 9, UINT64_MAX);
	assert_int_equal(d.end, BODY_FAIL);
	assert_int_equal(d.err.code, ERR_IO);
	assert_int_equal(d.at, (128 + 512) * 1024);
	assert_true(d.same);
	op_free(t);
	close_all();
}

static void test_async__failing_body(void **state)
{
	EACH_KIND (k) {
		struct test_op *t;

		open_with(k, 2, 64);
		for (uint64_t fail_at = 0; fail_at < 400000; fail_at += 100000) {
			struct slow *w;

			t = op_new("x/failing");
			w = slow_new(t->op.a, 500000, 5);
			w->fail_at = fail_at;
			t->op.body = &w->body;
			fails(op_run(t, backend_put), IncompleteBody);
			op_free(t);
		}
		t = op_new("x/failing");
		fails(op_run(t, backend_head), NOT_FOUND);
		op_free(t);
		if (s.root[0])
			assert_int_equal(store_files(s.root), 0);
		close_all();
	}
}

/* Cancelled at some moment or other: the outcome is either one, and the store agrees with it. */
static void test_async__cancel_put(void **state)
{
	EACH_KIND (k) {
		unsigned cancelled = 0;

		open_with(k, 1, 64);
		/* Until it came in time once, too. */
		for (unsigned i = 0; i < 60 || (!cancelled && i < 6000); i++) {
			struct test_op *t = op_new("c"), *h = op_new("c");
			rc r;

			t->op.body = &slow_new(t->op.a, 100000, i)->body;
			op_start(t, backend_put);
			usleep(i % 60 * 20);
			fake_loop_call(loop, cancel_on_loop, &t->op);
			r = op_wait(t);
			assert_true(rc_ok(r) || rc_is(r, CANCELLED));
			cancelled += !rc_ok(r);
			check_code(op_run(h, backend_head), rc_ok(r) ? ERR_NONE : ERR_NOT_FOUND,
				   &test_err, __FILE__, __LINE__);
			op_free(t);
			op_free(h);
			h = op_new("c");
			ok(op_run(h, backend_remove));
			op_free(h);
		}
		assert_true(cancelled > 0);
		if (s.root[0])
			assert_int_equal(store_files(s.root), 0);
		close_all();
	}
}

/* The source never comes back: cancelling ends it all the same. */
static void test_async__cancel_while_armed(void **state)
{
	open_with(STORE_LOCAL_NAMED, 1, 64);
	for (unsigned i = 0; i < 10; i++) {
		struct test_op *t = op_new("c");
		struct slow *w = slow_new(t->op.a, 10000000, i);
		sem_t armed;

		sem_init(&armed, 0, 0);
		w->stuck = true;
		w->armed = &armed;
		t->op.body = &w->body;
		op_start(t, backend_put);
		while (sem_wait(&armed))
			;
		fake_loop_call(loop, cancel_on_loop, &t->op);
		fake_loop_call(loop, cancel_on_loop, &t->op);
		fails(op_wait(t), CANCELLED);
		op_free(t);
		sem_destroy(&armed);
	}
	assert_int_equal(store_files(s.root), 0);
	close_all();
}

/* Holds the pool's only worker and fills its queue. */
static sem_t gate, held;

static void hold(struct work *w)
{
	sem_post(&held);
	while (sem_wait(&gate))
		;
}

static void idle(struct work *w)
{
}

static void pool_block(struct work w[2])
{
	sem_init(&gate, 0, 0);
	sem_init(&held, 0, 0);
	w[0] = (struct work){.run = hold};
	w[1] = (struct work){.run = idle};
	assert_true(work_submit(pool, &w[0]));
	while (sem_wait(&held))
		;
	assert_true(work_submit(pool, &w[1]));
}

static void test_async__full_pool(void **state)
{
	void (*calls[])(struct backend *, struct backend_op *) = {
		backend_put,	    backend_get,	  backend_head,
		backend_remove,	    backend_copy,	  backend_mpu_create,
		backend_mpu_put_part, backend_mpu_complete, backend_mpu_abort,
	};
	struct work w[2];

	open_with(STORE_MEM, 1, 1);
	pool_block(w);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct test_op *t = op_new("c");

		t->op.body = body_mem_new(t->op.a, STR("x"));
		fails(op_run(t, calls[i]), SlowDown);
		op_free(t);
	}
	sem_post(&gate);
	close_all();
}

static void resume_on_loop(void *ud)
{
	struct slow *w = ud;

	w->stuck = false;
	w->ready(w->ud);
}

/* The pool fills up while the source makes us wait: SlowDown, and what was written goes. */
static void test_async__pool_full_midway(void **state)
{
	open_with(STORE_LOCAL_NAMED, 1, 1);
	for (unsigned i = 0; i < 6; i++) {
		struct test_op *t = op_new("c");
		struct slow *w = slow_new(t->op.a, 10000000, 7 * i + 3);
		struct work blocks[2];
		sem_t armed;

		sem_init(&armed, 0, 0);
		w->stuck = true;
		w->armed = &armed;
		t->op.body = &w->body;
		op_start(t, backend_put);
		while (sem_wait(&armed))
			;
		pool_block(blocks);
		fake_loop_call(loop, resume_on_loop, w);
		fails(op_wait(t), SlowDown);
		op_free(t);
		sem_post(&gate);
		while (work_pool_queued(pool))
			usleep(1000);
		sem_destroy(&armed);
	}
	/* The next job aborts what had to be left. */
	put_slow("d", 10, 1);
	assert_int_equal(store_files(s.root), 1);
	close_all();
}

static void test_async__other_calls(void **state)
{
	EACH_KIND (k) {
		struct backend_part parts[2];
		struct test_op *t;
		struct str id;

		open_with(k, 2, 64);
		put_slow("from", 1234, 1);
		t = op_new("to");
		t->op.from = at(&s, "from");
		ok(op_run(t, backend_copy));
		op_free(t);
		expect_object("to", 1234, 1);
		t = op_new("to");
		ok(op_run(t, backend_remove));
		op_free(t);
		t = op_new("to");
		fails(op_run(t, backend_get), NOT_FOUND);
		assert_null(t->op.got);
		op_free(t);

		t = op_new("to");
		ok(op_run(t, backend_mpu_create));
		id = t->op.upload_id;
		for (unsigned i = 0; i < 2; i++) {
			struct test_op *p = op_new("to");

			p->op.upload_id = id;
			p->op.part = i + 1;
			p->op.body = &slow_new(p->op.a, 200000, 6)->body;
			ok(op_run(p, backend_mpu_put_part));
			parts[i] = (struct backend_part){.number = i + 1,
							 .size = p->op.stat.size,
							 .etag = arena_dup(t->op.a,
									   p->op.stat.etag)};
			op_free(p);
		}
		{
			struct test_op *c = op_new("to");

			c->op.upload_id = id;
			c->op.parts = parts;
			c->op.parts_n = 1;
			ok(op_run(c, backend_mpu_complete));
			assert_int_equal(c->op.stat.size, 200000);
			op_free(c);
		}
		expect_object("to", 200000, 6);
		{
			struct test_op *c = op_new("to");

			c->op.upload_id = id;
			ok(op_run(c, backend_mpu_abort));
			op_free(c);
		}
		op_free(t);
		close_all();
	}
}

static void test_async__cancel_get(void **state)
{
	open_with(STORE_LOCAL, 1, 8);
	put_slow("k", 1000000, 9);
	for (unsigned i = 0; i < 50; i++) {
		struct test_op *t = op_new("k");
		rc r;

		op_start(t, backend_get);
		usleep(i * 4);
		fake_loop_call(loop, cancel_on_loop, &t->op);
		r = op_wait(t);
		assert_true(rc_ok(r) == (t->op.got != NULL));
		assert_true(rc_ok(r) || rc_is(r, CANCELLED));
		op_free(t);
	}
	close_all();
}

static unsigned threads(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/task");

	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A remote store's pool is its own: the worker whose job turns out to be the last user can't wait for itself. */
static void test_async__store_ends_under_its_own_worker(void **state)
{
	EACH_KIND (k) {
		int64_t until = mono_ms() + 60000;
		struct relay relay;
		struct test_op *t;
		unsigned before;

		open_with(k, 1, 4);
		put_slow("k", 1000000, 9);
		relay_start(&relay, s.at->port);
		before = threads();
		store_reopen(&s, k, (struct store_twist){.port = relay.port});
		relay.delay_us = 50000; /* 128 KiB take a while, then */
		t = op_new("k");
		ok(op_run(t, backend_get));
		assert_true(drain_all(t, 0, 9, 1).same);
		backend_free(s.b);
		s.b = NULL;
		op_free(t);
		while (threads() > before && mono_ms() < until)
			usleep(10000);
		assert_true(threads() <= before);
		relay_stop(&relay);
		close_all();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest each[] = {
		cmocka_unit_test(test_async__streams),
		cmocka_unit_test(test_async__got_body_closes_any_time),
		cmocka_unit_test(test_async__failing_body),
		cmocka_unit_test(test_async__cancel_put),
		cmocka_unit_test(test_async__other_calls),
	};
	const struct CMUnitTest local[] = {
		cmocka_unit_test(test_async__ranges),
		cmocka_unit_test(test_async__get_fails_midway),
		cmocka_unit_test(test_async__cancel_while_armed),
		cmocka_unit_test(test_async__full_pool),
		cmocka_unit_test(test_async__pool_full_midway),
		cmocka_unit_test(test_async__cancel_get),
	};

	const struct CMUnitTest remote[] = {
		cmocka_unit_test(test_async__store_ends_under_its_own_worker),
	};

	store_group(argc, argv);
	if (argc == 1 ? cmocka_run_group_tests(local, NULL, NULL) : cmocka_run_group_tests(remote, NULL, NULL))
		return 1;
	return cmocka_run_group_tests(each, NULL, NULL);
}
