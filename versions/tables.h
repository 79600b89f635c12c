/* Committed metadata as files: the tables (sstable.h) of a repository, named by what is in them, and
 * immutable. Private to versions/.
 *
 * They live in the repository's store as `_lakefs/<id>`. On the way to a reader: tables that are open
 * (memory, bounded), then the disk cache (bounded; a store with files of its own, BACKEND_CAP_FILE, needs
 * none: its file is read where it is), then the store. Readers that miss one at once fetch it once. What
 * is damaged in the cache is fetched again, once; damage in the store is CORRUPT.
 *
 * Cache: <dir>/<store id, hex>/<SHA-256 of the namespace>/<table id>, written beside and renamed in; a
 * full or failing cache disk is bypassed. Files are read with pread, never mapped.
 */
#pragma once

#include "versions/repo.h"
#include "versions/sstable.h"

struct tables;

struct tables *tables_new(const struct tables_options *o);
void tables_free(struct tables *t);

/* Forgets those that are open; readers that have one keep it. */
void tables_close_all(struct tables *t);

/* 64 lower-case hex digits: nothing else becomes a file's name. */
bool is_table_id(struct str s);
/* The table, referenced (sstable_unref). NoData: the store has none of that id; CORRUPT naming it.
 * On a loop, or with c->wait KV_NOWAIT: WOULD_BLOCK unless it is open. Reading it on a loop answers
 * WOULD_BLOCK where its block isn't in memory. */
rc table_get(struct vcall *c, const struct repo *r, struct str id, struct sstable **ret);
/* Whether the store has it (its bytes aren't looked at). */
rc table_exists(struct vcall *c, const struct repo *r, struct str id, bool *ret);
/* "_lakefs/<id>": where it lies below the namespace. */
struct str table_key(struct vcall *c, struct str id);
/* What was read of it was damaged: it is forgotten and dropped from the cache, so that the next reader has it
 * from the store. */
void table_damaged(struct versions *v, const struct repo *r, struct str id);

/* What is known of a table without reading it (RangeData, FORMATS.md 4 and 5). */
struct range_info {
	struct str id;       /* 64 hex digits */
	struct str min, max; /* first and last key */
	uint64_t size;       /* the writer's estimate */
	int64_t count;
};

/* A table being written: spooled to a file in the cache's folder, uploaded when it is whole (durable in
 * the store when finish answers), and kept in the cache. One thread at a time. */
struct table_writer;
/* props: user properties that are part of the identity ("type" first of all). */
rc table_writer_new(struct versions *v, const struct repo *r, const struct meta *props, size_t n,
		    struct table_writer **ret, struct err *reterr);
/* Strictly ascending. */
rc table_writer_add(struct table_writer *w, struct str key, struct str value, struct err *reterr);
uint64_t table_writer_size(const struct table_writer *w); /* FORMATS.md 4: EstimatedSize */
/* Text of *ret in `a`. The writer is only good for freeing then, whatever the result. */
rc table_writer_finish(struct table_writer *w, struct arena *a, struct range_info *ret,
		       struct err *reterr);
void table_writer_free(struct table_writer *w); /* NULL is allowed; unfinished ones leave nothing */
