/* The KV in memory: what every driver must do, in the fewest words.
 *
 * A skip list in the order of (partition, key) under one read-write lock. An iterator holds no place
 * in it, only the key that it stands at, and looks it up again at each step: nothing that is
 * written or deleted meanwhile can hurt it. */
#include "kv/kv.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "kv/moment.h"

enum { HEIGHT = 16 };

struct entry {
	struct str partition, key, value; /* the value is malloced apart, the rest follows the links */
	int height;
	struct entry *next[];
};

struct mem {
	struct kv kv;
	pthread_rwlock_t lock;
	struct {
		struct entry *first[HEIGHT];
		uint64_t random;
	} locked;
};

struct mem_iter {
	struct kv_iter it;
	struct mem *mem;
	struct str partition;
	struct buf at, value;
	bool past; /* what comes next is after `at`, not at it */
	bool ended;
};

static void *allocate(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		abort();
	return p;
}

static struct str copy(void *to, struct str s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return str_make(to, s.n);
}

static int entry_cmp(const struct entry *e, struct str partition, struct str key)
{
	int c = str_cmp(e->partition, partition);

	return c ? c : str_cmp(e->key, key);
}

/* The first entry at or after (partition, key), and the links that lead to it, one a level. */
static struct entry *find_locked(struct mem *m, struct str partition, struct str key,
				 struct entry **links[HEIGHT])
{
	struct entry **at = m->locked.first;

	for (int h = HEIGHT - 1; h >= 0; h--) {
		while (at[h] && entry_cmp(at[h], partition, key) < 0)
			at = at[h]->next;
		if (links)
			links[h] = &at[h];
	}
	return at[0];
}

static struct entry *get_locked(struct mem *m, struct str partition, struct str key)
{
	struct entry *e = find_locked(m, partition, key, NULL);

	return e && entry_cmp(e, partition, key) == 0 ? e : NULL;
}

static int random_height_locked(struct mem *m)
{
	uint64_t x = m->locked.random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	m->locked.random = x;
	return 1 + __builtin_ctzll(x | 1ull << (2 * (HEIGHT - 1))) / 2;
}

static struct entry *entry_new(int height, struct str partition, struct str key)
{
	size_t links = (size_t)height * sizeof(struct entry *);
	struct entry *e = allocate(sizeof(*e) + links + partition.n + key.n);
	char *bytes = (char *)e + sizeof(*e) + links;

	e->height = height;
	e->partition = copy(bytes, partition);
	e->key = copy(bytes + partition.n, key);
	return e;
}

static void entry_free(struct entry *e)
{
	free((char *)e->value.p);
	free(e);
}

static void set_locked(struct mem *m, struct str partition, struct str key, struct str value)
{
	struct entry **links[HEIGHT], *e = find_locked(m, partition, key, links);

	if (e && entry_cmp(e, partition, key) == 0) {
		free((char *)e->value.p);
	} else {
		e = entry_new(random_height_locked(m), partition, key);
		for (int h = 0; h < e->height; h++) {
			e->next[h] = *links[h];
			*links[h] = e;
		}
	}
	e->value = copy(allocate(value.n), value);
}

static rc mem_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		  struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct mem *m = (struct mem *)kv;
	struct entry *e;

	if (wait == KV_BLOCK)
		pthread_rwlock_rdlock(&m->lock);
	else if (pthread_rwlock_tryrdlock(&m->lock) != 0)
		return err_default(reterr, ERR_WOULD_BLOCK);
	e = get_locked(m, partition, key);
	if (e)
		*ret_value = arena_dup(a, e->value);
	pthread_rwlock_unlock(&m->lock);
	return e ? RC_OK : err_default(reterr, ERR_NOT_FOUND);
}

static rc mem_set(struct kv *kv, struct str partition, struct str key, struct str value,
		  struct err *reterr)
{
	struct mem *m = (struct mem *)kv;

	pthread_rwlock_wrlock(&m->lock);
	set_locked(m, partition, key, value);
	pthread_rwlock_unlock(&m->lock);
	return RC_OK;
}

static bool holds(const struct entry *e, enum kv_cond cond, struct str current)
{
	if (cond == KV_IF_ABSENT)
		return !e;
	return e && (cond == KV_IF_PRESENT || str_eq(e->value, current));
}

static void delete_locked(struct mem *m, struct str partition, struct str key)
{
	struct entry **links[HEIGHT], *e = find_locked(m, partition, key, links);

	if (!e || entry_cmp(e, partition, key) != 0)
		return;
	for (int h = 0; h < e->height; h++)
		*links[h] = e->next[h];
	entry_free(e);
}

static rc mem_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		     enum kv_cond cond, struct str current, struct err *reterr)
{
	struct mem *m = (struct mem *)kv;
	bool ok;

	pthread_rwlock_wrlock(&m->lock);
	ok = holds(get_locked(m, partition, key), cond, current);
	if (ok)
		set_locked(m, partition, key, value);
	pthread_rwlock_unlock(&m->lock);
	return ok ? RC_OK : err_default(reterr, ERR_PREDICATE);
}

static rc mem_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
			  struct str guard_partition, struct str guard_key, struct str guard_value,
			  struct err *reterr)
{
	struct mem *m = (struct mem *)kv;
	bool ok;

	pthread_rwlock_wrlock(&m->lock);
	ok = holds(get_locked(m, guard_partition, guard_key), KV_IF_VALUE, guard_value);
	if (ok)
		set_locked(m, partition, key, value);
	pthread_rwlock_unlock(&m->lock);
	return ok ? RC_OK : err_default(reterr, ERR_PREDICATE);
}

static void mem_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	struct mem *m = (struct mem *)kv;

	pthread_rwlock_wrlock(&m->lock);
	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result) && w[i].has_guard &&
		    !holds(get_locked(m, w[i].guard_partition, w[i].guard_key), KV_IF_VALUE,
			   w[i].guard_value))
			w[i].result = err_default(w[i].err, ERR_PREDICATE);
	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result) && w[i].remove)
			delete_locked(m, w[i].partition, w[i].key);
		else if (rc_ok(w[i].result))
			set_locked(m, w[i].partition, w[i].key, w[i].value);
	pthread_rwlock_unlock(&m->lock);
}

static rc mem_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct mem *m = (struct mem *)kv;

	pthread_rwlock_wrlock(&m->lock);
	delete_locked(m, partition, key);
	pthread_rwlock_unlock(&m->lock);
	return RC_OK;
}

static rc mem_iter_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct mem_iter *it = (struct mem_iter *)base;
	char *to;

	/* `from` may be a part of the entry that was returned last, which lives in `at`. */
	buf_reset(&it->at);
	to = buf_reserve(&it->at, from.n);
	if (from.n)
		memmove(to, from.p, from.n);
	it->at.n = from.n;
	it->past = it->ended = false;
	return RC_OK;
}

static rc mem_iter_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			struct err *reterr)
{
	struct mem_iter *it = (struct mem_iter *)base;
	struct entry *e;

	*ret_end = it->ended;
	if (it->ended)
		return RC_OK;
	pthread_rwlock_rdlock(&it->mem->lock);
	e = find_locked(it->mem, it->partition, buf_str(&it->at), NULL);
	if (e && it->past && entry_cmp(e, it->partition, buf_str(&it->at)) == 0)
		e = e->next[0];
	it->ended = *ret_end = !e || !str_eq(e->partition, it->partition);
	if (!it->ended) {
		buf_reset(&it->at);
		buf_reset(&it->value);
		buf_add(&it->at, e->key);
		buf_add(&it->value, e->value);
		it->past = true;
		*ret = (struct kv_entry){buf_str(&it->at), buf_str(&it->value)};
	}
	pthread_rwlock_unlock(&it->mem->lock);
	assert(!it->at.overflow && !it->value.overflow);
	return RC_OK;
}

static void mem_iter_close(struct kv_iter *base)
{
	struct mem_iter *it = (struct mem_iter *)base;

	buf_deinit(&it->at);
	buf_deinit(&it->value);
	free(it);
}

static const struct kv_iter_ops iter_ops = {
	.seek = mem_iter_seek,
	.next = mem_iter_next,
	.close = mem_iter_close,
};

static rc mem_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		   struct kv_iter **ret, struct err *reterr)
{
	struct mem_iter *it = allocate(sizeof(*it) + partition.n);

	*it = (struct mem_iter){
		.it.ops = &iter_ops,
		.mem = (struct mem *)kv,
		.partition = copy((char *)(it + 1), partition),
		.at = BUF_INIT(SIZE_MAX),
		.value = BUF_INIT(KV_VALUE_MAX),
	};
	*ret = &it->it;
	return mem_iter_seek(*ret, from, reterr);
}

static bool add_all_locked(struct mem *m, struct str partition, struct str prefix, struct kv_moment *to)
{
	struct entry *e = find_locked(m, partition, prefix, NULL);

	for (; e && str_eq(e->partition, partition) && str_starts(e->key, prefix); e = e->next[0])
		if (!kv_moment_add(to, e->key, e->value))
			return false;
	return true;
}

static rc mem_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
			  struct kv_iter **ret, struct err *reterr)
{
	struct mem *m = (struct mem *)kv;
	struct kv_moment *moment = kv_moment_new();
	bool whole = true;

	pthread_rwlock_rdlock(&m->lock);
	for (unsigned i = 0; i < KV_MOMENT_PREFIXES && whole; i++)
		whole = add_all_locked(m, partition, prefix[i], moment);
	pthread_rwlock_unlock(&m->lock);
	if (!whole) {
		kv_moment_free(moment);
		return kv_moment_too_large(reterr);
	}
	*ret = kv_moment_iter(moment);
	return RC_OK;
}

/* Partitions: `at` is one; what comes after it begins at the least name above it, itself and a zero. */
static rc mem_next_partition(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			     struct err *reterr)
{
	struct mem_iter *it = (struct mem_iter *)base;
	struct entry *e;

	*ret_end = it->ended;
	if (it->ended)
		return RC_OK;
	if (it->past)
		buf_add_c(&it->at, 0);
	pthread_rwlock_rdlock(&it->mem->lock);
	e = find_locked(it->mem, buf_str(&it->at), STR(""), NULL);
	it->ended = *ret_end = !e;
	if (e) {
		buf_reset(&it->at);
		buf_add(&it->at, e->partition);
		it->past = true;
		*ret = (struct kv_entry){buf_str(&it->at), STR("")};
	}
	pthread_rwlock_unlock(&it->mem->lock);
	assert(!it->at.overflow);
	return RC_OK;
}

static const struct kv_iter_ops partitions_ops = {
	.seek = mem_iter_seek,
	.next = mem_next_partition,
	.close = mem_iter_close,
};

static rc mem_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	TRY(mem_scan(kv, STR(""), from, 0, ret, reterr));
	(*ret)->ops = &partitions_ops;
	return RC_OK;
}

static void mem_free(struct kv *kv)
{
	struct mem *m = (struct mem *)kv;

	for (struct entry *e = m->locked.first[0], *next; e; e = next) {
		next = e->next[0];
		entry_free(e);
	}
	pthread_rwlock_destroy(&m->lock);
	free(m);
}

static const struct kv_ops ops = {
	.name = "mem",
	.get = mem_get,
	.set = mem_set,
	.set_if = mem_set_if,
	.delete = mem_delete,
	.scan = mem_scan,
	.scan_moment = mem_scan_moment,
	.free = mem_free,
	.set_guarded = mem_set_guarded,
	.write_many = mem_write_many,
	.partitions = mem_partitions,
	.has_nowait = true,
	.sole_owner = true,
};

struct kv *kv_mem_new(void)
{
	struct mem *m = allocate(sizeof(*m));

	*m = (struct mem){.kv.ops = &ops, .locked.random = 0x9e3779b97f4a7c15ull};
	if (pthread_rwlock_init(&m->lock, NULL) != 0)
		abort();
	return &m->kv;
}
