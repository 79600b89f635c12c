/* The ancestors of a set of commits. Private to versions/; workers only. */
#pragma once

#include "versions/dump.h"
#include "versions/id_set.h"

/* Reads the KV's commits, and adds to `in` the ancestors of its own that it lacks, as far as there are such commits.
 * *ret_added: some were. */
rc commits_close(struct vcall *c, const struct repo *r, struct id_set *in, struct progress *p_or_null,
		 bool *ret_added);
