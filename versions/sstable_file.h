/* An open table's inside, and how its blocks come out of the file. Private to sstable_*. */
#pragma once

#include "versions/sstable.h"
#include "versions/sstable_block.h"
#include "versions/sstable_format.h"

struct sstable {
	atomic_uint refs;
	struct sstable_source source;
	struct block_cache *cache;
	uint64_t file;
	bool two_levels;
	struct sstable_block *index; /* the top */
	struct arena *a;
	struct meta *props; /* all, in the file's order */
	struct meta *user;  /* some of them */
	size_t props_n, user_n;
};

/* The kinds of block: their names in stories, and what is asked of each. */
struct sst_kind {
	const char *name;
	size_t max; /* uncompressed */
	enum sst_keys keys;
	bool raw_only;
};
extern const struct sst_kind sst_data, sst_index, sst_properties, sst_metaindex;

/* Reads, checks and uncompresses; *ret is verified and has one reference. */
rc sstable_block_read(struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		      struct sstable_block **ret, struct err *reterr);
/* The same by way of the cache, where one is given; `scan` as for iterators. */
rc sstable_block_get(struct sstable *t, const struct sst_kind *kind, struct sst_handle h,
		     enum sstable_scan scan, struct sstable_block **ret, struct err *reterr);
/* CORRUPT: "<kind> block at <offset> (<length> bytes): <what>". */
rc sst_corrupt(struct err *reterr, const struct sst_kind *kind, struct sst_handle h,
	       const char *what);
