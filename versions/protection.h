/* Branch protection (BranchProtectionRules, settings/protected_branches): glob patterns of branch names and
 * what they block. Read from the KV for each write that asks, remembered for a few seconds at most. */
#pragma once

#include "versions/repo.h"

enum { PROTECT_STAGING = 1, PROTECT_COMMIT = 2 };
enum { PROTECTION_RULES_MAX = 1000 };

struct protection_rule {
	struct str pattern; /* glob.h */
	unsigned blocked; /* PROTECT_* */
};

struct protection {
	struct protection_rule *rules; /* by pattern */
	size_t n;
	struct str checksum; /* hex SHA-256 of the record; "" when there is none */
};

rc protection_get(struct vcall *c, const struct repo *r, struct protection *ret);
/* if_match: the checksum that it must have ("": there must be none); STR_NONE: any. The last one of equal
 * patterns counts. PREDICATE; INVALID: a pattern that isn't one. */
rc protection_set(struct vcall *c, const struct repo *r, const struct protection_rule *rules, size_t n,
		  struct str if_match);
/* WriteToProtectedBranch, or ProtectedBranch for commits, where a rule blocks `what` on the branch. May be
 * asked on a loop, with KV_NOWAIT. */
rc protection_check(struct vcall *c, const struct repo *r, struct str branch, unsigned what);
