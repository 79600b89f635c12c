/* One block of memory as a gzip member (RFC 1952), by ISA-L. */
#pragma once

#include "base/buf.h"

/* At most so much grows what can't be made smaller. */
size_t gzip_bound(size_t n);
/* Appended to `to`; false: it doesn't fit below the buffer's maximum. */
bool gzip_add(struct buf *to, struct str bytes);
