/* A bounded cache of small records, for what is immutable (commits) or may be a little old
 * (repositories). Any thread; never blocks but for a copy's time. Private to versions/. */
#pragma once

#include "base/arena.h"

struct cache;

/* At most about `size` records, of at most CACHE_MAX_RECORD bytes each (larger ones aren't kept). */
struct cache *cache_new(size_t size);
void cache_free(struct cache *c);
enum { CACHE_MAX_RECORD = 16 * 1024 };

/* What is there and hasn't expired, copied into the arena. */
bool cache_get(struct cache *c, struct str key, struct arena *a, struct str *ret);
/* To be taken before reading what cache_put will be given: if cache_drop ran in between, the put does
 * nothing, so that a slow reader can't bring an old value back. */
uint64_t cache_epoch(struct cache *c);
void cache_put(struct cache *c, uint64_t epoch, struct str key, struct str value, int64_t ttl_ms);
void cache_drop(struct cache *c, struct str key);
