/* Commit records (CommitData) and their ids. */
#pragma once

#include "versions/entry.h"
#include "versions/repo.h"

struct commit {
	struct str id, committer, message, meta_range_id;
	struct timestamp created;
	struct meta *metadata; /* ascending by key */
	size_t metadata_n;
	struct str *parents; /* destination first, then source */
	size_t parents_n;
	int32_t version, generation;
};

enum { COMMIT_VERSION = 1 };

/* The id that belongs to the rest of the commit: 64 hex digits. */
struct str commit_id(const struct commit *c, struct arena *a);
struct str commit_encode(const struct commit *c, struct arena *a);
rc commit_decode(struct str bytes, struct arena *a, struct commit *ret, struct err *reterr);

/* Bounds of what a client may give (TRAPS 17: an item of DynamoDB holds 400 KB): valid UTF-8, a message and
 * metadata of at most COMMIT_TEXT_MAX bytes together. INVALID says which. */
enum { COMMIT_TEXT_MAX = 256 * 1024 };
rc commit_check(const struct commit *c, struct err *reterr);

/* Sets the id and writes the record; one that is there already is the same. */
rc commit_add(struct vcall *c, const struct repo *r, struct commit *commit);
/* NOT_FOUND. */
rc commit_get(struct vcall *c, const struct repo *r, struct str id, struct commit *ret);
/* Of one that a record names: CORRUPT when it is missing, NOT_FOUND if that is because the repository was deleted
 * meanwhile. */
rc commit_named(struct vcall *c, const struct repo *r, struct str id, struct commit *ret);
/* The same, of which only the metarange's id is wanted, "" for none: from memory where possible, commits never
 * change. */
rc commit_meta_range(struct vcall *c, const struct repo *r, struct str id, struct str *ret);
