/* A filter that fails one chosen call: for sweeps ("fail the nth until all passes untouched"). */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/impl.h"

struct fault {
	struct backend b;
	struct backend *next;
	struct backend_blocking_ops ops; /* next's, less what it lacks */
	pthread_mutex_t lock;
	struct {
		unsigned mask;
		uint64_t left; /* 0: disarmed */
		enum err_code code;
		bool after, fired;
	} locked;
};

struct fault_writer {
	struct backend_writer base;
	struct fault *f;
	struct backend_writer *next;
	enum backend_call call;
};

enum verdict { PASS, FAIL_BEFORE, FAIL_AFTER };

static struct fault *of(struct backend *b)
{
	return CONTAINER(b, struct fault, b);
}

static enum verdict judge(struct fault *f, enum backend_call call, enum err_code *ret_code)
{
	enum verdict v = PASS;

	pthread_mutex_lock(&f->lock);
	if (f->locked.left && (f->locked.mask & call) && --f->locked.left == 0) {
		f->locked.fired = true;
		*ret_code = f->locked.code;
		v = f->locked.after ? FAIL_AFTER : FAIL_BEFORE;
	}
	pthread_mutex_unlock(&f->lock);
	return v;
}

static rc broken(enum err_code code, struct err *reterr)
{
	return err_set(reterr, code, "a fault was injected");
}

/* Answers with call_expr's result unless this is the call to fail. */
#define GUARDED(f, kind, call_expr, reterr)                                                        \
	({                                                                                         \
		enum err_code code_ = ERR_IO;                                                      \
		enum verdict v_ = judge(f, kind, &code_);                                          \
		rc r_ = v_ == FAIL_BEFORE ? broken(code_, reterr) : (call_expr);                   \
		v_ == FAIL_AFTER && rc_ok(r_) ? broken(code_, reterr) : r_;                        \
	})

static rc wrap(struct fault *f, enum backend_call call, rc opened, struct backend_writer *next,
	       struct backend_writer **ret)
{
	struct fault_writer *w;

	if (!rc_ok(opened)) {
		if (next)
			f->next->blocking->abort(next);
		return opened;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->base.b = &f->b;
	w->f = f;
	w->next = next;
	w->call = call;
	*ret = &w->base;
	return RC_OK;
}

static rc fault_open_writer(struct backend *b, const struct object_ptr *to,
			    const struct backend_put_options *o, struct backend_writer **ret,
			    struct err *reterr)
{
	struct fault *f = of(b);
	struct backend_writer *next = NULL;
	rc r = GUARDED(f, BACKEND_CALL_PUT,
		       f->next->blocking->open_writer(f->next, to, o, &next, reterr), reterr);

	return wrap(f, BACKEND_CALL_PUT, r, next, ret);
}

static rc fault_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
			      unsigned number, const struct backend_put_options *o,
			    struct backend_writer **ret, struct err *reterr)
{
	struct fault *f = of(b);
	struct backend_writer *next = NULL;
	rc r = GUARDED(
		f, BACKEND_CALL_MPU,
		f->next->blocking->mpu_open_part(f->next, to, upload_id, number, o, &next,
						 reterr),
		reterr);

	return wrap(f, BACKEND_CALL_MPU, r, next, ret);
}

static rc fault_write(struct backend_writer *base, const void *p, size_t n, struct err *reterr)
{
	struct fault_writer *w = CONTAINER(base, struct fault_writer, base);

	return GUARDED(w->f, w->call, w->f->next->blocking->write(w->next, p, n, reterr), reterr);
}

static void fault_abort(struct backend_writer *base)
{
	struct fault_writer *w = CONTAINER(base, struct fault_writer, base);

	if (w->next)
		w->f->next->blocking->abort(w->next);
	free(w);
}

static rc commit_next(struct fault_writer *w, struct arena *a, struct backend_stat *ret,
		      struct err *reterr)
{
	struct backend_writer *next = w->next;

	w->next = NULL;
	return w->f->next->blocking->commit(next, a, ret, reterr);
}

static rc fault_commit(struct backend_writer *base, struct arena *a, struct backend_stat *ret,
		       struct err *reterr)
{
	struct fault_writer *w = CONTAINER(base, struct fault_writer, base);
	rc r = GUARDED(w->f, w->call, commit_next(w, a, ret, reterr), reterr);

	fault_abort(base);
	return r;
}

/* Each of them is a call. */
static void fault_commit_many(struct backend *b, struct backend_commit *c, size_t n)
{
	struct fault *f = of(b);
	struct backend_commit *next = calloc(n, sizeof(*next));
	struct {
		enum verdict v;
		enum err_code code;
	} *given = calloc(n, sizeof(*given));
	size_t passed = 0;

	if (n && (!next || !given))
		abort();
	for (size_t i = 0; i < n; i++) {
		struct fault_writer *w = CONTAINER(c[i].writer, struct fault_writer, base);

		given[i].v = judge(f, w->call, &given[i].code);
		if (given[i].v == FAIL_BEFORE)
			continue;
		next[passed] = c[i];
		next[passed++].writer = w->next;
		w->next = NULL;
	}
	backend_commit_now(f->next, next, passed);
	passed = 0;
	for (size_t i = 0; i < n; i++) {
		fault_abort(c[i].writer);
		c[i].result = RC_OK;
		if (given[i].v != FAIL_BEFORE) {
			c[i].stat = next[passed].stat;
			c[i].result = next[passed++].result;
		}
		if (given[i].v != PASS && rc_ok(c[i].result))
			c[i].result = broken(given[i].code, c[i].err);
	}
	free(next);
	free(given);
}

static bool fault_commit_many_pays(struct backend *b)
{
	return backend_commit_many_pays(of(b)->next);
}

static rc fault_read(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		     size_t n, size_t *ret_n, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_GET,
		       next->blocking->read(next, p, offset, dst, n, ret_n, reterr), reterr);
}

static rc close_failed(rc r, int *fd)
{
	if (!rc_ok(r) && *fd >= 0)
		close(*fd);
	return r;
}

static rc fault_open_file(struct backend *b, const struct object_ptr *p, int *ret_fd,
			  struct backend_stat *ret, struct err *reterr)
{
	struct backend *next = of(b)->next;

	*ret_fd = -1;
	return close_failed(GUARDED(of(b), BACKEND_CALL_GET,
				    next->blocking->open_file(next, p, ret_fd, ret, reterr),
				    reterr),
			    ret_fd);
}

static rc fault_open_file_nowait(struct backend *b, const struct object_ptr *p, int *ret_fd,
				 struct backend_stat *ret, struct err *reterr)
{
	struct backend *next = of(b)->next;

	*ret_fd = -1;
	return close_failed(GUARDED(of(b), BACKEND_CALL_GET,
				    next->blocking->open_file_nowait(next, p, ret_fd, ret, reterr),
				    reterr),
			    ret_fd);
}

static rc fault_head(struct backend *b, const struct object_ptr *p, struct arena *a,
		     struct backend_stat *ret, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_GET, next->blocking->head(next, p, a, ret, reterr),
		       reterr);
}

static rc fault_remove(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_REMOVE, next->blocking->remove(next, p, reterr),
		       reterr);
}

static rc fault_list(struct backend *b, struct str space, struct str prefix, struct str after,
		     size_t max, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
		     bool *ret_more, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_GET,
		       next->blocking->list(next, space, prefix, after, max, a, ret, ret_n,
					    ret_more, reterr),
		       reterr);
}

static rc fault_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		     struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_PUT,
		       next->blocking->copy(next, from, to, a, ret, reterr), reterr);
}

static rc fault_mpu_create(struct backend *b, const struct object_ptr *to,
			   const struct backend_put_options *o, struct arena *a,
			   struct str *ret_upload_id, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_MPU,
		       next->blocking->mpu_create(next, to, o, a, ret_upload_id, reterr), reterr);
}

static rc fault_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
			     const struct backend_part *parts, size_t n, struct arena *a,
			     struct backend_stat *ret, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_MPU,
		       next->blocking->mpu_complete(next, to, upload_id, parts, n, a, ret, reterr),
		       reterr);
}

static rc fault_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
			  struct err *reterr)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_MPU,
		       next->blocking->mpu_abort(next, to, upload_id, reterr), reterr);
}

static rc fault_sweep(struct backend *b, struct backend_sweep *s)
{
	struct backend *next = of(b)->next;

	return GUARDED(of(b), BACKEND_CALL_SWEEP, next->blocking->sweep(next, s), s->err);
}

static const struct backend_blocking_ops fault_ops = {
	.open_writer = fault_open_writer,
	.write = fault_write,
	.commit = fault_commit,
	.commit_many = fault_commit_many,
	.commit_many_pays = fault_commit_many_pays,
	.abort = fault_abort,
	.read = fault_read,
	.open_file = fault_open_file,
	.open_file_nowait = fault_open_file_nowait,
	.head = fault_head,
	.remove = fault_remove,
	.list = fault_list,
	.copy = fault_copy,
	.mpu_create = fault_mpu_create,
	.mpu_open_part = fault_mpu_open_part,
	.mpu_complete = fault_mpu_complete,
	.mpu_abort = fault_mpu_abort,
	.sweep = fault_sweep,
};

static rc fault_check_space(struct backend *b, struct str space, struct err *reterr)
{
	return of(b)->next->check_space(of(b)->next, space, reterr);
}

static rc fault_presign(struct backend *b, const struct object_ptr *p, struct str method,
			int64_t expires_s, struct arena *a, struct str *ret_url, struct err *reterr)
{
	struct backend *next = of(b)->next;

	return next->presign(next, p, method, expires_s, a, ret_url, reterr);
}

static void fault_free(struct backend *b)
{
	struct fault *f = of(b);

	backend_free(f->next);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct backend *backend_fault_new(struct backend *next)
{
	struct fault *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	assert(next->blocking);
	f->next = next;
	f->ops = fault_ops;
	if (!next->blocking->open_file)
		f->ops.open_file = NULL;
	if (!next->blocking->open_file_nowait)
		f->ops.open_file_nowait = NULL;
	if (!next->blocking->sweep)
		f->ops.sweep = NULL;
	pthread_mutex_init(&f->lock, NULL);
	backend_init(&f->b, next->type, next->id, next->pool, &f->ops);
	f->b.caps = next->caps;
	f->b.check_space = fault_check_space;
	f->b.presign = fault_presign;
	f->b.free = fault_free;
	return &f->b;
}

void backend_fault_arm(struct backend *fault, unsigned mask, uint64_t nth, enum err_code code,
		       bool after)
{
	struct fault *f = of(fault);

	assert(fault->free == fault_free && code != ERR_NONE);
	pthread_mutex_lock(&f->lock);
	f->locked.mask = mask;
	f->locked.left = nth;
	f->locked.code = code;
	f->locked.after = after;
	f->locked.fired = false;
	pthread_mutex_unlock(&f->lock);
}

bool backend_fault_fired(struct backend *fault)
{
	struct fault *f = of(fault);
	bool fired;

	assert(fault->free == fault_free);
	pthread_mutex_lock(&f->lock);
	fired = f->locked.fired;
	pthread_mutex_unlock(&f->lock);
	return fired;
}
