/* The two steps of a head's move that change a branch (head.h has the picture). Private to versions/. */
#pragma once

#include "versions/branch.h"

/* The branch with nothing but an empty token in front of what is staged: *ret->sealed is all of it. What is
 * empty isn't sealed. The branch must not be being deleted. */
rc branch_seal(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);

/* Onto the commit, without the `dropped` oldest of the sealed tokens of `from`, which the commit contains (or
 * which are to be forgotten); newer ones stay. PREDICATE: the branch has another commit than `from`, lost some of these
 * tokens, or something in them was undone since: to be done again from the seal. Then the tokens go to the clean-up. */
rc branch_move(struct vcall *c, const struct repo *r, const struct branch *from, struct str commit_id,
	       size_t dropped);
