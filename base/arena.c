#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FIRST_BLOCK = 4096,
	MAX_BLOCK = 256 * 1024,
	ALIGN = 16,
};

struct block {
	struct block *prev;
	size_t cap, used;
	char data[] __attribute__((aligned(ALIGN)));
};

struct deferred {
	struct deferred *prev;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	struct block *top;
	struct deferred *deferred;
};

static struct block *block_new(struct block *prev, size_t cap)
{
	struct block *b = malloc(sizeof(*b) + cap);

	if (!b)
		abort();
	b->prev = prev;
	b->cap = cap;
	b->used = 0;
	return b;
}

/* The arena itself sits in its first block: a small request costs one malloc. */
struct arena *arena_new(void)
{
	struct block *b = block_new(NULL, FIRST_BLOCK - sizeof(struct block));
	struct arena *a = (struct arena *)b->data;

	b->used = (sizeof(*a) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	*a = (struct arena){.top = b};
	return a;
}

void arena_free(struct arena *a)
{
	struct block *b;

	if (!a)
		return;
	for (struct deferred *d = a->deferred; d; d = d->prev)
		d->fn(d->arg);
	b = a->top;
	while (b) {
		struct block *prev = b->prev;

		free(b);
		b = prev;
	}
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->top;
	void *p;

	if (n > SIZE_MAX / 2)
		abort();
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (n > b->cap - b->used) {
		size_t cap = b->cap * 2 < MAX_BLOCK ? b->cap * 2 : MAX_BLOCK;

		b = a->top = block_new(b, n > cap ? n : cap);
	}
	p = b->data + b->used;
	b->used += n;
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

struct str arena_dup(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return str_make(p, s.n);
}

char *arena_cstr(struct arena *a, struct str s)
{
	return (char *)arena_dup(a, s).p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	assert(fmt);
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return str_make(p, (size_t)n);
}

struct str arena_join(struct arena *a, const struct str *pieces, size_t n)
{
	size_t len = 0;
	char *p, *at;

	for (size_t i = 0; i < n; i++)
		len += pieces[i].n;
	at = p = arena_alloc(a, len + 1);
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].n)
			memcpy(at, pieces[i].p, pieces[i].n);
		at += pieces[i].n;
	}
	*at = 0;
	return str_make(p, len);
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct deferred *d = arena_alloc(a, sizeof(*d));

	*d = (struct deferred){.prev = a->deferred, .fn = fn, .arg = arg};
	a->deferred = d;
}

struct arena_mark arena_mark(struct arena *a)
{
	return (struct arena_mark){.block = a->top, .deferred = a->deferred, .used = a->top->used};
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
	while (a->deferred != m.deferred) {
		struct deferred *d = a->deferred;

		a->deferred = d->prev;
		d->fn(d->arg);
	}
	while (a->top != m.block) {
		struct block *b = a->top;

		a->top = b->prev;
		free(b);
	}
	a->top->used = m.used;
}

struct str arena_prefix_end(struct arena *a, struct str s)
{
	char *p;

	while (s.n && (unsigned char)s.p[s.n - 1] == 0xff)
		s.n--;
	if (!s.n)
		return STR_NONE;
	p = arena_cstr(a, s);
	p[s.n - 1]++;
	return str_make(p, s.n);
}
