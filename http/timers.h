/* The timers of one loop: a hierarchical wheel of one-millisecond ticks, pure (time is passed in).
 *
 * A timer lies at the level of the highest 6-bit digit in which its deadline differs from the
 * wheel's time, in the slot of the deadline's digit there. So everything at a level comes before
 * everything at the next one, and the first slot in use of the lowest level in use is what comes next.
 */
#pragma once

#include "http/loop.h"

enum { TIMERS_LEVELS = 6, TIMERS_SLOTS = 64 };

struct timers {
	uint64_t now;
	uint64_t used[TIMERS_LEVELS]; /* one bit for each slot that isn't empty */
	struct loop_timer slots[TIMERS_LEVELS][TIMERS_SLOTS];
	struct loop_timer due;
};

void timers_init(struct timers *w, uint64_t now_ms);
/* Deadlines that have passed are due at the next run; those too far away (two years) are brought near. */
void timers_add(struct timers *w, struct loop_timer *t, uint64_t at_ms);
void timers_remove(struct timers *w, struct loop_timer *t);
/* Until something is to be done, at most `most`. A little too early now and then, never too late. */
unsigned timers_wait(const struct timers *w, uint64_t now_ms, unsigned most);
/* Fires what is due. What is added meanwhile with a passed deadline waits for the next run. */
void timers_run(struct timers *w, uint64_t now_ms);
