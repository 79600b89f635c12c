/* A table's identity: SHA-256 over its records and properties (FORMATS.md 3), gathered as they come.
 * Private to sstable_*. */
#pragma once

#include "base/arena.h"
#include "versions/sstable.h"

struct sst_id;

struct sst_id *sst_id_new(struct arena *a);
void sst_id_record(struct sst_id *id, struct str key, struct str value);
/* props sorted by key, the derived ones not among them. Once, at the end. */
void sst_id_finish(struct sst_id *id, const struct meta *props, size_t n,
		   char ret[SSTABLE_ID_LEN + 1]);
/* Whether the identity leaves this property out. */
bool sst_id_derived(struct str name);
