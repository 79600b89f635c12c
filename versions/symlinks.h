/* Symlink files for Hive and its like (SymlinkTextInputFormat): for each folder of a ref's paths a file that names the
 * addresses of the objects in it, one a line, at symlinks/<repository>/<ref>/<folder>/symlink.txt below the
 * repository's namespace. Workers only. */
#pragma once

#include "versions/repo.h"

/* Of the paths that begin with `prefix`. A file that is there is written over; those of folders that are gone stay,
 * as in lakeFS. *ret: the address below which they lie. NOT_FOUND: no such ref; INVALID: no ref expression, or a
 * folder's name that the store can't have. */
rc symlinks_write(struct vcall *c, const struct repo *r, struct str ref, struct str prefix, struct str *ret);
