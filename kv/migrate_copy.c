/* Clearing and copying, in batches. */
#include <unistd.h>

#include "kv/migrate_steps.h"

enum { SLOW_TRIES = 10, SLOW_MS = 100, SLOW_MAX_MS = 5000 };

/* Writes that wait; their bytes are in the arena. */
struct batch {
	struct migration *x;
	struct kv_write w[KV_WRITES_MAX];
	size_t n, bytes;
	struct arena *a;
	enum kv_step step;
	uint64_t done, done_bytes; /* of the step */
	uint64_t total, before; /* before: done by earlier runs */
};

/* What was refused for now is written once more; everything else is a failure. */
static rc write_once(struct batch *b, bool *ret_again, struct err *reterr)
{
	*ret_again = false;
	kv_write_many(b->x->m->to, b->w, b->n);
	for (size_t i = 0; i < b->n; i++) {
		rc r = b->w[i].result;

		if (rc_is(r, SlowDown))
			*ret_again = true;
		else if (!rc_ok(r))
			return r;
	}
	return RC_OK;
}

/* write_many takes a result that is an error for "not this one": what is done is marked so. */
static void keep_refused(struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (rc_is(b->w[i].result, SlowDown)) {
			b->w[n] = b->w[i];
			b->w[n++].result = RC_OK;
		}
	b->n = n;
}

static rc write_all(struct batch *b, struct err *reterr)
{
	bool again = true;
	unsigned ms = SLOW_MS;

	for (size_t i = 0; i < b->n; i++)
		b->w[i].err = reterr;
	for (int tries = 0; again; tries++) {
		TRY(write_once(b, &again, reterr));
		if (!again)
			break;
		if (tries == SLOW_TRIES)
			return RC(SlowDown);
		keep_refused(b);
		usleep(ms * 1000);
		ms = ms * 2 > SLOW_MAX_MS ? SLOW_MAX_MS : ms * 2;
	}
	return RC_OK;
}

static void batch_init(struct batch *b, struct migration *x, enum kv_step step)
{
	*b = (struct batch){.x = x, .step = step, .a = arena_new()};
}

/* Their bytes are free to go, once what they were is durable. */
static void batch_reset(struct batch *b)
{
	b->n = b->bytes = 0;
	arena_free(b->a);
	b->a = arena_new();
}

static bool is_full(const struct batch *b)
{
	return b->n == KV_WRITES_MAX || b->bytes >= BATCH_BYTES;
}

static void add(struct batch *b, struct kv_write w)
{
	b->w[b->n++] = w;
	b->bytes += w.key.n + w.value.n;
	b->done++;
	b->done_bytes += w.key.n + w.value.n;
}

static rc flush(struct batch *b, struct err *reterr)
{
	if (b->n)
		TRY(write_all(b, reterr));
	batch_reset(b);
	TRY(migration_beat(b->x, reterr));
	return migration_tick(b->x, b->step, b->done, b->total, b->done_bytes, reterr);
}

/* Copy. */

static struct str keep(struct buf *b, struct str s)
{
	buf_reset(b);
	buf_add(b, s);
	return buf_str(b);
}

/* The place moves only after what is before it is durable. */
static rc flush_copy(struct batch *b, struct err *reterr)
{
	struct migration *x = b->x;
	struct kv_write last;

	if (!b->n)
		return RC_OK;
	last = b->w[b->n - 1]; /* write_all moves them about */
	TRY(write_all(b, reterr));
	x->mark.partition = keep(&x->place_partition, last.partition);
	x->mark.key = keep(&x->place_key, last.key);
	x->mark.has_place = true;
	x->mark.copied = b->done;
	x->out->copied = b->done - b->before;
	b->n = 0;
	return flush(b, reterr);
}

static rc add_copy(struct batch *b, const struct kv_record *r, struct err *reterr)
{
	add(b, (struct kv_write){.partition = arena_dup(b->a, r->partition),
				 .key = arena_dup(b->a, r->key),
				 .value = arena_dup(b->a, r->value)});
	return is_full(b) ? flush_copy(b, reterr) : RC_OK;
}

static rc copy(struct batch *b, struct err *reterr)
{
	struct migration *x = b->x;
	struct kv_stream *from = x->m->from;
	struct kv_record r;
	bool end;

	if (x->mark.has_place)
		TRY(from->ops->begin(from, x->mark.partition, x->mark.key, reterr));
	else
		TRY(from->ops->begin(from, STR_NONE, STR_NONE, reterr));
	for (;;) {
		TRY(from->ops->next(from, &r, &end, reterr));
		if (end)
			return flush_copy(b, reterr);
		TRY(add_copy(b, &r, reterr));
	}
}

rc migration_copy(struct migration *x, struct err *reterr)
{
	struct batch *b = arena_alloc(x->a, sizeof(*b));
	rc r;

	batch_init(b, x, KV_STEP_COPY);
	b->total = x->out->source.records;
	b->done = b->before = x->mark.has_place ? x->mark.copied : 0;
	r = copy(b, reterr);
	if (rc_is(r, CANCELLED))
		IGNORE_RC(migration_mark(x, NULL)); /* else a second's work is repeated */
	arena_free(b->a);
	return r;
}

/* Clear. */

static rc clear(struct batch *b, struct kv_stream *all, struct err *reterr)
{
	struct kv_record r;
	bool end;

	TRY(all->ops->begin(all, STR_NONE, STR_NONE, reterr));
	for (;;) {
		TRY(all->ops->next(all, &r, &end, reterr));
		if (end)
			return flush(b, reterr);
		add(b, (struct kv_write){.partition = arena_dup(b->a, r.partition),
					 .key = arena_dup(b->a, r.key),
					 .remove = true});
		if (is_full(b))
			TRY(flush(b, reterr));
	}
}

rc migration_clear(struct migration *x, struct err *reterr)
{
	struct kv_stream *all = kv_stream_new(x->m->to);
	struct batch *b = arena_alloc(x->a, sizeof(*b));
	rc r;

	batch_init(b, x, KV_STEP_CLEAR);
	r = clear(b, all, reterr);
	arena_free(b->a);
	kv_stream_free(all);
	return r;
}
