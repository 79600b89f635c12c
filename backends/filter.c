/* Every operation, forwarded between a filter's hooks. */
#include "backends/filter.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

struct filter_writer {
	struct backend_writer base;
	struct filter *f;
	struct backend_writer *next; /* NULL: committed */
	bool part;
};

struct backend_reader {
	struct filter *f;
	struct backend_reader *next;
};

static rc before(struct filter *f, struct filter_call *c, struct err *reterr)
{
	return f->hooks->before ? f->hooks->before(f, c, reterr) : RC_OK;
}

static rc after(struct filter *f, struct filter_call *c, rc result, struct err *reterr)
{
	return f->hooks->after ? f->hooks->after(f, c, result, reterr) : result;
}

static bool again(struct filter *f, struct filter_call *c, rc result)
{
	if (rc_ok(result) || !f->hooks->again || !f->hooks->again(f, c, result))
		return false;
	c->attempt++;
	return true;
}

/* expr may use `e`, where its story goes: health tells it, whether or not the caller wants it. */
#define GUARDED(f, c, reterr, repeat, expr)                                                         \
	({                                                                                         \
		struct err own_, *e = (reterr) ? (reterr) : &own_;                                 \
		rc r_;                                                                             \
		own_.code = ERR_NONE;                                                              \
		own_.msg[0] = 0;                                                                   \
		own_.fields_n = 0;                                                                 \
		r_ = before(f, c, e);                                                              \
		if (rc_ok(r_)) {                                                                   \
			do                                                                         \
				r_ = (expr);                                                       \
			while ((repeat) && again(f, c, r_));                                       \
			r_ = after(f, c, r_, e);                                                   \
		}                                                                                  \
		r_;                                                                                \
	})

#define NEXT(f, op) (f)->next->blocking->op

/* Writers. */

static rc wrap(struct filter *f, bool part, rc opened, struct backend_writer *next,
	       struct backend_writer **ret)
{
	struct filter_writer *w;

	if (!rc_ok(opened)) {
		if (next)
			NEXT(f, abort)(next);
		return opened;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->base.b = &f->b;
	w->f = f;
	w->next = next;
	w->part = part;
	*ret = &w->base;
	return RC_OK;
}

static rc open_writer(struct backend *b, const struct object_ptr *to,
		      const struct backend_put_options *o, struct backend_writer **ret,
		      struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_OPEN_WRITER};
	struct backend_writer *next = NULL;
	rc r = GUARDED(f, &c, reterr, true, NEXT(f, open_writer)(f->next, to, o, &next, e));

	return wrap(f, false, r, next, ret);
}

static rc mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
			unsigned number, const struct backend_put_options *o,
			struct backend_writer **ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_OPEN_PART};
	struct backend_writer *next = NULL;
	rc r = GUARDED(f, &c, reterr, true,
		       NEXT(f, mpu_open_part)(f->next, to, upload_id, number, o, &next, e));

	return wrap(f, true, r, next, ret);
}

static rc write_some(struct backend_writer *base, const void *p, size_t n, struct err *reterr)
{
	struct filter_writer *w = CONTAINER(base, struct filter_writer, base);
	struct filter_call c = {.op = w->part ? FILTER_WRITE_PART : FILTER_WRITE, .bytes = n};

	return GUARDED(w->f, &c, reterr, false, NEXT(w->f, write)(w->next, p, n, e));
}

static void abort_writer(struct backend_writer *base)
{
	struct filter_writer *w = CONTAINER(base, struct filter_writer, base);

	if (w->next)
		NEXT(w->f, abort)(w->next);
	free(w);
}

static struct filter_call commit_of(const struct filter_writer *w)
{
	return (struct filter_call){.op = w->part ? FILTER_COMMIT_PART : FILTER_COMMIT};
}

static struct backend_writer *take_next(struct filter_writer *w)
{
	struct backend_writer *next = w->next;

	w->next = NULL;
	return next;
}

static rc commit(struct backend_writer *base, struct arena *a, struct backend_stat *ret,
		 struct err *reterr)
{
	struct filter_writer *w = CONTAINER(base, struct filter_writer, base);
	struct filter_call c = commit_of(w);
	rc r = GUARDED(w->f, &c, reterr, false, NEXT(w->f, commit)(take_next(w), a, ret, e));

	abort_writer(base);
	return r;
}

/* Each is a call; those that the filter lets pass go on together. */
static void commit_many(struct backend *b, struct backend_commit *all, size_t n)
{
	struct filter *f = filter_of(b);
	struct backend_commit *next = calloc(n, sizeof(*next));
	struct filter_call *calls = calloc(n, sizeof(*calls));
	size_t passed = 0;

	if (n && (!next || !calls))
		abort();
	for (size_t i = 0; i < n; i++) {
		struct filter_writer *w = CONTAINER(all[i].writer, struct filter_writer, base);

		calls[i] = commit_of(w);
		calls[i].nth = (unsigned)i;
		all[i].result = before(f, &calls[i], all[i].err);
		if (!rc_ok(all[i].result))
			continue;
		next[passed] = all[i];
		next[passed++].writer = take_next(w);
	}
	if (passed)
		backend_commit_now(f->next, next, passed);
	passed = 0;
	for (size_t i = 0; i < n; i++) {
		abort_writer(all[i].writer);
		if (!rc_ok(all[i].result))
			continue;
		all[i].stat = next[passed].stat;
		all[i].result = after(f, &calls[i], next[passed++].result, all[i].err);
	}
	free(next);
	free(calls);
}

static bool commit_many_pays(struct backend *b)
{
	return backend_commit_many_pays(filter_of(b)->next);
}

/* Reading. */

static rc read_some(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		    size_t n, size_t *ret_n, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_READ};
	rc r = GUARDED(f, &c, reterr, true, ({
			       rc got_ = NEXT(f, read)(f->next, p, offset, dst, n, ret_n, e);

			       c.bytes = rc_ok(got_) ? *ret_n : 0;
			       got_;
		       }));

	if (rc_ok(r))
		*ret_n = (size_t)c.bytes;
	return r;
}

static rc open_reader(struct backend *b, const struct object_ptr *p, uint64_t offset,
		      uint64_t length, struct arena *a, struct backend_reader **ret,
		      struct backend_stat *ret_stat, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_OPEN_READER};
	struct backend_reader *next = NULL, *mine;
	rc r = GUARDED(f, &c, reterr, true,
		       NEXT(f, open_reader)(f->next, p, offset, length, a, &next, ret_stat, e));

	if (!rc_ok(r)) {
		if (next)
			NEXT(f, close_reader)(next);
		return r;
	}
	mine = calloc(1, sizeof(*mine));
	if (!mine)
		abort();
	*mine = (struct backend_reader){.f = f, .next = next};
	*ret = mine;
	return RC_OK;
}

static rc read_next(struct backend_reader *mine, void *dst, size_t n, size_t *ret_n,
		    struct err *reterr)
{
	struct filter *f = mine->f;
	struct filter_call c = {.op = FILTER_READ_NEXT};
	rc r = GUARDED(f, &c, reterr, false, ({
			       rc got_ = NEXT(f, read_next)(mine->next, dst, n, ret_n, e);

			       c.bytes = rc_ok(got_) ? *ret_n : 0;
			       got_;
		       }));

	if (rc_ok(r))
		*ret_n = (size_t)c.bytes;
	return r;
}

static bool can_splice(struct backend_reader *mine)
{
	return NEXT(mine->f, can_splice)(mine->next);
}

static rc splice_next(struct backend_reader *mine, int pipe, size_t n, size_t *ret_n, struct err *reterr)
{
	struct filter *f = mine->f;
	struct filter_call c = {.op = FILTER_READ_NEXT};

	return GUARDED(f, &c, reterr, false, ({
			       rc got_ = NEXT(f, splice_next)(mine->next, pipe, n, ret_n, e);

			       c.bytes = rc_ok(got_) ? *ret_n : 0;
			       got_;
		       }));
}

static void close_reader(struct backend_reader *mine)
{
	NEXT(mine->f, close_reader)(mine->next);
	free(mine);
}

static rc close_failed(rc r, int *fd)
{
	if (!rc_ok(r) && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return r;
}

static rc open_file(struct backend *b, const struct object_ptr *p, int *ret_fd,
		    struct backend_stat *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_OPEN_FILE};

	*ret_fd = -1;
	return close_failed(GUARDED(f, &c, reterr, true,
				    NEXT(f, open_file)(f->next, p, ret_fd, ret, e)),
			    ret_fd);
}

static rc open_file_nowait(struct backend *b, const struct object_ptr *p, int *ret_fd,
			   struct backend_stat *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_OPEN_FILE_NOWAIT};

	*ret_fd = -1;
	return close_failed(GUARDED(f, &c, reterr, false,
				    NEXT(f, open_file_nowait)(f->next, p, ret_fd, ret, e)),
			    ret_fd);
}

static rc head(struct backend *b, const struct object_ptr *p, struct arena *a,
	       struct backend_stat *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_HEAD};

	return GUARDED(f, &c, reterr, true, NEXT(f, head)(f->next, p, a, ret, e));
}

static rc list(struct backend *b, struct str space, struct str prefix, struct str past, size_t max,
	       struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	       struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_LIST};

	return GUARDED(f, &c, reterr, true,
		       NEXT(f, list)(f->next, space, prefix, past, max, a, ret, ret_n, ret_more, e));
}

/* What changes. */

static rc remove_one(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_REMOVE};

	return GUARDED(f, &c, reterr, true, NEXT(f, remove)(f->next, p, e));
}

static rc copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	       struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_COPY};

	return GUARDED(f, &c, reterr, true, NEXT(f, copy)(f->next, from, to, a, ret, e));
}

static rc mpu_create(struct backend *b, const struct object_ptr *to,
		     const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		     struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_MPU_CREATE};

	return GUARDED(f, &c, reterr, true, NEXT(f, mpu_create)(f->next, to, o, a, ret_upload_id, e));
}

static rc mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		       const struct backend_part *parts, size_t n, struct arena *a,
		       struct backend_stat *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_MPU_COMPLETE};

	return GUARDED(f, &c, reterr, true,
		       NEXT(f, mpu_complete)(f->next, to, upload_id, parts, n, a, ret, e));
}

static rc mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		    struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_MPU_ABORT};

	return GUARDED(f, &c, reterr, true, NEXT(f, mpu_abort)(f->next, to, upload_id, e));
}

static rc mpu_copy_part(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
			struct str upload_id, uint64_t offset, struct arena *a, struct backend_part *part,
			struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_MPU_COPY_PART};

	return GUARDED(f, &c, reterr, true,
		       NEXT(f, mpu_copy_part)(f->next, from, to, upload_id, offset, a, part, e));
}

static rc sweep(struct backend *b, struct backend_sweep *s)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_SWEEP};

	return GUARDED(f, &c, s->err, false, NEXT(f, sweep)(f->next, s));
}

static rc probe(struct backend *b, struct str space, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_PROBE};

	return GUARDED(f, &c, reterr, true, NEXT(f, probe)(f->next, space, e));
}

static const struct backend_blocking_ops all_ops = {
	.open_writer = open_writer,
	.write = write_some,
	.commit = commit,
	.commit_many = commit_many,
	.commit_many_pays = commit_many_pays,
	.abort = abort_writer,
	.read = read_some,
	.open_reader = open_reader,
	.read_next = read_next,
	.can_splice = can_splice,
	.splice_next = splice_next,
	.close_reader = close_reader,
	.open_file = open_file,
	.open_file_nowait = open_file_nowait,
	.head = head,
	.remove = remove_one,
	.list = list,
	.copy = copy,
	.mpu_create = mpu_create,
	.mpu_open_part = mpu_open_part,
	.mpu_complete = mpu_complete,
	.mpu_abort = mpu_abort,
	.mpu_copy_part = mpu_copy_part,
	.sweep = sweep,
	.probe = probe,
};

/* What next lacks callers must find lacking; they ask by looking. commit_many is there for all: it
 * commits one by one where next does. */
static void mask(struct backend_blocking_ops *ops, const struct backend_blocking_ops *has)
{
#define MASK(op)                                                                                    \
	if (!has->op)                                                                              \
		ops->op = NULL
	MASK(open_reader);
	MASK(read_next);
	MASK(close_reader);
	MASK(can_splice);
	MASK(splice_next);
	MASK(open_file);
	MASK(open_file_nowait);
	MASK(list);
	MASK(copy);
	MASK(mpu_create);
	MASK(mpu_open_part);
	MASK(mpu_complete);
	MASK(mpu_abort);
	MASK(mpu_copy_part);
	MASK(sweep);
	MASK(probe);
#undef MASK
}

/* The rest. */

static rc check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct backend *next = filter_of(b)->next;

	return next->check_space(next, space, reterr);
}

static rc presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		  struct arena *a, struct backend_presigned *ret, struct err *reterr)
{
	struct filter *f = filter_of(b);
	struct filter_call c = {.op = FILTER_PRESIGN};

	return GUARDED(f, &c, reterr, false, f->next->presign(f->next, p, q, a, ret, e));
}

static rc admit(struct backend *b, struct err *reterr)
{
	return backend_admit(filter_of(b)->next, reterr);
}

static void health(struct backend *b, struct backend_health *ret)
{
	backend_health(filter_of(b)->next, ret);
}

static void filter_free(struct backend *b)
{
	struct filter *f = filter_of(b);

	backend_free(f->next);
	f->hooks->free(f);
}

void filter_init(struct filter *f, struct backend *next, const struct filter_hooks *hooks)
{
	assert(next->blocking && hooks->free);
	f->next = next;
	f->hooks = hooks;
	f->ops = all_ops;
	mask(&f->ops, next->blocking);
	backend_init(&f->b, next->type, next->id, next->pool, &f->ops);
	f->b.caps = next->caps;
	f->b.check_space = check_space;
	f->b.presign = presign;
	f->b.presigning = next->presigning;
	f->b.admit = admit;
	f->b.health = health;
	f->b.free = filter_free;
}
