/* Tables on the local disk: a cache of what the store has, bounded in bytes, oldest use out first. Any thread;
 * what fails here is never the reader's failure. Private to versions/. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct table_disk;

/* Takes over what an earlier process left in the folder. */
rc table_disk_new(struct str dir, uint64_t max_bytes, struct table_disk **ret, struct err *reterr);
void table_disk_free(struct table_disk *d); /* NULL is allowed */

/* name: "<store id, hex>/<64 hex>/<64 hex>". -1: it isn't there. */
int table_disk_open(struct table_disk *d, struct str name);
void table_disk_drop(struct table_disk *d, struct str name);

/* A file being written: kept under its name, or dropped. */
struct table_spool {
	int fd;
	char name[64]; /* below tmp/; "": it has none (a disk that refuses, no cache) */
};
/* d may be NULL: the file is in memory. */
rc table_spool_open(struct table_disk *d, struct table_spool *ret, struct err *reterr);
/* Renamed into the cache; a failure drops it. Closes nothing. */
void table_spool_keep(struct table_disk *d, struct table_spool *s, struct str name, uint64_t size);
void table_spool_close(struct table_disk *d, struct table_spool *s);
