#include "check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/work.h"
#include "fake_loop.h"

/* A source pinned to the loop: `total` bytes in pieces, each followed by `waits` times BODY_WAIT. */
struct source {
	struct body body;
	struct mailbox *home;
	struct mail mail;
	uint64_t total, given;
	size_t piece;
	int waits, waited;
	bool fails, armed, off_loop;
	bool *closed;
	body_ready_fn *fn;
	void *ud;
};

static char byte_at(uint64_t i)
{
	return (char)(i * 2654435761u >> 13);
}

static enum body_state source_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct source *s = (struct source *)b;
	uint64_t left = s->total - s->given;
	size_t n = s->piece < cap ? s->piece : cap;

	if (!on_loop() || s->armed)
		s->off_loop = true;
	if (s->waited < s->waits) {
		s->waited++;
		return BODY_WAIT;
	}
	if (left == 0) {
		if (!s->fails)
			return BODY_END;
		IGNORE_RC(err_set(reterr, ERR_RequestTimeout, "nobody sends"));
		return BODY_FAIL;
	}
	s->waited = 0;
	n = left < n ? (size_t)left : n;
	for (size_t i = 0; i < n; i++)
		((char *)dst)[i] = byte_at(s->given + i);
	s->given += n;
	*ret_n = n;
	return BODY_MORE;
}

static void source_mail(struct mail *m)
{
	struct source *s = (struct source *)((char *)m - offsetof(struct source, mail));
	body_ready_fn *fn = s->fn;

	s->armed = false;
	if (s->fn) {
		s->fn = NULL;
		fn(s->ud);
	}
}

static void source_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct source *s = (struct source *)b;

	s->fn = fn;
	s->ud = ud;
	s->armed = true;
	s->mail.deliver = source_mail;
	mailbox_post(s->home, &s->mail);
}

static void source_close(struct body *b)
{
	((struct source *)b)->fn = NULL;
	if (((struct source *)b)->closed)
		*((struct source *)b)->closed = true;
}

static const struct body_ops source_ops = {
	.name = "source", .pull = source_pull, .arm = source_arm, .close = source_close};

/* One transfer: armed on the loop, drained on workers, verified byte by byte. */
struct transfer {
	struct work work;
	struct source source;
	struct fake_loop *loop;
	struct work_pool *pool;
	struct arena *arena;
	struct body *relay;
	uint64_t seen;
	bool wrong, was_whole, source_closed, in_arm, called_in_arm;
	int jobs;
	enum body_state last;
	struct err err;
	sem_t over;
};

static void drain_slot(struct work *w)
{
	struct transfer *t = (struct transfer *)w;
	char buf[777];
	size_t n;

	t->was_whole = body_relay_whole(t->relay);
	while ((t->last = body_pull(t->relay, buf, sizeof(buf), &n, &t->err)) == BODY_MORE) {
		for (size_t i = 0; i < n; i++)
			t->wrong |= buf[i] != byte_at(t->seen + i);
		t->seen += n;
	}
	if (t->was_whole && t->last == BODY_WAIT)
		t->wrong = true;
}

static void slot_here(void *ud)
{
	struct transfer *t = ud;

	t->called_in_arm |= t->in_arm;
	t->jobs++;
	if (!work_submit(t->pool, &t->work))
		abort();
}

static void arm(struct transfer *t)
{
	t->in_arm = true;
	body_arm(t->relay, slot_here, t);
	t->in_arm = false;
}

static void slot_drained(struct work *w)
{
	struct transfer *t = (struct transfer *)w;

	if (t->last == BODY_WAIT) {
		arm(t);
		return;
	}
	body_close(t->relay);
	sem_post(&t->over);
}

static void begin(void *ud)
{
	arm(ud);
}

static void transfer_init(struct transfer *t, struct fake_loop *l, struct work_pool *p,
			  uint64_t total, int64_t length, size_t piece, int waits, size_t slot)
{
	*t = (struct transfer){.loop = l, .pool = p, .arena = arena_new()};
	sem_init(&t->over, 0, 0);
	t->work = (struct work){.run = drain_slot, .done = slot_drained, .home = fake_loop_mailbox(l)};
	body_init(&t->source.body, &source_ops, NULL, length);
	t->source.home = fake_loop_mailbox(l);
	t->source.total = total;
	t->source.piece = piece;
	t->source.waits = waits;
	t->source.closed = &t->source_closed;
	t->relay = body_relay_new(t->arena, &t->source.body, slot, t->source.home);
	assert_int_equal(t->relay->length, length);
}

static void finish(struct transfer *t, enum body_state want)
{
	while (sem_wait(&t->over))
		;
	sem_destroy(&t->over);
	assert_false(t->wrong || t->source.off_loop || t->called_in_arm);
	assert_true(t->source_closed);
	assert_int_equal(t->last, want);
	assert_int_equal(t->seen, t->source.total);
	arena_free(t->arena);
}

static struct fake_loop *the_loop;
static struct work_pool *the_pool;

static void run(struct transfer *t, uint64_t total, int64_t length, size_t piece, int waits,
		size_t slot)
{
	transfer_init(t, the_loop, the_pool, total, length, piece, waits, slot);
	fake_loop_call(the_loop, begin, t);
	finish(t, BODY_END);
}

static void test_relay__sizes(void **state)
{
	static const uint64_t totals[] = {0, 1, 99, 100, 101, 199, 200, 201, 1000, 16384, 16385, 50000};
	struct transfer t;

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		for (int waits = 0; waits < 2; waits++) {
			run(&t, totals[i], -1, 33, waits, 100);
			run(&t, totals[i], (int64_t)totals[i], 33, waits, 100);
			run(&t, totals[i], -1, 5000, waits, 40000);
			run(&t, totals[i], (int64_t)totals[i], 5000, waits, 40000);
			assert_int_equal(t.jobs, totals[i] <= 40000 ? 1 : 2);
		}
	}
}

static void test_relay__small_is_whole_at_once(void **state)
{
	struct transfer t;

	run(&t, 100, 100, 7, 1, 100); /* exactly a slot */
	assert_int_equal(t.jobs, 1);
	assert_true(t.was_whole);
	run(&t, 99, -1, 7, 1, 100);
	assert_int_equal(t.jobs, 1);
	run(&t, 0, 0, 7, 3, 100);
	assert_int_equal(t.jobs, 1);
	run(&t, 200, 200, 7, 1, 100);
	assert_int_equal(t.jobs, 2);
}

/* The length is a hint: more or fewer bytes pass as they come, for the guard above to judge. */
static void test_relay__source_lies(void **state)
{
	struct transfer t;

	run(&t, 1000, 10, 33, 1, 100);
	run(&t, 1000, 100, 1000, 0, 100);
	run(&t, 10, 1000, 33, 1, 100);
	run(&t, 0, 1000, 33, 1, 100);
}

static void test_relay__failure_comes_after_the_bytes(void **state)
{
	static const uint64_t totals[] = {0, 50, 100, 150, 1000};

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		struct transfer t;

		transfer_init(&t, the_loop, the_pool, totals[i], 5000, 30, 1, 100);
		t.source.fails = true;
		fake_loop_call(the_loop, begin, &t);
		finish(&t, BODY_FAIL);
		assert_int_equal(t.err.code, ERR_RequestTimeout);
		assert_string_equal(t.err.msg, "nobody sends");
	}
}

static void test_relay__many_at_once(void **state)
{
	enum { N = 24 };
	struct transfer *t = calloc(N, sizeof(*t));

	for (int i = 0; i < N; i++) {
		transfer_init(&t[i], the_loop, the_pool, 40000 + 997 * (unsigned)i,
			      i % 2 ? -1 : 40000 + 997 * i, 1000 + 100 * (unsigned)i, i % 3, 4096);
		fake_loop_call(the_loop, begin, &t[i]);
	}
	for (int i = 0; i < N; i++)
		finish(&t[i], BODY_END);
	free(t);
}

static void not_to_be_called(void *ud)
{
	*(bool *)ud = true;
}

struct closing {
	struct transfer t;
	bool called;
};

/* The other slot is ready at once: the wake-up is under way when the relay goes. */
static void close_while_posted(void *ud)
{
	struct closing *c = ud;

	body_arm(c->t.relay, not_to_be_called, &c->called);
	body_close(c->t.relay);
	arena_free(c->t.arena);
}

static void close_from_callback(void *ud)
{
	struct transfer *t = ud;

	t->jobs++;
	body_close(t->relay);
	arena_free(t->arena);
	sem_post(&t->over);
}

static void begin_closing(void *ud)
{
	body_arm(((struct transfer *)ud)->relay, close_from_callback, ud);
}

static void pass(void *ud)
{
}

static void test_relay__close_any_time(void **state)
{
	for (int waits = 0; waits < 2; waits++) {
		struct closing c = {0};
		struct transfer t;

		transfer_init(&c.t, the_loop, the_pool, 1000, -1, 100, waits, 100);
		fake_loop_call(the_loop, close_while_posted, &c);
		fake_loop_call(the_loop, pass, NULL);
		assert_false(c.called);
		assert_true(c.t.source_closed);
		sem_destroy(&c.t.over);

		transfer_init(&t, the_loop, the_pool, 1000, -1, 100, waits, 100);
		fake_loop_call(the_loop, begin_closing, &t);
		while (sem_wait(&t.over))
			;
		fake_loop_call(the_loop, pass, NULL);
		assert_int_equal(t.jobs, 1);
		sem_destroy(&t.over);

		transfer_init(&t, the_loop, the_pool, 10, 10, 10, 0, 100);
		body_close(t.relay); /* never armed */
		arena_free(t.arena);
		sem_destroy(&t.over);
	}
}

/* Pulled and armed on the loop itself, from inside the callback. */
static void pull_here(void *ud)
{
	struct transfer *t = ud;

	t->called_in_arm |= t->in_arm;
	t->jobs++;
	drain_slot(&t->work);
	if (t->last == BODY_WAIT) {
		t->in_arm = true;
		body_arm(t->relay, pull_here, t);
		t->in_arm = false;
		return;
	}
	body_close(t->relay);
	sem_post(&t->over);
}

static void begin_here(void *ud)
{
	struct transfer *t = ud;
	size_t n;
	char c;

	if (body_pull(t->relay, &c, 1, &n, NULL) != BODY_WAIT || t->source.given)
		t->wrong = true;
	t->in_arm = true;
	body_arm(t->relay, pull_here, t);
	t->in_arm = false;
}

static void test_relay__pulled_on_the_loop(void **state)
{
	for (int waits = 0; waits < 2; waits++) {
		struct transfer t;

		transfer_init(&t, the_loop, the_pool, 1050, 1050, 33, waits, 100);
		fake_loop_call(the_loop, begin_here, &t);
		finish(&t, BODY_END);
		assert_int_equal(t.jobs, 11);
	}
}

static int set_up(void **state)
{
	the_loop = fake_loop_new();
	the_pool = work_pool_new("relay", 3, 100);
	return 0;
}

static int tear_down(void **state)
{
	work_pool_free(the_pool);
	fake_loop_free(the_loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relay__sizes),
		cmocka_unit_test(test_relay__small_is_whole_at_once),
		cmocka_unit_test(test_relay__source_lies),
		cmocka_unit_test(test_relay__failure_comes_after_the_bytes),
		cmocka_unit_test(test_relay__many_at_once),
		cmocka_unit_test(test_relay__close_any_time),
		cmocka_unit_test(test_relay__pulled_on_the_loop),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
