/* Arenas: memory that lives and dies together; each request has one.
 *
 * Never NULL: out of memory aborts, so sizes that come from outside are bounded first.
 * An arena belongs to one thread at a time; it travels with the request or work item.
 */
#pragma once

#include "base/str.h"

struct arena;

struct arena *arena_new(void);
/* Runs what was deferred, newest first, then frees everything. NULL is allowed. */
void arena_free(struct arena *a);
/* Aligned for any type, not zeroed. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull, malloc));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((returns_nonnull, malloc));
/* A copy that is NUL-terminated, too (the NUL is not counted). */
struct str arena_dup(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The least string that is greater than all that begin with s; STR_NONE when there is none. */
struct str arena_prefix_end(struct arena *a, struct str s);
/* Concatenation of the n pieces. */
struct str arena_join(struct arena *a, const struct str *pieces, size_t n);
/* fn(arg) when the arena is freed. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

/* A place to come back to: everything allocated since is gone after the rewind, which first runs what was
 * deferred since. */
struct arena_mark {
	void *block, *deferred;
	size_t used;
};
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
