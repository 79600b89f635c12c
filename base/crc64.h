/* CRC-64/NVME: polynomial 0xad93d23594c93659, reflected. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc: 0 at first, then what came before. Inverted at both ends here. */
uint64_t crc64nvme_update(uint64_t crc, const void *p, size_t n);

/* The ways, for tests that compare them; what the processor or the length doesn't allow is done by the
 * next lower one. */
enum crc64_way { CRC64_TABLE, CRC64_FOLDED, CRC64_WIDE, CRC64_BEST = CRC64_WIDE };
uint64_t crc64nvme_update_by(enum crc64_way way, uint64_t crc, const void *p, size_t n);
