/* A pool: one lock, one condition, two doubly linked lines: of what is new and of what is begun.
 *
 *             submit            worker takes it          run() returned
 *   IDLE/DONE ------> QUEUED ----------------> RUNNING ----------------> (mail) DONE, done()
 *                        \________ cancel: taken out of the queue ______/
 *
 * Moves out of QUEUED are made under the pool's lock; DONE is set on the item's own loop (or, without
 * one, on the worker), and from then on the pool never looks at the item again.
 */
#include "base/work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"

enum { NEW, BEGUN };

struct line {
	struct work *first, *last;
	size_t n;
};

struct work_pool {
	char name[16]; /* the kernel's limit for thread names */
	unsigned threads_n;
	size_t max_queued, max_in_all;
	struct metric *length, *refused, *done;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct {
		struct line lines[2];
		unsigned in_row; /* begun ones taken while new ones waited */
		uint64_t *lanes; /* of what is run, one for each thread; 0: none */
		bool stopping;
	} locked;
	pthread_t threads[];
};

static int state_of(const struct work *w)
{
	return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct work *w, enum work_state s)
{
	__atomic_store_n(&w->state, (int)s, __ATOMIC_RELEASE);
}

static size_t queued_locked(const struct work_pool *p)
{
	return p->locked.lines[NEW].n + p->locked.lines[BEGUN].n;
}

static bool room_locked(const struct work_pool *p, const struct work *w)
{
	return queued_locked(p) < p->max_in_all && (w->begun || p->locked.lines[NEW].n < p->max_queued);
}

static void enqueue_locked(struct work_pool *p, struct work *w)
{
	struct line *l = &p->locked.lines[w->begun];

	w->next = NULL;
	w->prev = l->last;
	if (w->prev)
		w->prev->next = w;
	else
		l->first = w;
	l->last = w;
	l->n++;
	metric_set(p->length, (int64_t)queued_locked(p));
}

static void unlink_locked(struct work_pool *p, struct work *w)
{
	struct line *l = &p->locked.lines[w->begun];

	if (w->prev)
		w->prev->next = w->next;
	else
		l->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		l->last = w->prev;
	w->next = w->prev = NULL;
	l->n--;
	metric_set(p->length, (int64_t)queued_locked(p));
	set_state(w, WORK_RUNNING);
}

static bool free_locked(const struct work_pool *p, uint64_t lane)
{
	for (unsigned i = 0; lane && i < p->threads_n; i++)
		if (p->locked.lanes[i] == lane)
			return false;
	return true;
}

static struct work *first_locked(const struct work_pool *p, int line)
{
	struct work *w = p->locked.lines[line].first;

	while (w && !free_locked(p, w->lane))
		w = w->next;
	return w;
}

/* Begun before new; but new ones aren't kept waiting for ever. NULL: none that may be run now. */
static struct work *next_locked(struct work_pool *p)
{
	struct work *new = first_locked(p, NEW), *begun = first_locked(p, BEGUN);
	bool turn = begun && (!new || p->locked.in_row < WORK_BEGUN_IN_ROW);

	p->locked.in_row = turn && new ? p->locked.in_row + 1 : 0;
	return turn ? begun : new;
}

static void enter_lane_locked(struct work_pool *p, uint64_t lane)
{
	unsigned i = 0;

	if (!lane)
		return;
	while (p->locked.lanes[i])
		i++;
	p->locked.lanes[i] = lane;
}

/* Others may have been passed over for it. */
static void leave_lane(struct work_pool *p, uint64_t lane)
{
	unsigned i = 0;

	if (!lane)
		return;
	pthread_mutex_lock(&p->mutex);
	while (p->locked.lanes[i] != lane)
		i++;
	p->locked.lanes[i] = 0;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->mutex);
}

static void deliver_done(struct mail *m)
{
	struct work *w = (struct work *)((char *)m - offsetof(struct work, mail));

	set_state(w, WORK_DONE);
	w->done(w);
}

/* The item may be gone when this returns. */
static void finish(struct work *w)
{
	void (*done)(struct work *) = w->done;

	if (w->home) {
		w->mail.deliver = deliver_done;
		mailbox_post(w->home, &w->mail);
		return;
	}
	set_state(w, WORK_DONE);
	if (done)
		done(w);
}

/* The next item; NULL when the pool stops and nothing is left. */
static struct work *take(struct work_pool *p)
{
	struct work *w;

	pthread_mutex_lock(&p->mutex);
	while (!(w = next_locked(p)) && !(p->locked.stopping && !queued_locked(p)))
		pthread_cond_wait(&p->wake, &p->mutex);
	if (w) {
		unlink_locked(p, w);
		enter_lane_locked(p, w->lane);
	}
	pthread_mutex_unlock(&p->mutex);
	return w;
}

static _Thread_local struct work_pool *current;

static void *worker(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;

	current = p;
	pthread_setname_np(pthread_self(), p->name);
	while ((w = take(p))) {
		uint64_t lane = w->lane;

		if (!work_cancelled(w))
			w->run(w);
		leave_lane(p, lane);
		metric_add(p->done, 1);
		finish(w);
	}
	return NULL;
}

/* Signals are for the thread that waits for them; a fault stays with whom it happens to. */
static void mask_for_workers(sigset_t *ret_old)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, ret_old);
}

static void start_threads(struct work_pool *p)
{
	sigset_t old;

	mask_for_workers(&old);
	for (unsigned i = 0; i < p->threads_n; i++) {
		int failed = pthread_create(&p->threads[i], NULL, worker, p);

		if (failed) {
			fprintf(stderr, "sluice: cannot start thread %u of pool %s: %s\n", i + 1,
				p->name, strerror(failed));
			abort();
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct work_pool *work_pool_new(const char *name, unsigned threads, size_t max_queued)
{
	struct work_pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
	char labels[64];

	assert(threads > 0 && max_queued > 0);
	if (!p)
		abort();
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(labels, sizeof(labels), "pool=\"%s\"", p->name);
	p->threads_n = threads;
	p->locked.lanes = calloc(threads, sizeof(*p->locked.lanes));
	if (!p->locked.lanes)
		abort();
	p->max_queued = p->max_in_all = max_queued;
	p->length = metric_get(METRIC_GAUGE, "work_queue_length", "Items waiting for a worker.",
			       labels);
	p->refused = metric_get(METRIC_COUNTER, "work_refused_total",
				"Items refused because the queue was full.", labels);
	p->done = metric_get(METRIC_COUNTER, "work_done_total", "Items that workers took.", labels);
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->wake, NULL);
	start_threads(p);
	return p;
}

void work_pool_room(struct work_pool *p, size_t max_in_all)
{
	if (max_in_all > p->max_queued)
		p->max_in_all = max_in_all;
}

void work_pool_free(struct work_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	p->locked.stopping = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->mutex);
	for (unsigned i = 0; i < p->threads_n; i++)
		pthread_join(p->threads[i], NULL);
	assert(queued_locked(p) == 0);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->mutex);
	free(p->locked.lanes);
	free(p);
}

bool work_submit(struct work_pool *p, struct work *w)
{
	bool taken;

	assert(w->run && (w->done || !w->home));
	assert(state_of(w) == WORK_IDLE || state_of(w) == WORK_DONE);
	pthread_mutex_lock(&p->mutex);
	taken = room_locked(p, w) && !p->locked.stopping;
	if (taken) {
		w->pool = p;
		__atomic_store_n(&w->cancelled, false, __ATOMIC_RELAXED);
		set_state(w, WORK_QUEUED);
		enqueue_locked(p, w);
		/* Signalled under the lock: the pool may be freed as soon as the item has run. */
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->mutex);
	if (!taken)
		metric_add(p->refused, 1);
	return taken;
}

void work_cancel(struct work *w)
{
	struct work_pool *p = w->pool;
	bool out = false;

	if (state_of(w) != WORK_QUEUED && state_of(w) != WORK_RUNNING)
		return;
	__atomic_store_n(&w->cancelled, true, __ATOMIC_RELAXED);
	/* The pool can be freed only after it has let go of the item, so not while this says QUEUED.
	 * Without a home, done() belongs on a worker: the item stays in line and run() is skipped. */
	if (state_of(w) != WORK_QUEUED || !w->home)
		return;
	pthread_mutex_lock(&p->mutex);
	if (state_of(w) == WORK_QUEUED) {
		unlink_locked(p, w);
		out = true;
	}
	pthread_mutex_unlock(&p->mutex);
	if (out)
		finish(w);
}

bool work_cancelled(const struct work *w)
{
	return __atomic_load_n(&w->cancelled, __ATOMIC_RELAXED);
}

size_t work_pool_queued(struct work_pool *p)
{
	size_t n;

	pthread_mutex_lock(&p->mutex);
	n = queued_locked(p);
	pthread_mutex_unlock(&p->mutex);
	return n;
}

struct work_pool *work_pool_current(void)
{
	return current;
}

unsigned work_pool_threads(const struct work_pool *p)
{
	return p->threads_n;
}

static _Thread_local bool is_loop;

void thread_is_loop(bool yes)
{
	is_loop = yes;
}

bool on_loop(void)
{
	return is_loop;
}
