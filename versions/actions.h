/* Hooks that a repository keeps under _lakefs_actions/ guard its commits and merges. This program runs none, so
 * where they count (versions_options.actions) such a commit is refused: passing it would open a gate that
 * somebody has closed. Private to versions/; workers only. */
#pragma once

#include "versions/repo.h"

/* The ref is where the operation reads its actions: the branch that is committed to with what is staged, or the
 * source of a merge. PreconditionFailed, naming an action and the remedy, where it has any. */
rc actions_refuse(struct vcall *c, const struct repo *r, struct str ref);
