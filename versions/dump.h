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

/* INVALID: not bare, so that nothing can be restored into it; ReadOnlyRepository. */
rc refs_check_bare(struct vcall *c, const struct repo *r, bool force);

rc refs_dump(struct vcall *c, const struct repo *r, struct progress *p_or_null, struct refs_dump *ret);
/* _lakefs/refs_manifest.json in the namespace, as the synchronous dump leaves it. */
rc refs_write_manifest(struct vcall *c, const struct repo *r, const struct refs_dump *d);
/* INVALID: not bare; CORRUPT: a commit whose id isn't its content's; NOT_FOUND: no such metarange.
 * Repeatable after a crash while the default branch isn't there yet (it is written last). */
rc refs_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		struct progress *p_or_null);
