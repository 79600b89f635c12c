/* What the tests of migrations and dumps have in common. */
#pragma once

#include "kv/migrate.h"
#include "tests/kv/conformance.h"

/* `records` of them in several partitions, odd ones among them; the same for the same number. */
void fill(struct kv *kv, unsigned records);
/* Count and digest of everything but marks, as text. In the arena. */
const char *everything(struct kv *kv, struct arena *a);
/* As everything(): of a stream. */
const char *everything_of(struct kv_stream *s, struct arena *a);
rc migrate(struct kv *from, struct kv *to, bool clear, struct kv_migrated *ret, struct err *reterr);
/* The same, where somebody lives: long enough for him to be seen. */
rc migrate_watching(struct kv *from, struct kv *to, bool clear, int64_t watch_ms, struct kv_migrated *ret,
		    struct err *reterr);
/* Whether a server would use it. */
bool usable(struct kv *kv);
/* As if other processes could have it open, too. */
void make_shared(struct kv *kv, struct kv_ops *ops);
