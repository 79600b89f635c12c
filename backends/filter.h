/* The base of filters: a store over a store, which forwards every operation that `next` has and lets the
 * filter look at each before and after. A filter owns `next` and may be put over any other.
 *
 * Hooks run on the thread of the call, at once for several threads: on workers; FILTER_OPEN_FILE_NOWAIT on
 * loops, too, where they must not block. Closing and aborting always go through, and no hook is asked.
 */
#pragma once

#include "backends/filters.h"
#include "backends/impl.h"

enum filter_op {
	FILTER_OPEN_WRITER,
	FILTER_WRITE,
	FILTER_COMMIT,
	FILTER_OPEN_PART,
	FILTER_WRITE_PART,
	FILTER_COMMIT_PART,
	FILTER_READ,
	FILTER_OPEN_READER,
	FILTER_READ_NEXT,
	FILTER_OPEN_FILE,
	FILTER_OPEN_FILE_NOWAIT,
	FILTER_HEAD,
	FILTER_REMOVE,
	FILTER_LIST,
	FILTER_COPY,
	FILTER_MPU_CREATE,
	FILTER_MPU_COMPLETE,
	FILTER_MPU_ABORT,
	FILTER_MPU_COPY_PART,
	FILTER_SWEEP,
	FILTER_PROBE,
	FILTER_PRESIGN, /* needs keys, not the store: no news of how it is doing */
	FILTER_OPS
};

/* One operation on its way through one filter. */
struct filter_call {
	enum filter_op op;
	unsigned nth;     /* of several committed at once: 0, 1 ... */
	uint64_t bytes;   /* to be written; after a read: what was read, which a hook may make less */
	unsigned attempt; /* 0, then 1 ... when a hook asked for it again */
	/* the filter's own */
	int64_t began_us;
	unsigned mark;
	enum err_code code;
};

struct filter;

/* Each is optional. reterr may be NULL only where the filter fails something itself; of a failed call it
 * has the story. */
struct filter_hooks {
	/* Not RC_OK: the operation isn't asked for, this is its answer, and `after` isn't asked. */
	rc (*before)(struct filter *f, struct filter_call *c, struct err *reterr);
	/* After a failure: true to do it once more. Not asked of writes, commits and read_next, which can't
	 * be repeated here. */
	bool (*again)(struct filter *f, struct filter_call *c, rc result);
	/* Answers the result, or another one: what was opened is then closed again. */
	rc (*after)(struct filter *f, struct filter_call *c, rc result, struct err *reterr);
	/* Frees the filter; its base is down already. */
	void (*free)(struct filter *f);
};

struct filter {
	struct backend b; /* first */
	struct backend *next;
	const struct filter_hooks *hooks;
	struct backend_blocking_ops ops; /* less what next lacks */
};

/* Takes `next` over; id, kind, capabilities and pool are its. */
void filter_init(struct filter *f, struct backend *next, const struct filter_hooks *hooks);
static inline struct filter *filter_of(struct backend *b)
{
	return CONTAINER(b, struct filter, b);
}
