#include "versions/cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

enum { WAYS = 4 };

struct slot {
	uint64_t hash;
	char *mem; /* key, then value */
	size_t key_n, value_n;
	int64_t expires_ms;
};

struct cache {
	pthread_mutex_t lock;
	struct {
		struct slot *slots; /* sets of WAYS */
		uint64_t epoch;
	} locked;
	size_t sets;
};

struct cache *cache_new(size_t size)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->sets = (size + WAYS - 1) / WAYS;
	c->sets += !c->sets;
	c->locked.slots = calloc(c->sets * WAYS, sizeof(struct slot));
	if (!c->locked.slots)
		abort();
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->sets * WAYS; i++)
		free(c->locked.slots[i].mem);
	free(c->locked.slots);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static uint64_t hash_of(struct str key)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3;
	return h ^ h >> 32;
}

static struct slot *set_locked(struct cache *c, uint64_t hash)
{
	return &c->locked.slots[hash % c->sets * WAYS];
}

static struct slot *find_locked(struct cache *c, uint64_t hash, struct str key)
{
	struct slot *s = set_locked(c, hash);

	for (unsigned i = 0; i < WAYS; i++)
		if (s[i].mem && s[i].hash == hash && str_eq(str_make(s[i].mem, s[i].key_n), key))
			return &s[i];
	return NULL;
}

static void clear(struct slot *s)
{
	free(s->mem);
	*s = (struct slot){0};
}

bool cache_get(struct cache *c, struct str key, struct arena *a, struct str *ret)
{
	uint64_t hash = hash_of(key);
	int64_t now = mono_ms();
	struct slot *s;
	bool hit;

	pthread_mutex_lock(&c->lock);
	s = find_locked(c, hash, key);
	hit = s && s->expires_ms > now;
	if (hit)
		*ret = arena_dup(a, str_make(s->mem + s->key_n, s->value_n));
	pthread_mutex_unlock(&c->lock);
	return hit;
}

uint64_t cache_epoch(struct cache *c)
{
	uint64_t epoch;

	pthread_mutex_lock(&c->lock);
	epoch = c->locked.epoch;
	pthread_mutex_unlock(&c->lock);
	return epoch;
}

/* An empty place, else the one that expires first. */
static struct slot *place_locked(struct cache *c, uint64_t hash)
{
	struct slot *s = set_locked(c, hash), *best = s;

	for (unsigned i = 0; i < WAYS; i++) {
		if (!s[i].mem)
			return &s[i];
		if (s[i].expires_ms < best->expires_ms)
			best = &s[i];
	}
	return best;
}

void cache_put(struct cache *c, uint64_t epoch, struct str key, struct str value, int64_t ttl_ms)
{
	uint64_t hash = hash_of(key);
	struct slot in = {
		.hash = hash,
		.key_n = key.n,
		.value_n = value.n,
		.expires_ms = mono_ms() + ttl_ms,
	};
	struct slot *s;

	if (key.n + value.n > CACHE_MAX_RECORD || ttl_ms <= 0)
		return;
	in.mem = malloc(key.n + value.n + 1);
	if (!in.mem)
		abort();
	memcpy(in.mem, key.p, key.n);
	if (value.n)
		memcpy(in.mem + key.n, value.p, value.n);
	pthread_mutex_lock(&c->lock);
	if (epoch == c->locked.epoch) {
		s = find_locked(c, hash, key);
		if (!s)
			s = place_locked(c, hash);
		free(s->mem);
		*s = in;
		in.mem = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	free(in.mem);
}

void cache_drop(struct cache *c, struct str key)
{
	struct slot *s;

	pthread_mutex_lock(&c->lock);
	c->locked.epoch++;
	s = find_locked(c, hash_of(key), key);
	if (s)
		clear(s);
	pthread_mutex_unlock(&c->lock);
}
