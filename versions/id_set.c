/* Digests of what was seen, in an open table that grows until its bound. */
#include "versions/id_set.h"

#include <stdlib.h>

#include "base/digest.h"

enum { ID_BYTES = 32, FIRST = 1024 };

struct id {
	unsigned char bytes[ID_BYTES]; /* all zero: none; no text has that digest */
};

struct id_set {
	struct id *slots;
	size_t n, cap, max; /* cap: a power of two */
	bool full;
};

static struct id *slots_new(size_t n)
{
	struct id *p = calloc(n, sizeof(*p));

	if (!p)
		abort();
	return p;
}

struct id_set *id_set_new(size_t max)
{
	struct id_set *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	*s = (struct id_set){.slots = slots_new(FIRST), .cap = FIRST, .max = max};
	return s;
}

void id_set_free(struct id_set *s)
{
	if (!s)
		return;
	free(s->slots);
	free(s);
}

static bool is_empty(const struct id *i)
{
	static const struct id none;

	return memcmp(i, &none, sizeof(none)) == 0;
}

/* Where it is, or would be. */
static struct id *slot_of(struct id *slots, size_t cap, const struct id *i)
{
	size_t at;

	memcpy(&at, i->bytes, sizeof(at));
	for (at &= cap - 1; !is_empty(&slots[at]); at = (at + 1) & (cap - 1))
		if (memcmp(&slots[at], i, sizeof(*i)) == 0)
			break;
	return &slots[at];
}

static void grow(struct id_set *s)
{
	struct id *wider = slots_new(s->cap * 2);

	for (size_t i = 0; i < s->cap; i++)
		if (!is_empty(&s->slots[i]))
			*slot_of(wider, s->cap * 2, &s->slots[i]) = s->slots[i];
	free(s->slots);
	s->slots = wider;
	s->cap *= 2;
}

static struct id id_of(struct str text)
{
	struct id i;

	digest_of(DIGEST_SHA256, text, i.bytes);
	return i;
}

bool id_set_add(struct id_set *s, struct str text)
{
	struct id i = id_of(text), *slot = slot_of(s->slots, s->cap, &i);

	if (!is_empty(slot))
		return true;
	s->full |= s->n == s->max;
	if (s->n == s->max)
		return false;
	*slot = i;
	if (++s->n > s->cap / 2)
		grow(s);
	return false;
}

bool id_set_has(const struct id_set *s, struct str text)
{
	struct id i = id_of(text);

	return !is_empty(slot_of(s->slots, s->cap, &i));
}

bool id_set_full(const struct id_set *s)
{
	return s->full;
}

void id_set_reset(struct id_set *s)
{
	if (s->n)
		memset(s->slots, 0, s->cap * sizeof(*s->slots));
	s->n = 0;
	s->full = false;
}
