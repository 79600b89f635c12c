#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "base/work.h"
#include "fake_loop.h"

struct item {
	struct work work;
	int value, result; /* plain: the hand-overs must order them */
	bool was_cancelled, done_on_loop, ran_on_loop, name_ok;
	sem_t *gate, *running;
	atomic_int *done_count;
};

static void run_item(struct work *w)
{
	struct item *i = (struct item *)w;
	char name[16];

	if (i->running)
		sem_post(i->running);
	if (i->gate)
		while (sem_wait(i->gate))
			;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	i->name_ok = strcmp(name, "test") == 0;
	i->ran_on_loop = on_loop();
	i->result = i->value * 2;
}

static void item_done(struct work *w)
{
	struct item *i = (struct item *)w;

	i->was_cancelled = work_cancelled(w);
	i->done_on_loop = on_loop();
	i->value++;
	if (i->done_count)
		atomic_fetch_add(i->done_count, 1);
}

static void wait_for(atomic_int *n, int want)
{
	while (atomic_load(n) < want)
		sched_yield();
}

static void test_work__runs_and_reports_home(void **state)
{
	enum { N = 500 };
	struct fake_loop *l = fake_loop_new();
	struct work_pool *p = work_pool_new("test", 4, N);
	struct item *items = calloc(N, sizeof(*items));
	atomic_int done = 0;

	for (int i = 0; i < N; i++) {
		items[i] = (struct item){.work = {.run = run_item, .done = item_done,
						  .home = fake_loop_mailbox(l)},
					 .value = i, .done_count = &done};
		assert_true(work_submit(p, &items[i].work));
	}
	wait_for(&done, N);
	work_pool_free(p);
	fake_loop_free(l);
	for (int i = 0; i < N; i++) {
		assert_int_equal(items[i].result, 2 * i);
		assert_int_equal(items[i].value, i + 1);
		assert_true(items[i].done_on_loop && items[i].name_ok);
		assert_false(items[i].ran_on_loop || items[i].was_cancelled);
	}
	free(items);
}

static void test_work__free_drains(void **state)
{
	struct work_pool *p = work_pool_new("test", 2, 100);
	struct item items[100] = {0};
	atomic_int done = 0;

	for (int i = 0; i < 100; i++) {
		items[i].work = (struct work){.run = run_item, .done = item_done};
		items[i].done_count = &done;
		assert_true(work_submit(p, &items[i].work));
	}
	work_pool_free(p);
	assert_int_equal(done, 100);
	work_pool_free(NULL);
}

static void test_work__full_queue_refuses(void **state)
{
	struct work_pool *p = work_pool_new("bounded", 1, 3);
	struct metric *refused = metric_get(METRIC_COUNTER, "work_refused_total", "", "pool=\"bounded\"");
	struct metric *length = metric_get(METRIC_GAUGE, "work_queue_length", "", "pool=\"bounded\"");
	struct item items[5] = {0};
	sem_t gate, running;

	sem_init(&gate, 0, 0);
	sem_init(&running, 0, 0);
	for (int i = 0; i < 5; i++) {
		items[i].work = (struct work){.run = run_item};
		items[i].gate = &gate;
		items[i].running = &running;
	}
	assert_true(work_submit(p, &items[0].work));
	sem_wait(&running);
	for (int i = 1; i < 4; i++)
		assert_true(work_submit(p, &items[i].work));
	assert_false(work_submit(p, &items[4].work));
	assert_int_equal(work_pool_queued(p), 3);
	assert_int_equal(metric_value(length), 3);
	assert_int_equal(metric_value(refused), 1);
	for (int i = 0; i < 4; i++)
		sem_post(&gate);
	work_pool_free(p);
	assert_int_equal(metric_value(length), 0);
	sem_destroy(&gate);
	sem_destroy(&running);
}

struct cancelling {
	struct item *items;
	int n;
};

static void cancel_all(void *ud)
{
	struct cancelling *c = ud;

	for (int i = 0; i < c->n; i++)
		work_cancel(&c->items[i].work);
}

static void test_work__cancel(void **state)
{
	struct fake_loop *l = fake_loop_new();
	struct work_pool *p = work_pool_new("test", 1, 10);
	struct item items[3] = {0};
	atomic_int done = 0;
	sem_t gate, running;

	sem_init(&gate, 0, 0);
	sem_init(&running, 0, 0);
	for (int i = 0; i < 3; i++) {
		items[i] = (struct item){.work = {.run = run_item, .done = item_done,
						  .home = fake_loop_mailbox(l)},
					 .value = 1, .done_count = &done, .gate = &gate,
					 .running = &running};
		work_cancel(&items[i].work); /* idle: nothing to cancel */
		assert_true(work_submit(p, &items[i].work));
	}
	sem_wait(&running);
	fake_loop_call(l, cancel_all, &(struct cancelling){items, 3});
	wait_for(&done, 2); /* the queued ones don't wait for the running one */
	assert_int_equal(work_pool_queued(p), 0);
	sem_post(&gate);
	wait_for(&done, 3);
	fake_loop_call(l, cancel_all, &(struct cancelling){items, 3}); /* done: no effect */
	work_pool_free(p);
	fake_loop_free(l);
	assert_int_equal(done, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(items[i].was_cancelled && items[i].done_on_loop);
		assert_int_equal(items[i].result, i == 0 ? 2 : 0);
	}
	sem_destroy(&gate);
	sem_destroy(&running);
}

static void test_work__cancel_without_home(void **state)
{
	struct work_pool *p = work_pool_new("test", 1, 10);
	struct item items[2] = {0};
	atomic_int done = 0;
	sem_t gate, running;

	sem_init(&gate, 0, 0);
	sem_init(&running, 0, 0);
	for (int i = 0; i < 2; i++) {
		items[i] = (struct item){.work = {.run = run_item, .done = item_done}, .value = 1,
					 .done_count = &done, .gate = &gate, .running = &running};
		assert_true(work_submit(p, &items[i].work));
	}
	sem_wait(&running);
	work_cancel(&items[1].work);
	sem_post(&gate);
	work_pool_free(p);
	assert_int_equal(done, 2);
	assert_int_equal(items[1].result, 0);
	assert_true(items[1].was_cancelled);
	sem_destroy(&gate);
	sem_destroy(&running);
}

struct rerun {
	struct work work;
	struct work_pool *pool;
	int left;
	atomic_int *done;
};

static void run_nothing(struct work *w)
{
}

static void submit_again(struct work *w)
{
	struct rerun *r = (struct rerun *)w;

	atomic_fetch_add(r->done, 1);
	if (r->left-- == 0)
		return;
	if (!work_submit(r->pool, w))
		abort();
	if (r->left % 3 == 0)
		work_cancel(w);
}

/* Cancelling races with taking; done() comes once for each submission whoever wins. */
static void test_work__done_once_whoever_wins(void **state)
{
	enum { N = 8, ROUNDS = 300 };
	struct fake_loop *l = fake_loop_new();
	struct work_pool *p = work_pool_new("test", 3, N);
	struct rerun items[N];
	atomic_int done = 0;

	for (int i = 0; i < N; i++) {
		items[i] = (struct rerun){.work = {.run = run_nothing, .done = submit_again,
						   .home = fake_loop_mailbox(l)},
					  .pool = p, .left = ROUNDS, .done = &done};
		assert_true(work_submit(p, &items[i].work));
	}
	wait_for(&done, N * (ROUNDS + 1));
	work_pool_free(p);
	fake_loop_free(l);
	assert_int_equal(done, N * (ROUNDS + 1));
}

/* What was begun goes first, but what is new has its turn; and has room where what is new has none. */
struct turn {
	struct work work;
	int *order, *n, number;
};

static void note_turn(struct work *w)
{
	struct turn *t = (struct turn *)w;

	t->order[(*t->n)++] = t->number;
}

static void test_work__begun_goes_first(void **state)
{
	enum { NEWS = 3, BEGUNS = 20 };
	struct work_pool *p = work_pool_new("test", 1, NEWS);
	struct item holder = {.work.run = run_item};
	struct turn turns[NEWS + BEGUNS + 2];
	int order[NEWS + BEGUNS], n = 0;
	sem_t gate, running;

	work_pool_room(p, NEWS + BEGUNS);
	sem_init(&gate, 0, 0);
	sem_init(&running, 0, 0);
	holder.gate = &gate;
	holder.running = &running;
	assert_true(work_submit(p, &holder.work));
	sem_wait(&running);
	for (int i = 0; i < NEWS + BEGUNS + 2; i++)
		turns[i] = (struct turn){.work = {.run = note_turn, .begun = i >= NEWS + 1},
					 .order = order, .n = &n, .number = i};
	for (int i = 0; i < NEWS; i++)
		assert_true(work_submit(p, &turns[i].work));
	assert_false(work_submit(p, &turns[NEWS].work));
	for (int i = NEWS + 1; i < NEWS + 1 + BEGUNS; i++)
		assert_true(work_submit(p, &turns[i].work));
	assert_false(work_submit(p, &turns[NEWS + 1 + BEGUNS].work));
	assert_int_equal(work_pool_queued(p), NEWS + BEGUNS);
	sem_post(&gate);
	work_pool_free(p);
	assert_int_equal(n, NEWS + BEGUNS);
	for (int i = 0, new = 0, begun = NEWS + 1; i < n; i++)
		if (i % (WORK_BEGUN_IN_ROW + 1) == WORK_BEGUN_IN_ROW || begun > NEWS + BEGUNS)
			assert_int_equal(order[i], new++);
		else
			assert_int_equal(order[i], begun++);
	sem_destroy(&gate);
	sem_destroy(&running);
}

/* Of one lane one at a time, in order, and those of other lanes don't wait for it. */
struct in_lane {
	struct work work;
	atomic_int *running, *most, *done;
	int *order, *n, number;
};

static void run_in_lane(struct work *w)
{
	struct in_lane *i = (struct in_lane *)w;
	int now = atomic_fetch_add(i->running, 1) + 1;

	if (now > atomic_load(i->most))
		atomic_store(i->most, now);
	i->order[(*i->n)++] = i->number; /* no lock: the lane is one */
	sched_yield();
	atomic_fetch_sub(i->running, 1);
	atomic_fetch_add(i->done, 1);
}

static void test_work__lanes(void **state)
{
	enum { N = 200, LANE = 7 };
	struct work_pool *p = work_pool_new("test", 3, N + 3);
	struct item holder = {.work = {.run = run_item, .lane = LANE}}, free_one = {.work.run = run_item},
		    other = {.work = {.run = run_item, .lane = LANE + 1}};
	atomic_int lane_running = 0, most = 0, done = 0, free_done = 0;
	struct in_lane items[N];
	int order[N], n = 0;
	sem_t gate, running;

	sem_init(&gate, 0, 0);
	sem_init(&running, 0, 0);
	holder.gate = &gate;
	holder.running = &running;
	assert_true(work_submit(p, &holder.work));
	sem_wait(&running);
	for (int i = 0; i < N; i++) {
		items[i] = (struct in_lane){.work = {.run = run_in_lane, .lane = LANE}, .running = &lane_running,
					    .most = &most, .done = &done, .order = order, .n = &n, .number = i};
		assert_true(work_submit(p, &items[i].work));
	}
	free_one.done_count = other.done_count = &free_done;
	free_one.work.done = other.work.done = item_done;
	assert_true(work_submit(p, &free_one.work));
	assert_true(work_submit(p, &other.work));
	wait_for(&free_done, 2); /* past all that wait for the lane */
	assert_int_equal(atomic_load(&done), 0);
	sem_post(&gate);
	work_pool_free(p); /* lets them finish */
	assert_int_equal(atomic_load(&done), N);
	assert_int_equal(atomic_load(&most), 1);
	for (int i = 0; i < N; i++)
		assert_int_equal(order[i], i);
	sem_destroy(&gate);
	sem_destroy(&running);
}

static void run_mask(struct work *w)
{
	struct item *i = (struct item *)w;
	sigset_t s;

	pthread_sigmask(SIG_SETMASK, NULL, &s);
	i->result = sigismember(&s, SIGTERM) && sigismember(&s, SIGINT) && !sigismember(&s, SIGSEGV);
}

static void test_work__signals_are_blocked(void **state)
{
	struct work_pool *p = work_pool_new("test", 1, 1);
	struct item i = {.work.run = run_mask};
	sigset_t s;

	pthread_sigmask(SIG_SETMASK, NULL, &s);
	assert_false(sigismember(&s, SIGTERM));
	assert_true(work_submit(p, &i.work));
	work_pool_free(p);
	assert_true(i.result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work__runs_and_reports_home),
		cmocka_unit_test(test_work__free_drains),
		cmocka_unit_test(test_work__full_queue_refuses),
		cmocka_unit_test(test_work__cancel),
		cmocka_unit_test(test_work__cancel_without_home),
		cmocka_unit_test(test_work__done_once_whoever_wins),
		cmocka_unit_test(test_work__begun_goes_first),
		cmocka_unit_test(test_work__lanes),
		cmocka_unit_test(test_work__signals_are_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
