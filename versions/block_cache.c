#include "versions/block_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "versions/sstable_block.h"

enum {
	SHARDS_MAX = 16,
	SHARD_MIN = 1 << 20,  /* fewer shards rather than smaller ones: a large block must find room */
	BLOCK_TYPICAL = 4096, /* buckets are counted with it */
	OVERHEAD = 128,	      /* of a slot, and of two allocations */
};

struct slot {
	uint64_t file, offset;
	struct sstable_block *block;
	size_t charge;
	struct slot *chain;	    /* of its bucket */
	struct slot *newer, *older; /* of its shard */
};

struct shard {
	pthread_mutex_t lock;
	size_t max_bytes, buckets_n;
	struct {
		struct slot **buckets;
		struct slot *newest, *oldest;
		struct block_cache_stats stats;
	} locked;
} __attribute__((aligned(64)));

struct block_cache {
	atomic_uint_fast64_t files;
	size_t shards_n;
	struct shard shards[SHARDS_MAX];
};

static size_t power_of_two(size_t at_most)
{
	size_t n = 1;

	while (n * 2 <= at_most)
		n *= 2;
	return n;
}

static void shard_init(struct shard *s, size_t max_bytes)
{
	pthread_mutex_init(&s->lock, NULL);
	s->max_bytes = max_bytes;
	s->buckets_n = power_of_two(max_bytes / BLOCK_TYPICAL + 16);
	s->locked.buckets = calloc(s->buckets_n, sizeof(struct slot *));
	if (!s->locked.buckets)
		abort();
}

struct block_cache *block_cache_new(size_t max_bytes)
{
	struct block_cache *c = aligned_alloc(64, sizeof(*c));

	if (!c)
		abort();
	memset(c, 0, sizeof(*c));
	c->shards_n = power_of_two(max_bytes / SHARD_MIN < SHARDS_MAX ? max_bytes / SHARD_MIN
								       : SHARDS_MAX);
	for (size_t i = 0; i < c->shards_n; i++)
		shard_init(&c->shards[i], max_bytes / c->shards_n);
	return c;
}

void block_cache_free(struct block_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];

		for (struct slot *slot = s->locked.newest, *next; slot; slot = next) {
			next = slot->older;
			sstable_block_unref(slot->block);
			free(slot);
		}
		free(s->locked.buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(c);
}

uint64_t block_cache_file(struct block_cache *c)
{
	return atomic_fetch_add_explicit(&c->files, 1, memory_order_relaxed) + 1;
}

static uint64_t hash_of(uint64_t file, uint64_t offset)
{
	uint64_t h = (file * 0x9e3779b97f4a7c15 ^ offset) * 0xbf58476d1ce4e5b9;

	return (h ^ h >> 29) * 0x94d049bb133111eb;
}

static struct shard *shard_of(struct block_cache *c, uint64_t hash)
{
	return &c->shards[hash >> 32 & (c->shards_n - 1)];
}

static struct slot **bucket_locked(struct shard *s, uint64_t hash)
{
	return &s->locked.buckets[(hash >> 40) & (s->buckets_n - 1)];
}

static struct slot **find_locked(struct shard *s, uint64_t hash, uint64_t file, uint64_t offset)
{
	struct slot **at = bucket_locked(s, hash);

	while (*at && ((*at)->file != file || (*at)->offset != offset))
		at = &(*at)->chain;
	return at;
}

static void unlink_locked(struct shard *s, struct slot *slot)
{
	*(slot->newer ? &slot->newer->older : &s->locked.newest) = slot->older;
	*(slot->older ? &slot->older->newer : &s->locked.oldest) = slot->newer;
}

static void push_locked(struct shard *s, struct slot *slot)
{
	slot->newer = NULL;
	slot->older = s->locked.newest;
	*(slot->older ? &slot->older->newer : &s->locked.oldest) = slot;
	s->locked.newest = slot;
}

struct sstable_block *block_cache_get(struct block_cache *c, uint64_t file, uint64_t offset)
{
	uint64_t hash = hash_of(file, offset);
	struct shard *s = shard_of(c, hash);
	struct sstable_block *ret = NULL;
	struct slot *slot;

	pthread_mutex_lock(&s->lock);
	slot = *find_locked(s, hash, file, offset);
	if (slot) {
		unlink_locked(s, slot);
		push_locked(s, slot);
		ret = sstable_block_ref(slot->block);
		s->locked.stats.hits++;
	} else {
		s->locked.stats.misses++;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* The oldest out of the shard, onto the list of what is to be freed without the lock. */
static void evict_locked(struct shard *s, struct slot **dead)
{
	struct slot *slot = s->locked.oldest;

	*find_locked(s, hash_of(slot->file, slot->offset), slot->file, slot->offset) = slot->chain;
	unlink_locked(s, slot);
	s->locked.stats.bytes -= slot->charge;
	s->locked.stats.blocks--;
	s->locked.stats.evictions++;
	slot->chain = *dead;
	*dead = slot;
}

static void free_slots(struct slot *dead)
{
	for (struct slot *next; dead; dead = next) {
		next = dead->chain;
		sstable_block_unref(dead->block);
		free(dead);
	}
}

static struct slot *slot_new(uint64_t file, uint64_t offset, struct sstable_block *b)
{
	struct slot *slot = malloc(sizeof(*slot));

	if (!slot)
		abort();
	*slot = (struct slot){.file = file,
			      .offset = offset,
			      .block = sstable_block_ref(b),
			      .charge = b->memory + OVERHEAD};
	return slot;
}

void block_cache_put(struct block_cache *c, uint64_t file, uint64_t offset, struct sstable_block *b)
{
	uint64_t hash = hash_of(file, offset);
	struct shard *s = shard_of(c, hash);
	struct slot *slot, *dead = NULL, **at;

	if (b->memory + OVERHEAD > s->max_bytes / 2)
		return;
	slot = slot_new(file, offset, b);
	pthread_mutex_lock(&s->lock);
	at = find_locked(s, hash, file, offset);
	if (*at) {
		slot->chain = NULL;
		dead = slot;
	} else {
		*at = slot;
		push_locked(s, slot);
		s->locked.stats.bytes += slot->charge;
		s->locked.stats.blocks++;
		while (s->locked.stats.bytes > s->max_bytes)
			evict_locked(s, &dead);
	}
	pthread_mutex_unlock(&s->lock);
	free_slots(dead);
}

void block_cache_stats(struct block_cache *c, struct block_cache_stats *ret)
{
	*ret = (struct block_cache_stats){0};
	for (size_t i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];

		pthread_mutex_lock(&s->lock);
		ret->hits += s->locked.stats.hits;
		ret->misses += s->locked.stats.misses;
		ret->evictions += s->locked.stats.evictions;
		ret->blocks += s->locked.stats.blocks;
		ret->bytes += s->locked.stats.bytes;
		pthread_mutex_unlock(&s->lock);
	}
}
