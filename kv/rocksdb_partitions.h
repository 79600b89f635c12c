/* The partitions of a RocksDB in the order of their names (kv/rocksdb.c has them in the order of
 * length, then name). */
#pragma once

#include <rocksdb/c.h>

#include "kv/kv.h"

/* `path` lives as long as the iterator; it is for messages. */
rc rocks_partitions_open(rocksdb_t *db, const char *path, struct str from, struct kv_iter **ret,
			 struct err *reterr);
/* IO or CORRUPT with the remedy, from what RocksDB says. */
rc rocks_read_failed(const char *path, const char *why, struct err *reterr);
