/* get, derived from the blocking form: a first job opens the object and reads its beginning; the
 * body that is answered reads ahead on the pool into one slot while the other is drained on the loop. The slots of a
 * large one are pipes, where the store's stream can splice: its bytes don't pass through memory then.
 *
 * The reader is its own allocation: it lives until it is closed *and* no job or mail of it is left.
 * While a job runs (`reading`) the front slot is the loop's and the rest the job's. A job may outlast the
 * request that closes the reader, and so the loop: it tells the loop only while the reader is open, and
 * frees a closed one itself.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/impl.h"

/* The answer's head waits for the first; each later one costs two changes of threads, however large. */
enum {
	FIRST_SLOT = 128 * 1024,
	SLOT = 512 * 1024,
	PIPE = 1024 * 1024, /* pages are counted, not bytes, and few are full */
	PIPE_LEAST = 256 * 1024,
	SPLICE_LEAST = 4 * 1024 * 1024, /* to come: it costs the stream its connection */
};

struct slot {
	char *p;
	size_t cap, n, used;
	int pipe[2]; /* -1: none */
	bool piped;  /* what is in it is in the pipe */
};

struct reader {
	struct body body;
	struct backend *b;
	struct mailbox *home;
	struct arena *a;     /* the pointer's own copy */
	struct object_ptr p;
	int fd;              /* -1: through the stream, or b's read */
	struct backend_reader *stream; /* or NULL */
	uint64_t at, end;    /* what is to be read yet */
	struct slot slots[2];
	unsigned front;
	rc result;
	struct err err;
	struct work work;
	struct mail mail, told; /* for who waits; of the job */
	body_ready_fn *ready;
	void *ready_ud;
	bool reading, mailed, failed;
	bool pipes; /* from now on */
	pthread_mutex_t lock; /* of closed, and held while a job tells */
	bool closed;
};

struct get {
	struct job job;
	struct reader *r;
};

/* What is at its end needs no file and no connection. */
static void let_go(struct reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (r->stream)
		r->b->blocking->close_reader(r->stream);
	r->stream = NULL;
}

static void close_pipe(struct slot *s)
{
	for (unsigned i = 0; i < 2; i++) {
		if (s->pipe[i] >= 0)
			close(s->pipe[i]);
		s->pipe[i] = -1;
	}
}

static void slot_free(struct slot *s)
{
	close_pipe(s);
	free(s->p);
}

static void reader_free(struct reader *r)
{
	pthread_mutex_lock(&r->lock); /* the job that told may still hold it */
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_destroy(&r->lock);
	let_go(r);
	slot_free(&r->slots[0]);
	slot_free(&r->slots[1]);
	if (r->pipes)
		atomic_fetch_sub(&r->b->spliced, 1);
	backend_unref(r->b);
	arena_free(r->a);
	free(r);
}

static rc read_file(struct reader *r, char *dst, size_t n, size_t *ret_n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(r->fd, dst + got, n - got, (off_t)(r->at + got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(&r->err, ERR_IO, errno, "reading \"" STR_FMT "\"",
					 STR_ARG(r->p.key));
		if (k == 0)
			break;
		got += (size_t)k;
	}
	*ret_n = got;
	return RC_OK;
}

/* What is in it is not needed any more. */
static void make_room(struct slot *s, size_t n)
{
	if (s->cap >= n)
		return;
	free(s->p);
	s->p = malloc(n);
	if (!s->p)
		abort();
	s->cap = n;
}

static rc fill_pipe(struct reader *r, struct slot *s)
{
	size_t n = r->end - r->at < PIPE ? (size_t)(r->end - r->at) : PIPE, got = 0;

	TRY(r->b->blocking->splice_next(r->stream, s->pipe[1], n, &got, &r->err));
	s->piped = true;
	s->n = got;
	r->at += got;
	return RC_OK;
}

/* On a worker: the next bytes, of which there are some, into the slot. */
static rc fill(struct reader *r, struct slot *s, size_t most)
{
	size_t n = r->end - r->at < most ? (size_t)(r->end - r->at) : most, got = 0;

	if (r->pipes)
		return fill_pipe(r, s);
	make_room(s, n);
	if (r->fd >= 0)
		TRY(read_file(r, s->p, n, &got));
	else if (r->stream)
		TRY(r->b->blocking->read_next(r->stream, s->p, n, &got, &r->err));
	else
		TRY(r->b->blocking->read(r->b, &r->p, r->at, s->p, n, &got, &r->err));
	if (got < n)
		return err_set(&r->err, ERR_IO,
			       "\"" STR_FMT "\" became shorter while it was being read",
			       STR_ARG(r->p.key));
	s->piped = false;
	s->n = n;
	r->at += n;
	return RC_OK;
}

/* The kernel allows each user so many pages in pipes, and then hands out tiny ones. */
static bool open_pipe(struct slot *s)
{
	if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	(void)fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE);
	return fcntl(s->pipe[1], F_GETPIPE_SZ) >= PIPE_LEAST;
}

static bool worth_splicing(const struct reader *r)
{
	const struct backend_blocking_ops *ops = r->b->blocking;

	return r->stream && ops->can_splice && r->end - r->at >= SPLICE_LEAST && ops->can_splice(r->stream);
}

/* Whether what follows the first bytes comes by pipes. Those hold the kernel's memory and descriptors while a
 * client takes its time: so many and no more, the others have slots in memory. */
static bool open_pipes(struct reader *r)
{
	if (!worth_splicing(r))
		return false;
	if (atomic_fetch_add(&r->b->spliced, 1) < work_pool_threads(r->b->pool) && open_pipe(&r->slots[0]) &&
	    open_pipe(&r->slots[1]))
		return true;
	atomic_fetch_sub(&r->b->spliced, 1);
	close_pipe(&r->slots[0]);
	close_pipe(&r->slots[1]);
	return false;
}

static void ahead_run(struct work *w)
{
	struct reader *r = CONTAINER(w, struct reader, work);

	r->result = fill(r, &r->slots[!r->front], SLOT);
	if (r->at == r->end)
		let_go(r);
}

static bool closed(struct reader *r)
{
	bool is;

	pthread_mutex_lock(&r->lock);
	is = r->closed;
	pthread_mutex_unlock(&r->lock);
	return is;
}

static void wake(struct reader *r)
{
	body_ready_fn *fn = r->ready;

	if (closed(r)) {
		if (!r->reading && !r->mailed)
			reader_free(r);
		return;
	}
	r->ready = NULL;
	if (fn)
		fn(r->ready_ud);
}

static void ahead_told(struct mail *m)
{
	struct reader *r = CONTAINER(m, struct reader, told);

	r->reading = false;
	r->failed = !rc_ok(r->result);
	wake(r);
}

/* On the worker. */
static void ahead_done(struct work *w)
{
	struct reader *r = CONTAINER(w, struct reader, work);
	bool was_closed;

	pthread_mutex_lock(&r->lock);
	was_closed = r->closed;
	if (!was_closed)
		mailbox_post(r->home, &r->told);
	pthread_mutex_unlock(&r->lock);
	if (was_closed)
		reader_free(r);
}

/* False when the pool is full. */
static bool read_ahead(struct reader *r)
{
	struct slot *s = &r->slots[!r->front];

	/* Who waits is woken by one thing at a time. */
	if (r->reading || r->mailed || r->failed || r->at == r->end || s->n)
		return true;
	r->reading = work_submit(r->b->pool, &r->work);
	return r->reading;
}

static enum body_state fail(struct reader *r, struct err *reterr)
{
	if (reterr)
		*reterr = r->err;
	return BODY_FAIL;
}

/* Brings bytes to the front slot; BODY_MORE when there are some. */
static enum body_state turn(struct reader *r, struct err *reterr)
{
	struct slot *s = &r->slots[r->front];

	if (s->used < s->n) {
		if (s->used == 0)
			read_ahead(r); /* refused: tried again when this slot is drained */
		return BODY_MORE;
	}
	if (r->reading)
		return BODY_WAIT;
	s->n = s->used = 0;
	if (r->slots[!r->front].n) {
		r->front = !r->front;
		read_ahead(r);
		return BODY_MORE;
	}
	if (r->failed)
		return fail(r, reterr);
	if (r->at == r->end)
		return BODY_END;
	if (read_ahead(r))
		return BODY_WAIT;
	r->failed = true;
	r->result = backend_busy(r->b, &r->err);
	return fail(r, reterr);
}

static size_t drain(struct slot *s, void *dst, size_t n)
{
	ssize_t k;

	do
		k = read(s->pipe[0], dst, n);
	while (k < 0 && errno == EINTR);
	assert(k > 0); /* so much is in it */
	return (size_t)k;
}

static enum body_state reader_pull(struct body *body, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct reader *r = CONTAINER(body, struct reader, body);
	enum body_state state = turn(r, reterr);
	struct slot *s = &r->slots[r->front];
	size_t n;

	if (state != BODY_MORE)
		return state;
	n = s->n - s->used < cap ? s->n - s->used : cap;
	if (s->piped)
		n = drain(s, dst, n);
	else
		memcpy(dst, s->p + s->used, n);
	s->used += n;
	*ret_n = n;
	return BODY_MORE;
}

/* The end and failures are for pull to tell. */
static size_t reader_spliceable(struct body *body)
{
	struct reader *r = CONTAINER(body, struct reader, body);
	struct err untold;
	struct slot *s;

	if (!r->pipes || turn(r, &untold) != BODY_MORE)
		return 0;
	s = &r->slots[r->front];
	return s->piped ? s->n - s->used : 0;
}

static ssize_t reader_splice(struct body *body, int socket, size_t max)
{
	struct reader *r = CONTAINER(body, struct reader, body);
	struct slot *s = &r->slots[r->front];
	size_t n = s->n - s->used < max ? s->n - s->used : max;
	ssize_t k;

	assert(s->piped && n > 0);
	k = splice(s->pipe[0], NULL, socket, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (k > 0)
		s->used += (size_t)k;
	return k;
}

static void reader_mail(struct mail *m)
{
	struct reader *r = CONTAINER(m, struct reader, mail);

	r->mailed = false;
	wake(r);
}

static void reader_arm(struct body *body, body_ready_fn *fn, void *ud)
{
	struct reader *r = CONTAINER(body, struct reader, body);

	assert(!r->ready);
	r->ready = fn;
	r->ready_ud = ud;
	if (r->reading || r->mailed)
		return;
	r->mailed = true;
	mailbox_post(r->home, &r->mail);
}

static void reader_close(struct body *body)
{
	struct reader *r = CONTAINER(body, struct reader, body);
	bool reading = r->reading, mailed = r->mailed;

	r->ready = NULL;
	if (reading)
		work_cancel(&r->work);
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	pthread_mutex_unlock(&r->lock);
	if (!reading && !mailed)
		reader_free(r);
}

static const struct body_ops reader_ops = {
	.name = "store",
	.pull = reader_pull,
	.spliceable = reader_spliceable,
	.splice = reader_splice,
	.arm = reader_arm,
	.close = reader_close,
};

static struct reader *reader_new(struct backend *b, const struct backend_op *op)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	backend_ref(b);
	r->b = b;
	r->home = op->home;
	r->a = arena_new();
	r->p = (struct object_ptr){.store_id = arena_dup(r->a, op->from.store_id),
				   .space = arena_dup(r->a, op->from.space),
				   .key = arena_dup(r->a, op->from.key),
				   .type = op->from.type};
	r->fd = -1;
	for (unsigned i = 0; i < 2; i++)
		r->slots[i].pipe[0] = r->slots[i].pipe[1] = -1;
	r->mail.deliver = reader_mail;
	r->told.deliver = ahead_told;
	if (pthread_mutex_init(&r->lock, NULL) != 0)
		abort();
	r->work = (struct work){.run = ahead_run, .done = ahead_done, .begun = true};
	return r;
}

static rc get_open(struct backend *b, struct backend_op *op, struct reader *r)
{
	if (b->caps & BACKEND_CAP_FILE)
		return b->blocking->open_file(b, &op->from, &r->fd, &op->stat, &op->err);
	if (b->blocking->open_reader && op->length)
		return b->blocking->open_reader(b, &op->from, op->offset, op->length, op->a, &r->stream,
						&op->stat, &op->err);
	return b->blocking->head(b, &op->from, op->a, &op->stat, &op->err);
}

static rc get_begin(struct backend *b, struct backend_op *op)
{
	struct reader *r = ((struct get *)op->impl)->r;
	uint64_t size, left;
	rc done;

	TRY(get_open(b, op, r));
	size = op->stat.size;
	if (op->offset > size || (op->offset == size && op->offset > 0))
		return err_set(&op->err, ERR_InvalidRange,
			       "the object has %llu bytes, the range begins at %llu",
			       (unsigned long long)size, (unsigned long long)op->offset);
	left = size - op->offset;
	r->at = op->offset;
	r->end = op->offset + (op->length < left ? op->length : left);
	if (r->at == r->end)
		return RC_OK;
	done = fill(r, &r->slots[0], FIRST_SLOT);
	if (rc_ok(done))
		r->pipes = open_pipes(r);
	else
		op->err = r->err;
	if (r->at == r->end)
		let_go(r);
	return done;
}

static void get_done(struct work *w)
{
	struct backend_op *op = CONTAINER(w, struct backend_op, work);
	struct get *g = op->impl;

	if (!g->job.ran || (op->cancelled && rc_ok(op->result)))
		op->result = err_default(&op->err, ERR_CANCELLED);
	if (rc_ok(op->result)) {
		body_init(&g->r->body, &reader_ops, NULL, (int64_t)(g->r->end - op->offset));
		op->got = &g->r->body;
	} else {
		reader_free(g->r);
	}
	job_finish(&g->job);
}

void backend_derived_get(struct backend *b, struct backend_op *op)
{
	struct get *g = job_new(b, op, sizeof(*g));
	rc admitted = backend_admit(b, &op->err);

	g->r = reader_new(b, op);
	g->job.call = get_begin;
	op->work.done = get_done;
	if (!rc_ok(admitted))
		job_refuse(&g->job, admitted);
	else if (!job_submit(&g->job))
		job_refuse(&g->job, backend_busy(b, &op->err));
	else
		return;
	reader_free(g->r);
}
