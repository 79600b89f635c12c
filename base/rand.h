/* Random bytes from the kernel, and lakeFS's sortable ids. */
#pragma once

#include "base/arena.h"

void rand_bytes(void *p, size_t n);
/* RFC 9562 version 4, 36 characters. */
struct str uuid4(struct arena *a);

/* xid (FORMATS.md section 1): u32 BE seconds, 5 random bytes of this process (machine and pid are
 * not used: cloned containers would collide), 3 bytes BE counter; 20 characters of base32hex. */
enum { XID_CHARS = 20 };
void xid_at(uint32_t seconds, char out[XID_CHARS + 1]);
void xid_now(char out[XID_CHARS + 1]);
/* Seconds of 64060588800 - now modulo 2^32, so that newer ones sort first: partitions, GC runs. */
void xid_descending(char out[XID_CHARS + 1]);
bool xid_valid(struct str s, uint32_t *ret_seconds);
