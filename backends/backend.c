#include "backends/backend.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "backends/impl.h"
#include "base/log.h"

enum { PRESIGNED_S = 15 * 60 };

void backend_init(struct backend *b, const char *type, struct str id, struct work_pool *pool,
		  const struct backend_blocking_ops *ops)
{
	b->type = type;
	b->id = id;
	b->pool = pool;
	b->blocking = ops;
	b->presign = backend_no_presign;
	b->presigning.life_s = PRESIGNED_S;
	atomic_init(&b->refs, 1);
	atomic_init(&b->orphans, NULL);
}

void backend_ref(struct backend *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

/* Ending. */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned locked; /* stores that threads are ending */
} ending = {.lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER};

static void end(struct backend *b)
{
	backend_reap(b);
	b->free(b);
}

static void ending_changed(int by)
{
	pthread_mutex_lock(&ending.lock);
	ending.locked += (unsigned)by;
	if (!ending.locked)
		pthread_cond_broadcast(&ending.idle);
	pthread_mutex_unlock(&ending.lock);
}

static void *end_thread(void *b)
{
	end(b);
	ending_changed(-1);
	return NULL;
}

static void end_elsewhere(struct backend *b)
{
	pthread_attr_t detached;
	pthread_t thread;

	ending_changed(1);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, end_thread, b)) {
		log_event(LOG_ERROR, "stores", "no thread to close a store with: it stays open",
			  F_STR("store", b->id));
		ending_changed(-1);
	}
	pthread_attr_destroy(&detached);
}

void backend_settle(void)
{
	pthread_mutex_lock(&ending.lock);
	while (ending.locked)
		pthread_cond_wait(&ending.idle, &ending.lock);
	pthread_mutex_unlock(&ending.lock);
}

void backend_unref(struct backend *b)
{
	if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	/* A worker can't wait for its own end, a loop for nobody's. */
	if (on_loop() || (b->own_pool && work_pool_current() == b->pool))
		end_elsewhere(b);
	else
		end(b);
}

void backend_free(struct backend *b)
{
	if (b)
		backend_unref(b);
}

void backend_orphan(struct backend *b, struct backend_writer *w)
{
	w->next_orphan = atomic_load(&b->orphans);
	while (!atomic_compare_exchange_weak(&b->orphans, &w->next_orphan, w))
		;
}

void backend_reap(struct backend *b)
{
	struct backend_writer *w;

	if (!atomic_load_explicit(&b->orphans, memory_order_relaxed))
		return;
	w = atomic_exchange(&b->orphans, NULL);
	while (w) {
		struct backend_writer *next = w->next_orphan;

		b->blocking->abort(w);
		w = next;
	}
}

/* Jobs. */

static void job_cancel(struct backend_op *op)
{
	struct job *j = op->impl;

	if (j->submitted)
		work_cancel(&op->work);
}

static void job_run(struct work *w)
{
	struct backend_op *op = CONTAINER(w, struct backend_op, work);
	struct job *j = op->impl;

	j->ran = true;
	backend_reap(j->b);
	op->result = j->call(j->b, op);
}

static void job_done(struct work *w)
{
	struct backend_op *op = CONTAINER(w, struct backend_op, work);
	struct job *j = op->impl;

	if (!j->ran)
		op->result = err_default(&op->err, ERR_CANCELLED);
	job_finish(j);
}

void *job_new(struct backend *b, struct backend_op *op, size_t size)
{
	struct job *j = arena_zalloc(op->a, size);

	assert(op->done && op->home);
	backend_ref(b);
	j->flight.cancel = job_cancel;
	j->b = b;
	j->op = op;
	op->impl = j;
	op->result = RC_OK;
	op->cancelled = false;
	op->got = NULL;
	op->work = (struct work){.run = job_run, .done = job_done, .home = op->home};
	return j;
}

bool job_submit(struct job *j)
{
	j->ran = false;
	j->submitted = work_submit(j->b->pool, &j->op->work);
	return j->submitted;
}

void job_post(struct job *j, void (*deliver)(struct mail *m))
{
	j->mail.deliver = deliver;
	mailbox_post(j->op->home, &j->mail);
}

void job_finish(struct job *j)
{
	struct backend_op *op = j->op;

	op->impl = NULL;
	backend_unref(j->b);
	op->done(op);
}

static void job_refused(struct mail *m)
{
	job_finish(CONTAINER(m, struct job, mail));
}

rc backend_busy(const struct backend *b, struct err *reterr)
{
	return err_set(reterr, ERR_SlowDown,
		       "the workers of store \"" STR_FMT "\" (%s) have too much to do; try again",
		       STR_ARG(b->id), b->type);
}

void job_refuse(struct job *j, rc why)
{
	j->op->result = why;
	job_post(j, job_refused);
}

void job_begin(struct job *j)
{
	rc admitted = backend_admit(j->b, &j->op->err);

	if (!rc_ok(admitted))
		job_refuse(j, admitted);
	else if (!job_submit(j))
		job_refuse(j, backend_busy(j->b, &j->op->err));
}

static void start_as(struct backend *b, struct backend_op *op, bool begun,
		     rc (*call)(struct backend *b, struct backend_op *op))
{
	struct job *j = job_new(b, op, sizeof(*j));

	j->call = call;
	op->work.begun = begun;
	job_begin(j);
}

static void start(struct backend *b, struct backend_op *op,
		  rc (*call)(struct backend *b, struct backend_op *op))
{
	start_as(b, op, false, call);
}

/* What ends something that was begun. */
static void start_end(struct backend *b, struct backend_op *op,
		      rc (*call)(struct backend *b, struct backend_op *op))
{
	start_as(b, op, true, call);
}

/* The calls, as jobs. */

static rc unsupported(struct backend *b, struct err *reterr)
{
	return err_set(reterr, ERR_UNSUPPORTED, "store \"" STR_FMT "\" (%s) can't do this",
		       STR_ARG(b->id), b->type);
}

static rc call_head(struct backend *b, struct backend_op *op)
{
	return backend_head_now(b, &op->from, op->a, &op->stat, &op->err);
}

static rc call_remove(struct backend *b, struct backend_op *op)
{
	return backend_remove_now(b, &op->to, &op->err);
}

static rc call_copy(struct backend *b, struct backend_op *op)
{
	if (!b->blocking->copy)
		return unsupported(b, &op->err);
	return b->blocking->copy(b, &op->from, &op->to, op->a, &op->stat, &op->err);
}

static rc call_mpu_create(struct backend *b, struct backend_op *op)
{
	if (!b->blocking->mpu_create)
		return unsupported(b, &op->err);
	return b->blocking->mpu_create(b, &op->to, &op->put, op->a, &op->upload_id, &op->err);
}

static rc call_mpu_complete(struct backend *b, struct backend_op *op)
{
	if (!b->blocking->mpu_complete)
		return unsupported(b, &op->err);
	return b->blocking->mpu_complete(b, &op->to, op->upload_id, op->parts, op->parts_n, op->a,
					 &op->stat, &op->err);
}

static rc call_mpu_abort(struct backend *b, struct backend_op *op)
{
	if (!b->blocking->mpu_abort)
		return unsupported(b, &op->err);
	return b->blocking->mpu_abort(b, &op->to, op->upload_id, &op->err);
}

/* Asynchronous calls. */

void backend_put(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->put(b, op);
	else
		backend_derived_put(b, op, false);
}

void backend_mpu_put_part(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->mpu_put_part(b, op);
	else
		backend_derived_put(b, op, true);
}

void backend_get(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->get(b, op);
	else
		backend_derived_get(b, op);
}

void backend_head(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->head(b, op);
	else
		start(b, op, call_head);
}

void backend_remove(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->remove(b, op);
	else
		start_end(b, op, call_remove);
}

void backend_copy(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->copy(b, op);
	else
		start(b, op, call_copy);
}

void backend_mpu_create(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->mpu_create(b, op);
	else
		start(b, op, call_mpu_create);
}

void backend_mpu_complete(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->mpu_complete(b, op);
	else
		start_end(b, op, call_mpu_complete);
}

void backend_mpu_abort(struct backend *b, struct backend_op *op)
{
	if (b->async)
		b->async->mpu_abort(b, op);
	else
		start_end(b, op, call_mpu_abort);
}

void backend_cancel(struct backend_op *op)
{
	struct backend_flight *f = op->impl;

	if (!f || op->cancelled)
		return;
	op->cancelled = true;
	f->cancel(op);
}

/* Blocking calls. */

static rc pour(struct backend *b, struct backend_writer *w, struct body *body, struct err *reterr)
{
	char chunk[64 * 1024];

	for (;;) {
		size_t n = 0;
		enum body_state s = body_pull(body, chunk, sizeof(chunk), &n, reterr);

		assert(s != BODY_WAIT);
		if (s == BODY_END)
			return RC_OK;
		if (s == BODY_FAIL)
			return (rc){reterr->code};
		TRY(b->blocking->write(w, chunk, n, reterr));
	}
}

void backend_size_from(struct backend_put_options *o, const struct body *body)
{
	o->sized = body->length >= 0;
	o->size = o->sized ? (uint64_t)body->length : 0;
}

rc backend_write_now(struct backend *b, const struct object_ptr *to,
		     const struct backend_put_options *o, struct body *body,
		     struct backend_writer **ret, struct err *reterr)
{
	struct backend_put_options sized = o ? *o : (struct backend_put_options){0};
	struct backend_writer *w;
	struct err own = {0};
	struct err *e = reterr ? reterr : &own;
	rc r;

	assert(!on_loop());
	if (!b->blocking)
		return unsupported(b, reterr);
	backend_size_from(&sized, body);
	TRY(b->blocking->open_writer(b, to, &sized, &w, e));
	r = pour(b, w, body, e);
	if (rc_ok(r))
		*ret = w;
	else
		b->blocking->abort(w);
	return r;
}

void backend_commit_now(struct backend *b, struct backend_commit *c, size_t n)
{
	assert(!on_loop());
	for (size_t i = 0; i < n; i++)
		assert(c[i].writer->b == b);
	if (b->blocking->commit_many) {
		b->blocking->commit_many(b, c, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		c[i].result = b->blocking->commit(c[i].writer, c[i].a, &c[i].stat, c[i].err);
}

bool backend_commit_many_pays(struct backend *b)
{
	return b->blocking && (!b->blocking->commit_many_pays || b->blocking->commit_many_pays(b));
}

void backend_abort_now(struct backend *b, struct backend_writer *w)
{
	assert(!on_loop() && w->b == b);
	b->blocking->abort(w);
}

rc backend_put_now(struct backend *b, const struct object_ptr *to,
		   const struct backend_put_options *o, struct body *body, struct arena *a,
		   struct backend_stat *ret, struct err *reterr)
{
	struct backend_writer *w;

	TRY(backend_write_now(b, to, o, body, &w, reterr));
	return b->blocking->commit(w, a, ret, reterr);
}

rc backend_read_now(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		    size_t n, size_t *ret_n, struct err *reterr)
{
	assert(!on_loop());
	if (!b->blocking)
		return unsupported(b, reterr);
	return b->blocking->read(b, p, offset, dst, n, ret_n, reterr);
}

rc backend_head_now(struct backend *b, const struct object_ptr *p, struct arena *a,
		    struct backend_stat *ret, struct err *reterr)
{
	assert(!on_loop());
	if (!b->blocking)
		return unsupported(b, reterr);
	return b->blocking->head(b, p, a, ret, reterr);
}

rc backend_remove_now(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	assert(!on_loop());
	if (!b->blocking)
		return unsupported(b, reterr);
	return b->blocking->remove(b, p, reterr);
}

rc backend_admit(struct backend *b, struct err *reterr)
{
	return b->admit ? b->admit(b, reterr) : RC_OK;
}

void backend_health(struct backend *b, struct backend_health *ret)
{
	*ret = (struct backend_health){0};
	if (b->health)
		b->health(b, ret);
}

rc backend_no_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		      struct arena *a, struct backend_presigned *ret, struct err *reterr)
{
	return err_set(reterr, ERR_UNSUPPORTED,
		       "store \"" STR_FMT "\" (%s) has no presigned addresses", STR_ARG(b->id),
		       b->type);
}
