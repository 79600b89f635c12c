/* A filter that fails chosen calls. It adds nothing else: what the driver below can and can't do shows
 * through. */
#include "kv/kv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { CALLS = 7 };

struct fault {
	struct kv kv;
	struct kv_ops ops; /* as `next` has them */
	struct kv *next;
	_Atomic unsigned slow_ms;
	pthread_mutex_t *lock;
	struct {
		uint64_t calls[CALLS];
		unsigned mask;
		uint64_t left; /* calls of the mask until one fails; 0: unarmed */
		enum err_code code;
		bool after;
		uint64_t gets_left; /* until the hook; 0: there is none */
		void (*hook)(void *ud);
		void *ud;
	} locked;
};

struct fault_iter {
	struct kv_iter it;
	struct fault *fault;
	struct kv_iter *next;
};

struct verdict {
	enum err_code code; /* ERR_NONE: let it pass */
	bool after;
};

static void *allocate(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}

static void dawdle(struct fault *f)
{
	unsigned ms = atomic_load(&f->slow_ms);

	if (ms)
		usleep(ms * 1000);
}

static struct verdict judge(struct fault *f, enum kv_call call)
{
	struct verdict v = {ERR_NONE, false};

	pthread_mutex_lock(f->lock);
	f->locked.calls[__builtin_ctz(call)]++;
	if ((f->locked.mask & call) && f->locked.left && --f->locked.left == 0)
		v = (struct verdict){f->locked.code, f->locked.after};
	pthread_mutex_unlock(f->lock);
	return v;
}

static void call_hook(struct fault *f)
{
	void (*hook)(void *ud) = NULL;
	void *ud = NULL;

	pthread_mutex_lock(f->lock);
	if (f->locked.gets_left && --f->locked.gets_left == 0) {
		hook = f->locked.hook;
		ud = f->locked.ud;
	}
	pthread_mutex_unlock(f->lock);
	if (hook)
		hook(ud);
}

/* What the caller sees, given what the driver said (an error of its own comes first). */
static rc sentence(struct verdict v, rc r, struct err *reterr)
{
	if (!rc_ok(r) || v.code == ERR_NONE)
		return r;
	return err_set(reterr, v.code, "a fault was injected (%s)", err_name(v.code));
}

static bool skips(struct verdict v)
{
	return v.code != ERR_NONE && !v.after;
}

static rc fault_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		    struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v;
	rc r = RC_OK;

	if (wait == KV_NOWAIT && atomic_load(&f->slow_ms))
		return RC(WOULD_BLOCK);
	dawdle(f);
	call_hook(f);
	v = judge(f, KV_CALL_GET);
	if (!skips(v))
		r = kv_get(f->next, wait, partition, key, a, ret_value, reterr);
	return sentence(v, r, reterr);
}

static rc fault_set(struct kv *kv, struct str partition, struct str key, struct str value,
		    struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_SET);
	rc r = RC_OK;

	dawdle(f);
	if (!skips(v))
		r = kv_set(f->next, partition, key, value, reterr);
	return sentence(v, r, reterr);
}

static rc fault_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		       enum kv_cond cond, struct str current, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_SET_IF);
	rc r = RC_OK;

	dawdle(f);
	if (!skips(v))
		r = kv_set_if(f->next, partition, key, value, cond, current, reterr);
	return sentence(v, r, reterr);
}

static rc fault_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_DELETE);
	rc r = RC_OK;

	dawdle(f);
	if (!skips(v))
		r = kv_delete(f->next, partition, key, reterr);
	return sentence(v, r, reterr);
}

static rc fault_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
			    struct str guard_partition, struct str guard_key,
			    struct str guard_value, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_GUARDED);
	rc r = RC_OK;

	dawdle(f);
	if (!skips(v))
		r = kv_set_guarded(f->next, partition, key, value, guard_partition, guard_key,
				   guard_value, reterr);
	return sentence(v, r, reterr);
}

static void fault_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v[KV_WRITES_MAX] = {0};

	dawdle(f);
	for (size_t i = 0; i < n; i++) {
		if (!rc_ok(w[i].result))
			continue;
		v[i] = judge(f, w[i].has_guard ? KV_CALL_GUARDED
				: w[i].remove  ? KV_CALL_DELETE
					       : KV_CALL_SET);
		if (skips(v[i]))
			w[i].result = sentence(v[i], RC_OK, w[i].err);
	}
	kv_write_many(f->next, w, n);
	for (size_t i = 0; i < n; i++)
		w[i].result = sentence(v[i], w[i].result, w[i].err);
}

static rc fault_iter_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct fault_iter *it = (struct fault_iter *)base;
	struct verdict v = judge(it->fault, KV_CALL_NEXT);
	rc r = RC_OK;

	if (!skips(v))
		r = kv_iter_seek(it->next, from, reterr);
	return sentence(v, r, reterr);
}

static rc fault_iter_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			  struct err *reterr)
{
	struct fault_iter *it = (struct fault_iter *)base;
	struct verdict v = judge(it->fault, KV_CALL_NEXT);
	rc r = RC_OK;

	if (!skips(v))
		r = kv_iter_next(it->next, ret, ret_end, reterr);
	return sentence(v, r, reterr);
}

static void fault_iter_close(struct kv_iter *base)
{
	struct fault_iter *it = (struct fault_iter *)base;

	kv_iter_close(it->next);
	free(it);
}

static const struct kv_iter_ops iter_ops = {
	.seek = fault_iter_seek,
	.next = fault_iter_next,
	.close = fault_iter_close,
};

/* Takes over what *next is. */
static struct kv_iter *fault_iter_new(struct fault *f, struct kv_iter **next)
{
	struct fault_iter *it = allocate(sizeof(*it));

	*it = (struct fault_iter){.it.ops = &iter_ops, .fault = f, .next = *next};
	*next = NULL;
	return &it->it;
}

static rc give_iter(struct fault *f, struct verdict v, struct kv_iter **next, struct kv_iter **ret, struct err *reterr)
{
	TRY(sentence(v, RC_OK, reterr));
	*ret = fault_iter_new(f, next);
	return RC_OK;
}

static rc fault_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_SCAN);
	CLEANUP(kv_iter_closep) struct kv_iter *next = NULL;

	if (!skips(v))
		TRY(kv_partitions(f->next, from, &next, reterr));
	return give_iter(f, v, &next, ret, reterr);
}

static rc fault_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		     struct kv_iter **ret, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_SCAN);
	CLEANUP(kv_iter_closep) struct kv_iter *next = NULL;

	dawdle(f);
	if (!skips(v))
		TRY(kv_scan(f->next, partition, from, batch, &next, reterr));
	return give_iter(f, v, &next, ret, reterr);
}

static rc fault_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
			    struct kv_iter **ret, struct err *reterr)
{
	struct fault *f = (struct fault *)kv;
	struct verdict v = judge(f, KV_CALL_SCAN);
	CLEANUP(kv_iter_closep) struct kv_iter *next = NULL;

	dawdle(f);
	if (!skips(v))
		TRY(kv_scan_moment(f->next, partition, prefix, &next, reterr));
	return give_iter(f, v, &next, ret, reterr);
}

static void fault_free(struct kv *kv)
{
	struct fault *f = (struct fault *)kv;

	kv_free(f->next);
	pthread_mutex_destroy(f->lock);
	free(f->lock);
	free(f);
}

struct kv *kv_fault_new(struct kv *next)
{
	struct fault *f = allocate(sizeof(*f));

	f->ops = (struct kv_ops){
		.name = "fault",
		.get = fault_get,
		.set = fault_set,
		.set_if = fault_set_if,
		.delete = fault_delete,
		.scan = fault_scan,
		.free = fault_free,
		.set_guarded = kv_has_guarded(next) ? fault_set_guarded : NULL,
		.write_many = fault_write_many,
		.partitions = next->ops->partitions ? fault_partitions : NULL,
		.scan_moment = next->ops->scan_moment ? fault_scan_moment : NULL,
		.has_nowait = next->ops->has_nowait,
		.sole_owner = next->ops->sole_owner,
		.snapshots = next->ops->snapshots,
	};
	f->kv.ops = &f->ops;
	f->next = next;
	f->lock = allocate(sizeof(*f->lock));
	if (pthread_mutex_init(f->lock, NULL) != 0)
		abort();
	return &f->kv;
}

void kv_fault_arm(struct kv *fault, unsigned mask, uint64_t nth, enum err_code code, bool after)
{
	struct fault *f = (struct fault *)fault;

	pthread_mutex_lock(f->lock);
	f->locked.mask = mask;
	f->locked.left = nth;
	f->locked.code = code;
	f->locked.after = after;
	pthread_mutex_unlock(f->lock);
}

void kv_fault_hook(struct kv *fault, uint64_t nth, void (*hook)(void *ud), void *ud)
{
	struct fault *f = (struct fault *)fault;

	pthread_mutex_lock(f->lock);
	f->locked.gets_left = nth;
	f->locked.hook = hook;
	f->locked.ud = ud;
	pthread_mutex_unlock(f->lock);
}

uint64_t kv_fault_calls(const struct kv *fault, unsigned mask)
{
	const struct fault *f = (const struct fault *)fault;
	uint64_t n = 0;

	pthread_mutex_lock(f->lock);
	for (int i = 0; i < CALLS; i++)
		if (mask & 1u << i)
			n += f->locked.calls[i];
	pthread_mutex_unlock(f->lock);
	return n;
}

void kv_fault_slow(struct kv *fault, unsigned ms)
{
	struct fault *f = (struct fault *)fault;

	atomic_store(&f->slow_ms, ms);
}
