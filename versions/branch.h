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

struct str branch_encode(const struct branch *b, struct arena *a);
/* Text in the arena; raw is `bytes` itself. */
rc branch_decode(struct str bytes, struct arena *a, struct branch *ret, struct err *reterr);
/* "<repository>-<branch>:<uuid>", never used before. */
struct str branch_new_token(struct arena *a, const struct repo *r, struct str name);
/* The record's key in the repository's partition. */
struct str branch_key(struct arena *a, struct str name);

/* Read from the KV each time (rule 4). NOT_FOUND. */
rc branch_get(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);
/* A clean branch on a commit that is there. EXISTS. */
rc branch_create_at(struct vcall *c, const struct repo *r, struct str name, struct str commit_id);
/* From a source's commit: a branch (STR_NONE: the default one) or a whole commit id. EXISTS (also a tag
 * of that name), NOT_FOUND, INVALID, ReadOnlyRepository. */
rc branch_create(struct vcall *c, const struct repo *r, struct str name, struct str source);
/* Hands its tokens to the clean-up, which deletes what is under them after a grace time. Only once
 * nobody can find the branch any more. */
rc branch_drop_tokens(struct vcall *c, const struct branch *b);
/* Its staging tokens go to cleanup-tokens. INVALID for the default branch; NOT_FOUND. */
rc branch_delete(struct vcall *c, const struct repo *r, struct str name);
/* Ascending, names > after with the prefix; hidden ones left out unless asked for. */
rc branch_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after,
	       size_t max, bool with_hidden, struct branch **ret, size_t *ret_n, bool *ret_more);
