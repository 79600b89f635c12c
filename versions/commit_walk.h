/* What walks over the graph of commits share: those that wait to be visited, in an order, and a note on
 * each that was met. Private to versions/; workers only. */
#pragma once

#include "versions/commit_record.h"

struct walk;
/* Whether x is visited before y. */
typedef bool walk_before_fn(const struct commit *x, const struct commit *y);

struct walk *walk_new(struct vcall *c, const struct repo *r, walk_before_fn *before);
void walk_freep(struct walk **w);
/* What was noted of a commit, to be changed; 0 at first. Until the next call. */
unsigned char *walk_note(struct walk *w, struct str id);
/* Reads the commit and lets it wait. CORRUPT when there is none. */
rc walk_push(struct walk *w, struct str id);
/* The first of those that wait; it lives until the next call. *ret NULL: none waits. */
void walk_pop(struct walk *w, const struct commit **ret);
