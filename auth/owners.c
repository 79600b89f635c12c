#include "auth/owners.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "auth/store.h"

enum {
	MAX_CREDENTIALS = 1 << 20,
	PAUSE_PER_SCAN = 9,
	MAX_PAUSE_US = 5000000,
};

struct owned {
	struct owned *next;
	struct str access_key, user;
};

/* Immutable but for its making. */
struct hints {
	struct arena *arena;
	struct owned **buckets;
	size_t buckets_n; /* a power of two */
	size_t n;
	struct owned *unsorted;
};

struct auth_owners {
	struct kv *kv;
	uint8_t seed[crypto_shorthash_KEYBYTES];
	/* Held while scanning; taken before `mutex`. */
	pthread_mutex_t scanning;
	pthread_mutex_t mutex;
	struct {
		struct hints *hints;
		int64_t begun_us;      /* the last scan; 0: none */
		int64_t not_before_us; /* the next one */
		uint64_t scans;
	} locked;
};

static size_t bucket(const struct auth_owners *o, const struct hints *h, struct str access_key)
{
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)access_key.p, access_key.n, o->seed);
	return hash & (h->buckets_n - 1);
}

static struct hints *hints_new(void)
{
	struct arena *a = arena_new();
	struct hints *h = ARENA_NEW(a, struct hints);

	h->arena = a;
	return h;
}

static void hints_free(struct hints *h)
{
	if (h)
		arena_free(h->arena);
}

/* key: uCredentials/<user>/credentials/<access key>; a user's name may have slashes, an access
 * key has none. */
static void hints_add(struct hints *h, struct str key)
{
	struct str head = AUTH_CREDENTIALS, middle = AUTH_OF_CREDENTIAL;
	struct owned *e;
	size_t at = key.n;

	while (at && key.p[at - 1] != '/')
		at--;
	if (at <= head.n + middle.n || at == key.n || !str_ends(str_head(key, at), middle))
		return;
	e = arena_alloc(h->arena, sizeof(*e));
	e->access_key = arena_dup(h->arena, str_skip(key, at));
	e->user = arena_dup(h->arena,
			    str_make(key.p + head.n, at - middle.n - head.n));
	e->next = h->unsorted;
	h->unsorted = e;
	h->n++;
}

static void hints_sort(const struct auth_owners *o, struct hints *h)
{
	h->buckets_n = 16;
	while (h->buckets_n < h->n)
		h->buckets_n *= 2;
	h->buckets = arena_zalloc(h->arena, h->buckets_n * sizeof(*h->buckets));
	while (h->unsorted) {
		struct owned *e = h->unsorted;
		size_t at = bucket(o, h, e->access_key);

		h->unsorted = e->next;
		e->next = h->buckets[at];
		h->buckets[at] = e;
	}
}

static rc scan(struct auth_owners *o, struct hints *h, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(kv_scan(o->kv, AUTH_PARTITION, AUTH_CREDENTIALS, 0, &it, reterr));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, AUTH_CREDENTIALS))
			return RC_OK;
		if (h->n == MAX_CREDENTIALS)
			return err_set(reterr, ERR_UNSUPPORTED,
				       "there are more than %d credentials: remove those that are "
				       "not used",
				       MAX_CREDENTIALS);
		hints_add(h, e.key);
	}
}

struct auth_owners *auth_owners_new(struct kv *kv)
{
	struct auth_owners *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->kv = kv;
	crypto_shorthash_keygen(o->seed);
	pthread_mutex_init(&o->scanning, NULL);
	pthread_mutex_init(&o->mutex, NULL);
	return o;
}

void auth_owners_free(struct auth_owners *o)
{
	if (!o)
		return;
	hints_free(o->locked.hints);
	pthread_mutex_destroy(&o->mutex);
	pthread_mutex_destroy(&o->scanning);
	free(o);
}

bool auth_owners_find(struct auth_owners *o, struct str access_key, struct arena *a,
		      struct str *ret_user)
{
	struct owned *e = NULL;

	pthread_mutex_lock(&o->mutex);
	if (o->locked.hints)
		e = o->locked.hints->buckets[bucket(o, o->locked.hints, access_key)];
	while (e && !str_eq(e->access_key, access_key))
		e = e->next;
	if (e)
		*ret_user = arena_dup(a, e->user);
	pthread_mutex_unlock(&o->mutex);
	return e;
}

static bool scan_due(struct auth_owners *o, int64_t since_us)
{
	bool due;

	pthread_mutex_lock(&o->mutex);
	due = o->locked.begun_us < since_us && mono_us() >= o->locked.not_before_us;
	pthread_mutex_unlock(&o->mutex);
	return due;
}

static void publish(struct auth_owners *o, struct hints *h, int64_t begun_us)
{
	int64_t end_us = mono_us();
	int64_t pause_us = (end_us - begun_us) * PAUSE_PER_SCAN;
	struct hints *old;

	pthread_mutex_lock(&o->mutex);
	old = o->locked.hints;
	o->locked.hints = h;
	o->locked.begun_us = begun_us;
	o->locked.not_before_us = end_us + (pause_us < MAX_PAUSE_US ? pause_us : MAX_PAUSE_US);
	o->locked.scans++;
	pthread_mutex_unlock(&o->mutex);
	hints_free(old);
}

static rc refresh_scanning(struct auth_owners *o, int64_t since_us, struct err *reterr)
{
	int64_t begun_us;
	struct hints *h;
	rc r;

	if (!scan_due(o, since_us))
		return RC_OK;
	begun_us = mono_us();
	h = hints_new();
	r = scan(o, h, reterr);
	if (!rc_ok(r)) {
		hints_free(h);
		return r;
	}
	hints_sort(o, h);
	publish(o, h, begun_us);
	return RC_OK;
}

rc auth_owners_refresh(struct auth_owners *o, int64_t since_us, struct err *reterr)
{
	rc r;

	pthread_mutex_lock(&o->scanning);
	r = refresh_scanning(o, since_us, reterr);
	pthread_mutex_unlock(&o->scanning);
	return r;
}

void auth_owners_expire(struct auth_owners *o)
{
	pthread_mutex_lock(&o->scanning);
	pthread_mutex_lock(&o->mutex);
	o->locked.begun_us = 0;
	o->locked.not_before_us = 0;
	pthread_mutex_unlock(&o->mutex);
	pthread_mutex_unlock(&o->scanning);
}

uint64_t auth_owners_scans(struct auth_owners *o)
{
	uint64_t n;

	pthread_mutex_lock(&o->mutex);
	n = o->locked.scans;
	pthread_mutex_unlock(&o->mutex);
	return n;
}
