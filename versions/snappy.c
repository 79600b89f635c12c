#include "versions/snappy.h"

#include <assert.h>
#include <snappy-c.h>

size_t snappy_max(size_t n)
{
	return snappy_max_compressed_length(n);
}

size_t snappy_pack(const void *raw, size_t n, void *out)
{
	size_t out_n = snappy_max(n);
	snappy_status done = snappy_compress(raw, n, out, &out_n);

	assert(done == SNAPPY_OK);
	return out_n;
}

bool snappy_claimed(const void *packed, size_t n, size_t *ret)
{
	return snappy_uncompressed_length(packed, n, ret) == SNAPPY_OK;
}

bool snappy_unpack(const void *packed, size_t n, void *out, size_t claimed)
{
	size_t out_n = claimed;

	return snappy_uncompress(packed, n, out, &out_n) == SNAPPY_OK && out_n == claimed;
}
