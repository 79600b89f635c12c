/* Filling an empty KV from a stream of records: another KV (migration) or a dump (load).
 *
 *	survey	reads the whole source: totals and digest, every record asked about; nothing is written yet
 *	mark	the target gets its mark (kv/marks.h: incoming): from now on no server opens it
 *	clear	only if asked: whatever it holds is deleted
 *	copy	batches of sets; the mark's place follows every second, never ahead of what is durable
 *	verify	both sides are read and compared: count and SHA-256 of each partition
 *	unmark	the mark is deleted: the target is whole
 *
 * The source is only read. After a failure or a crash anywhere the same call goes on: the mark says
 * which source (by its digest) and how far. Sets are repeated, never guessed about.
 */
#pragma once

#include "kv/marks.h"
#include "kv/tally.h"

enum kv_step { KV_STEP_SURVEY, KV_STEP_CLEAR, KV_STEP_COPY, KV_STEP_VERIFY };

struct kv_progress {
	enum kv_step step;
	uint64_t done, total; /* records; total 0: unknown */
	uint64_t bytes;	      /* of keys and values, of this step */
};

struct kv_migration {
	struct kv_stream *from;
	struct kv *to;	 /* NULL: a dry run that looks at the source alone */
	struct str name; /* of the source, for people; no secrets */
	bool clear;	 /* delete what the target holds, or what another source left there */
	bool dry_run;	 /* survey and look at the target; write nothing */
	int64_t watch_ms; /* as in kv_hold_options */
	/* Whether this sluice knows the record: an error refuses the whole source. NULL: all are known. */
	rc (*known)(void *ud, const struct kv_record *r, struct err *reterr);
	/* Now and then; an error (CANCELLED) stops, to be gone on from later. NULL: nobody looks. */
	rc (*progress)(void *ud, const struct kv_progress *p, struct err *reterr);
	/* Before the mark goes: an error leaves it. NULL: nothing. */
	rc (*last_check)(void *ud, struct err *reterr);
	void *ud;
};

struct kv_migrated {
	struct kv_totals source;
	uint64_t copied; /* records, by this call */
	bool resumed;	 /* or, of a dry run: would be */
	bool clears;	 /* of a dry run: the target isn't empty */
};

/* EXISTS: the target isn't empty, or was begun from another source. CORRUPT: the sides differ in the end.
 * SlowDown: somebody is at work on the target. UNSUPPORTED: a driver can't list its partitions.
 * What the callbacks say is passed on. */
rc kv_migrate(const struct kv_migration *m, struct kv_migrated *ret, struct err *reterr);
