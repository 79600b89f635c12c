/* Staging tokens: partitions of the KV, raw path -> StagedEntryData. Private to versions/. */
#pragma once

#include "versions/branch.h"
#include "versions/entry.h"

enum staged_state { STAGED_NOTHING, STAGED_TOMBSTONE, STAGED_ENTRY };

struct staged {
	enum staged_state state;
	struct str raw; /* as read; STR_NONE when there is nothing */
	struct str token; /* where it lies; STR_NONE: in a commit, or nowhere */
	struct entry entry;
};

rc staging_get(struct vcall *c, struct str token, struct str path, struct staged *ret);

rc staging_is_empty(struct vcall *c, struct str token, bool *ret);

/* What counts for a path in the branch as it was read (NOTHING, also for a tombstone, or an entry); top:
 * what its own token says. In object.c. */
rc object_find(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
	       struct staged *top, struct staged *ret);

/* Writes under the branch's token, so that no seal can miss it: guarded by the branch's record where
 * the driver can, else read again afterwards. PREDICATE: the branch changed, to be done again with
 * the new one. *ret_sent as object_stage. */
rc staging_write(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
		 struct str value, bool *ret_sent);
/* The same for a conditional write, which no guard can be combined with: compare-and-set on the key,
 * then the branch again. PREDICATE: the key or the branch changed. */
rc staging_replace(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
		   struct str value, enum kv_cond cond, struct str current, bool *ret_sent);
/* PREDICATE: the branch's token isn't b's any more. NOT_FOUND: the branch was deleted. */
rc staging_confirm(struct vcall *c, const struct repo *r, const struct branch *b);
