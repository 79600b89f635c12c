/* Event loops: one a core, each a thread with libh2o's evloop, a mailbox and timers.
 *
 * Everything here is for the loop's own thread unless it says "any thread". Callbacks never block.
 */
#pragma once

#include "base/work.h"

struct loop;

struct loop *loop_current(void); /* NULL off loops */
/* Where workers send results: any thread. */
struct mailbox *loop_mailbox(struct loop *l);
unsigned loop_index(const struct loop *l);

/* One-shot timers with millisecond steps, embedded in the owner's state; zero-initialised means idle. */
struct loop_timer {
	void (*fire)(struct loop_timer *t);
	void *priv[6];
};
void loop_timer_set(struct loop *l, struct loop_timer *t, unsigned ms, void (*fire)(struct loop_timer *));
void loop_timer_cancel(struct loop_timer *t);
bool loop_timer_set_p(const struct loop_timer *t);
