#include "kv/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "kv/marks.h"

enum { WHY_MAX = 400, DRAIN_POLL_MS = 10 };

struct gate {
	struct kv kv;
	struct kv_ops ops; /* as `next` has them */
	struct kv *next;
	struct str key; /* of the heartbeat; in `a` */
	struct str about;
	struct arena *a;
	int64_t beat_ms, lease_ms, sweep_ms;
	_Atomic uint64_t writing;  /* writes under way */
	_Atomic bool closed;
	_Atomic int64_t good_until_ms; /* the lease's end */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct {
		bool stop;
		char why[WHY_MAX]; /* why it is closed; "" */
	} locked;
	/* the thread's alone */
	uint64_t beats;
	char frozen[64]; /* the freeze that is kept to */
	struct arena *seen_arena; /* what the last sweep saw */
	struct kv_writer *seen;
	size_t seen_n;
	int64_t swept_ms;
};

/* Writes. */

static rc refuse(struct gate *g, struct err *reterr)
{
	char why[WHY_MAX];

	pthread_mutex_lock(&g->lock);
	memcpy(why, g->locked.why, sizeof(why));
	pthread_mutex_unlock(&g->lock);
	if (!why[0])
		return err_set(reterr, ERR_ServiceUnavailable,
			       "this server can't reach its database for some seconds and doesn't write until "
			       "it can");
	return err_set(reterr, ERR_ServiceUnavailable, "%s", why);
}

static void leave(struct gate *g)
{
	atomic_fetch_sub(&g->writing, 1);
}

/* Counted first, looked at then; the thread does it the other way round. */
static rc enter(struct gate *g, struct err *reterr)
{
	atomic_fetch_add(&g->writing, 1);
	if (!atomic_load(&g->closed) && mono_ms() < atomic_load(&g->good_until_ms))
		return RC_OK;
	leave(g);
	return refuse(g, reterr);
}

static rc gate_set(struct kv *kv, struct str partition, struct str key, struct str value, struct err *reterr)
{
	struct gate *g = (struct gate *)kv;
	rc r;

	TRY(enter(g, reterr));
	r = g->next->ops->set(g->next, partition, key, value, reterr);
	leave(g);
	return r;
}

static rc gate_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		      enum kv_cond cond, struct str current, struct err *reterr)
{
	struct gate *g = (struct gate *)kv;
	rc r;

	TRY(enter(g, reterr));
	r = g->next->ops->set_if(g->next, partition, key, value, cond, current, reterr);
	leave(g);
	return r;
}

static rc gate_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct gate *g = (struct gate *)kv;
	rc r;

	TRY(enter(g, reterr));
	r = g->next->ops->delete(g->next, partition, key, reterr);
	leave(g);
	return r;
}

static rc gate_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
			   struct str guard_partition, struct str guard_key, struct str guard_value,
			   struct err *reterr)
{
	struct gate *g = (struct gate *)kv;
	rc r;

	TRY(enter(g, reterr));
	r = g->next->ops->set_guarded(g->next, partition, key, value, guard_partition, guard_key,
				      guard_value, reterr);
	leave(g);
	return r;
}

static void refuse_all(struct kv_write *w, size_t n, const struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result))
			w[i].result = err_set(w[i].err, err->code, "%s", err->msg);
}

static void gate_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	struct gate *g = (struct gate *)kv;
	struct err err;

	if (rc_ok(enter(g, &err))) {
		g->next->ops->write_many(g->next, w, n);
		leave(g);
		return;
	}
	refuse_all(w, n, &err);
}

static void gate_write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r,
				 size_t m)
{
	struct gate *g = (struct gate *)kv;
	struct kv *next = g->next;
	struct err err;

	if (rc_ok(enter(g, &err))) {
		next->ops->write_then_read(next, w, n, r, m);
		leave(g);
		return;
	}
	refuse_all(w, n, &err);
	for (size_t i = 0; i < m; i++)
		r[i].result = next->ops->get(next, KV_BLOCK, r[i].partition, r[i].key, r[i].a,
					     &r[i].value, r[i].err);
}

/* Reads. */

static rc gate_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key, struct arena *a,
		   struct str *ret_value, struct err *reterr)
{
	struct kv *next = ((struct gate *)kv)->next;

	return next->ops->get(next, wait, partition, key, a, ret_value, reterr);
}

static rc gate_scan(struct kv *kv, struct str partition, struct str from, size_t batch, struct kv_iter **ret,
		    struct err *reterr)
{
	struct kv *next = ((struct gate *)kv)->next;

	return next->ops->scan(next, partition, from, batch, ret, reterr);
}

static rc gate_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	struct kv *next = ((struct gate *)kv)->next;

	return next->ops->partitions(next, from, ret, reterr);
}

/* The heartbeat. */

static void open_gate(struct gate *g)
{
	g->frozen[0] = 0;
	pthread_mutex_lock(&g->lock);
	g->locked.why[0] = 0;
	pthread_mutex_unlock(&g->lock);
	if (atomic_exchange(&g->closed, false))
		log_event(LOG_INFO, "kv", "the database may be written to again");
}

/* What is closed is known to be before `frozen` says so: the writes under way have ended, too. */
static void close_gate(struct gate *g, struct str id, struct str why)
{
	int64_t until = mono_ms() + g->beat_ms;

	pthread_mutex_lock(&g->lock);
	snprintf(g->locked.why, sizeof(g->locked.why), STR_FMT, STR_ARG(str_head(why, WHY_MAX - 1)));
	pthread_mutex_unlock(&g->lock);
	if (!atomic_exchange(&g->closed, true))
		log_event(LOG_WARN, "kv", "the database is read-only for now", F_STR("why", why));
	while (atomic_load(&g->writing) && mono_ms() < until)
		nanosleep(&(struct timespec){.tv_nsec = DRAIN_POLL_MS * 1000000}, NULL);
	if (!atomic_load(&g->writing))
		snprintf(g->frozen, sizeof(g->frozen), STR_FMT, STR_ARG(str_head(id, sizeof(g->frozen) - 1)));
}

static rc put_beat(struct gate *g, struct arena *a, struct err *reterr)
{
	const struct kv_writer w = {
		.beats = ++g->beats, .frozen = str_c(g->frozen), .about = g->about};

	return g->next->ops->set(g->next, KV_MARKS, g->key, kv_writer_encode(&w, a), reterr);
}

/* The heartbeat comes before the look: whoever freezes or fills puts the mark first, then looks for heartbeats. */
static rc beat(struct gate *g, struct arena *a, struct err *reterr)
{
	int64_t begun = mono_ms();
	struct kv_freeze f;
	struct err filled = {};
	rc r;

	TRY(put_beat(g, a, reterr));
	TRY(kv_freeze_get(g->next, a, &f, reterr));
	r = kv_check_incoming(g->next, &filled);
	if (!rc_ok(r) && !rc_is(r, CONFIG)) {
		if (reterr)
			*reterr = filled;
		return r;
	}
	if (!rc_ok(r)) {
		close_gate(g, STR("incoming"), str_c(filled.msg));
	} else if (f.id.p && !str_eq(f.id, str_c(g->frozen))) {
		close_gate(g, f.id, f.why.n ? f.why : STR("the database is frozen for now"));
		TRY(put_beat(g, a, reterr)); /* the answer that is waited for */
	} else if (!f.id.p && atomic_load(&g->closed)) {
		open_gate(g);
	}
	atomic_store(&g->good_until_ms, begun + g->lease_ms);
	return RC_OK;
}

/* Those that stand where the last sweep saw them. */
static rc remove_dead(struct gate *g, const struct kv_writer *now, size_t n, struct err *reterr)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < g->seen_n; k++)
			if (str_eq(now[i].key, g->seen[k].key) && now[i].beats == g->seen[k].beats)
				TRY(g->next->ops->delete(g->next, KV_MARKS, now[i].key, reterr));
	return RC_OK;
}

static rc sweep(struct gate *g, struct err *reterr)
{
	struct arena *a;
	struct kv_writer *now;
	size_t n;
	rc r;

	if (mono_ms() - g->swept_ms < g->sweep_ms)
		return RC_OK;
	a = arena_new();
	r = kv_writers_list(g->next, a, &now, &n, reterr);
	if (rc_ok(r) || rc_is(r, UNSUPPORTED)) /* too many: the first of them, then */
		r = remove_dead(g, now, n, reterr);
	arena_free(g->seen_arena);
	g->seen_arena = a;
	g->seen = now;
	g->seen_n = n;
	g->swept_ms = mono_ms();
	return r;
}

static bool wait_a_beat(struct gate *g)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, g->beat_ms);
	bool stop;

	pthread_mutex_lock(&g->lock);
	while (!g->locked.stop && pthread_cond_timedwait(&g->wake, &g->lock, &until) != ETIMEDOUT)
		;
	stop = g->locked.stop;
	pthread_mutex_unlock(&g->lock);
	return !stop;
}

static void *run(void *ud)
{
	struct gate *g = ud;

	while (wait_a_beat(g)) {
		struct arena *a = arena_new();
		struct err err = {};

		if (!rc_ok(beat(g, a, &err)) || !rc_ok(sweep(g, &err)))
			log_event(LOG_WARN, "kv", "the heartbeat in the database failed",
				  F_CSTR("error", err.msg));
		arena_free(a);
	}
	return NULL;
}

static void gate_destroy(struct gate *g)
{
	pthread_cond_destroy(&g->wake);
	pthread_mutex_destroy(&g->lock);
	arena_free(g->seen_arena);
	arena_free(g->a);
	free(g);
}

static void gate_free(struct kv *kv)
{
	struct gate *g = (struct gate *)kv;

	pthread_mutex_lock(&g->lock);
	g->locked.stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	/* If it stays, it is taken for a dead one after a while. */
	IGNORE_RC(g->next->ops->delete(g->next, KV_MARKS, g->key, NULL));
	kv_free(g->next);
	gate_destroy(g);
}

static void ops_init(struct gate *g)
{
	const struct kv_ops *next = g->next->ops;

	g->ops = *next;
	g->ops.get = gate_get;
	g->ops.set = gate_set;
	g->ops.set_if = gate_set_if;
	g->ops.delete = gate_delete;
	g->ops.scan = gate_scan;
	g->ops.free = gate_free;
	g->ops.set_guarded = next->set_guarded ? gate_set_guarded : NULL;
	g->ops.write_many = next->write_many ? gate_write_many : NULL;
	g->ops.write_then_read = next->write_then_read ? gate_write_then_read : NULL;
	g->ops.partitions = next->partitions ? gate_partitions : NULL;
	g->kv.ops = &g->ops;
}

static struct gate *gate_new(struct kv *next, const struct kv_gate_options *o)
{
	struct gate *g = calloc(1, sizeof(*g));
	char id[XID_CHARS + 1];
	pthread_condattr_t attr;

	if (!g)
		abort();
	g->next = next;
	g->a = arena_new();
	g->beat_ms = o->beat_ms ? o->beat_ms : KV_BEAT_MS;
	g->lease_ms = o->lease_ms ? o->lease_ms : KV_LEASE_MS;
	g->sweep_ms = o->sweep_ms ? o->sweep_ms : KV_SWEEP_MS;
	g->swept_ms = mono_ms();
	xid_now(id);
	g->key = arena_join(g->a, (struct str[]){KV_WRITERS_PREFIX, str_c(id)}, 2);
	g->about = arena_dup(g->a, o->about);
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->wake, &attr);
	pthread_condattr_destroy(&attr);
	ops_init(g);
	return g;
}

static rc first_beat(struct gate *g, struct err *reterr)
{
	TRY(beat(g, g->a, reterr));
	return kv_check_incoming(g->next, reterr);
}

rc kv_gate_open(struct kv *next, const struct kv_gate_options *o, struct kv **ret, struct err *reterr)
{
	struct gate *g = gate_new(next, o);
	rc r = first_beat(g, reterr);

	if (!rc_ok(r)) {
		IGNORE_RC(next->ops->delete(next, KV_MARKS, g->key, NULL)); /* as in gate_free */
		gate_destroy(g);
		return r;
	}
	if (pthread_create(&g->thread, NULL, run, g) != 0)
		abort();
	pthread_setname_np(g->thread, "kv-gate");
	*ret = &g->kv;
	return RC_OK;
}
