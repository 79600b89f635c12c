/* What nobody will finish is removed once it is old enough: uploads nobody went on with, parts and
 * staged entries that nothing names any more, temporaries of stores, claims of creations that died,
 * records of tasks that are long done.
 *
 * Several processes may sweep one KV at once, and one may die at any step: each step can be repeated,
 * and the last one of a thing removes what leads to it. Nothing that a client can see, or may still
 * finish, is touched: see the heads of hygiene_*.c. Bodies are never removed here: that is garbage
 * collection's (a Complete that died between joining and staging leaves one).
 *
 * KV: partition "sluice-dropped-tokens", key <staging token>, value milliseconds since 1970 of when it
 * was first seen in cleanup-tokens: lakeFS's record there has no time.
 */
#pragma once

#include "versions/versions.h"

struct hygiene_options {
	struct versions *versions;
	/* How old it must be; 0: never. */
	int64_t uploads_ms;     /* an upload and its newest part */
	int64_t tokens_ms;      /* a dropped token, since it was first seen: as long as a reader may take */
	int64_t temporaries_ms; /* of stores */
	int64_t parts_ms;       /* a part's record without an upload */
	size_t max;             /* removals of each kind in one sweep */
	const _Atomic bool *stop; /* NULL, or turns true when a sweep should end soon */
};

struct hygiene_counts {
	size_t uploads, parts, tokens, staged, namespaces, tasks; /* records; staged: entries under tokens */
	size_t store_files, store_uploads;                 /* in stores */
	size_t failures;                                   /* things that are left for the next time */
	bool more;                                         /* max was reached */
};

/* Blocking. now_ms: wall clock. A failure is logged with the thing's name and doesn't keep it from the
 * others; the answer is the first one. Logs what it removed, and counts it (metrics
 * sluice_hygiene_removed_total, sluice_hygiene_last_sweep_timestamp_seconds). */
rc hygiene_sweep(const struct hygiene_options *o, int64_t now_ms, struct hygiene_counts *ret,
		 struct err *reterr);

/* Sweeps on a thread of its own: for the first time within a minute, then each interval, or at once
 * again while there is more. o->stop is not used. */
struct hygiene;
struct hygiene *hygiene_start(const struct hygiene_options *o, int64_t interval_ms);
/* Ends the sweep that is going on after its present step, and joins. NULL is allowed. */
void hygiene_stop(struct hygiene *h);
