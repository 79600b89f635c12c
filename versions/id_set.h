/* A set of texts, of each 32 bytes of memory, with a bound; they can't be had out of it. Private to versions/. */
#pragma once

#include "base/str.h"

struct id_set;
struct id_set *id_set_new(size_t max);
void id_set_free(struct id_set *s); /* NULL is allowed */
/* Whether it was there already; past the bound nothing is added, and id_set_full says so from then on. */
bool id_set_add(struct id_set *s, struct str text);
bool id_set_has(const struct id_set *s, struct str text);
bool id_set_full(const struct id_set *s);
void id_set_reset(struct id_set *s);
