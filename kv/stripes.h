/* Striped read-write locks over keys, for drivers whose store has no conditional write.
 *
 * Whoever reads a key and then writes according to what was read holds its stripe alone; whoever
 * merely writes it, or must keep it unchanged, shares the stripe. Fair by phases: a writer that waits
 * holds back new sharers, and those that waited meanwhile come before the next writer, so that
 * neither starves. Several are taken in the order of the stripes, never one after the other. */
#pragma once

#include "base/str.h"

struct stripes;

struct stripes *stripes_new(void);
void stripes_free(struct stripes *s);

/* The stripe of a key, for the calls below. */
unsigned stripe_of(struct str key);

void stripe_share(struct stripes *s, unsigned stripe);
void stripe_unshare(struct stripes *s, unsigned stripe);
/* The two may be the same. */
void stripe_share_pair(struct stripes *s, unsigned a, unsigned b);
void stripe_unshare_pair(struct stripes *s, unsigned a, unsigned b);
/* Any number, in any order, some the same: sorted in place; how many there are then, all different,
 * for stripe_unshare_many. */
size_t stripe_share_many(struct stripes *s, unsigned *stripes, size_t n);
void stripe_unshare_many(struct stripes *s, const unsigned *stripes, size_t n);
void stripe_own(struct stripes *s, unsigned stripe);
void stripe_disown(struct stripes *s, unsigned stripe);
