#include "tests/http/check.h"

#include "base/clock.h"
#include "base/err.h"
#include "http/loop_priv.h"
#include "http/timers.h"

#include <stdlib.h>
#include <unistd.h>

enum { MANY = 3000 };

static struct timers wheel;
static uint64_t fired_at[MANY], clock_ms;
static unsigned fired_n;
static struct loop_timer timers[MANY];

static void fire(struct loop_timer *t)
{
	size_t i = (size_t)(t - timers);

	assert_int_equal(fired_at[i], 0);
	fired_at[i] = clock_ms;
	fired_n++;
}

static void reset(uint64_t now)
{
	timers_init(&wheel, now);
	memset(fired_at, 0, sizeof(fired_at));
	memset(timers, 0, sizeof(timers));
	for (int i = 0; i < MANY; i++)
		timers[i].fire = fire;
	fired_n = 0;
	clock_ms = now;
}

/* As a loop does: sleeps for as long as it is told, so that a wait too long shows as a late timer. */
static void run_until(uint64_t end)
{
	while (clock_ms < end) {
		unsigned ms = timers_wait(&wheel, clock_ms, 60000);

		clock_ms += ms ? ms : 1;
		if (clock_ms > end)
			clock_ms = end;
		timers_run(&wheel, clock_ms);
	}
}

static void test_timers__each_at_its_time(void **state)
{
	const uint64_t start = 123456789;
	uint64_t at[MANY];

	reset(start);
	srandom(1);
	for (int i = 0; i < MANY; i++) {
		at[i] = start + 1 + (uint64_t)random() % (1u << (1 + i % 24));
		timers_add(&wheel, &timers[i], at[i]);
	}
	run_until(start + (1u << 24) + 1);
	assert_int_equal(fired_n, MANY);
	/* A timer of the very moment at which the loop wakes for another is a millisecond late. */
	for (int i = 0; i < MANY; i++)
		assert_in_range(fired_at[i], at[i], at[i] + 1);
	assert_int_equal(timers_wait(&wheel, clock_ms, 777), 777);
}

static void test_timers__removed_ones_stay_silent(void **state)
{
	reset(1000);
	for (unsigned i = 0; i < MANY; i++)
		timers_add(&wheel, &timers[i], 1001 + i * 7);
	for (unsigned i = 0; i < MANY; i += 2)
		timers_remove(&wheel, &timers[i]);
	run_until(1001 + MANY * 7);
	assert_int_equal(fired_n, MANY / 2);
	for (unsigned i = 0; i < MANY; i += 2)
		assert_int_equal(fired_at[i], 0);
	for (unsigned l = 0; l < TIMERS_LEVELS; l++)
		assert_true(wheel.used[l] == 0);
}

static void test_timers__removing_the_last_frees_the_slot(void **state)
{
	reset(1000);
	timers_add(&wheel, &timers[0], 1005);
	assert_int_equal(timers_wait(&wheel, 1000, 60000), 5);
	timers_remove(&wheel, &timers[0]);
	assert_int_equal(timers_wait(&wheel, 1000, 60000), 60000);
}

static void test_timers__late_wheel(void **state)
{
	reset(1000);
	for (unsigned i = 0; i < MANY; i++)
		timers_add(&wheel, &timers[i], 1001 + i * 97);
	clock_ms = 10000000;
	timers_run(&wheel, clock_ms);
	assert_int_equal(fired_n, MANY);
}

static void again(struct loop_timer *t)
{
	fired_n++;
	timers_add(&wheel, t, 0);
}

static void test_timers__passed_deadline_waits_for_the_next_run(void **state)
{
	reset(1000);
	timers[0].fire = again;
	timers_add(&wheel, &timers[0], 0);
	for (unsigned n = 1; n <= 3; n++) {
		assert_int_equal(timers_wait(&wheel, 1000, 60000), 0);
		timers_run(&wheel, 1000);
		assert_int_equal(fired_n, n);
	}
	timers_remove(&wheel, &timers[0]);
}

static void remove_next(struct loop_timer *t)
{
	fired_n++;
	timers_remove(&wheel, t + 1);
}

static void test_timers__removing_what_is_about_to_fire(void **state)
{
	reset(1000);
	timers[0].fire = remove_next;
	timers_add(&wheel, &timers[0], 1010);
	timers_add(&wheel, &timers[1], 1010);
	timers_add(&wheel, &timers[2], 1010);
	clock_ms = 1010;
	timers_run(&wheel, clock_ms);
	assert_int_equal(fired_n, 2);
	assert_int_equal(fired_at[1], 0);
	assert_int_equal(fired_at[2], 1010);
}

static void test_timers__far_away(void **state)
{
	reset(1000);
	timers_add(&wheel, &timers[0], UINT64_MAX);
	clock_ms = 5000;
	timers_run(&wheel, clock_ms);
	assert_int_equal(fired_n, 0);
	timers_remove(&wheel, &timers[0]);
}

/* On a real loop, by a clock that isn't cut to milliseconds. */
enum { TIMES = 300, WAIT_MS = 2 };

static int64_t set_us[TIMES], ended_us[TIMES];
static unsigned set_n;

static void set_next(struct loop_timer *t)
{
	if (set_n)
		ended_us[set_n - 1] = mono_us();
	if (set_n == TIMES) {
		loop_quit(loop_current());
		return;
	}
	/* At any point of a millisecond. */
	sleep_us((int64_t)set_n * 7 % 1000);
	set_us[set_n++] = mono_us();
	loop_timer_set(loop_current(), t, WAIT_MS, set_next);
}

static void begin_setting(void *ud)
{
	set_next(ud);
}

static void test_timers__never_early(void **state)
{
	struct loop_timer t = {0};
	struct err err = {0};
	struct loop *l;

	assert_true(rc_ok(loop_new(0, &l, &err)));
	assert_true(rc_ok(loop_start(l, begin_setting, &t, &err)));
	loop_join(l);
	loop_free(l);
	for (int i = 0; i < TIMES; i++)
		assert_true(ended_us[i] - set_us[i] >= WAIT_MS * 1000);
}

/* What has come before a time-out is seen before it, though the loop was busy (or the machine stood still)
 * meanwhile. */
static struct {
	struct loop_fd busy, waited_for;
	struct loop_timer patience;
	int ends[2][2]; /* of a pipe for each */
	bool came, gave_up;
} late;

static void end_waiting(void)
{
	loop_fd_close(&late.busy);
	loop_fd_close(&late.waited_for);
	loop_quit(loop_current());
}

static void give_up(struct loop_timer *t)
{
	late.gave_up = true;
	end_waiting();
}

static void be_busy(struct loop_fd *w)
{
	char c;

	assert_int_equal(read(w->fd, &c, 1), 1);
	loop_timer_set(loop_current(), &late.patience, 20, give_up);
	assert_int_equal(write(late.ends[1][1], "x", 1), 1);
	sleep_us(60000);
}

static void what_was_waited_for(struct loop_fd *w)
{
	late.came = true;
	loop_timer_cancel(&late.patience);
	end_waiting();
}

static void begin_waiting(void *ud)
{
	late.busy.readable = be_busy;
	late.waited_for.readable = what_was_waited_for;
	loop_fd_open(loop_current(), &late.busy, late.ends[0][0]);
	loop_fd_open(loop_current(), &late.waited_for, late.ends[1][0]);
	loop_fd_watch(&late.busy, true);
	loop_fd_watch(&late.waited_for, true);
	assert_int_equal(write(late.ends[0][1], "x", 1), 1);
}

static void test_timers__after_what_came_before(void **state)
{
	struct err err = {0};
	struct loop *l;

	assert_int_equal(pipe(late.ends[0]) | pipe(late.ends[1]), 0);
	assert_true(rc_ok(loop_new(0, &l, &err)));
	assert_true(rc_ok(loop_start(l, begin_waiting, NULL, &err)));
	loop_join(l);
	loop_free(l);
	assert_true(late.came && !late.gave_up);
	close(late.ends[0][1]);
	close(late.ends[1][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers__each_at_its_time),
		cmocka_unit_test(test_timers__removed_ones_stay_silent),
		cmocka_unit_test(test_timers__removing_the_last_frees_the_slot),
		cmocka_unit_test(test_timers__late_wheel),
		cmocka_unit_test(test_timers__passed_deadline_waits_for_the_next_run),
		cmocka_unit_test(test_timers__removing_what_is_about_to_fire),
		cmocka_unit_test(test_timers__far_away),
		cmocka_unit_test(test_timers__never_early),
		cmocka_unit_test(test_timers__after_what_came_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
