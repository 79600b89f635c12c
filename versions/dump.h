/* Refs dump and restore (FORMATS.md 7): all commits, branches and tags of a repository as three metaranges,
 * and back into a bare one. */
#pragma once

#include "versions/repo.h"

struct refs_dump {
	struct str commits, tags, branches; /* metarange ids */
};

/* Called now and then from the long ones, with how many records were done; anything but RC_OK ends them. */
struct progress {
	rc (*tick)(struct progress *p, int64_t done, struct err *reterr);
};

/* INVALID: it names no commits, no branches or no tags. Looks at nothing but d. */
rc refs_check_named(struct vcall *c, const struct refs_dump *d);
/* INVALID: not bare, so that nothing can be restored into it; ReadOnlyRepository. */
rc refs_check_bare(struct vcall *c, const struct repo *r, bool force);

/* Branches and tags as they were at one moment, the commits that they name and all others that there were, with all
 * their ancestors. Where the KV can't show them at one moment (kv_scan_moment: more than a hundred on DynamoDB, tens
 * of megabytes on PostgreSQL) and they keep changing, so that none can be caught in DUMP_TRIES, each branch and tag is
 * as it was at a moment of its own, and the log says so. Nobody who writes is held up. Memory: a page, or
 * KV_MOMENT_BYTES, and up to 64 bytes a commit, to find ancestors that were written meanwhile; of more than
 * DUMP_COMMITS_MAX none are looked for. */
enum { DUMP_TRIES = 20, DUMP_COMMITS_MAX = 4 << 20 };
rc refs_dump(struct vcall *c, const struct repo *r, struct progress *p_or_null, struct refs_dump *ret);
/* _lakefs/refs_manifest.json in the namespace, as the synchronous dump leaves it. */
rc refs_write_manifest(struct vcall *c, const struct repo *r, const struct refs_dump *d);
/* _lakefs/refs_manifest.json. NOT_FOUND: there is none; DumpNotWhole: it is no manifest. */
rc refs_read_manifest(struct vcall *c, const struct repo *r, struct refs_dump *ret);
/* Looks first (dump_check.h, `heads`), and writes nothing when something is missing: DumpNotWhole naming it.
 * INVALID: d lacks an id; not bare; the dump has no such default branch. Repeatable after a failure or a crash while the default
 * branch isn't there yet (it is written last). */
rc refs_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		struct progress *p_or_null);
