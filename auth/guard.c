#include "auth/guard.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rand.h"

enum {
	WAYS = 8,
	SETS = 2048,
	STRIPES = 16,
	HOT_SHARE = 4,
	LATELY = 64,
	DAY_MS = 24 * 3600 * 1000,
	MINUTE_MS = 60 * 1000,
};

/* A bucket that failures fill and time empties: until_ms is when it will be empty. hash 0: a free row. */
struct row {
	uint64_t hash;
	int64_t until_ms, right_until_ms, used_ms;
};

struct auth_guard {
	unsigned failures;
	int64_t recovery_ms;
	uint8_t seed[crypto_shorthash_KEYBYTES];
	int64_t quiet_ms; /* atomic: from then on no bucket holds anything */
	pthread_mutex_t stripes[STRIPES];
	struct row rows[SETS][WAYS]; /* a set's under its stripe */
};

/* Successes that this thread has noted within a minute, so that most requests take no lock. */
static __thread struct {
	uint64_t hash;
	int64_t at_ms;
} lately[LATELY];

struct auth_guard *auth_guard_new(unsigned failures, int64_t recovery_ms)
{
	struct auth_guard *g = calloc(1, sizeof(*g));

	if (!g)
		abort();
	g->failures = failures;
	g->recovery_ms = recovery_ms;
	rand_bytes(g->seed, sizeof(g->seed));
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&g->stripes[i], NULL);
	return g;
}

void auth_guard_free(struct auth_guard *g)
{
	for (size_t i = 0; g && i < STRIPES; i++)
		pthread_mutex_destroy(&g->stripes[i]);
	free(g);
}

/* The network that counts, as bytes; an address that is none as it is. */
static struct str network(struct str source, char text[INET6_ADDRSTRLEN], uint8_t bytes[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!source.n || source.n >= INET6_ADDRSTRLEN)
		return source;
	memcpy(text, source.p, source.n);
	text[source.n] = 0;
	if (inet_pton(AF_INET, text, bytes) == 1)
		return str_make(bytes, 4);
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return source;
	return memcmp(bytes, mapped, sizeof(mapped)) ? str_make(bytes, 8) : str_make(bytes + 12, 4);
}

enum kind { OF_SOURCE = 1, OF_KEY, OF_PAIR };

static uint64_t hash_one(const struct auth_guard *g, struct str s)
{
	uint64_t h;

	crypto_shorthash((uint8_t *)&h, (const uint8_t *)s.p, s.n, g->seed);
	return h;
}

static uint64_t hash_of(const struct auth_guard *g, enum kind kind, struct str source, struct str access_key)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	uint64_t parts[3] = {kind, 0, 0}, h;

	if (kind != OF_KEY)
		parts[1] = hash_one(g, network(source, text, bytes));
	if (kind != OF_SOURCE)
		parts[2] = hash_one(g, access_key);
	h = hash_one(g, str_make(parts, sizeof(parts)));
	return h ? h : 1;
}

static pthread_mutex_t *stripe(struct auth_guard *g, uint64_t hash)
{
	return &g->stripes[hash % SETS % STRIPES];
}

/* The row, under its stripe; made: in the place of the one that is unused for longest. */
static struct row *row_of(struct auth_guard *g, uint64_t hash, bool make, int64_t now)
{
	struct row *set = g->rows[hash % SETS], *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == hash) {
			set[i].used_ms = now;
			return &set[i];
		}
		if (set[i].used_ms < oldest->used_ms)
			oldest = &set[i];
	}
	if (!make)
		return NULL;
	*oldest = (struct row){.hash = hash, .used_ms = now};
	return oldest;
}

/* Until one more failure fits in. */
static int64_t wait_of(const struct auth_guard *g, const struct row *r, int64_t now)
{
	int64_t wait = r ? r->until_ms - now - (int64_t)(g->failures - 1) * g->recovery_ms : 0;

	return wait > 0 ? wait : 0;
}

static int64_t wait_ms(struct auth_guard *g, uint64_t hash, int64_t now, bool *ret_right)
{
	const struct row *r;
	int64_t wait;

	pthread_mutex_lock(stripe(g, hash));
	r = row_of(g, hash, false, now);
	wait = wait_of(g, r, now);
	*ret_right = r && r->right_until_ms > now;
	pthread_mutex_unlock(stripe(g, hash));
	return wait;
}

/* So many failures more; how long it waits from now on. */
static int64_t fill(struct auth_guard *g, uint64_t hash, unsigned n, int64_t now)
{
	int64_t most = now + (int64_t)g->failures * g->recovery_ms, wait;
	struct row *r;

	pthread_mutex_lock(stripe(g, hash));
	r = row_of(g, hash, true, now);
	r->until_ms = (r->until_ms > now ? r->until_ms : now) + (int64_t)n * g->recovery_ms;
	if (r->until_ms > most)
		r->until_ms = most;
	wait = wait_of(g, r, now);
	if (wait)
		r->right_until_ms = 0;
	pthread_mutex_unlock(stripe(g, hash));
	return wait;
}

int64_t auth_guard_wait_ms(struct auth_guard *g, struct str source, struct str access_key)
{
	int64_t now = mono_ms();
	bool right = false;

	if (!g->failures || __atomic_load_n(&g->quiet_ms, __ATOMIC_RELAXED) <= now)
		return 0;
	if (access_key.n)
		wait_ms(g, hash_of(g, OF_PAIR, source, access_key), now, &right);
	return right ? 0 : wait_ms(g, hash_of(g, OF_SOURCE, source, access_key), now, &right);
}

/* A key that strangers try from everywhere: how much of its share an attempt takes. */
static unsigned cost(struct auth_guard *g, struct str access_key, int64_t now)
{
	if (!access_key.n || !fill(g, hash_of(g, OF_KEY, STR(""), access_key), 1, now))
		return 1;
	return g->failures > HOT_SHARE ? g->failures / HOT_SHARE : 1;
}

bool auth_guard_failed(struct auth_guard *g, struct str source, struct str access_key)
{
	int64_t now = mono_ms();
	uint64_t pair = hash_of(g, OF_PAIR, source, access_key);
	bool right = false;
	unsigned n;

	if (!g->failures)
		return false;
	__atomic_store_n(&g->quiet_ms, now + (int64_t)g->failures * g->recovery_ms, __ATOMIC_RELAXED);
	n = cost(g, access_key, now);
	if (access_key.n)
		wait_ms(g, pair, now, &right);
	if (right) {
		fill(g, pair, 1, now);
		return false;
	}
	return fill(g, hash_of(g, OF_SOURCE, source, access_key), n, now) > 0;
}

void auth_guard_succeeded(struct auth_guard *g, struct str source, struct str access_key)
{
	int64_t now = mono_ms();
	uint64_t hash;

	if (!g->failures || !access_key.n)
		return;
	hash = hash_of(g, OF_PAIR, source, access_key);
	if (lately[hash % LATELY].hash == hash && now - lately[hash % LATELY].at_ms < MINUTE_MS)
		return;
	pthread_mutex_lock(stripe(g, hash));
	row_of(g, hash, true, now)->right_until_ms = now + DAY_MS;
	pthread_mutex_unlock(stripe(g, hash));
	lately[hash % LATELY].hash = hash;
	lately[hash % LATELY].at_ms = now;
}
