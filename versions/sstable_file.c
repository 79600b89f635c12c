#include "versions/sstable_file.h"

#include <inttypes.h>

#include "versions/snappy.h"

/* No bytes of Snappy's expand further: a copy of 64 takes 3. */
enum { SNAPPY_RATIO_MAX = 22 };

const struct sst_kind sst_data = {"data", SSTABLE_BLOCK_MAX, SST_KEYS_SORTED, false};
const struct sst_kind sst_index = {"index", SSTABLE_INDEX_MAX, SST_KEYS_SORTED, false};
const struct sst_kind sst_properties = {"properties", SSTABLE_PROPERTIES_MAX, SST_KEYS_NAMES, true};
const struct sst_kind sst_metaindex = {"metaindex", SSTABLE_PROPERTIES_MAX, SST_KEYS_NAMES, true};

static rc block_err(struct err *reterr, enum err_code code, const struct sst_kind *kind,
		    struct sst_handle h, const char *what)
{
	return err_set(reterr, code, "%s block at %" PRIu64 " (%" PRIu64 " bytes): %s", kind->name,
		       h.offset, h.length, what);
}

rc sst_corrupt(struct err *reterr, const struct sst_kind *kind, struct sst_handle h,
	       const char *what)
{
	return block_err(reterr, ERR_CORRUPT, kind, h, what);
}

static rc check_handle(const struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		       struct err *reterr)
{
	uint64_t room = t->source.size - SST_FOOTER;

	if (h.length > room || room - h.length < SST_BLOCK_TRAILER ||
	    h.offset > room - h.length - SST_BLOCK_TRAILER)
		return sst_corrupt(reterr, kind, h, "it is not within the file");
	if (h.length > kind->max)
		return sst_corrupt(reterr, kind, h, "it is too large");
	return RC_OK;
}

/* The stored bytes with their type, without their checksum. */
static rc read_stored(struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		      struct sstable_block **ret, struct err *reterr)
{
	size_t n = h.length;
	CLEANUP(sstable_block_unrefp) struct sstable_block *b = NULL;

	TRY(check_handle(t, kind, h, reterr));
	b = sstable_block_new(n + SST_BLOCK_TRAILER);
	TRY(t->source.read(t->source.ud, h.offset, b->payload, n + SST_BLOCK_TRAILER, reterr));
	if (sst_crc(b->payload, n + 1) != sst_get32(b->payload + n + 1))
		return sst_corrupt(reterr, kind, h, "its checksum does not match");
	b->payload_n = n;
	*ret = b;
	b = NULL;
	return RC_OK;
}

static rc uncompress(const struct sst_kind *kind, struct sst_handle h, struct sstable_block **b,
		     struct err *reterr)
{
	struct sstable_block *raw;
	size_t n;

	if (!snappy_claimed((*b)->payload, h.length, &n) || n / SNAPPY_RATIO_MAX > h.length)
		return sst_corrupt(reterr, kind, h, "it is not well compressed");
	if (n > kind->max)
		return sst_corrupt(reterr, kind, h, "it is too large when uncompressed");
	raw = sstable_block_new(n);
	if (!snappy_unpack((*b)->payload, h.length, raw->payload, n)) {
		sstable_block_unref(raw);
		return sst_corrupt(reterr, kind, h, "it is not well compressed");
	}
	sstable_block_unref(*b);
	*b = raw;
	return RC_OK;
}

static rc uncompress_by_type(const struct sst_kind *kind, struct sst_handle h,
			     struct sstable_block **b, struct err *reterr)
{
	uint8_t type = (uint8_t)(*b)->payload[h.length];

	if (type == SST_RAW)
		return RC_OK;
	if (kind->raw_only)
		return sst_corrupt(reterr, kind, h, "it is compressed, which it may not be");
	if (type == SST_SNAPPY)
		return uncompress(kind, h, b, reterr);
	return block_err(reterr, ERR_UNSUPPORTED, kind, h,
			 type == SST_ZSTD ? "it is compressed with Zstandard; only Snappy can be read"
					  : "it is of an unknown compression; only Snappy can be read");
}

rc sstable_block_read(struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		      struct sstable_block **ret, struct err *reterr)
{
	CLEANUP(sstable_block_unrefp) struct sstable_block *b = NULL;
	const char *wrong;

	TRY(read_stored(t, kind, h, &b, reterr));
	TRY(uncompress_by_type(kind, h, &b, reterr));
	wrong = sstable_block_verify(b, kind->keys);
	if (wrong)
		return sst_corrupt(reterr, kind, h, wrong);
	*ret = b;
	b = NULL;
	return RC_OK;
}

rc sstable_block_get(struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		     enum sstable_scan scan, struct sstable_block **ret, struct err *reterr)
{
	if (t->cache)
		*ret = block_cache_get(t->cache, t->file, h.offset);
	if (t->cache && *ret)
		return RC_OK;
	TRY(sstable_block_read(t, kind, h, ret, reterr));
	if (t->cache && scan == SSTABLE_KEEP)
		block_cache_put(t->cache, t->file, h.offset, *ret);
	return RC_OK;
}
