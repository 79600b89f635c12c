#include "conf/load.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct snapshot {
	struct conf conf;
	struct arena *own; /* holds this, too */
	atomic_size_t refs;
};

static struct {
	pthread_mutex_t lock;
	struct conf *locked;
} current = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct snapshot *snapshot_of(struct conf *c)
{
	return (struct snapshot *)((char *)c - offsetof(struct snapshot, conf));
}

struct conf *conf_new(struct arena **ret_own)
{
	struct arena *own = arena_new();
	struct snapshot *s = ARENA_NEW(own, struct snapshot);

	s->own = own;
	atomic_init(&s->refs, 1);
	*ret_own = own;
	return &s->conf;
}

struct conf *conf_ref(struct conf *c)
{
	size_t old = atomic_fetch_add_explicit(&snapshot_of(c)->refs, 1, memory_order_relaxed);

	assert(old > 0);
	(void)old;
	return c;
}

void conf_unref(struct conf *c)
{
	struct snapshot *s;
	size_t old;

	if (!c)
		return;
	s = snapshot_of(c);
	old = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
	assert(old > 0);
	if (old == 1)
		arena_free(s->own);
}

struct conf *conf_current(void)
{
	struct conf *c;

	pthread_mutex_lock(&current.lock);
	c = current.locked ? conf_ref(current.locked) : NULL;
	pthread_mutex_unlock(&current.lock);
	return c;
}

void conf_current_set(struct conf *c)
{
	struct conf *old;

	pthread_mutex_lock(&current.lock);
	old = current.locked;
	current.locked = c ? conf_ref(c) : NULL;
	pthread_mutex_unlock(&current.lock);
	conf_unref(old);
}
