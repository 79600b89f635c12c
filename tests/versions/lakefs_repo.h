/* The repository that a real lakeFS wrote (tests/data/lakefs), restored into a world, and what that server said
 * of it. */
#pragma once

#include "base/json.h"
#include "tests/versions/world.h"

/* "fixture-repo" on mem://fixture, all its tables in the world's store. */
struct repo lakefs_repo(struct world *w);
/* expected.json. */
struct json *lakefs_expected(struct arena *a);
