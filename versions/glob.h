/* Globs of branch names, as lakeFS has them: `*` and `**` (any bytes), `?` (one), `[abc]`, `[a-z]`, either
 * negated by a `!` in front, `{one,other}`, and `\` before a byte that is meant as itself. */
#pragma once

#include "base/err.h"

enum { GLOB_MAX = 1024 };

/* INVALID says what is wrong. */
rc glob_check(struct str glob, struct err *reterr);
/* One that was checked; any other matches nothing. Time: at most the product of both lengths. */
bool glob_matches(struct str glob, struct str name);
