/* The repository that a real lakeFS wrote (tests/data/lakefs), restored into a world, and what that server said
 * of it. */
#pragma once

#include "base/json.h"
#include "tests/versions/world.h"

/* "fixture-repo" on mem://fixture, all its tables in the world's store. */
struct repo lakefs_repo(struct world *w);
/* expected.json. */
struct json *lakefs_expected(struct arena *a);
/* Opens a world with that repository. Returns what the server said of it under that name: no less than
 * `least` things. */
const struct json *lakefs_world(struct world *w, const char *name, size_t least, struct repo *ret);
