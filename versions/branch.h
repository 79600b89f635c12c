/* Branches (BranchData): a commit, the staging token that writers write under, and sealed tokens. */
#pragma once

#include "versions/repo.h"

struct branch {
	struct str id, commit_id, staging_token;
	struct str *sealed; /* newest first */
	size_t sealed_n;
	bool hidden;
	struct str raw; /* the record's bytes as read: what compare-and-set compares */
};

/* Read from the KV each time (rule 4). NOT_FOUND. */
rc branch_get(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);
/* From a source branch's commit (STR_NONE: the default branch); EXISTS, NOT_FOUND, INVALID. */
rc branch_create(struct vcall *c, const struct repo *r, struct str name, struct str source);
/* Its staging tokens go to cleanup-tokens. INVALID for the default branch; NOT_FOUND. */
rc branch_delete(struct vcall *c, const struct repo *r, struct str name);
/* Ascending, names > after with the prefix; hidden ones left out unless asked for. */
rc branch_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after,
	       size_t max, bool with_hidden, struct branch **ret, size_t *ret_n, bool *ret_more);
