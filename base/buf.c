#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_deinit(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}

static size_t grown(const struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256;

	while (cap < need)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	return cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->overflow || n > b->max - b->n) {
		b->overflow = true;
		return NULL;
	}
	if (n > b->cap - b->n || !b->p) {
		size_t cap = grown(b, b->n + n);
		char *p = realloc(b->p, cap);

		if (!p)
			abort();
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

bool buf_add(struct buf *b, struct str s)
{
	char *to = buf_reserve(b, s.n);

	if (!to)
		return false;
	if (s.n)
		memcpy(to, s.p, s.n);
	b->n += s.n;
	return true;
}

bool buf_add_c(struct buf *b, char c)
{
	if (b->overflow || b->n == b->cap)
		return buf_add(b, str_make(&c, 1));
	b->p[b->n++] = c;
	return true;
}

bool buf_add_cstr(struct buf *b, const char *s)
{
	return buf_add(b, str_c(s));
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *to;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !(to = buf_reserve(b, (size_t)n + 1)))
		return false;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return true;
}
