/* A filter that tries again what did no harm. */
#include <stdlib.h>

#include "backends/filter.h"
#include "base/clock.h"
#include "base/rand.h"

enum { PAUSE_US = 10 * 1000, DOUBLINGS_MAX = 6 };

struct retry {
	struct filter f;
	unsigned retries;
};

enum harm {
	NEVER,   /* can't be repeated here, or not without asking what it did */
	UNBEGUN, /* may be repeated when the store says that it did nothing */
	READS,   /* may be repeated whatever happened */
};

static const enum harm harms[FILTER_OPS] = {
	[FILTER_OPEN_WRITER] = UNBEGUN,
	[FILTER_OPEN_PART] = UNBEGUN,
	[FILTER_MPU_CREATE] = UNBEGUN,
	[FILTER_MPU_ABORT] = UNBEGUN,
	[FILTER_REMOVE] = UNBEGUN,
	[FILTER_READ] = READS,
	[FILTER_OPEN_READER] = READS,
	[FILTER_OPEN_FILE] = READS,
	[FILTER_HEAD] = READS,
	[FILTER_LIST] = READS,
	[FILTER_PROBE] = READS,
};

static void rest(unsigned attempt)
{
	unsigned us = PAUSE_US << (attempt < DOUBLINGS_MAX ? attempt : DOUBLINGS_MAX);
	uint32_t dice;

	rand_bytes(&dice, sizeof(dice));
	us = us / 2 + dice % (us / 2);
	sleep_us(us);
}

static bool again(struct filter *f, struct filter_call *c, rc result)
{
	struct retry *r = CONTAINER(f, struct retry, f);
	bool unbegun = rc_is(result, ServiceUnavailable) || rc_is(result, SlowDown);

	if (c->attempt >= r->retries || harms[c->op] == NEVER)
		return false;
	if (!unbegun && !(harms[c->op] == READS && rc_is(result, IO)))
		return false;
	rest(c->attempt);
	return true;
}

static void retry_free(struct filter *f)
{
	free(CONTAINER(f, struct retry, f));
}

static const struct filter_hooks hooks = {.again = again, .free = retry_free};

struct backend *backend_retry_new(struct backend *next, unsigned retries)
{
	struct retry *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->retries = retries;
	filter_init(&r->f, next, &hooks);
	return &r->f.b;
}
