/* A growing byte buffer with a maximum.
 *
 * Append never fails loudly: past `max` nothing is added and `overflow` stays set, so that a
 * writer of many pieces checks once, at the end. Out of memory aborts (sizes are bounded by max).
 */
#pragma once

#include "base/str.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool overflow;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b);
/* Empties it and forgets an overflow; keeps the memory. */
void buf_reset(struct buf *b);
/* Room for at least n more bytes at the returned place (then add to b->n); NULL past max. */
char *buf_reserve(struct buf *b, size_t n);
bool buf_add(struct buf *b, struct str s);
bool buf_add_c(struct buf *b, char c);
bool buf_add_cstr(struct buf *b, const char *s);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->p ? b->p : "", b->n};
}
