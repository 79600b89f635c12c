/* Event loops: one a core, each a thread with libh2o's evloop, a mailbox and timers.
 *
 * Everything here is for the loop's own thread unless it says "any thread". Callbacks never block.
 */
#pragma once

#include "base/work.h"

struct loop;

struct loop *loop_current(void); /* NULL off loops */
/* Where workers send results: any thread. Mail that comes while its loop ends is still delivered if
 * a request was referenced for it (the loop outlives its requests); whoever posts without one
 * must have ended before the server is stopped. */
struct mailbox *loop_mailbox(struct loop *l);
unsigned loop_index(const struct loop *l);

/* One-shot timers with millisecond steps, embedded in the owner's state; zero-initialised means idle.
 * Setting and cancelling are O(1). The members after `fire` are the loop's. */
struct loop_timer {
	void (*fire)(struct loop_timer *t);
	struct loop_timer *next, *prev;
	uint64_t at;
	struct loop *loop;
};
/* Never earlier than asked. A timer that is set already is moved. 0 ms: later in this turn, from a fresh stack. */
void loop_timer_set(struct loop *l, struct loop_timer *t, unsigned ms, void (*fire)(struct loop_timer *));
void loop_timer_cancel(struct loop_timer *t);
bool loop_timer_set_p(const struct loop_timer *t);
