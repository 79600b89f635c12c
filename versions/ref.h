/* Ref expressions (FORMATS.md 8): a branch, a tag, a commit id or the unique beginning of one, then any of
 * ~[n] (n-th first-parent ancestor) and ^[n] (n-th parent); or a branch with @ (its commit without what is
 * staged) or $ (with it, as the bare name). */
#pragma once

#include "versions/branch.h"
#include "versions/commit_record.h"

enum ref_step_kind { REF_ANCESTOR, REF_PARENT, REF_HEAD, REF_STAGED };

struct ref_step {
	enum ref_step_kind kind;
	uint32_t n; /* of ~ and ^ */
};

struct ref_expression {
	struct str base;
	struct ref_step *steps;
	size_t steps_n;
};

enum { REF_MAX = 2048, REF_STEPS_MAX = 256 };

/* Looks at the text alone. Steps in the arena, none for a bare name. INVALID says what is wrong. */
rc ref_parse(struct str expression, struct arena *a, struct ref_expression *ret, struct err *reterr);

struct ref {
	bool is_branch;       /* staging counts: a bare branch name, or with $ */
	struct branch branch; /* when is_branch */
	struct str commit_id; /* of a branch "" in a repository without commits */
};

/* NOT_FOUND (also an ambiguous beginning, an ancestor that isn't there), INVALID (not an expression; a
 * parent that the commit doesn't have; @ or $ of what is no branch), CORRUPT (a record names a commit that
 * is missing, or isn't that of its id). Of the names' order: a whole commit id, branch, tag, the beginning
 * of a commit id. With KV_NOWAIT: WOULD_BLOCK where memory doesn't hold it; never for a bare branch that is in
 * memory. */
rc ref_resolve(struct vcall *c, const struct repo *r, struct str expression, struct ref *ret);
/* The commit that it stands on. */
rc ref_commit(struct vcall *c, const struct repo *r, struct str expression, struct commit *ret);
