/* Branches (BranchData): a commit, the staging token that writers write under, and sealed tokens. */
#pragma once

#include "versions/repo.h"

struct branch {
	struct str id, commit_id, staging_token;
	struct str *sealed; /* newest first */
	size_t sealed_n;
	bool hidden;
	/* Unix time, 0: not so. It is being removed, it was removed: branch_remove.h. */
	int64_t closed_ms, removed_ms;
	/* How often something sealed was undone by staging over it (reset.c): whoever sealed before that, and moves the
	 * head to a commit with what was undone in it, must begin anew. */
	int64_t resets;
	struct str raw; /* the record's bytes as read: what compare-and-set compares */
};

/* A branch as somebody read it a while ago (mono_ms): at_ms 0, nobody did. */
struct branch_seen {
	struct branch b;
	int64_t at_ms;
};

struct str branch_encode(const struct branch *b, struct arena *a);
/* Text in the arena; raw is `bytes` itself. */
rc branch_decode(struct str bytes, struct arena *a, struct branch *ret, struct err *reterr);
/* "<repository>-<branch>:<uuid>", never used before. */
struct str branch_new_token(struct arena *a, const struct repo *r, struct str name);
/* The record's key in the repository's partition. */
struct str branch_key(struct arena *a, struct str name);

/* Read from the KV each time (rule 4). NOT_FOUND. Who is going to write takes branch_get_open. */
rc branch_get(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);
/* What branch_get would have said, of a record that was read already: got is what kv_get said. */
rc branch_from(struct vcall *c, rc got, struct str raw, struct branch *ret);
/* The record, also of a branch that is removed already. */
rc branch_read(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);
/* Replaces the record that was read by this one, whose raw is set. PREDICATE. */
rc branch_replace(struct vcall *c, const struct repo *r, const struct branch *read, struct branch *by);
/* A clean branch on a commit that is there, in a repository that nobody deletes. EXISTS; SlowDown where
 * one of that name has just been removed. */
rc branch_create_at(struct vcall *c, const struct repo *r, struct str name, struct str commit_id);
struct branch_request {
	struct str name;
	struct str source; /* ref expression (ref.h): its commit; STR_NONE: the default branch */
	bool hidden, force; /* force: of a read-only repository, too */
};
/* EXISTS (also a tag of that name, or a commit of that id), NOT_FOUND, INVALID, ReadOnlyRepository,
 * SlowDown (the repository is being deleted). */
rc branch_create_with(struct vcall *c, const struct repo *r, const struct branch_request *q);
rc branch_create(struct vcall *c, const struct repo *r, struct str name, struct str source);
/* Hands a token to the clean-up. */
rc branch_drop_token(struct vcall *c, struct str token);
/* Hands its tokens to the clean-up, which deletes what is under them after a grace time. Only once
 * nobody can find the branch any more. */
rc branch_drop_tokens(struct vcall *c, const struct branch *b);
/* Whatever it holds. Its staging tokens go to cleanup-tokens. INVALID for the default branch; NOT_FOUND. */
rc branch_delete(struct vcall *c, const struct repo *r, struct str name);
/* Ascending, names > after with the prefix; hidden ones left out unless asked for. */
rc branch_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after,
	       size_t max, bool with_hidden, struct branch **ret, size_t *ret_n, bool *ret_more);
