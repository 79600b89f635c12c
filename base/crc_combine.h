/* The CRC of a whole from the CRCs of its pieces and their lengths: what a multipart object's checksum is
 * made of, without its bytes being read again. */
#pragma once

#include "base/digest.h"

struct crc_sum {
	enum digest_kind kind;
	uint64_t crc;
	/* The last length and what it means, for pieces are of one size mostly. */
	uint64_t bytes, factor;
};

/* CRC32, CRC32C and CRC64NVME: those whose pieces can be combined. */
bool crc_combinable(enum digest_kind k);
/* The sum of nothing. k is combinable. */
void crc_sum_init(struct crc_sum *s, enum digest_kind k);
/* The next piece: its CRC as digests have it (big-endian, digest_size bytes) and how many bytes it is of. */
void crc_sum_add(struct crc_sum *s, struct str crc, uint64_t bytes);
/* out holds digest_size bytes. */
void crc_sum_value(const struct crc_sum *s, uint8_t out[DIGEST_MAX]);
