/* The XXH family, of libxxhash: DIGEST_XXHASH64, DIGEST_XXHASH3 (64 bits of XXH3), DIGEST_XXHASH128; seed 0. */
#pragma once

#include "base/digest.h"

struct xxh;
/* Owned by the caller: xxh_free. */
struct xxh *xxh_new(enum digest_kind k);
void xxh_free(struct xxh *x);
void xxh_update(struct xxh *x, const void *p, size_t n);
/* The canonical form: big-endian; digest_size(k) bytes. */
void xxh_value(const struct xxh *x, uint8_t *out);
