/* Removing a branch that must hold nothing, while writers who don't know of it go on writing. */
#pragma once

#include "versions/branch.h"

/* branch_get for who is going to write: SlowDown while the branch is being removed; one that was left
 * closed by a server that died is opened again. WOULD_BLOCK only where that is to be done. */
rc branch_get_open(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);

/* Removes a branch that lists nothing; its history goes with it. BucketNotEmpty naming what is there;
 * INVALID for the default branch; NOT_FOUND; SlowDown (somebody was at the same, or keeps writing). */
rc branch_remove_empty(struct vcall *c, const struct repo *r, struct str name);
/* BucketNotEmpty naming the first object. */
rc branch_lists_nothing(struct vcall *c, const struct repo *r, struct str name);

/* The steps, private to versions/. b as read; its raw is that of the new record afterwards. PREDICATE:
 * the record is another by now. */
rc branch_close(struct vcall *c, const struct repo *r, struct str name, struct branch *ret);
rc branch_reopen(struct vcall *c, const struct repo *r, struct branch *b);
rc branch_mark_removed(struct vcall *c, const struct repo *r, struct branch *b);
/* Marks it, and then deletes the record. */
rc branch_remove(struct vcall *c, const struct repo *r, struct branch *b);

/* Creating: puts b's record in the place of a removed one's. EXISTS; SlowDown while the remover may still
 * delete the record. */
rc branch_replace_removed(struct vcall *c, const struct repo *r, struct branch *b);
/* Creating: opens b, which was made closed, unless the repository is being removed. */
rc branch_open_new(struct vcall *c, const struct repo *r, struct branch *b);
