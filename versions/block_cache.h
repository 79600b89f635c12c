/* Uncompressed, verified blocks of tables in memory: least recently used ones go first, bounded in bytes.
 * Any thread; no call blocks but for the time of a look-up in its part of the cache.
 * Private to versions/. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct block_cache;
struct sstable_block; /* counted references (sstable_block.h) */

struct block_cache *block_cache_new(size_t max_bytes);
/* Blocks still referenced by others live on. NULL is allowed. */
void block_cache_free(struct block_cache *c);

/* A number for a file, never given before by this cache. */
uint64_t block_cache_file(struct block_cache *c);

/* With a reference for the caller; NULL when it isn't there. */
struct sstable_block *block_cache_get(struct block_cache *c, uint64_t file, uint64_t offset);
/* Takes a reference of its own. Does nothing if the block is there already, or is too large to be kept. */
void block_cache_put(struct block_cache *c, uint64_t file, uint64_t offset, struct sstable_block *b);

struct block_cache_stats {
	uint64_t hits, misses, evictions;
	size_t blocks, bytes;
};
void block_cache_stats(struct block_cache *c, struct block_cache_stats *ret);
