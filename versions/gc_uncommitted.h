/* Bodies that are staged and that no commit names yet, as lakeFS tells its garbage collectors: Parquet files
 * (parquet.h) in the repository's namespace, _lakefs/retention/gc/uncommitted/<run>/uncommitted/<xid>, a file a call.
 * Workers only.
 *
 * Every staging token is read, also sealed ones and what newer ones cover: a commit that is under way may still take
 * it. Of a branch the oldest token comes first, and a later call goes on behind what was read, so that whatever a
 * commit moved out of staging in between is in the commits that are listed afterwards. */
#pragma once

#include "versions/repo.h"

struct gc_listed {
	struct str run_id;
	struct str location; /* whole address of the folder; "" when this call found nothing */
	struct str mark;     /* where to go on; STR_NONE: all was listed */
};

/* mark STR_NONE: a new run. INVALID: no mark of ours; ReadOnlyRepository. */
rc gc_list_uncommitted(struct vcall *c, const struct repo *r, struct str mark, struct gc_listed *ret);
