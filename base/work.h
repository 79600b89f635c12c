/* Worker pools, and the way back to an event loop.
 *
 * A work item is embedded in the state of the operation that it belongs to. run() is on a pool
 * thread and may block; done() is on the item's mailbox (an event loop) afterwards, exactly once
 * for each accepted submission, also for a cancelled one. Nothing run() touches may be touched by
 * the loop until done(): the two hand-overs order memory, so no lock is needed.
 *
 * Bounds: a pool has a fixed number of threads and a queue of fixed length; a full queue refuses
 * (the caller answers 503 SlowDown). No worker waits on work that needs its own pool.
 *
 * Order: what goes on with something begun (`begun`) is taken before what is new, each in the order of
 * submission; where both wait, one in WORK_BEGUN_IN_ROW + 1 is a new one, so that neither starves. An item
 * whose lane is taken is passed over until it is free, and no worker waits for it.
 */
#pragma once

#include "base/err.h"

struct work;
struct work_pool;
struct mailbox;

/* A mail is delivered on the mailbox's loop thread, once, in the order of posting. */
struct mail {
	struct mail *next;
	void (*deliver)(struct mail *m);
};

struct mailbox_ops {
	/* Any thread. Never blocks, never fails; the mail belongs to the mailbox until delivered. */
	void (*post)(struct mailbox *mb, struct mail *m);
};

struct mailbox {
	const struct mailbox_ops *ops;
};

static inline void mailbox_post(struct mailbox *mb, struct mail *m)
{
	mb->ops->post(mb, m);
}

enum { WORK_BEGUN_IN_ROW = 8 };
enum work_state { WORK_IDLE, WORK_QUEUED, WORK_RUNNING, WORK_DONE };

struct work {
	void (*run)(struct work *w);
	void (*done)(struct work *w); /* NULL: nobody is told (only without a mailbox) */
	struct mailbox *home;         /* where done() goes; NULL: done() on the worker itself */
	bool begun; /* goes on with what was begun: refusing it would waste what is done already */
	uint64_t lane; /* not 0: of a pool's items of the same lane one is run at a time; the others wait in the queue */
	/* private */
	struct work *next, *prev;
	struct mail mail;
	struct work_pool *pool;
	int state;
	bool cancelled;
};

/* name appears in metrics, logs and as the thread name. */
struct work_pool *work_pool_new(const char *name, unsigned threads, size_t max_queued);
/* The most that may be queued in all, where it is more than max_queued: beyond that there is room for
 * what is begun alone. Before anything is submitted. */
void work_pool_room(struct work_pool *p, size_t max_in_all);
/* Lets queued and running items finish (done() included where home is NULL), joins, frees. */
void work_pool_free(struct work_pool *p);
/* False when the queue has no room for it or the pool is stopping: nothing was taken. w must be idle or
 * done. */
bool work_submit(struct work_pool *p, struct work *w);
/* From the item's loop. An item still queued is taken out: run() is skipped, done() comes as usual,
 * and work_cancelled() says so. A running one only learns of it through work_cancelled(). */
void work_cancel(struct work *w);
bool work_cancelled(const struct work *w);
size_t work_pool_queued(struct work_pool *p);
/* The pool whose thread this is, or NULL. */
struct work_pool *work_pool_current(void);
unsigned work_pool_threads(const struct work_pool *p);

/* Marks the calling thread as an event loop, where blocking is forbidden; asserted by what blocks. */
void thread_is_loop(bool yes);
bool on_loop(void);
