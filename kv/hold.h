/* Making sure that nobody writes to a KV while it is read as a whole or filled. A driver that is its data's
 * only owner needs nothing: its lock is the proof. On the others each process that may write keeps a
 * heartbeat (kv/gate.h), and this looks at them, by whether they move: clocks aren't compared. */
#pragma once

#include "kv/kv.h"

struct kv_hold_options {
	/* Ask those who write to become read-only, instead of refusing. */
	bool freeze;
	struct str why; /* a sentence for those whose writes are refused; STR_NONE: freezing is no way out */
	int64_t watch_ms; /* a heartbeat that doesn't move for so long is dead; 0: KV_WATCH_MS */
	/* A line for people while something is waited for; may be NULL. */
	void (*tell)(void *ud, const char *line);
	void *ud;
};
/* Longer than a writer's lease (kv/gate.h). */
enum { KV_WATCH_MS = 20 * 1000 };

struct kv_hold {
	struct str id;	 /* of the freeze; STR_NONE: the driver needs none */
	bool was_frozen; /* by an earlier run, or by hand: leave it so */
};

/* The KV is frozen and nobody writes any more; in `a`. SlowDown: somebody writes; named, and nothing
 * was written. Other errors after the freeze leave it frozen. */
rc kv_hold(struct kv *kv, const struct kv_hold_options *o, struct arena *a, struct kv_hold *ret,
	   struct err *reterr);
/* Whether it is held still: at the end of what was done. CONFIG: somebody released it meanwhile. */
rc kv_hold_check(struct kv *kv, const struct kv_hold *h, struct err *reterr);
/* Ends it unless it was frozen before. */
rc kv_hold_release(struct kv *kv, const struct kv_hold *h, struct err *reterr);
/* SlowDown when a heartbeat moves, with its names. Takes watch_ms when there are dead ones. */
rc kv_check_writers(struct kv *kv, const struct kv_hold_options *o, struct err *reterr);
