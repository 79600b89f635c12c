#include "base/gzip.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

/* Stored blocks of at most 65,535 bytes have 5 more each; header and trailer 18; and room to spare. */
size_t gzip_bound(size_t n)
{
	return n + n / 1024 + 256;
}

bool gzip_add(struct buf *to, struct str bytes)
{
	size_t room = gzip_bound(bytes.n);
	uint8_t *level = malloc(ISAL_DEF_LVL1_DEFAULT);
	char *out = bytes.n > UINT32_MAX / 2 ? NULL : buf_reserve(to, room);
	struct isal_zstream z;
	bool whole = false;

	if (!level)
		abort();
	if (out) {
		isal_deflate_stateless_init(&z);
		z.gzip_flag = IGZIP_GZIP;
		z.end_of_stream = 1;
		z.level = 1;
		z.level_buf = level;
		z.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
		z.next_in = (uint8_t *)(uintptr_t)bytes.p;
		z.avail_in = (uint32_t)bytes.n;
		z.next_out = (uint8_t *)out;
		z.avail_out = (uint32_t)room;
		whole = isal_deflate_stateless(&z) == COMP_OK;
		to->n += whole ? z.total_out : 0;
	}
	to->overflow |= !whole;
	free(level);
	return whole;
}
