/* Gets of one key that share a request. What can be shared is only a request that goes out after all who
 * share it have come: then what it finds was there at a moment of each one's call.
 *
 * For each key that somebody reads there is an entry with the requests on their way, and the group that
 * waits for the next one. Whoever comes while fewer than ON_THE_WAY are out goes at once, alone. Whoever comes
 * later joins the group; when a request comes back, the group's first member goes for all of it, and whoever
 * comes after that makes a new group. So a key costs ON_THE_WAY requests at a time, however many read it. */
#include "kv/kv.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	ON_THE_WAY = 2,
	SLOTS = 64, /* of the table of keys, each with a lock of its own */
};

/* Those who wait for one request. The first of them carries it out. */
struct group {
	pthread_cond_t turn; /* "go", for the first; "done", for the others */
	unsigned members;    /* that hold it */
	bool go, done;
	struct arena *a; /* of value */
	struct str value;
	struct err err;
	rc result;
};

struct entry {
	struct entry *next;
	unsigned on_the_way;
	struct group *waiting; /* may be joined; NULL: nobody waits */
	size_t partition_n, key_n;
	char bytes[];
};

struct slot {
	pthread_mutex_t lock;
	struct {
		struct entry *first;
	} locked;
};

struct share {
	struct kv kv;
	struct kv_ops ops; /* as `next` has them */
	struct kv *next;
	struct slot slots[SLOTS];
};

static void *allocate(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}

static struct kv *below(struct kv *kv)
{
	return ((struct share *)kv)->next;
}

/* FNV-1a, of both with their border. */
static struct slot *slot_of(struct share *s, struct str partition, struct str key)
{
	uint64_t h = 0xcbf29ce484222325ull ^ partition.n;

	for (size_t i = 0; i < partition.n; i++)
		h = (h ^ (unsigned char)partition.p[i]) * 0x100000001b3ull;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3ull;
	return &s->slots[(h ^ h >> 32) % SLOTS];
}

static bool is_entry(const struct entry *e, struct str partition, struct str key)
{
	return str_eq(str_make(e->bytes, e->partition_n), partition) &&
	       str_eq(str_make(e->bytes + e->partition_n, e->key_n), key);
}

static struct entry *entry_locked(struct slot *s, struct str partition, struct str key)
{
	struct entry *e;

	for (e = s->locked.first; e; e = e->next)
		if (is_entry(e, partition, key))
			return e;
	e = allocate(sizeof(*e) + partition.n + key.n);
	e->partition_n = partition.n;
	e->key_n = key.n;
	memcpy(e->bytes, partition.p, partition.n);
	memcpy(e->bytes + partition.n, key.p, key.n);
	e->next = s->locked.first;
	s->locked.first = e;
	return e;
}

static void drop_entry_locked(struct slot *s, struct entry *e)
{
	struct entry **link = &s->locked.first;

	if (e->on_the_way || e->waiting)
		return;
	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	free(e);
}

/* A request has come back: those who wait may go. */
static void returned_locked(struct slot *s, struct entry *e)
{
	struct group *g = e->waiting;

	e->on_the_way--;
	if (g) {
		e->waiting = NULL; /* who comes now comes too late for it */
		e->on_the_way++;
		g->go = true;
		pthread_cond_broadcast(&g->turn);
	}
	drop_entry_locked(s, e);
}

static struct group *group_new(void)
{
	struct group *g = allocate(sizeof(*g));

	if (pthread_cond_init(&g->turn, NULL) != 0)
		abort();
	g->a = arena_new();
	return g;
}

static void leave_locked(struct group *g)
{
	if (--g->members)
		return;
	pthread_cond_destroy(&g->turn);
	arena_free(g->a);
	free(g);
}

/* For all of the group; under no lock. */
static void carry_out(struct share *s, struct group *g, struct str partition, struct str key)
{
	g->result = s->next->ops->get(s->next, KV_BLOCK, partition, key, g->a, &g->value, &g->err);
}

/* As a member of a group, its first or a later one. The slot is locked, and is again afterwards. */
static struct group *share_locked(struct share *s, struct slot *slot, struct entry *e,
				  struct str partition, struct str key)
{
	struct group *g = e->waiting;
	bool first = !g;

	if (first)
		g = e->waiting = group_new();
	g->members++;
	while (first ? !g->go : !g->done)
		pthread_cond_wait(&g->turn, &slot->lock);
	if (!first)
		return g;
	pthread_mutex_unlock(&slot->lock);
	carry_out(s, g, partition, key);
	pthread_mutex_lock(&slot->lock);
	g->done = true;
	pthread_cond_broadcast(&g->turn);
	returned_locked(slot, e);
	return g;
}

static rc shared_get(struct share *s, struct slot *slot, struct entry *e, struct str partition,
		     struct str key, struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct group *g = share_locked(s, slot, e, partition, key);
	rc r;

	pthread_mutex_unlock(&slot->lock);
	r = g->result;
	if (rc_ok(r))
		*ret_value = arena_dup(a, g->value);
	else if (reterr)
		*reterr = g->err;
	pthread_mutex_lock(&slot->lock);
	leave_locked(g);
	pthread_mutex_unlock(&slot->lock);
	return r;
}

static rc share_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		    struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct share *s = (struct share *)kv;
	struct slot *slot = slot_of(s, partition, key);
	struct entry *e;
	rc r;

	if (wait == KV_NOWAIT)
		return s->next->ops->get(s->next, wait, partition, key, a, ret_value, reterr);
	pthread_mutex_lock(&slot->lock);
	e = entry_locked(slot, partition, key);
	if (e->on_the_way >= ON_THE_WAY)
		return shared_get(s, slot, e, partition, key, a, ret_value, reterr);
	e->on_the_way++;
	pthread_mutex_unlock(&slot->lock);
	r = s->next->ops->get(s->next, wait, partition, key, a, ret_value, reterr);
	pthread_mutex_lock(&slot->lock);
	returned_locked(slot, e);
	pthread_mutex_unlock(&slot->lock);
	return r;
}

/* The other calls pass, and aren't counted twice. */

static rc share_set(struct kv *kv, struct str partition, struct str key, struct str value,
		    struct err *reterr)
{
	return below(kv)->ops->set(below(kv), partition, key, value, reterr);
}

static rc share_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		       enum kv_cond cond, struct str current, struct err *reterr)
{
	return below(kv)->ops->set_if(below(kv), partition, key, value, cond, current,
				       reterr);
}

static rc share_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	return below(kv)->ops->delete(below(kv), partition, key, reterr);
}

static rc share_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		     struct kv_iter **ret, struct err *reterr)
{
	return below(kv)->ops->scan(below(kv), partition, from, batch, ret, reterr);
}

static rc share_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
			    struct kv_iter **ret, struct err *reterr)
{
	return below(kv)->ops->scan_moment(below(kv), partition, prefix, ret, reterr);
}

static rc share_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	return below(kv)->ops->partitions(below(kv), from, ret, reterr);
}

static rc share_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
			    struct str guard_partition, struct str guard_key,
			    struct str guard_value, struct err *reterr)
{
	return below(kv)->ops->set_guarded(below(kv), partition, key, value, guard_partition,
					   guard_key, guard_value, reterr);
}

static void share_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	below(kv)->ops->write_many(below(kv), w, n);
}

static void share_write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r,
				  size_t m)
{
	below(kv)->ops->write_then_read(below(kv), w, n, r, m);
}

static void share_free(struct kv *kv)
{
	struct share *s = (struct share *)kv;

	for (size_t i = 0; i < SLOTS; i++) {
		assert(!s->slots[i].locked.first);
		pthread_mutex_destroy(&s->slots[i].lock);
	}
	kv_free(s->next);
	free(s);
}

struct kv *kv_share_new(struct kv *next)
{
	struct share *s = allocate(sizeof(*s));

	s->ops = (struct kv_ops){
		.name = next->ops->name,
		.get = share_get,
		.set = share_set,
		.set_if = share_set_if,
		.delete = share_delete,
		.scan = share_scan,
		.free = share_free,
		.partitions = next->ops->partitions ? share_partitions : NULL,
		.set_guarded = kv_has_guarded(next) ? share_set_guarded : NULL,
		.write_many = next->ops->write_many ? share_write_many : NULL,
		.write_then_read = next->ops->write_then_read ? share_write_then_read : NULL,
		.scan_moment = next->ops->scan_moment ? share_scan_moment : NULL,
		.has_nowait = next->ops->has_nowait,
		.sole_owner = next->ops->sole_owner,
		.snapshots = next->ops->snapshots,
	};
	s->kv.ops = &s->ops;
	s->next = next;
	for (size_t i = 0; i < SLOTS; i++)
		if (pthread_mutex_init(&s->slots[i].lock, NULL) != 0)
			abort();
	return &s->kv;
}
