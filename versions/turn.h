/* Whose turn it is to move a branch's head.
 *
 * What is right is seen to by the compare-and-sets (head.h); turns only see to it that those who move one head at once
 * don't work in vain, and that nobody is refused for others having been faster.
 *
 *   in a process   one at a time of each branch, first come, first served
 *   between them   a lease of lease_ms in a shared KV: partition "sluice-leases", key <repository's partition>/<branch>,
 *                  value "<uuid> <count> <unix seconds>". Who begins looks for one (one read) and waits for its end; who lost a
 *                  race takes it for the next try, renews it while it works (vcall_tick), and deletes it
 *
 * A dead owner's lease ends when whoever waits has seen the same value for lease_ms of his own clock, so no two
 * clocks are compared. Whoever waits too long (WAIT_MS), or can't read or write a lease, goes on without. lakeFS never
 * looks at that partition. The seconds are hygiene's, which removes what is an hour old.
 *
 * One thread; may block. No turn is begun within another one.
 */
#pragma once

#include "versions/repo.h"

struct turns;

struct turn {
	/* private */
	struct vcall *c;
	struct turn *next, *prev; /* in the process, in order of arrival */
	struct str key;
	struct str lease; /* its value as we wrote it; STR_NONE: we have none */
	char owner[40];
	uint64_t beats;
	int64_t begun_ms, renewed_ms;
	unsigned tries;
};

struct turns *turns_new(int64_t lease_ms);
void turns_free(struct turns *t); /* nobody has or waits for a turn */

/* Waits. CANCELLED (c->progress). Followed by turn_end, but after an error. *t must not move. */
rc turn_begin(struct turn *t, struct vcall *c, const struct repo *r, struct str branch);
/* Lost a race: RC_OK: once more, with a lease where others may be other processes. SlowDown: it has gone on for too
 * long; CANCELLED. */
rc turn_again(struct turn *t);
void turn_end(struct turn *t);
/* Still at work. */
void turn_renew(struct turn *t);
