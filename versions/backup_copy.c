/* Copies of objects from one namespace to another, on a pool of their own. What fails in the source because it isn't
 * there, or isn't what it should be, is a finding; any other failure ends all. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "versions/backup_priv.h"

enum { FLYING_MAX = 4 * BACKUP_WORKERS, WAIT_MS = 500 };

struct copies {
	struct copies_options o;
	struct work_pool *pool;
	pthread_mutex_t found; /* one finding at a time */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic bool stop;
	struct {
		unsigned flying;
		rc result; /* of the first failure */
		struct err err;
	} locked;
};

struct one {
	struct work work;
	struct copies *of;
	struct arena *a;
	struct copy_what what;
};

struct copies *copies_new(const struct copies_options *o)
{
	struct copies *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->o = *o;
	k->pool = work_pool_new("backup", BACKUP_WORKERS, FLYING_MAX);
	pthread_mutex_init(&k->found, NULL);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->changed, NULL);
	return k;
}

void copies_free(struct copies *k)
{
	if (!k)
		return;
	atomic_store(&k->stop, true);
	work_pool_free(k->pool);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->found);
	free(k);
}

void copies_lock(struct copies *k)
{
	pthread_mutex_lock(&k->found);
}

void copies_unlock(struct copies *k)
{
	pthread_mutex_unlock(&k->found);
}

static void count(struct copies *k, enum backup_count what, uint64_t n)
{
	atomic_fetch_add_explicit(&k->o.counts[what], (int64_t)n, memory_order_relaxed);
}

/* The source as a body: counted, and compared at its end. */

struct source {
	struct body body;
	struct one *one;
	struct object_ptr at;
	struct backend_reader *reader; /* of stores where each read costs a round trip */
	uint64_t done;
	struct digest_set *md5; /* NULL: nothing to compare with */
	rc result;              /* of a failure here, not in the target */
};

static rc read_some(struct source *s, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct backend *b = s->one->of->o.from_store;

	if (atomic_load(&s->one->of->stop))
		return err_default(reterr, ERR_CANCELLED);
	if (s->reader)
		return b->blocking->read_next(s->reader, dst, cap, ret_n, reterr);
	return backend_read_now(b, &s->at, s->done, dst, cap, ret_n, reterr);
}

static rc at_end(struct source *s, struct err *reterr)
{
	const struct copy_what *w = &s->one->what;
	struct str raw;

	if (s->done != w->size)
		return err_set(reterr, ERR_CORRUPT, "it has %llu bytes, not %llu", (unsigned long long)s->done,
			       (unsigned long long)w->size);
	if (s->md5 && hex_decode(s->one->a, w->etag, &raw) && !str_eq(raw, digest_set_value(s->md5, DIGEST_MD5)))
		return err_set(reterr, ERR_CORRUPT, "its MD5 isn't that of its ETag");
	return RC_OK;
}

static enum body_state source_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct source *s = (struct source *)b;

	s->result = read_some(s, dst, cap, ret_n, reterr);
	if (rc_ok(s->result) && *ret_n) {
		s->done += *ret_n;
		if (s->md5)
			digest_set_update(s->md5, dst, *ret_n);
		return BODY_MORE;
	}
	if (rc_ok(s->result))
		s->result = at_end(s, reterr);
	return rc_ok(s->result) ? BODY_END : BODY_FAIL;
}

/* It never waits. */
static void source_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	abort();
}

static const struct body_ops source_ops = {.name = "backup", .pull = source_pull, .arm = source_arm};

/* *ret_source: what failed is the source. */
static rc stream(struct one *j, struct err *err, bool *ret_source)
{
	const struct copies_options *o = &j->of->o;
	struct object_ptr to = repo_pointer(o->to, j->what.key);
	struct backend_put_options put = {.content_type = j->what.content_type.n ? j->what.content_type : STR_NONE};
	struct source s = {.one = j, .at = repo_pointer(o->from, j->what.key)};
	struct backend_stat st;
	rc result = RC_OK;

	if (o->from_store->blocking->open_reader)
		result = o->from_store->blocking->open_reader(o->from_store, &s.at, 0, UINT64_MAX, j->a, &s.reader, &st,
							      err);
	*ret_source = !rc_ok(result);
	if (*ret_source)
		return result;
	if (j->what.etag.n == 32)
		s.md5 = digest_set_new(j->a, 1u << DIGEST_MD5);
	body_init(&s.body, &source_ops, NULL, (int64_t)j->what.size);
	result = backend_put_now(o->to_store, &to, &put, &s.body, j->a, &st, err);
	*ret_source = !rc_ok(s.result);
	if (s.reader)
		o->from_store->blocking->close_reader(s.reader);
	return result;
}

/* By the store: what it copied is as long as what was there. */
static rc copy_in_store(struct one *j, struct err *err, bool *ret_source)
{
	const struct copies_options *o = &j->of->o;
	struct object_ptr from = repo_pointer(o->from, j->what.key), to = repo_pointer(o->to, j->what.key);
	struct backend_stat st;
	rc copied = o->to_store->blocking->copy(o->to_store, &from, &to, j->a, &st, err);

	*ret_source = rc_is(copied, NOT_FOUND);
	if (!rc_ok(copied) || st.size == j->what.size)
		return copied;
	*ret_source = true;
	return err_set(err, ERR_CORRUPT, "it has %llu bytes, not %llu", (unsigned long long)st.size,
		       (unsigned long long)j->what.size);
}

static bool can_copy(const struct copies_options *o)
{
	return o->from_store == o->to_store && (o->to_store->caps & BACKEND_CAP_COPY) && o->to_store->blocking->copy;
}

static rc is_there(struct one *j, struct err *err, bool *ret)
{
	struct object_ptr to = repo_pointer(j->of->o.to, j->what.key);
	struct backend_stat st;
	rc found = backend_head_now(j->of->o.to_store, &to, j->a, &st, err);

	*ret = rc_ok(found) && st.size == j->what.size;
	return rc_is(found, NOT_FOUND) ? RC_OK : found;
}

static void tell(struct one *j, rc why, const struct err *err)
{
	struct copies *k = j->of;
	bool gone = rc_is(why, NOT_FOUND);
	const struct fsck_finding f = {gone ? FSCK_MISSING : FSCK_DAMAGED, j->what.thing, j->what.named_by,
				       gone ? STR("it isn't there") : str_c(err->msg)};

	count(k, BACKUP_MISSING, 1);
	copies_lock(k);
	k->o.found(k->o.ud, &f);
	copies_unlock(k);
}

static rc copy_one(struct one *j, struct err *err)
{
	bool there = false, source = false;
	rc copied;

	if (j->of->o.ask)
		TRY(is_there(j, err, &there));
	if (there) {
		count(j->of, BACKUP_SKIPPED, 1);
		return RC_OK;
	}
	copied = can_copy(&j->of->o) ? copy_in_store(j, err, &source) : stream(j, err, &source);
	if (rc_ok(copied)) {
		count(j->of, BACKUP_NEW, 1);
		count(j->of, BACKUP_NEW_BYTES, j->what.size);
		return RC_OK;
	}
	if (!source || !(rc_is(copied, NOT_FOUND) || rc_is(copied, CORRUPT)))
		return err_wrap(copied, err, "copying " STR_FMT " %s " STR_FMT, STR_ARG(str_head(j->what.key, 100)),
				source ? "out of" : "to",
				STR_ARG(str_head((source ? j->of->o.from : j->of->o.to)->storage_namespace, 100)));
	tell(j, copied, err);
	return RC_OK;
}

static void run(struct work *w)
{
	struct one *j = (struct one *)((char *)w - offsetof(struct one, work));
	struct copies *k = j->of;
	struct err err = {0};
	rc result = atomic_load(&k->stop) ? RC_OK : copy_one(j, &err);

	if (rc_ok(result))
		return;
	pthread_mutex_lock(&k->lock);
	if (!atomic_load(&k->stop) && rc_ok(k->locked.result)) {
		k->locked.result = result;
		k->locked.err = err;
	}
	atomic_store(&k->stop, true);
	pthread_mutex_unlock(&k->lock);
}

static void ran(struct work *w)
{
	struct one *j = (struct one *)((char *)w - offsetof(struct one, work));
	struct copies *k = j->of;

	arena_free(j->a); /* and itself */
	pthread_mutex_lock(&k->lock);
	k->locked.flying--;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->lock);
}

/* With the lock: until fewer than `most` fly, or one has failed. */
static rc wait_locked(struct copies *k, unsigned most, struct progress *p, struct err *reterr)
{
	while (k->locked.flying >= most && rc_ok(k->locked.result)) {
		struct timespec until = clock_in_ms(CLOCK_REALTIME, WAIT_MS);
		rc r;

		if (pthread_cond_timedwait(&k->changed, &k->lock, &until) != ETIMEDOUT || !p)
			continue;
		pthread_mutex_unlock(&k->lock);
		r = p->tick(p, atomic_load(&k->o.counts[BACKUP_OBJECTS]), reterr);
		pthread_mutex_lock(&k->lock);
		TRY(r);
	}
	if (!rc_ok(k->locked.result) && reterr)
		*reterr = k->locked.err;
	return k->locked.result;
}

static struct one *one_new(struct copies *k, const struct copy_what *what)
{
	struct arena *a = arena_new();
	struct one *j = ARENA_NEW(a, struct one);

	*j = (struct one){
		.work = {.run = run, .done = ran},
		.of = k,
		.a = a,
		.what = {arena_dup(a, what->key), what->size, arena_dup(a, what->etag), arena_dup(a, what->content_type),
			 arena_dup(a, what->thing), arena_dup(a, what->named_by)},
	};
	return j;
}

rc copies_add(struct copies *k, const struct copy_what *what, struct progress *p, struct err *reterr)
{
	struct one *j;
	rc room;

	pthread_mutex_lock(&k->lock);
	room = wait_locked(k, FLYING_MAX, p, reterr);
	k->locked.flying += rc_ok(room);
	pthread_mutex_unlock(&k->lock);
	TRY(room);
	j = one_new(k, what);
	if (!work_submit(k->pool, &j->work)) { /* more are done than have said so */
		run(&j->work);
		ran(&j->work);
	}
	return RC_OK;
}

rc copies_wait(struct copies *k, struct progress *p, struct err *reterr)
{
	rc result;

	pthread_mutex_lock(&k->lock);
	result = wait_locked(k, 1, p, reterr);
	pthread_mutex_unlock(&k->lock);
	return result;
}
