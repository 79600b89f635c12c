#include "versions/turn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "versions/dump.h"
#include "versions/internal.h"

enum {
	WAIT_MS = 60 * 1000, /* for others, at most; then without a turn */
	TRIES_MS = 60 * 1000, /* from then on, unless there were fewer than BRANCH_TRIES */
	TRIES = 100,
	LOOK_MS = 200, /* between two looks whether somebody cancelled */
	POLL_MIN_MS = 10,
	POLL_MAX_MS = 100,
};

struct turns {
	int64_t lease_ms;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct {
		struct turn *first, *last;
	} locked;
};

struct turns *turns_new(int64_t lease_ms)
{
	struct turns *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	if (!t)
		abort();
	t->lease_ms = lease_ms;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->moved, &attr);
	pthread_condattr_destroy(&attr);
	return t;
}

void turns_free(struct turns *t)
{
	assert(!t->locked.first);
	pthread_cond_destroy(&t->moved);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static rc cancelled(struct vcall *c)
{
	return c->progress ? c->progress->tick(c->progress, 0, c->err) : RC_OK;
}

/* The process's line. */

static void join_locked(struct turns *all, struct turn *t)
{
	t->prev = all->locked.last;
	*(t->prev ? &t->prev->next : &all->locked.first) = t;
	all->locked.last = t;
}

static void leave_locked(struct turns *all, struct turn *t)
{
	*(t->prev ? &t->prev->next : &all->locked.first) = t->next;
	*(t->next ? &t->next->prev : &all->locked.last) = t->prev;
	pthread_cond_broadcast(&all->moved);
}

static bool is_first_locked(const struct turn *t)
{
	for (const struct turn *o = t->prev; o; o = o->prev)
		if (str_eq(o->key, t->key))
			return false;
	return true;
}

static void nap_locked(struct turns *all, int64_t ms)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, ms);

	pthread_cond_timedwait(&all->moved, &all->lock, &until);
}

static rc await_line(struct turns *all, struct turn *t)
{
	rc res = RC_OK;

	pthread_mutex_lock(&all->lock);
	join_locked(all, t);
	while (rc_ok(res) && !is_first_locked(t) && mono_ms() - t->begun_ms < WAIT_MS) {
		nap_locked(all, LOOK_MS);
		pthread_mutex_unlock(&all->lock);
		res = cancelled(t->c);
		pthread_mutex_lock(&all->lock);
	}
	if (!rc_ok(res))
		leave_locked(all, t);
	pthread_mutex_unlock(&all->lock);
	return res;
}

static void leave_line(struct turns *all, struct turn *t)
{
	pthread_mutex_lock(&all->lock);
	leave_locked(all, t);
	pthread_mutex_unlock(&all->lock);
}

/* The lease. */

static int64_t lease_ms_of(const struct turn *t)
{
	return t->c->v->turns->lease_ms;
}

/* What is there; STR_NONE: nothing, or nobody can tell. */
static struct str look(struct turn *t, struct arena *a)
{
	struct str raw;
	rc res = kv_get(t->c->v->kv, KV_BLOCK, PARTITION_LEASES, t->key, a, &raw, NULL);

	return rc_ok(res) ? raw : STR_NONE;
}

/* By chance, so that those who wait for one lease don't come all at once. */
static void pause_ms(int64_t *ms)
{
	uint32_t random;
	int64_t now;

	rand_bytes(&random, sizeof(random));
	now = *ms / 2 + (int64_t)(random % (uint64_t)*ms);
	nanosleep(&(struct timespec){.tv_nsec = now * 1000000}, NULL);
	*ms = *ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : *ms * 2;
}

/* Waits for the end of somebody's lease. *ret: STR_NONE: there is none; else that of one who is dead. In `a`. */
static rc await_lease(struct turn *t, struct arena *a, struct str *ret)
{
	int64_t from = mono_ms(), since = from, pause = POLL_MIN_MS;
	struct str now = look(t, a), last = now;

	while (now.p && mono_ms() - since < lease_ms_of(t) && mono_ms() - from < WAIT_MS) {
		TRY(cancelled(t->c));
		pause_ms(&pause);
		now = look(t, a);
		if (!str_eq(now, last))
			since = mono_ms();
		last = now;
	}
	*ret = now;
	return RC_OK;
}

/* While it is `was`. False: it isn't ours; that is no error. */
static bool write_lease(struct turn *t, struct str was)
{
	struct str value = arena_printf(t->c->a, "%s %llu %lld", t->owner, (unsigned long long)++t->beats,
					(long long)wall_now().s);
	rc res = kv_set_if(t->c->v->kv, PARTITION_LEASES, t->key, value, was.p ? KV_IF_VALUE : KV_IF_ABSENT, was,
			   NULL);

	t->lease = rc_ok(res) ? value : STR_NONE;
	t->renewed_ms = mono_ms();
	return rc_ok(res) || !rc_is(res, PREDICATE);
}

static rc take_lease(struct turn *t)
{
	struct arena *a = arena_new();
	struct str there;
	rc res;

	do
		res = await_lease(t, a, &there);
	while (rc_ok(res) && !write_lease(t, there) && mono_ms() - t->begun_ms < WAIT_MS);
	arena_free(a);
	return res;
}

/* Whoever waited for a dead one takes its place, so that the next one needn't wait for it, too. */
static rc respect_lease(struct turn *t)
{
	struct arena *a = arena_new();
	struct str there;
	rc res = await_lease(t, a, &there);

	if (rc_ok(res) && there.p)
		write_lease(t, there);
	arena_free(a);
	return res;
}

/* Not if somebody may have taken it over; if he does so between the two, he works without. */
static void give_lease(struct turn *t)
{
	if (t->lease.p && mono_ms() - t->renewed_ms < lease_ms_of(t))
		IGNORE_RC(kv_delete(t->c->v->kv, PARTITION_LEASES, t->key, NULL));
	t->lease = STR_NONE;
}

void turn_renew(struct turn *t)
{
	if (t->lease.p && mono_ms() - t->renewed_ms > lease_ms_of(t) / 4)
		write_lease(t, t->lease);
}

/* Turns. */

static struct str key_of(struct arena *a, const struct repo *r, struct str branch)
{
	const struct str pieces[] = {r->partition, STR("/"), branch};

	return arena_join(a, pieces, 3);
}

rc turn_begin(struct turn *t, struct vcall *c, const struct repo *r, struct str branch)
{
	struct turns *all = c->v->turns;
	struct str owner = uuid4(c->a);
	rc res;

	assert(!on_loop() && !c->turn);
	*t = (struct turn){.c = c, .key = key_of(c->a, r, branch), .begun_ms = mono_ms()};
	snprintf(t->owner, sizeof(t->owner), STR_FMT, STR_ARG(owner));
	TRY(await_line(all, t));
	res = all->lease_ms ? respect_lease(t) : RC_OK;
	if (!rc_ok(res)) {
		leave_line(all, t);
		return res;
	}
	t->begun_ms = mono_ms();
	c->turn = t;
	return RC_OK;
}

rc turn_again(struct turn *t)
{
	t->tries++;
	if (t->tries >= TRIES || (t->tries >= BRANCH_TRIES && mono_ms() - t->begun_ms > TRIES_MS))
		return err_set(t->c->err, ERR_SlowDown, "the branch keeps moving; try again");
	TRY(cancelled(t->c));
	turn_renew(t);
	return t->c->v->turns->lease_ms && !t->lease.p ? take_lease(t) : RC_OK;
}

void turn_end(struct turn *t)
{
	give_lease(t);
	leave_line(t->c->v->turns, t);
	t->c->turn = NULL;
}
