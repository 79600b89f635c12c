#include "base/xxh.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

struct xxh {
	enum digest_kind kind;
	XXH64_state_t *xxh64;
	XXH3_state_t *xxh3;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

struct xxh *xxh_new(enum digest_kind k)
{
	struct xxh *x = calloc(1, sizeof(*x));

	assert(k >= DIGEST_XXHASH64 && k <= DIGEST_XXHASH128);
	must(x);
	x->kind = k;
	if (k == DIGEST_XXHASH64) {
		x->xxh64 = XXH64_createState();
		must(x->xxh64 && XXH64_reset(x->xxh64, 0) == XXH_OK);
		return x;
	}
	x->xxh3 = XXH3_createState();
	must(x->xxh3 && (k == DIGEST_XXHASH3 ? XXH3_64bits_reset(x->xxh3)
					     : XXH3_128bits_reset(x->xxh3)) == XXH_OK);
	return x;
}

void xxh_free(struct xxh *x)
{
	if (!x)
		return;
	XXH64_freeState(x->xxh64);
	XXH3_freeState(x->xxh3);
	free(x);
}

void xxh_update(struct xxh *x, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (x->kind == DIGEST_XXHASH64)
		must(XXH64_update(x->xxh64, p, n) == XXH_OK);
	else if (x->kind == DIGEST_XXHASH3)
		must(XXH3_64bits_update(x->xxh3, p, n) == XXH_OK);
	else
		must(XXH3_128bits_update(x->xxh3, p, n) == XXH_OK);
}

void xxh_value(const struct xxh *x, uint8_t *out)
{
	XXH64_canonical_t c64;
	XXH128_canonical_t c128;

	if (x->kind == DIGEST_XXHASH128) {
		XXH128_canonicalFromHash(&c128, XXH3_128bits_digest(x->xxh3));
		memcpy(out, c128.digest, sizeof(c128.digest));
		return;
	}
	XXH64_canonicalFromHash(&c64, x->kind == DIGEST_XXHASH64 ? XXH64_digest(x->xxh64)
								 : XXH3_64bits_digest(x->xxh3));
	memcpy(out, c64.digest, sizeof(c64.digest));
}
