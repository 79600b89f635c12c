/* A chunk: the records between two sure cuts, and the job that makes ranges of them: it encodes, hashes, cuts and
 * uploads what blocks there are, one job of a chunk at a time. Private to mr_writer.c. */
#pragma once

#include <pthread.h>

#include "versions/internal.h"
#include "versions/mr_writer.h"

enum {
	BLOCK_BYTES = 512 * 1024,
	BLOCKS_MAX = 48, /* filled and not yet worked off: 24 MiB */
};

/* Records on their way to a job: lengths of key and value, key, value. */
struct block {
	struct block *next;
	size_t n, cap;
	char data[];
};

/* What all chunks of a writer share. */
struct chunks {
	struct versions *v;
	const struct repo *repo;
	struct meta *props; /* the caller's */
	size_t props_n;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned blocks;
	bool failed;
};

struct chunk {
	struct chunk *next; /* in the order of keys */
	struct chunks *of;
	/* the results; text in a */
	struct arena *a;
	struct range_info *ranges;
	size_t n, cap;
	/* under the lock */
	struct block *first, *last;
	bool ended, running, finished;
	/* the job's */
	struct work work;
	struct table_writer *table;
	rc result;
	struct err err;
};

struct chunk *chunk_new(struct chunks *of);
/* With no job under way; blocks that are left are freed, too. */
void chunk_free(struct chunk *k);
/* NULL, or takes the block; waits while there are too many. `ends`: it is the last one. */
void chunk_send(struct chunk *k, struct block *b, bool ends);

/* Wherever a range may be closed before its greatest size, these keys close it. */
bool surely_cuts(const struct chunks *c, struct str key);
/* "type" and the caller's. */
const struct meta *table_props(const struct chunks *c, struct str type, struct arena *a, size_t *ret_n);
void put_record(struct block *b, struct str key, struct str value);
size_t block_bytes(struct str key, struct str value); /* that it takes in a block */
