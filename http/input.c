#include "http/conn.h"

#include <stdlib.h>

/* A free block's first bytes hold the next one. */
void *block_take(struct blocks *b)
{
	void *p = b->free;

	if (p) {
		b->free = *(void **)p;
		b->kept--;
		return p;
	}
	p = malloc(b->size);
	if (!p)
		abort();
	return p;
}

void block_give(struct blocks *b, void *p)
{
	if (b->kept >= b->max) {
		free(p);
		return;
	}
	*(void **)p = b->free;
	b->free = p;
	b->kept++;
}

void blocks_deinit(struct blocks *b)
{
	while (b->free) {
		void *p = b->free;

		b->free = *(void **)p;
		free(p);
	}
	b->kept = 0;
}

static void free_memory(struct input *in, struct blocks *blocks)
{
	if (in->cap == blocks->size)
		block_give(blocks, in->p);
	else
		free(in->p);
}

static void grow(struct input *in, struct blocks *blocks, size_t max)
{
	size_t cap = in->cap * 2 < max ? in->cap * 2 : max;
	char *p = malloc(cap);

	if (!p)
		abort();
	memcpy(p, in->p, in->n);
	free_memory(in, blocks);
	in->p = p;
	in->cap = cap;
}

bool input_room(struct input *in, struct blocks *blocks, size_t max)
{
	if (!in->p) {
		*in = (struct input){.p = block_take(blocks), .cap = blocks->size};
		return true;
	}
	if (in->n < in->cap)
		return true;
	if (in->at > 0) {
		memmove(in->p, in->p + in->at, in->n - in->at);
		in->n -= in->at;
		in->at = 0;
		return true;
	}
	if (in->cap >= max)
		return false;
	grow(in, blocks, max);
	return true;
}

struct str input_str(const struct input *in)
{
	return str_make(in->p + in->at, in->n - in->at);
}

void input_drop(struct input *in, size_t n)
{
	in->at += n;
	if (in->at == in->n)
		in->at = in->n = 0;
}

void input_trim(struct input *in, struct blocks *blocks, bool all)
{
	if (!in->p || (in->n && !all))
		return;
	free_memory(in, blocks);
	*in = (struct input){0};
}
