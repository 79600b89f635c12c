/* The pool that runs tasks, and one thread that writes their heartbeats, tries again what couldn't be written, and
 * looks for lost ones. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "versions/task_priv.h"

enum { HEARTBEAT_MS = 5000, POLL_MS = 1000 };

rc tasks_reserve(struct tasks *t, struct err *reterr)
{
	bool stopping, room;

	pthread_mutex_lock(&t->lock);
	stopping = t->locked.stopping;
	room = t->locked.n < t->o.max;
	if (!stopping && room) {
		t->locked.n++;
		t->locked.reserved++;
	}
	pthread_mutex_unlock(&t->lock);
	if (stopping)
		return err_set(reterr, ERR_ServiceUnavailable, "the server is stopping; try again");
	if (!room)
		return err_set(reterr, ERR_SlowDown,
			       "%zu tasks run or wait already; try again when some are done",
			       t->o.max);
	return RC_OK;
}

/* used: there is a job in the place. */
static void end_reservation(struct tasks *t, bool used)
{
	pthread_mutex_lock(&t->lock);
	t->locked.reserved--;
	t->locked.n -= !used;
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

void tasks_unreserve(struct tasks *t)
{
	end_reservation(t, false);
}

static struct job *find_locked(struct tasks *t, struct str partition, struct str id)
{
	struct job *j = t->locked.jobs;

	while (j && !(str_eq(j->id, id) && str_eq(j->partition, partition)))
		j = j->next;
	return j;
}

bool tasks_have(struct tasks *t, struct str partition, struct str id)
{
	bool found;

	pthread_mutex_lock(&t->lock);
	found = find_locked(t, partition, id) != NULL;
	pthread_mutex_unlock(&t->lock);
	return found;
}

void tasks_stop_one(struct tasks *t, struct str partition, struct str id, enum job_stop why)
{
	struct job *j;

	pthread_mutex_lock(&t->lock);
	j = find_locked(t, partition, id);
	if (j)
		task_job_set_stop(j, why);
	pthread_mutex_unlock(&t->lock);
}

void tasks_add(struct tasks *t, const struct repo *r, struct str id, enum task_kind kind)
{
	struct job *j = task_job_new(t, r, id, kind);

	pthread_mutex_lock(&t->lock);
	if (t->locked.stopping)
		task_job_set_stop(j, STOP_SHUTDOWN);
	j->listed = true;
	j->next = t->locked.jobs;
	if (j->next)
		j->next->prev = j;
	t->locked.jobs = j;
	pthread_mutex_unlock(&t->lock);
	/* There is room for as many as can be reserved: it is refused only once the pool stops. */
	if (!work_submit(t->pool, &j->work))
		task_job_refused(j);
	end_reservation(t, true);
}

void task_job_unref(struct job *j)
{
	struct tasks *t = j->engine;
	bool last;

	pthread_mutex_lock(&t->lock);
	last = --j->refs == 0;
	pthread_mutex_unlock(&t->lock);
	if (last)
		task_job_free(j);
}

void tasks_remove(struct tasks *t, struct job *j)
{
	bool listed;

	pthread_mutex_lock(&t->lock);
	listed = j->listed;
	if (listed) {
		*(j->prev ? &j->prev->next : &t->locked.jobs) = j->next;
		if (j->next)
			j->next->prev = j->prev;
		j->listed = false;
		t->locked.n--;
	}
	pthread_mutex_unlock(&t->lock);
	if (listed)
		task_job_unref(j);
}

/* The thread. */

/* All that are listed, each referenced. */
static struct job **listed_jobs(struct tasks *t, struct arena *a, size_t *ret_n)
{
	struct job **list;
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	list = arena_alloc(a, (t->locked.n + 1) * sizeof(struct job *));
	for (struct job *j = t->locked.jobs; j; j = j->next) {
		j->refs++;
		list[n++] = j;
	}
	pthread_mutex_unlock(&t->lock);
	*ret_n = n;
	return list;
}

static struct str instance_key(struct tasks *t, struct arena *a)
{
	return key_join(a, STR("instances/"), str_c(t->instance));
}

/* That this process lives: for lakeFS, which looks there. Another failure than this one stops tasks. */
static void beat_instance(struct tasks *t, struct arena *a, int64_t now_ms)
{
	struct timestamp now = wall_now();
	Pb__Timestamp at = PB__TIMESTAMP__INIT;
	Pb__InstanceHeartbeat m = PB__INSTANCE_HEARTBEAT__INIT;

	if (t->instance_written && now_ms - t->instance_ms < t->o.heartbeat_ms)
		return;
	at.seconds = now.s;
	at.nanos = now.ns;
	m.updated_at = &at;
	IGNORE_RC(kv_set(t->v->kv, PARTITION_CATALOG, instance_key(t, a), pb_pack(&m.base, a), NULL));
	t->instance_written = true;
	t->instance_ms = now_ms;
}

static void forget_instance(struct tasks *t)
{
	struct arena *a = arena_new();

	/* Hygiene removes it otherwise. */
	if (t->instance_written)
		IGNORE_RC(kv_delete(t->v->kv, PARTITION_CATALOG, instance_key(t, a), NULL));
	t->instance_written = false;
	arena_free(a);
}

static void beat_all(struct tasks *t)
{
	struct arena *a = arena_new();
	int64_t now = mono_ms();
	size_t n;
	struct job **list = listed_jobs(t, a, &n);

	if (n)
		beat_instance(t, a, now);
	for (size_t i = 0; i < n; i++) {
		task_job_beat(list[i], now);
		task_job_unref(list[i]);
	}
	arena_free(a);
}

/* False: it is over. */
static bool pause_for(struct tasks *t, int64_t ms)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, ms);
	bool quit;

	pthread_mutex_lock(&t->lock);
	while (!t->locked.quit &&
	       pthread_cond_timedwait(&t->wake, &t->lock, &until) != ETIMEDOUT)
		;
	quit = t->locked.quit;
	pthread_mutex_unlock(&t->lock);
	return !quit;
}

bool tasks_stopping(struct tasks *t)
{
	bool stopping;

	pthread_mutex_lock(&t->lock);
	stopping = t->locked.stopping;
	pthread_mutex_unlock(&t->lock);
	return stopping;
}

static void *beat_thread(void *ud)
{
	struct tasks *t = ud;

	do {
		int64_t now = mono_ms();

		beat_all(t);
		if (!tasks_stopping(t) && (!t->looked_ms || now - t->looked_ms >= t->o.lost_ms / 2)) {
			tasks_find_lost(t);
			t->looked_ms = now;
		}
	} while (pause_for(t, t->o.poll_ms));
	return NULL;
}

/* Start and end. */

void versions_start_tasks(struct versions *v, const struct tasks_options *o)
{
	struct tasks *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	assert(!v->tasks && o->workers && o->max);
	if (!t)
		abort();
	t->v = v;
	t->o = *o;
	t->o.heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : HEARTBEAT_MS;
	t->o.poll_ms = o->poll_ms ? o->poll_ms : POLL_MS;
	t->o.lost_ms = o->lost_ms ? o->lost_ms : TASK_LOST_MS;
	xid_now(t->instance);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&t->lock, NULL);
	t->pool = work_pool_new("tasks", o->workers, o->max);
	v->tasks = t;
	if (pthread_create(&t->thread, NULL, beat_thread, t) != 0)
		abort();
	pthread_setname_np(t->thread, "heartbeat");
}

void versions_stop_tasks(struct versions *v)
{
	struct tasks *t = v->tasks;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->locked.stopping = true;
	for (struct job *j = t->locked.jobs; j; j = j->next)
		task_job_set_stop(j, STOP_SHUTDOWN);
	pthread_mutex_unlock(&t->lock);
}

/* What couldn't be written is tried for the last time; then it is another process's. */
static void drop_jobs(struct tasks *t)
{
	beat_all(t);
	while (t->locked.jobs)
		tasks_remove(t, t->locked.jobs);
}

/* Nobody is about to give it something to run any more. */
static void wait_for_reservations(struct tasks *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->locked.reserved)
		pthread_cond_wait(&t->wake, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

void versions_end_tasks(struct versions *v)
{
	struct tasks *t = v->tasks;

	if (!t || !t->pool)
		return;
	versions_stop_tasks(v);
	wait_for_reservations(t);
	work_pool_free(t->pool);
	t->pool = NULL;
	pthread_mutex_lock(&t->lock);
	t->locked.quit = true;
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	drop_jobs(t);
	forget_instance(t);
}

void tasks_free(struct tasks *t)
{
	if (!t)
		return;
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
