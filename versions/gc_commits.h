/* Which commits a garbage collection must keep (FORMATS.md 8, "GC prepare"), as lakeFS tells its collectors: a CSV
 * file in the repository's namespace, _lakefs/retention/gc/commits/run_id=<run>/commits.csv. Workers only.
 *
 * Every branch's head is active, and so is a commit's main parent while the commit itself is younger than the
 * branch's days. Commits that are nobody's main parent begin such a walk, too, with the default days, without being
 * active themselves. */
#pragma once

#include "versions/dump.h"

struct gc_run {
	struct str id;                /* newer ones sort first */
	struct str commits, addresses; /* whole addresses: the CSV file; where a collector puts what may go */
};

/* NOT_FOUND: the repository has no rules; ReadOnlyRepository. Walks over all commits. */
rc gc_prepare_commits(struct vcall *c, const struct repo *r, struct progress *p_or_null, struct gc_run *ret);
/* What can be refused at once. */
rc gc_check_prepare(struct vcall *c, const struct repo *r);
