#include "backends/bearer.h"

#include <stdlib.h>

#include "base/clock.h"

enum { AHEAD_MS = 5 * 60 * 1000 };

void bearer_init(struct bearer *b, int64_t failed_ms, int64_t again_ms)
{
	*b = (struct bearer){.failed_ms = failed_ms, .again_ms = again_ms};
	pthread_mutex_init(&b->locked.lock, NULL);
	pthread_cond_init(&b->locked.changed, NULL);
}

void bearer_deinit(struct bearer *b)
{
	free(b->locked.token);
	pthread_cond_destroy(&b->locked.changed);
	pthread_mutex_destroy(&b->locked.lock);
}

static void keep(struct bearer *b, struct str token, int64_t since_ms, int64_t life_ms)
{
	free(b->locked.token);
	b->locked.token = strndup(token.p, token.n);
	if (!b->locked.token)
		abort();
	b->locked.end_ms = since_ms + life_ms;
	b->locked.renew_ms = b->locked.end_ms - (life_ms / 4 < AHEAD_MS ? life_ms / 4 : AHEAD_MS);
	b->locked.failed_until_ms = 0;
}

/* With the lock, which it lets go of meanwhile. */
static rc renew(struct bearer *b, bearer_ask_fn *ask, void *ud)
{
	struct arena *a = arena_new();
	struct str token = STR_NONE;
	int64_t life_s = 0, now = mono_ms();
	struct err e = {0};
	rc r;

	b->locked.asking = true;
	pthread_mutex_unlock(&b->locked.lock);
	r = ask(ud, a, &token, &life_s, &e);
	pthread_mutex_lock(&b->locked.lock);
	b->locked.asking = false;
	if (rc_ok(r)) {
		keep(b, token, now, life_s * 1000);
	} else {
		now = mono_ms();
		b->locked.failed_until_ms = now + b->failed_ms;
		b->locked.renew_ms = now + b->again_ms;
		b->locked.failure = e;
		b->locked.failure.code = r.code;
	}
	pthread_cond_broadcast(&b->locked.changed);
	arena_free(a);
	return r;
}

/* With the lock. */
static rc current(struct bearer *b, bearer_ask_fn *ask, void *ud, struct err *reterr)
{
	for (;;) {
		int64_t now = mono_ms();
		bool lives = b->locked.token && now < b->locked.end_ms;

		if (lives && (now < b->locked.renew_ms || b->locked.asking))
			return RC_OK;
		if (b->locked.asking) {
			pthread_cond_wait(&b->locked.changed, &b->locked.lock);
		} else if (!lives && now < b->locked.failed_until_ms) {
			if (reterr)
				*reterr = b->locked.failure;
			return (rc){b->locked.failure.code};
		} else if (rc_ok(renew(b, ask, ud))) {
			return RC_OK;
		}
	}
}

rc bearer_get(struct bearer *b, bearer_ask_fn *ask, void *ud, struct arena *a, struct str *ret,
	      struct err *reterr)
{
	rc r;

	pthread_mutex_lock(&b->locked.lock);
	r = current(b, ask, ud, reterr);
	if (rc_ok(r))
		*ret = arena_dup(a, str_c(b->locked.token));
	pthread_mutex_unlock(&b->locked.lock);
	return r;
}

bool bearer_forget(struct bearer *b, struct str token)
{
	bool is;

	pthread_mutex_lock(&b->locked.lock);
	is = b->locked.token && token.n && str_eq(str_c(b->locked.token), token);
	if (is)
		b->locked.end_ms = 0;
	pthread_mutex_unlock(&b->locked.lock);
	return is;
}
