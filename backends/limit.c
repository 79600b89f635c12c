/* A filter that bounds how many workers of shared pools one store may hold. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "backends/filter.h"
#include "base/clock.h"

enum { POOLS_MAX = 16 };

/* The calls that hold workers of one pool. */
struct share {
	struct work_pool *pool; /* NULL: free */
	unsigned most, held, waiting;
	bool stuck; /* one has waited in vain, and none has ended since */
};

struct limit {
	struct filter f;
	struct backend_limit_options o;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct share locked[POOLS_MAX];
};

static unsigned most_of(const struct limit *l, const struct work_pool *pool)
{
	unsigned n = work_pool_threads(pool) * l->o.share / 100;

	return n ? n : 1;
}

/* NULL: more pools than there are, so this one is not bounded. */
static struct share *share_locked(struct limit *l, struct work_pool *pool)
{
	struct share *unused = NULL;

	for (size_t i = 0; i < POOLS_MAX; i++) {
		struct share *s = &l->locked[i];

		if (s->pool == pool)
			return s;
		if (!unused && !s->held && !s->waiting)
			unused = s;
	}
	if (unused)
		*unused = (struct share){.pool = pool, .most = most_of(l, pool)};
	return unused;
}

static rc refuse(struct limit *l, const struct share *s, struct err *reterr)
{
	return err_set(reterr, ERR_ServiceUnavailable,
		       "store \"" STR_FMT "\" (%s) is slow: %u calls are waiting for it; try again",
		       STR_ARG(l->f.b.id), l->f.b.type, s->held);
}

static rc take_locked(struct limit *l, struct share *s, struct err *reterr)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, l->o.patience_ms);
	int waited = 0;

	while (s->held >= s->most && !s->stuck && waited != ETIMEDOUT) {
		s->waiting++;
		waited = pthread_cond_timedwait(&l->ended, &l->lock, &until);
		s->waiting--;
	}
	if (s->held >= s->most) {
		s->stuck = true;
		return refuse(l, s, reterr);
	}
	s->held++;
	return RC_OK;
}

/* Those that are committed together hold one worker. */
static bool counts(const struct limit *l, const struct filter_call *c, struct work_pool *pool)
{
	return pool && c->nth == 0 && !(l->o.own_pool && pool == l->f.b.pool) &&
	       c->op != FILTER_OPEN_FILE_NOWAIT;
}

static rc before(struct filter *f, struct filter_call *c, struct err *reterr)
{
	struct limit *l = CONTAINER(f, struct limit, f);
	struct work_pool *pool = work_pool_current();
	struct share *s;
	rc r = RC_OK;

	c->mark = POOLS_MAX;
	if (!counts(l, c, pool))
		return RC_OK;
	pthread_mutex_lock(&l->lock);
	s = share_locked(l, pool);
	if (s)
		r = take_locked(l, s, reterr);
	if (s && rc_ok(r))
		c->mark = (unsigned)(s - l->locked);
	pthread_mutex_unlock(&l->lock);
	return r;
}

static rc after(struct filter *f, struct filter_call *c, rc result, struct err *reterr)
{
	struct limit *l = CONTAINER(f, struct limit, f);

	if (c->mark == POOLS_MAX)
		return result;
	pthread_mutex_lock(&l->lock);
	l->locked[c->mark].held--;
	l->locked[c->mark].stuck = false;
	/* All pools' waiters share it; with nobody waiting it costs nothing. */
	pthread_cond_broadcast(&l->ended);
	pthread_mutex_unlock(&l->lock);
	return result;
}

static void limit_free(struct filter *f)
{
	struct limit *l = CONTAINER(f, struct limit, f);

	pthread_cond_destroy(&l->ended);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static const struct filter_hooks hooks = {.before = before, .after = after, .free = limit_free};

struct backend *backend_limit_new(struct backend *next, const struct backend_limit_options *o)
{
	struct limit *l = calloc(1, sizeof(*l));
	pthread_condattr_t monotonic;

	if (!l)
		abort();
	l->o = *o;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	filter_init(&l->f, next, &hooks);
	return &l->f.b;
}
