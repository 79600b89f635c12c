/* What users and importers note on a repository: names and values (RepoMetadata, key repo-metadata). */
#pragma once

#include "versions/entry.h"
#include "versions/repo.h"

enum { REPO_METADATA_MAX = 1000, REPO_METADATA_BYTES_MAX = 128 * 1024 };

/* Ascending by key; none is no error. */
rc repo_metadata_get(struct vcall *c, const struct repo *r, struct meta **ret, size_t *ret_n);
/* Sets and removes in one step; the rest stays. `set` is sorted (meta_sort). INVALID: it would become too
 * much; SlowDown: others keep changing it. */
rc repo_metadata_update(struct vcall *c, const struct repo *r, const struct meta *set, size_t set_n,
			const struct str *remove, size_t remove_n);
