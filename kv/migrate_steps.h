/* kv/migrate.c's own: the steps that move records. */
#pragma once

#include "base/buf.h"
#include "kv/migrate.h"

enum {
	MIGRATION_TICK = 256, /* records between two looks at the progress */
	BEAT_MS = 1000,
	BATCH_BYTES = 4 << 20,
};

struct migration {
	const struct kv_migration *m;
	struct kv_migrated *out;
	struct arena *a, *mark_arena;
	char source[KV_DIGEST_HEX];
	struct kv_incoming mark;
	struct str raw; /* the mark as it stands; STR_NONE: not yet */
	struct buf raw_kept, place_partition, place_key;
	int64_t marked_ms;
};

rc migration_tick(struct migration *x, enum kv_step step, uint64_t done, uint64_t total, uint64_t bytes,
		  struct err *reterr);
/* Writes the mark; SlowDown when somebody else did meanwhile. */
rc migration_mark(struct migration *x, struct err *reterr);
/* The same, when a second has passed since. */
rc migration_beat(struct migration *x, struct err *reterr);
rc migration_clear(struct migration *x, struct err *reterr);
rc migration_copy(struct migration *x, struct err *reterr);
rc migration_verify(struct migration *x, struct err *reterr);
