/* What tables.c and table_writer.c share. */
#pragma once

#include <pthread.h>

#include "base/lru.h"
#include "versions/table_disk.h"
#include "versions/tables.h"

struct tables {
	struct str cache_dir;
	uint64_t cache_bytes;
	struct table_disk *disk; /* made when first needed; NULL: none */
	bool disk_tried;
	struct block_cache *blocks;
	unsigned open_max;
	pthread_mutex_t lock;
	struct lru open;          /* of struct open_table */
	struct fetch *fetches;    /* under way */
};

/* NULL: no cache was asked for, or its folder can't be used (which was logged). */
struct table_disk *tables_disk(struct tables *t);
/* "<store, hex>/<namespace's SHA-256>/<id>": its name in the cache. */
struct str table_name(struct arena *a, const struct repo *r, struct str id);
struct object_ptr table_pointer(struct vcall *c, const struct repo *r, struct str id);
