/* A table of named nodes in order of use: what every bounded cache is made of. Nodes are embedded in what
 * they name; nothing is allocated but the table itself. No locks: the owner has one. */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct lru_node {
	struct str key;  /* the owner's memory, as long as the node is in */
	uint64_t weight;
	/* private */
	struct lru_node *newer, *older, *chain;
	uint32_t hash;
};

struct lru {
	uint64_t weight; /* of all nodes */
	size_t n;
	/* private */
	struct lru_node *newest, *oldest;
	struct lru_node **slots;
	size_t slots_n; /* a power of two */
};

void lru_init(struct lru *l);
/* Frees the table; nodes are their owner's. */
void lru_deinit(struct lru *l);
/* NULL, or the node, which becomes the newest. */
struct lru_node *lru_get(struct lru *l, struct str key);
/* No node of that key is in. */
void lru_add(struct lru *l, struct lru_node *n);
void lru_remove(struct lru *l, struct lru_node *n);
/* NULL when empty. */
struct lru_node *lru_oldest(struct lru *l);
