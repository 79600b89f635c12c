/* One queue; up to JOBS jobs of the data pool take from it, each as many as it finds up to the bounds of
 * a batch:
 *
 *   write each body to its file -> name and sync all of a store at once -> stage all in one KV write
 *
 * While one batch waits for a sync the next one is being written, and what comes meanwhile makes the
 * next batch larger: under little load each put has a job to itself. A job does one batch, then lines up
 * again behind the pool's other work. Where there is something in the queue there is a job for it. */
#include "versions/put_batch.h"

#include <assert.h>
#include <stdlib.h>

#include "versions/internal.h"
#include "versions/stage_batch.h"

enum {
	JOBS = 2,
	QUEUE_PUTS = 1024,
	BATCH_PUTS = 64,
	BATCH_BYTES = 512 << 10,
	/* Of larger ones hashing is what costs: those have all workers. */
	BODY_BYTES = 64 << 10,
};

struct job {
	struct work work;
	struct put_batch *batch;
	bool busy, took; /* under the lock */
};

struct put_batch {
	struct versions *v;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct {
		struct object_put *first, *last;
		size_t queued;
		uint64_t bytes;   /* of their bodies */
		unsigned busy;
		unsigned waiting; /* of the busy ones: they have not taken anything yet */
	} locked;
	struct job jobs[JOBS];
};

static int64_t length_of(const struct object_put *p)
{
	return p->relay ? p->relay->length : p->body->length;
}

bool put_batch_takes(const struct object_put *p)
{
	int64_t n = length_of(p);

	return p->cond == STAGE_ALWAYS && n >= 0 && n <= BODY_BYTES &&
	       backend_commit_many_pays(p->backend);
}

/* The queue. */

static void enqueue_locked(struct put_batch *b, struct object_put *p)
{
	p->next = NULL;
	p->prev = b->locked.last;
	if (p->prev)
		p->prev->next = p;
	else
		b->locked.first = p;
	b->locked.last = p;
	b->locked.queued++;
	b->locked.bytes += (uint64_t)length_of(p);
	p->queued = true;
}

static void unlink_locked(struct put_batch *b, struct object_put *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		b->locked.first = p->next;
	if (p->next)
		p->next->prev = p->prev;
	else
		b->locked.last = p->prev;
	b->locked.queued--;
	b->locked.bytes -= (uint64_t)length_of(p);
	p->queued = false;
}

static size_t take(struct job *j, struct object_put *puts[BATCH_PUTS])
{
	struct put_batch *b = j->batch;
	uint64_t bytes = 0;
	size_t n = 0;

	pthread_mutex_lock(&b->lock);
	j->took = true;
	b->locked.waiting--;
	while (b->locked.first && n < BATCH_PUTS) {
		struct object_put *p = b->locked.first;

		bytes += (uint64_t)length_of(p);
		if (n && bytes > BATCH_BYTES)
			break;
		unlink_locked(b, p);
		puts[n++] = p;
	}
	pthread_mutex_unlock(&b->lock);
	return n;
}

/* A batch. */

static bool gone(const struct object_put *p)
{
	return __atomic_load_n(&p->gone, __ATOMIC_RELAXED);
}

static void store(struct object_put *p)
{
	const struct backend_put_options o = {.content_type = p->content_type,
					      .storage_class = p->storage_class};

	p->writer = NULL;
	if (gone(p))
		p->result = err_default(&p->err, ERR_CANCELLED);
	else
		p->result = backend_write_now(p->backend, &p->to, &o, p->body, &p->writer, &p->err);
}

/* The writers of puts[0]'s store; answers how many puts are left, moved to the front. */
static size_t commit_store(struct object_put **puts, size_t n)
{
	struct backend_commit commits[BATCH_PUTS];
	struct object_put *taken[BATCH_PUTS];
	struct backend *b = puts[0]->backend;
	size_t k = 0, left = 0;

	for (size_t i = 0; i < n; i++) {
		struct object_put *p = puts[i];

		if (p->backend != b) {
			puts[left++] = p;
			continue;
		}
		commits[k] = (struct backend_commit){p->writer, p->a, &p->err, {0}, RC_OK};
		taken[k++] = p;
	}
	backend_commit_now(b, commits, k);
	for (size_t i = 0; i < k; i++) {
		taken[i]->result = commits[i].result;
		taken[i]->remove = rc_is(commits[i].result, UNKNOWN_OUTCOME);
	}
	return left;
}

static void commit(struct object_put *const *puts, size_t n)
{
	struct object_put *written[BATCH_PUTS];
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (rc_ok(puts[i]->result))
			written[k++] = puts[i];
	while (k)
		k = commit_store(written, k);
}

static rc make_record(struct object_put *p, struct str *ret)
{
	if (gone(p))
		return err_default(&p->err, ERR_CANCELLED);
	TRY(object_put_entry(p));
	return object_put_record(p, ret);
}

/* Of those that are stored. Until a write that names it was sent a body is ours to remove. */
static void stage(struct versions *v, struct object_put *const *puts, size_t n)
{
	struct stage_item items[BATCH_PUTS];
	struct object_put *of[BATCH_PUTS];
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct object_put *p = puts[i];

		if (!rc_ok(p->result))
			continue;
		items[k] = (struct stage_item){.repo = p->repo, .branch = p->branch,
					       .path = p->path, .seen = p->seen,
					       .err = &p->err};
		items[k].result = make_record(p, &items[k].value);
		of[k++] = p;
	}
	stage_many(v, items, k);
	for (size_t i = 0; i < k; i++) {
		of[i]->result = items[i].result;
		of[i]->remove = !rc_ok(items[i].result) && !items[i].sent;
	}
}

static void post(struct object_put *p)
{
	mailbox_post(p->home, &p->mail);
}

static void run(struct work *w)
{
	struct job *j = (struct job *)w;
	struct object_put *puts[BATCH_PUTS] = {NULL};
	size_t n = take(j, puts);

	for (size_t i = 0; i < n; i++)
		store(puts[i]);
	commit(puts, n);
	stage(j->batch->v, puts, n);
	for (size_t i = 0; i < n; i++)
		post(puts[i]);
}

/* Jobs. */

static bool submit_locked(struct put_batch *b, struct job *j)
{
	if (!work_submit(b->v->data, &j->work))
		return false;
	j->busy = true;
	j->took = false;
	b->locked.busy++;
	b->locked.waiting++;
	return true;
}

static struct job *idle_job_locked(struct put_batch *b)
{
	for (size_t i = 0; i < JOBS; i++)
		if (!b->jobs[i].busy)
			return &b->jobs[i];
	return NULL;
}

/* More than those who are on their way will take. */
static bool crowded_locked(const struct put_batch *b)
{
	return b->locked.queued > b->locked.waiting * (size_t)BATCH_PUTS ||
	       b->locked.bytes > b->locked.waiting * (uint64_t)BATCH_BYTES;
}

static rc too_busy(struct object_put *p)
{
	return err_set(&p->err, ERR_SlowDown, "the workers have too much to do; try again");
}

/* The pool has no room, and nobody else is there for those that wait. */
static void refuse_all_locked(struct put_batch *b)
{
	while (b->locked.first) {
		struct object_put *p = b->locked.first;

		unlink_locked(b, p);
		p->result = too_busy(p);
		post(p);
	}
}

/* On the worker; the job may be submitted again. */
static void ran(struct work *w)
{
	struct job *j = (struct job *)w;
	struct put_batch *b = j->batch;

	pthread_mutex_lock(&b->lock);
	assert(j->busy && j->took);
	j->busy = false;
	b->locked.busy--;
	if (crowded_locked(b))
		submit_locked(b, j);
	if (!b->locked.busy) {
		refuse_all_locked(b);
		pthread_cond_signal(&b->idle);
	}
	pthread_mutex_unlock(&b->lock);
}

bool put_batch_add(struct put_batch *b, struct object_put *p)
{
	struct job *j;
	bool taken;

	pthread_mutex_lock(&b->lock);
	taken = b->locked.queued < QUEUE_PUTS;
	if (taken) {
		enqueue_locked(b, p);
		j = crowded_locked(b) ? idle_job_locked(b) : NULL;
		if (j && !submit_locked(b, j) && !b->locked.busy) {
			unlink_locked(b, p);
			taken = false;
		}
	}
	pthread_mutex_unlock(&b->lock);
	return taken;
}

void put_batch_cancel(struct put_batch *b, struct object_put *p)
{
	bool out;

	__atomic_store_n(&p->gone, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&b->lock);
	out = p->queued;
	if (out)
		unlink_locked(b, p);
	pthread_mutex_unlock(&b->lock);
	if (!out)
		return;
	p->result = err_default(&p->err, ERR_CANCELLED);
	post(p);
}

struct put_batch *put_batch_new(struct versions *v)
{
	struct put_batch *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->v = v;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->idle, NULL);
	for (size_t i = 0; i < JOBS; i++)
		b->jobs[i] = (struct job){.work = {.run = run, .done = ran, .begun = true}, .batch = b};
	return b;
}

void put_batch_free(struct put_batch *b)
{
	pthread_mutex_lock(&b->lock);
	while (b->locked.busy)
		pthread_cond_wait(&b->idle, &b->lock);
	assert(!b->locked.queued);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&b->idle);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
