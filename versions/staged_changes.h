/* What is staged, as changes: the merge of a branch's tokens with tombstones told, each entry as a record.
 * Private to versions/; workers only. */
#pragma once

#include "versions/merge3.h"

struct staged_changes;

/* Of tokens, newest first, from the key on. Memory of its own. */
rc staged_changes_open(struct vcall *c, const struct str *tokens, size_t n, struct str from,
		       struct staged_changes **ret);
void staged_changes_close(struct staged_changes *s); /* NULL is allowed */
void staged_changes_closep(struct staged_changes **s);
struct changes *staged_changes_of(struct staged_changes *s);
/* Forward to keys >= key. */
rc staged_changes_seek(struct staged_changes *s, struct str key, struct err *reterr);

/* All tokens of a branch, newest first. In the arena. */
struct str *branch_tokens(struct arena *a, const struct branch *b, size_t *ret_n);
/* Whether any of the tokens' changes differs from what the metarange has. */
rc staged_differs(struct vcall *c, const struct repo *r, const struct str *tokens, size_t n,
		  struct str meta_range, bool *ret);
