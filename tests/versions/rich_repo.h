/* A repository with something of everything, and all that its readers can see, as one text to be compared. */
#pragma once

#include "tests/versions/world.h"

/* Puts the bytes into the repository's store, and stages an entry of them. */
void rich_put(struct world *w, const struct repo *r, const char *branch, const char *path, struct str bytes);
struct str rich_commit(struct world *w, const struct repo *r, const char *branch, const char *message);
/* "rich" on mem://rich: commits, a merge, tags, branches, metadata, names in many scripts, a shared body, an entry
 * outside of the namespace, something staged on "dev". */
struct repo rich_repo(struct world *w);
/* Branches, tags, the history of each, its commits as they are recorded, its entries and their bytes. */
struct str rich_told(struct world *w, const struct repo *r);
/* A bare repository there, which the manifest there is restored into. */
struct repo rich_restored(struct world *w, const char *name, struct str storage_id, struct str space);
/* The address of an object. */
struct object_ptr rich_at(const struct repo *r, const char *branch, const char *path, struct world *w);
