/* Sorted tables of (key, value): the files that lakeFS keeps ranges and metaranges in.
 *
 * The format is RocksDB's block-based table, version 2 of it, as lakeFS's library writes it: data blocks,
 * an index of one or two levels, properties, metaindex, footer (the bytes: sstable_format.h). A file is
 * immutable once written, and is named by an identity over its records and properties.
 *
 * A reader trusts nothing: every offset, checksum, length and order is verified before use. What is wrong
 * is CORRUPT (damaged or hostile) or UNSUPPORTED (well made, but not as lakeFS can read it); the story
 * says what and where, and the caller, who knows the file's name, puts that in front. Errors of the source
 * pass through as they are.
 *
 * Private to versions/.
 */
#pragma once

#include "base/err.h"
#include "versions/block_cache.h"
#include "versions/entry.h"

enum {
	/* Uncompressed block; also the bound of one record, which must fit into a block. */
	SSTABLE_BLOCK_MAX = 64 << 20,
	SSTABLE_KEY_MAX = 16 << 10,
	SSTABLE_INDEX_MAX = 16 << 20,     /* uncompressed block of an index */
	SSTABLE_PROPERTIES_MAX = 1 << 20, /* properties, metaindex */
	SSTABLE_ID_LEN = 64,              /* lower-case hex */
};

/* ---- reading ---- */

/* Where a table's bytes are. */
struct sstable_source {
	/* All of [offset, offset + n), which lies within size, or an error. Any thread, several at once. */
	rc (*read)(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr);
	void (*close)(void *ud); /* when the last reference to the table goes; may be NULL */
	void *ud;
	uint64_t size;
};

struct sstable_open_options {
	struct block_cache *cache; /* outlives the table; NULL: none */
	uint64_t file; /* the file's number in the cache (block_cache_file); 0: a new one is drawn */
};

/* An open table: footer, top index and properties, read and verified; constant from then on, so any
 * number of threads may use it. Memory: the top index and the properties, within the bounds above. */
struct sstable;

/* One reference for the caller. On failure the source is left as it is, unclosed. `o` may be NULL. */
rc sstable_open(const struct sstable_source *source, const struct sstable_open_options *o,
		struct sstable **ret, struct err *reterr);
struct sstable *sstable_ref(struct sstable *t);
void sstable_unref(struct sstable *t); /* NULL is allowed */
void sstable_unrefp(struct sstable **t);

/* Bytes of its file. */
uint64_t sstable_file_bytes(const struct sstable *t);
/* What it holds in memory itself (blocks in the cache not counted). */
size_t sstable_memory(const struct sstable *t);

/* A property by name, as it is encoded (user properties are text). STR_NONE: there is none. Lives as long
 * as the table; nothing that is read depends on any of it, and nothing vouches for it. */
struct str sstable_property(const struct sstable *t, struct str name);
/* Those that are not the format's own ("type", "count", "min_key" ...), in the file's order. */
const struct meta *sstable_user_properties(const struct sstable *t, size_t *ret_n);

/* The value in `a`. NOT_FOUND. */
rc sstable_get(struct sstable *t, struct str key, struct arena *a, struct str *ret, struct err *reterr);

/* Recomputes the identity, which reads the whole table (past the cache). ret_count may be NULL. */
rc sstable_identity(struct sstable *t, char ret[SSTABLE_ID_LEN + 1], uint64_t *ret_count,
		    struct err *reterr);

struct sstable_record {
	struct str key, value;
};

/* A walk through a table, ascending. Memory: one data block and one block of the index, which are shared
 * with the cache. One thread at a time. */
struct sstable_iter;

enum sstable_scan {
	SSTABLE_KEEP,    /* blocks read are put into the cache */
	SSTABLE_PASSING, /* they aren't: a long scan doesn't drive others out */
};

/* Before the first record; references the table. */
struct sstable_iter *sstable_iter_new(struct sstable *t, enum sstable_scan scan);
void sstable_iter_close(struct sstable_iter *it); /* NULL is allowed */
void sstable_iter_closep(struct sstable_iter **it);
/* Before the first record whose key is >= `key`; forward or backward. */
rc sstable_iter_seek(struct sstable_iter *it, struct str key, struct err *reterr);
/* The next record, which lives until the next call; or the end, again and again. After an error the
 * iterator must be sought anew before the next `next`. */
rc sstable_iter_next(struct sstable_iter *it, struct sstable_record *ret, bool *ret_end,
		     struct err *reterr);

/* ---- writing ---- */

struct sstable_writer_options {
	/* Takes the file's bytes in order, in pieces of any size. Its error is the writer's. */
	rc (*append)(void *ud, const void *p, size_t n, struct err *reterr);
	void *ud;
	/* User properties that are part of the identity: "type", and a dump's. Sorted by key, no
	 * duplicates; copied. The writer adds count, estimated_size_bytes, max_key and min_key. */
	const struct meta *props;
	size_t props_n;
	/* In place of Snappy, for tests: compresses n bytes into out, which has room for
	 * snappy_max(n); answers the length, 0 for "as it is". */
	size_t (*compress)(void *ud, const void *raw, size_t n, void *out);
	void *compress_ud;
};

/* Streams a table out. Memory: a block, the index, and a buffer of some 64 KiB. One thread at a time. */
struct sstable_writer;

struct sstable_summary {
	char id[SSTABLE_ID_LEN + 1];
	uint64_t count;
	uint64_t estimated_size; /* as it was before the end was written: what lakeFS records */
	uint64_t file_size;
	struct str min_key, max_key; /* the writer's memory; empty without records */
};

struct sstable_writer *sstable_writer_new(const struct sstable_writer_options *o);
void sstable_writer_free(struct sstable_writer *w); /* NULL is allowed; finished or not */
/* INVALID: not strictly above the last key, or too large for a block. After an error: only free. */
rc sstable_writer_add(struct sstable_writer *w, struct str key, struct str value,
		      struct err *reterr);
/* FORMATS.md 4: what the split rule compares with its bounds. */
uint64_t sstable_writer_estimated_size(const struct sstable_writer *w);
/* Writes what is left; once, and nothing may be added after it. */
rc sstable_writer_finish(struct sstable_writer *w, struct sstable_summary *ret, struct err *reterr);
