#include "base/lru.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

static struct lru_node **slots_new(size_t n)
{
	struct lru_node **slots = calloc(n, sizeof(struct lru_node *));

	if (!slots)
		abort();
	return slots;
}

void lru_init(struct lru *l)
{
	*l = (struct lru){.slots = slots_new(FIRST_SLOTS), .slots_n = FIRST_SLOTS};
}

void lru_deinit(struct lru *l)
{
	free(l->slots);
	*l = (struct lru){0};
}

/* FNV-1a: keys are ours, not a stranger's. */
static uint32_t hash_of(struct str key)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 16777619u;
	return h;
}

static struct lru_node **slot_of(struct lru *l, uint32_t hash)
{
	return &l->slots[hash & (l->slots_n - 1)];
}

static void link_newest(struct lru *l, struct lru_node *n)
{
	n->older = l->newest;
	n->newer = NULL;
	if (l->newest)
		l->newest->newer = n;
	else
		l->oldest = n;
	l->newest = n;
}

static void unlink_node(struct lru *l, struct lru_node *n)
{
	if (n->newer)
		n->newer->older = n->older;
	else
		l->newest = n->older;
	if (n->older)
		n->older->newer = n->newer;
	else
		l->oldest = n->newer;
}

struct lru_node *lru_get(struct lru *l, struct str key)
{
	uint32_t hash = hash_of(key);

	for (struct lru_node *n = *slot_of(l, hash); n; n = n->chain) {
		if (n->hash != hash || !str_eq(n->key, key))
			continue;
		unlink_node(l, n);
		link_newest(l, n);
		return n;
	}
	return NULL;
}

static void grow(struct lru *l)
{
	struct lru_node **old = l->slots;
	size_t old_n = l->slots_n;

	l->slots_n *= 2;
	l->slots = slots_new(l->slots_n);
	for (size_t i = 0; i < old_n; i++)
		for (struct lru_node *n = old[i], *next; n; n = next) {
			struct lru_node **slot = slot_of(l, n->hash);

			next = n->chain;
			n->chain = *slot;
			*slot = n;
		}
	free(old);
}

void lru_add(struct lru *l, struct lru_node *n)
{
	struct lru_node **slot;

	if (l->n == l->slots_n)
		grow(l);
	n->hash = hash_of(n->key);
	slot = slot_of(l, n->hash);
	n->chain = *slot;
	*slot = n;
	link_newest(l, n);
	l->n++;
	l->weight += n->weight;
}

void lru_remove(struct lru *l, struct lru_node *n)
{
	struct lru_node **at = slot_of(l, n->hash);

	while (*at && *at != n)
		at = &(*at)->chain;
	assert(*at);
	*at = n->chain;
	unlink_node(l, n);
	l->n--;
	l->weight -= n->weight;
}

struct lru_node *lru_oldest(struct lru *l)
{
	return l->oldest;
}
