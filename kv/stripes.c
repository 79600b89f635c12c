#include "kv/stripes.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { STRIPES = 1024 };

struct stripe {
	pthread_mutex_t lock;
	pthread_cond_t sharers, owners;
	struct {
		unsigned sharing, sharers_waiting, owners_waiting;
		unsigned phase; /* owners so far: a sharer waits for one at most */
		bool owned;
	} locked;
};

struct stripes {
	struct stripe stripe[STRIPES];
};

struct stripes *stripes_new(void)
{
	struct stripes *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	for (size_t i = 0; i < STRIPES; i++)
		if (pthread_mutex_init(&s->stripe[i].lock, NULL) != 0 ||
		    pthread_cond_init(&s->stripe[i].sharers, NULL) != 0 ||
		    pthread_cond_init(&s->stripe[i].owners, NULL) != 0)
			abort();
	return s;
}

void stripes_free(struct stripes *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STRIPES; i++) {
		pthread_cond_destroy(&s->stripe[i].owners);
		pthread_cond_destroy(&s->stripe[i].sharers);
		pthread_mutex_destroy(&s->stripe[i].lock);
	}
	free(s);
}

/* FNV-1a, then the high bits. */
unsigned stripe_of(struct str key)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3ull;
	return (unsigned)((h ^ h >> 32) % STRIPES);
}

void stripe_share(struct stripes *s, unsigned stripe)
{
	struct stripe *l = &s->stripe[stripe];

	pthread_mutex_lock(&l->lock);
	if (l->locked.owned || l->locked.owners_waiting) {
		unsigned phase = l->locked.phase;

		l->locked.sharers_waiting++;
		while (phase == l->locked.phase)
			pthread_cond_wait(&l->sharers, &l->lock);
		/* stripe_disown counted us in */
	} else {
		l->locked.sharing++;
	}
	pthread_mutex_unlock(&l->lock);
}

void stripe_unshare(struct stripes *s, unsigned stripe)
{
	struct stripe *l = &s->stripe[stripe];

	pthread_mutex_lock(&l->lock);
	assert(l->locked.sharing && !l->locked.owned);
	if (--l->locked.sharing == 0 && l->locked.owners_waiting)
		pthread_cond_signal(&l->owners);
	pthread_mutex_unlock(&l->lock);
}

void stripe_share_pair(struct stripes *s, unsigned a, unsigned b)
{
	stripe_share(s, a < b ? a : b);
	if (a != b)
		stripe_share(s, a < b ? b : a);
}

void stripe_unshare_pair(struct stripes *s, unsigned a, unsigned b)
{
	stripe_unshare(s, a);
	if (a != b)
		stripe_unshare(s, b);
}

static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

size_t stripe_share_many(struct stripes *s, unsigned *stripes, size_t n)
{
	size_t distinct = 0;

	if (n)
		qsort(stripes, n, sizeof(*stripes), compare);
	for (size_t i = 0; i < n; i++)
		if (!distinct || stripes[distinct - 1] != stripes[i])
			stripes[distinct++] = stripes[i];
	for (size_t i = 0; i < distinct; i++)
		stripe_share(s, stripes[i]);
	return distinct;
}

void stripe_unshare_many(struct stripes *s, const unsigned *stripes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stripe_unshare(s, stripes[i]);
}

void stripe_own(struct stripes *s, unsigned stripe)
{
	struct stripe *l = &s->stripe[stripe];

	pthread_mutex_lock(&l->lock);
	l->locked.owners_waiting++;
	while (l->locked.owned || l->locked.sharing)
		pthread_cond_wait(&l->owners, &l->lock);
	l->locked.owners_waiting--;
	l->locked.owned = true;
	pthread_mutex_unlock(&l->lock);
}

void stripe_disown(struct stripes *s, unsigned stripe)
{
	struct stripe *l = &s->stripe[stripe];

	pthread_mutex_lock(&l->lock);
	assert(l->locked.owned && !l->locked.sharing);
	l->locked.owned = false;
	l->locked.phase++;
	l->locked.sharing = l->locked.sharers_waiting;
	l->locked.sharers_waiting = 0;
	if (l->locked.sharing)
		pthread_cond_broadcast(&l->sharers);
	else if (l->locked.owners_waiting)
		pthread_cond_signal(&l->owners);
	pthread_mutex_unlock(&l->lock);
}
