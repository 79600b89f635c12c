/* Ref expressions (FORMATS.md 8): a branch, a tag, a commit id or the unique beginning of one, then any of
 * ~[n] (n-th first-parent ancestor) and ^[n] (n-th parent); or a branch with @ (its commit without what is
 * staged) or $ (with it, as the bare name). */
#pragma once

#include "versions/branch.h"
#include "versions/commit_record.h"

struct ref {
	bool is_branch;       /* staging counts: a bare branch name, or with $ */
	struct branch branch; /* when is_branch */
	struct str commit_id;
};

/* NOT_FOUND (also an ambiguous beginning, an ancestor that isn't there), INVALID (not an expression; a
 * parent that the commit doesn't have), CORRUPT (a record names a commit that is missing). Of the names'
 * order: a whole commit id, branch, tag, the beginning of a commit id. With KV_NOWAIT: WOULD_BLOCK
 * where it must look further than one record. */
rc ref_resolve(struct vcall *c, const struct repo *r, struct str expression, struct ref *ret);
/* The commit that it stands on. */
rc ref_commit(struct vcall *c, const struct repo *r, struct str expression, struct commit *ret);
