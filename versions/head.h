/* Moving a branch's head: commit, merge, revert, cherry-pick, hard reset.
 *
 * All of them, each arrow one durable step:
 *
 *   OPEN --seal--> SEALED --tables, commit record--> WRITTEN --move--> MOVED --queue--> tidy
 *
 *   seal   one compare-and-set of the branch: its token becomes the first of the sealed ones, a fresh one takes
 *          new writes; an empty token isn't sealed, and the list is bounded (SEALED_MAX)
 *   tables ranges, then the metarange, uploaded under their content's names; then the commit's record:
 *          nothing names them yet, a crash leaves garbage
 *   move   one compare-and-set: the commit, and without the sealed tokens that it contains. Readers that
 *          looked for an entry in staging before and missed it in the commit read the branch again
 *   queue  the dropped tokens go to the clean-up, which waits for slow readers
 *
 * A crash anywhere leaves a branch that reads as before, or as after: sealed tokens are read like the
 * newest one, and the next commit takes them along.
 */
#pragma once

#include "versions/branch.h"
#include "versions/commit_record.h"
#include "versions/merge3.h"

enum { SEALED_MAX = 64 };

struct commit_request {
	struct str branch, committer, message;
	struct meta *metadata;
	size_t metadata_n;
	bool has_date;
	int64_t date; /* unix seconds */
	bool allow_empty, force;
	struct str source_metarange; /* STR_NONE; demands a branch with nothing staged */
};

/* What the caller may give besides, of every commit that a head operation makes. */
struct commit_overrides {
	struct str message; /* STR_NONE: the operation's own */
	const struct meta *metadata;
	size_t metadata_n;
};

/* Those who move one head take turns (turn.h). NOT_FOUND (branch), NoChanges, ReadOnlyRepository, ProtectedBranch, SlowDown (it keeps changing),
 * PreconditionFailed (actions.h), as all below. */
rc branch_commit(struct vcall *c, const struct repo *r, const struct commit_request *q,
		 struct commit *ret);

struct merge_request {
	struct str source; /* ref expression */
	struct str destination; /* branch */
	struct str committer;
	struct commit_overrides with;
	enum merge_strategy strategy;
	bool squash, allow_empty, force;
};
/* The new head. Those, and DirtyBranch, MergeConflict, NOT_FOUND ("no merge base"). */
rc branch_merge(struct vcall *c, const struct repo *r, const struct merge_request *q, struct commit *ret);

struct pick_request {
	struct str branch, ref;
	unsigned parent; /* 1-based; 0: not given, demanded of merge commits */
	struct str committer;
	struct commit_overrides with;
	bool allow_empty, force;
};
/* What `ref` did, undone; done again. */
rc branch_revert(struct vcall *c, const struct repo *r, const struct pick_request *q,
		 struct commit *ret);
rc branch_cherry_pick(struct vcall *c, const struct repo *r, const struct pick_request *q,
		      struct commit *ret);
/* The branch onto the ref's commit. */
rc branch_hard_reset(struct vcall *c, const struct repo *r, struct str branch, struct str ref, bool force);

/* What is staged goes: of the whole branch, of a prefix, of one object. The first is one compare-and-set, of all tokens for
 * a fresh one. The others stage over what is to go what the commit has there, or a tombstone, and then count that in
 * the branch's record (branch.h, resets), so that a commit that has sealed before begins anew. */
rc branch_reset(struct vcall *c, const struct repo *r, struct str branch, bool force);
rc branch_reset_prefix(struct vcall *c, const struct repo *r, struct str branch, struct str prefix,
		       bool force);
rc branch_reset_object(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		       bool force);
