#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "versions/hygiene.h"

enum { FIRST_MS = 60 * 1000, AGAIN_MS = 1000 };

struct hygiene {
	struct hygiene_options o;
	int64_t interval_ms;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	_Atomic bool stop; /* set under lock */
};

/* Up to n: processes that were started together don't sweep together. */
static int64_t random_ms(int64_t n)
{
	uint32_t random;

	rand_bytes(&random, sizeof(random));
	return (int64_t)(random % (uint64_t)(n + 1));
}

static void wait_ms(struct hygiene *h, int64_t ms)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, ms);

	pthread_mutex_lock(&h->lock);
	while (!atomic_load(&h->stop) &&
	       pthread_cond_timedwait(&h->wake, &h->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&h->lock);
}

static void *run(void *ud)
{
	struct hygiene *h = ud;
	int64_t first = h->interval_ms < FIRST_MS ? h->interval_ms : FIRST_MS;

	wait_ms(h, random_ms(first));
	while (!atomic_load(&h->stop)) {
		struct timestamp now = wall_now();
		struct hygiene_counts n;

		/* It has logged what went wrong. */
		IGNORE_RC(hygiene_sweep(&h->o, now.s * 1000 + now.ns / 1000000, &n, NULL));
		wait_ms(h, n.more ? AGAIN_MS : h->interval_ms - random_ms(h->interval_ms / 8));
	}
	return NULL;
}

struct hygiene *hygiene_start(const struct hygiene_options *o, int64_t interval_ms)
{
	struct hygiene *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		abort();
	h->o = *o;
	h->o.stop = &h->stop;
	h->interval_ms = interval_ms;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&h->lock, NULL);
	if (pthread_create(&h->thread, NULL, run, h) != 0)
		abort();
	pthread_setname_np(h->thread, "hygiene");
	return h;
}

void hygiene_stop(struct hygiene *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	atomic_store(&h->stop, true);
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
