/* A filter that spoils chosen calls: for sweeps ("fail the nth until all passes untouched"), and for stores
 * that are slow, hang or send less than they should. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "backends/filter.h"
#include "base/clock.h"

enum verdict { PASS, FAIL_BEFORE, FAIL_AFTER };

struct fault {
	struct filter f;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct {
		unsigned mask;
		uint64_t left; /* 0: disarmed */
		enum err_code code;
		bool after, fired;
		unsigned always, slow, hold;
		enum err_code always_code;
		unsigned slow_ms, held;
		uint64_t short_in, short_bytes;
		uint64_t calls[FILTER_OPS];
	} locked;
};

static const unsigned kinds[FILTER_OPS] = {
	[FILTER_OPEN_WRITER] = BACKEND_CALL_PUT,
	[FILTER_WRITE] = BACKEND_CALL_PUT,
	[FILTER_COMMIT] = BACKEND_CALL_PUT,
	[FILTER_COPY] = BACKEND_CALL_PUT,
	[FILTER_READ] = BACKEND_CALL_GET,
	[FILTER_OPEN_READER] = BACKEND_CALL_GET,
	[FILTER_READ_NEXT] = BACKEND_CALL_GET,
	[FILTER_OPEN_FILE] = BACKEND_CALL_GET,
	[FILTER_OPEN_FILE_NOWAIT] = BACKEND_CALL_GET,
	[FILTER_HEAD] = BACKEND_CALL_GET,
	[FILTER_LIST] = BACKEND_CALL_GET,
	[FILTER_PROBE] = BACKEND_CALL_GET,
	[FILTER_REMOVE] = BACKEND_CALL_REMOVE,
	[FILTER_OPEN_PART] = BACKEND_CALL_MPU,
	[FILTER_WRITE_PART] = BACKEND_CALL_MPU,
	[FILTER_COMMIT_PART] = BACKEND_CALL_MPU,
	[FILTER_MPU_CREATE] = BACKEND_CALL_MPU,
	[FILTER_MPU_COMPLETE] = BACKEND_CALL_MPU,
	[FILTER_MPU_ABORT] = BACKEND_CALL_MPU,
	[FILTER_MPU_COPY_PART] = BACKEND_CALL_MPU,
	[FILTER_SWEEP] = BACKEND_CALL_SWEEP,
};

static enum verdict judge_locked(struct fault *f, struct filter_call *c)
{
	unsigned kind = kinds[c->op];

	f->locked.calls[c->op]++;
	if (f->locked.always & kind) {
		c->code = f->locked.always_code;
		return FAIL_BEFORE;
	}
	if (!f->locked.left || !(f->locked.mask & kind) || --f->locked.left)
		return PASS;
	f->locked.fired = true;
	c->code = f->locked.code;
	return f->locked.after ? FAIL_AFTER : FAIL_BEFORE;
}

static void hold_locked(struct fault *f, unsigned kind)
{
	f->locked.held++;
	while (f->locked.hold & kind)
		pthread_cond_wait(&f->changed, &f->lock);
	f->locked.held--;
}

static rc broken(enum err_code code, struct err *reterr)
{
	return err_set(reterr, code, "a fault was injected");
}

static rc before(struct filter *base, struct filter_call *c, struct err *reterr)
{
	struct fault *f = CONTAINER(base, struct fault, f);
	unsigned kind = kinds[c->op], ms;

	pthread_mutex_lock(&f->lock);
	c->mark = judge_locked(f, c);
	if (c->op != FILTER_OPEN_FILE_NOWAIT && (f->locked.hold & kind))
		hold_locked(f, kind);
	ms = f->locked.slow & kind ? f->locked.slow_ms : 0;
	pthread_mutex_unlock(&f->lock);
	if (ms && c->op != FILTER_OPEN_FILE_NOWAIT)
		sleep_us(ms * 1000ll);
	return c->mark == FAIL_BEFORE ? broken(c->code, reterr) : RC_OK;
}

static void shorten(struct fault *f, struct filter_call *c)
{
	pthread_mutex_lock(&f->lock);
	if (f->locked.short_in && --f->locked.short_in == 0) {
		f->locked.fired = true;
		c->bytes -= c->bytes < f->locked.short_bytes ? c->bytes : f->locked.short_bytes;
	}
	pthread_mutex_unlock(&f->lock);
}

static rc after(struct filter *base, struct filter_call *c, rc result, struct err *reterr)
{
	if (c->op == FILTER_READ || c->op == FILTER_READ_NEXT)
		shorten(CONTAINER(base, struct fault, f), c);
	return c->mark == FAIL_AFTER && rc_ok(result) ? broken(c->code, reterr) : result;
}

static void fault_free(struct filter *base)
{
	struct fault *f = CONTAINER(base, struct fault, f);

	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct filter_hooks hooks = {.before = before, .after = after, .free = fault_free};

struct backend *backend_fault_new(struct backend *next)
{
	struct fault *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	filter_init(&f->f, next, &hooks);
	/* What went into a pipe can't be made less. */
	f->f.ops.can_splice = NULL;
	f->f.ops.splice_next = NULL;
	return &f->f.b;
}

static struct fault *locked(struct backend *b)
{
	struct fault *f = CONTAINER(filter_of(b), struct fault, f);

	assert(f->f.hooks == &hooks);
	pthread_mutex_lock(&f->lock);
	return f;
}

void backend_fault_arm(struct backend *fault, unsigned mask, uint64_t nth, enum err_code code,
		       bool after_it)
{
	struct fault *f = locked(fault);

	assert(code != ERR_NONE);
	f->locked.mask = mask;
	f->locked.left = nth;
	f->locked.code = code;
	f->locked.after = after_it;
	f->locked.fired = false;
	pthread_mutex_unlock(&f->lock);
}

void backend_fault_always(struct backend *fault, unsigned mask, enum err_code code)
{
	struct fault *f = locked(fault);

	f->locked.always = mask;
	f->locked.always_code = code;
	pthread_mutex_unlock(&f->lock);
}

void backend_fault_delay(struct backend *fault, unsigned mask, unsigned ms)
{
	struct fault *f = locked(fault);

	f->locked.slow = mask;
	f->locked.slow_ms = ms;
	pthread_mutex_unlock(&f->lock);
}

void backend_fault_hold(struct backend *fault, unsigned mask)
{
	struct fault *f = locked(fault);

	f->locked.hold = mask;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

unsigned backend_fault_held(struct backend *fault)
{
	struct fault *f = locked(fault);
	unsigned n = f->locked.held;

	pthread_mutex_unlock(&f->lock);
	return n;
}

void backend_fault_truncate(struct backend *fault, uint64_t nth, uint64_t bytes)
{
	struct fault *f = locked(fault);

	f->locked.short_in = nth;
	f->locked.short_bytes = bytes;
	f->locked.fired = false;
	pthread_mutex_unlock(&f->lock);
}

uint64_t backend_fault_calls(struct backend *fault, unsigned mask)
{
	struct fault *f = locked(fault);
	uint64_t n = 0;

	for (size_t i = 0; i < FILTER_OPS; i++)
		if (kinds[i] & mask)
			n += f->locked.calls[i];
	pthread_mutex_unlock(&f->lock);
	return n;
}

bool backend_fault_fired(struct backend *fault)
{
	struct fault *f = locked(fault);
	bool fired = f->locked.fired;

	pthread_mutex_unlock(&f->lock);
	return fired;
}
