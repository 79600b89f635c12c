/* A filter that knows how its store is doing, and spares callers one that is down.
 *
 *            failures in a row            down_after of them, unreachable
 *   OK -------------------------> FAILING ------------------------------> DOWN
 *    ^                               |                                     | one call let through
 *    \---------- answered -----------+-------------------------------------/ each probe_ms
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/filter.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"

/* One failure is no news. */
enum { FAILING_AFTER = 3 };

enum { ORDINARY, PROBE };

struct health {
	struct filter f;
	struct backend_health_options o;
	struct metric *gauge;
	atomic_bool fine; /* OK, and no failures: nothing to lock for */
	pthread_mutex_t lock;
	struct {
		struct backend_health h;
		unsigned unreachable; /* failures in a row that say so */
		bool probing;
		int64_t probe_at_ms;
	} locked;
};

enum verdict { NO_NEWS, ANSWERED, REFUSED, UNREACHABLE };

/* A local disk that fails one call may serve the next: it is there. */
static enum verdict judge(const struct health *h, rc result)
{
	switch (result.code) {
	case ERR_WOULD_BLOCK:
	case ERR_CANCELLED:
	case ERR_INVALID:
	case ERR_UNSUPPORTED:
	case ERR_SlowDown:
		return NO_NEWS;
	case ERR_ServiceUnavailable:
		return UNREACHABLE;
	case ERR_IO:
	case ERR_UNKNOWN_OUTCOME:
		return h->f.b.caps & BACKEND_CAP_BLOCKING ? REFUSED : UNREACHABLE;
	case ERR_AccessDenied:
		return REFUSED;
	default:
		return ANSWERED;
	}
}

static int64_t jittered(int64_t ms)
{
	uint32_t dice;

	rand_bytes(&dice, sizeof(dice));
	return ms / 2 + (int64_t)(dice % ((uint64_t)ms + 1));
}

static void tell_locked(struct health *h, enum backend_state was)
{
	static const char *const words[] = {[BACKEND_OK] = "the store answers again",
					    [BACKEND_FAILING] = "the store is failing",
					    [BACKEND_DOWN] = "the store is down"};
	const struct backend_health *now = &h->locked.h;

	metric_set(h->gauge, now->state);
	if (now->state == BACKEND_OK)
		log_event(LOG_INFO, "stores", words[now->state], F_STR("store", h->f.b.id),
			  F_CSTR("type", h->f.b.type));
	else if (was != now->state)
		log_event(LOG_WARN, "stores", words[now->state], F_STR("store", h->f.b.id),
			  F_CSTR("type", h->f.b.type), F_INT("failures", now->failures),
			  F_CSTR("error", now->reason));
}

static void move_locked(struct health *h, enum backend_state to)
{
	enum backend_state was = h->locked.h.state;

	if (was == to)
		return;
	h->locked.h.state = to;
	h->locked.h.since_s = wall_now().s;
	if (to == BACKEND_DOWN)
		h->locked.probe_at_ms = mono_ms() + jittered(h->o.probe_ms);
	tell_locked(h, was);
}

static void answered_locked(struct health *h)
{
	h->locked.h.failures = h->locked.unreachable = 0;
	h->locked.h.reason[0] = 0;
	move_locked(h, BACKEND_OK);
	atomic_store(&h->fine, true);
}

/* e: NULL where nobody wanted the story. */
static void failed_locked(struct health *h, bool unreachable, rc result, const struct err *e)
{
	struct backend_health *now = &h->locked.h;

	atomic_store(&h->fine, false);
	now->failures++;
	h->locked.unreachable = unreachable ? h->locked.unreachable + 1 : 0;
	snprintf(now->reason, sizeof(now->reason), "%.*s", (int)sizeof(now->reason) - 1,
		 e && e->msg[0] ? e->msg : err_text(result.code));
	if (h->o.down_after && h->locked.unreachable >= h->o.down_after)
		move_locked(h, BACKEND_DOWN);
	else if (now->failures >= FAILING_AFTER || now->state == BACKEND_DOWN)
		move_locked(h, BACKEND_FAILING);
}

static rc down_locked(const struct health *h, struct err *reterr)
{
	return err_set(reterr, ERR_ServiceUnavailable,
		       "store \"" STR_FMT "\" (%s) is down: %s; it is tried again every few seconds",
		       STR_ARG(h->f.b.id), h->f.b.type, h->locked.h.reason);
}

static bool may_probe_locked(const struct health *h)
{
	return !h->locked.probing && mono_ms() >= h->locked.probe_at_ms;
}

static rc before(struct filter *f, struct filter_call *c, struct err *reterr)
{
	struct health *h = CONTAINER(f, struct health, f);
	rc r = RC_OK;

	c->mark = ORDINARY;
	if (c->op == FILTER_PRESIGN || atomic_load_explicit(&h->fine, memory_order_relaxed))
		return RC_OK;
	pthread_mutex_lock(&h->lock);
	if (h->locked.h.state == BACKEND_DOWN) {
		if (may_probe_locked(h)) {
			h->locked.probing = true;
			c->mark = PROBE;
		} else {
			r = down_locked(h, reterr);
		}
	}
	pthread_mutex_unlock(&h->lock);
	return r;
}

static rc after(struct filter *f, struct filter_call *c, rc result, struct err *reterr)
{
	struct health *h = CONTAINER(f, struct health, f);
	enum verdict v = c->op == FILTER_PRESIGN ? NO_NEWS : judge(h, result);

	if (v == NO_NEWS && c->mark == ORDINARY)
		return result;
	if (v == ANSWERED && atomic_load_explicit(&h->fine, memory_order_relaxed))
		return result;
	pthread_mutex_lock(&h->lock);
	if (c->mark == PROBE) {
		h->locked.probing = false;
		if (v == UNREACHABLE)
			h->locked.probe_at_ms = mono_ms() + jittered(h->o.probe_ms);
	}
	if (v == ANSWERED)
		answered_locked(h);
	else if (v != NO_NEWS)
		failed_locked(h, v == UNREACHABLE, result, reterr);
	pthread_mutex_unlock(&h->lock);
	return result;
}

static rc admit(struct backend *b, struct err *reterr)
{
	struct health *h = CONTAINER(filter_of(b), struct health, f);
	rc r = RC_OK;

	if (atomic_load_explicit(&h->fine, memory_order_relaxed))
		return RC_OK;
	pthread_mutex_lock(&h->lock);
	if (h->locked.h.state == BACKEND_DOWN && !may_probe_locked(h))
		r = down_locked(h, reterr);
	pthread_mutex_unlock(&h->lock);
	return r;
}

static void get_health(struct backend *b, struct backend_health *ret)
{
	struct health *h = CONTAINER(filter_of(b), struct health, f);

	pthread_mutex_lock(&h->lock);
	*ret = h->locked.h;
	pthread_mutex_unlock(&h->lock);
}

static void health_free(struct filter *f)
{
	struct health *h = CONTAINER(f, struct health, f);

	pthread_mutex_destroy(&h->lock);
	free(h);
}

static const struct filter_hooks hooks = {.before = before, .after = after, .free = health_free};

struct backend *backend_health_new(struct backend *next, const struct backend_health_options *o)
{
	struct health *h = calloc(1, sizeof(*h));
	struct arena *a = arena_new();

	if (!h)
		abort();
	h->o = *o;
	atomic_init(&h->fine, true);
	pthread_mutex_init(&h->lock, NULL);
	h->gauge = metric_get(METRIC_GAUGE, "sluice_store_state",
			      "How a store is doing: 0 well, 1 failing, 2 down.",
			      backend_metric_label(a, next->id).p);
	arena_free(a);
	metric_set(h->gauge, BACKEND_OK);
	filter_init(&h->f, next, &hooks);
	h->f.b.admit = admit;
	h->f.b.health = get_health;
	return &h->f.b;
}
