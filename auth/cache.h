/* Access keys that were looked up: the owner as of then and the opened secret; and those that
 * nobody owns. Two bounded tables, least recently used out first, so that unknown keys can't
 * push out known ones. One short mutex, no call to anything that blocks: for loops, too.
 */
#pragma once

#include "auth/auth.h"

struct auth_cache;

struct auth_cache_options {
	size_t max, unknown_max;
	/* Known keys live ttl_ms, give or take jitter_ms; 0: nothing is kept. */
	int64_t ttl_ms, jitter_ms, unknown_ttl_ms;
};

enum auth_cached { AUTH_CACHE_MISS, AUTH_CACHE_KNOWN, AUTH_CACHE_UNKNOWN };

struct auth_cache *auth_cache_new(const struct auth_cache_options *o);
void auth_cache_free(struct auth_cache *c);
/* KNOWN: *ret_user is a new reference, *ret_secret a copy in the arena. */
enum auth_cached auth_cache_find(struct auth_cache *c, struct str key, struct arena *a,
				 struct auth_user **ret_user, struct str *ret_secret);
/* To be asked for before reading, and given with what was read: what was read before the last
 * auth_cache_clear is not kept. */
uint64_t auth_cache_epoch(struct auth_cache *c);
void auth_cache_put(struct auth_cache *c, uint64_t epoch, struct str key, struct auth_user *u,
		    struct str secret);
void auth_cache_put_unknown(struct auth_cache *c, uint64_t epoch, struct str key);
void auth_cache_clear(struct auth_cache *c);
/* Entries of both tables. */
size_t auth_cache_count(struct auth_cache *c);
