/* Differences as clients see them: pages of changed paths, with prefix and delimiter. */
#pragma once

#include "versions/diff.h"
#include "versions/ref.h"

struct compare_request {
	struct str prefix, delimiter, after;
	size_t max; /* 1 to 1,000 */
};

struct compare_item {
	enum diff_type type;
	struct str path; /* or common prefix, with its delimiter: type is DIFF_CHANGED then */
	bool is_prefix;
	bool has_left, has_right;
	struct entry left, right;
};

struct compare_page {
	struct compare_item *items;
	size_t n;
	bool truncated;
	struct str next;
};

/* What turns left into right; three-dot: what right changed since the merge base, conflicts named. Staged
 * entries count where a ref is a bare branch with $. */
rc compare_refs(struct vcall *c, const struct repo *r, struct str left, struct str right, bool three_dot,
		const struct compare_request *q, struct compare_page *ret);
/* What is staged on a branch and differs from its commit. */
rc compare_uncommitted(struct vcall *c, const struct repo *r, struct str branch,
		       const struct compare_request *q, struct compare_page *ret);
/* Whether anything is staged that differs. */
rc branch_is_dirty(struct vcall *c, const struct repo *r, const struct branch *b, bool *ret);
