/* Staging several at once, for the price of few synced writes. Private to versions/; workers only. */
#pragma once

#include "versions/staging.h"

struct stage_item {
	const struct repo *repo;
	struct str branch, path;
	struct str value; /* a staged record */
	/* The branch, or NULL. Where reading it costs a round trip and this isn't old, it is written under what it
	 * names, and the look afterwards tells whether that was right. */
	const struct branch_seen *seen;
	/* The value is a tombstone: written only where there is something to hide. */
	bool tombstone;
	struct err *err; /* its own */
	rc result;       /* in: an error takes it out; out: its own */
	bool sent;       /* out: a KV write of it may have been sent */
	/* private */
	struct stage_target *target;
	bool writes, again;
};

/* Each item as object_stage with STAGE_ALWAYS, or object_delete, does it: under its branch's token and, if
 * that changed meanwhile, again, a few times. In this order: of two for the same path the last one
 * stays. At most KV_WRITES_MAX. Paths and repositories were checked before. */
void stage_many(struct versions *v, struct stage_item *items, size_t n);
