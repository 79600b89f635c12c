#include "http/chunked.h"

#include <assert.h>

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum chunked_step size_byte(struct chunked *d, unsigned char c)
{
	int v = hex(c);

	if (v >= 0) {
		/* 15 digits stay far below INT64_MAX; so do sums of what any client can send. */
		if (++d->digits > 15)
			return CHUNKED_BROKEN;
		d->left = d->left * 16 + (unsigned)v;
		return CHUNKED_SIZE;
	}
	if (d->digits == 0)
		return CHUNKED_BROKEN;
	if (c == ';')
		return CHUNKED_EXTENSION;
	return c == '\r' ? CHUNKED_SIZE_LF : CHUNKED_BROKEN;
}

/* Skips one byte of an extension or a trailer. */
static bool skip_ok(struct chunked *d, unsigned char c, unsigned max)
{
	return ++d->skipped <= max && (c >= ' ' || c == '\t') && c != 0x7f;
}

static enum chunked_step size_ended(struct chunked *d)
{
	d->extensions += d->skipped;
	d->digits = 0;
	d->skipped = 0;
	if (d->extensions > d->data * CHUNKED_EACH_EXTENSIONS + CHUNKED_FREE_EXTENSIONS)
		return CHUNKED_BROKEN;
	return d->left ? CHUNKED_IN_DATA : CHUNKED_TRAILER_START;
}

static enum chunked_step trailer_byte(struct chunked *d, unsigned char c)
{
	if (c == '\r')
		return CHUNKED_TRAILER_LF;
	return skip_ok(d, c, CHUNKED_MAX_TRAILERS) ? CHUNKED_TRAILER : CHUNKED_BROKEN;
}

static enum chunked_step step(struct chunked *d, unsigned char c)
{
	switch (d->step) {
	case CHUNKED_SIZE:
		return size_byte(d, c);
	case CHUNKED_EXTENSION:
		if (c == '\r')
			return CHUNKED_SIZE_LF;
		return skip_ok(d, c, CHUNKED_MAX_EXTENSION) ? CHUNKED_EXTENSION : CHUNKED_BROKEN;
	case CHUNKED_SIZE_LF:
		return c == '\n' ? size_ended(d) : CHUNKED_BROKEN;
	case CHUNKED_DATA_CR:
		return c == '\r' ? CHUNKED_DATA_LF : CHUNKED_BROKEN;
	case CHUNKED_DATA_LF:
		return c == '\n' ? CHUNKED_SIZE : CHUNKED_BROKEN;
	case CHUNKED_TRAILER_START:
		if (c == '\r')
			return CHUNKED_LAST_LF;
		/* A folded line, or none at all. */
		return c == ' ' || c == '\t' || c == ':' ? CHUNKED_BROKEN : trailer_byte(d, c);
	case CHUNKED_TRAILER:
		return trailer_byte(d, c);
	case CHUNKED_TRAILER_LF:
		return c == '\n' ? CHUNKED_TRAILER_START : CHUNKED_BROKEN;
	case CHUNKED_LAST_LF:
		return c == '\n' ? CHUNKED_ENDED : CHUNKED_BROKEN;
	case CHUNKED_IN_DATA:
	case CHUNKED_ENDED:
	case CHUNKED_BROKEN:
		break;
	}
	return CHUNKED_BROKEN;
}

static enum chunked_state state(const struct chunked *d)
{
	if (d->step == CHUNKED_IN_DATA)
		return CHUNKED_DATA;
	if (d->step == CHUNKED_ENDED)
		return CHUNKED_END;
	return d->step == CHUNKED_BROKEN ? CHUNKED_BAD : CHUNKED_PARTIAL;
}

enum chunked_state chunked_frame(struct chunked *d, struct str in, size_t *ret_used)
{
	size_t i = 0;

	while (i < in.n && state(d) == CHUNKED_PARTIAL)
		d->step = step(d, (unsigned char)in.p[i++]);
	*ret_used = i;
	return state(d);
}

void chunked_took(struct chunked *d, uint64_t n)
{
	assert(d->step == CHUNKED_IN_DATA && n <= d->left);
	d->left -= n;
	d->data += n;
	if (d->left == 0)
		d->step = CHUNKED_DATA_CR;
}
