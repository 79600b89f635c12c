/* Snappy's raw format, which blocks of tables are compressed in. The only place that knows libsnappy.
 * Private to versions/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The room that snappy_pack needs for n bytes. */
size_t snappy_max(size_t n);
/* The length of what is written to out. */
size_t snappy_pack(const void *raw, size_t n, void *out);
/* The length that packed bytes claim to have; false when they aren't Snappy's. */
bool snappy_claimed(const void *packed, size_t n, size_t *ret);
/* Into exactly that many bytes; false when they are damaged. */
bool snappy_unpack(const void *packed, size_t n, void *out, size_t claimed);
