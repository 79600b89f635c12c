#include "auth/cache.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/rand.h"

enum { MAX_BUCKETS = 1 << 16 };

/* Key and secret follow in the same block. */
struct entry {
	struct entry *next_in_bucket;
	struct entry *older, *newer;
	uint64_t hash;
	int64_t expires_ms;
	struct auth_user *user;
	size_t key_n, secret_n;
	char bytes[];
};

struct table {
	struct entry **buckets;
	size_t buckets_n; /* a power of two */
	struct entry *oldest, *newest;
	size_t n, max;
};

struct auth_cache {
	struct auth_cache_options o;
	uint8_t seed[crypto_shorthash_KEYBYTES];
	pthread_mutex_t mutex;
	struct {
		struct table known, unknown;
		uint64_t epoch;
	} locked;
};

static void table_init(struct table *t, size_t max)
{
	size_t n = 16;

	while (n < max && n < MAX_BUCKETS)
		n *= 2;
	*t = (struct table){.buckets_n = n, .max = max};
	t->buckets = calloc(n, sizeof(struct entry *));
	if (!t->buckets)
		abort();
}

static struct entry **place(struct table *t, uint64_t hash, struct str key)
{
	struct entry **at = &t->buckets[hash & (t->buckets_n - 1)];

	while (*at && !((*at)->hash == hash && str_eq(str_make((*at)->bytes, (*at)->key_n), key)))
		at = &(*at)->next_in_bucket;
	return at;
}

static void unlink_age(struct table *t, struct entry *e)
{
	*(e->older ? &e->older->newer : &t->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &t->newest) = e->older;
}

static void link_newest(struct table *t, struct entry *e)
{
	e->older = t->newest;
	e->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = e;
	t->newest = e;
}

static void drop(struct table *t, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next_in_bucket;
	unlink_age(t, e);
	t->n--;
	auth_user_unref(e->user);
	sodium_memzero(e, sizeof(*e) + e->key_n + e->secret_n);
	free(e);
}

static void drop_entry(struct table *t, struct entry *e)
{
	drop(t, place(t, e->hash, str_make(e->bytes, e->key_n)));
}

static void table_clear(struct table *t)
{
	while (t->oldest)
		drop_entry(t, t->oldest);
}

static struct entry *lookup(struct table *t, uint64_t hash, struct str key, int64_t now)
{
	struct entry **at = place(t, hash, key);
	struct entry *e = *at;

	if (!e)
		return NULL;
	if (e->expires_ms <= now) {
		drop(t, at);
		return NULL;
	}
	unlink_age(t, e);
	link_newest(t, e);
	return e;
}

static void insert(struct table *t, struct entry *e)
{
	struct str key = str_make(e->bytes, e->key_n);
	struct entry **at = place(t, e->hash, key);

	if (*at)
		drop(t, at);
	while (t->n >= t->max)
		drop_entry(t, t->oldest);
	at = place(t, e->hash, key);
	e->next_in_bucket = NULL;
	*at = e;
	link_newest(t, e);
	t->n++;
}

struct auth_cache *auth_cache_new(const struct auth_cache_options *o)
{
	struct auth_cache *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->o = *o;
	rand_bytes(c->seed, sizeof(c->seed));
	pthread_mutex_init(&c->mutex, NULL);
	table_init(&c->locked.known, o->max);
	table_init(&c->locked.unknown, o->unknown_max);
	return c;
}

void auth_cache_free(struct auth_cache *c)
{
	if (!c)
		return;
	table_clear(&c->locked.known);
	table_clear(&c->locked.unknown);
	free(c->locked.known.buckets);
	free(c->locked.unknown.buckets);
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

/* Keyed: strangers choose access keys. */
static uint64_t hash_of(const struct auth_cache *c, struct str key)
{
	uint64_t h;

	crypto_shorthash((uint8_t *)&h, (const uint8_t *)key.p, key.n, c->seed);
	return h;
}

enum auth_cached auth_cache_find(struct auth_cache *c, struct str key, struct arena *a,
				 struct auth_user **ret_user, struct str *ret_secret)
{
	enum auth_cached found = AUTH_CACHE_MISS;
	uint64_t hash = hash_of(c, key);
	int64_t now = mono_ms();
	struct entry *e;

	pthread_mutex_lock(&c->mutex);
	e = lookup(&c->locked.known, hash, key, now);
	if (e) {
		found = AUTH_CACHE_KNOWN;
		*ret_user = auth_user_ref(e->user);
		*ret_secret = arena_dup(a, str_make(e->bytes + e->key_n, e->secret_n));
	} else if (lookup(&c->locked.unknown, hash, key, now)) {
		found = AUTH_CACHE_UNKNOWN;
	}
	pthread_mutex_unlock(&c->mutex);
	return found;
}

uint64_t auth_cache_epoch(struct auth_cache *c)
{
	uint64_t epoch;

	pthread_mutex_lock(&c->mutex);
	epoch = c->locked.epoch;
	pthread_mutex_unlock(&c->mutex);
	return epoch;
}

static struct entry *entry_new(const struct auth_cache *c, struct str key, struct str secret)
{
	struct entry *e = malloc(sizeof(*e) + key.n + secret.n);

	if (!e)
		abort();
	*e = (struct entry){
		.hash = hash_of(c, key),
		.key_n = key.n,
		.secret_n = secret.n,
	};
	memcpy(e->bytes, key.p, key.n);
	if (secret.n)
		memcpy(e->bytes + key.n, secret.p, secret.n);
	return e;
}

static int64_t lifetime_ms(const struct auth_cache *c)
{
	int64_t jitter = c->o.jitter_ms < c->o.ttl_ms ? c->o.jitter_ms : c->o.ttl_ms;
	uint64_t r;

	if (jitter <= 0)
		return c->o.ttl_ms;
	rand_bytes(&r, sizeof(r));
	return c->o.ttl_ms - jitter + (int64_t)(r % (2 * (uint64_t)jitter + 1));
}

static void put(struct auth_cache *c, uint64_t epoch, struct table *t, struct entry *e)
{
	struct entry *refused = NULL;

	pthread_mutex_lock(&c->mutex);
	if (epoch == c->locked.epoch && t->max)
		insert(t, e);
	else
		refused = e;
	pthread_mutex_unlock(&c->mutex);
	if (!refused)
		return;
	auth_user_unref(refused->user);
	sodium_memzero(refused, sizeof(*refused) + refused->key_n + refused->secret_n);
	free(refused);
}

void auth_cache_put(struct auth_cache *c, uint64_t epoch, struct str key, struct auth_user *u,
		    struct str secret)
{
	struct entry *e;

	if (c->o.ttl_ms <= 0)
		return;
	e = entry_new(c, key, secret);
	e->user = auth_user_ref(u);
	e->expires_ms = mono_ms() + lifetime_ms(c);
	put(c, epoch, &c->locked.known, e);
}

void auth_cache_put_unknown(struct auth_cache *c, uint64_t epoch, struct str key)
{
	struct entry *e;

	if (c->o.unknown_ttl_ms <= 0)
		return;
	e = entry_new(c, key, STR_NONE);
	e->expires_ms = mono_ms() + c->o.unknown_ttl_ms;
	put(c, epoch, &c->locked.unknown, e);
}

void auth_cache_clear(struct auth_cache *c)
{
	pthread_mutex_lock(&c->mutex);
	c->locked.epoch++;
	table_clear(&c->locked.known);
	table_clear(&c->locked.unknown);
	pthread_mutex_unlock(&c->mutex);
}

size_t auth_cache_count(struct auth_cache *c)
{
	size_t n;

	pthread_mutex_lock(&c->mutex);
	n = c->locked.known.n + c->locked.unknown.n;
	pthread_mutex_unlock(&c->mutex);
	return n;
}
