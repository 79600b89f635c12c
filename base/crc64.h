/* CRC-64/NVME: polynomial 0xad93d23594c93659, reflected. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc: 0 at first, then what came before. Inverted at both ends here. */
uint64_t crc64nvme_update(uint64_t crc, const void *p, size_t n);
