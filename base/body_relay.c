/* The relay: from a source that is pinned to a loop to a chain that is pulled on a worker.
 *
 *                 loop                                      worker (or whoever pulls)
 *   source --fill--> slot[!current]  == hand_over ==>  slot[current] --pull-->
 *
 * `current` changes in hand_over only, on the loop, at a time when nobody pulls: after the callback was
 * asked for and before it is called. Between two hand-overs each side sees its own slot only; what the
 * loop wrote is ordered before the pull by the queue that takes the chain to the worker.
 */
#include "base/body.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/work.h"

enum {
	FIRST_BYTES = 16 * 1024, /* of a slot, when the body's length is not known */
};

struct slot {
	char *p;
	size_t n, at, cap;
	size_t goal;          /* bytes that make it full */
	enum body_state last; /* after the bytes: BODY_END, BODY_FAIL; BODY_WAIT: the other slot */
};

/* The mail to ourselves may be under way when the relay, its arena and all are gone. */
struct wake {
	struct mail mail;
	struct relay *relay; /* NULL once closed */
	bool posted;
};

struct relay {
	struct body body;
	struct slot slot[2];
	unsigned current;
	struct err err; /* the source's, where a slot says BODY_FAIL */
	struct {
		size_t slot_bytes;
		uint64_t taken; /* from the source */
		struct mailbox *home;
		body_ready_fn *fn; /* somebody waits */
		void *ud;
		bool source_armed;
		bool ready; /* slot[!current] can be handed over */
		struct wake *wake;
		bool *closed; /* where close says so when it is called from inside fn */
	} loop;
};

static enum body_state relay_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				  struct err *reterr)
{
	struct relay *r = (struct relay *)b;
	struct slot *s = &r->slot[r->current];
	size_t n = s->n - s->at < cap ? s->n - s->at : cap;

	if (n == 0) {
		if (s->last == BODY_FAIL)
			*reterr = r->err;
		return s->last;
	}
	memcpy(dst, s->p + s->at, n);
	s->at += n;
	*ret_n = n;
	return BODY_MORE;
}

/* Where the rest is known to fit, one byte more than the rest: the source's end shows only when it is
 * asked for more, and it may have lied. */
static size_t goal_of(const struct relay *r)
{
	uint64_t length = (uint64_t)r->body.length;

	if (r->body.length < 0 || length < r->loop.taken ||
	    length - r->loop.taken > r->loop.slot_bytes)
		return r->loop.slot_bytes;
	return (size_t)(length - r->loop.taken) + 1;
}

static void slot_start(struct relay *r, struct slot *s)
{
	s->n = s->at = 0;
	s->goal = goal_of(r);
}

/* Room for more bytes: at once where the length is known, by doubling where it isn't. */
static void slot_grow(const struct relay *r, struct slot *s)
{
	size_t most = s->goal < r->loop.slot_bytes ? s->goal : r->loop.slot_bytes + 1;
	size_t cap = s->cap ? s->cap * 2 : FIRST_BYTES;

	s->cap = r->body.length >= 0 || cap > most ? most : cap;
	s->p = realloc(s->p, s->cap);
	if (!s->p)
		abort();
}

static void source_ready(void *ud);

/* Takes what the source has into the slot that isn't being pulled, until that is full, the source
 * is over, or has nothing now. */
static void fill(struct relay *r)
{
	struct slot *s = &r->slot[!r->current];

	if (r->loop.source_armed || r->slot[r->current].last != BODY_WAIT)
		return;
	while (!r->loop.ready) {
		enum body_state state;
		size_t n;

		if (s->n == s->cap)
			slot_grow(r, s);
		state = body_pull(r->body.below, s->p + s->n,
				  (s->cap < s->goal ? s->cap : s->goal) - s->n, &n, &r->err);
		s->n += n;
		r->loop.taken += n;
		if (state == BODY_WAIT) {
			r->loop.source_armed = true;
			body_arm(r->body.below, source_ready, r);
			return;
		}
		if (state != BODY_MORE)
			s->last = state;
		r->loop.ready = state != BODY_MORE || s->n == s->goal;
	}
}

static void wake_delivered(struct mail *m);

static void post_wake(struct relay *r)
{
	struct wake *w = r->loop.wake;

	if (!w) {
		w = r->loop.wake = calloc(1, sizeof(*w));
		if (!w)
			abort();
		w->mail.deliver = wake_delivered;
		w->relay = r;
	}
	assert(!w->posted);
	w->posted = true;
	mailbox_post(r->loop.home, &w->mail);
}

/* The puller is told before the emptied slot is filled, so that it works meanwhile; it may close the
 * relay, or ask again, from inside the call. */
static void hand_over(struct relay *r)
{
	body_ready_fn *fn = r->loop.fn;
	bool closed = false;

	assert(fn && r->loop.ready);
	r->current = !r->current;
	slot_start(r, &r->slot[!r->current]);
	r->loop.fn = NULL;
	r->loop.ready = false;
	r->loop.closed = &closed;
	fn(r->loop.ud);
	if (closed)
		return;
	r->loop.closed = NULL;
	fill(r);
	if (r->loop.fn && r->loop.ready && !(r->loop.wake && r->loop.wake->posted))
		post_wake(r);
}

static void wake_delivered(struct mail *m)
{
	struct wake *w = (struct wake *)m;

	w->posted = false;
	if (w->relay)
		hand_over(w->relay);
	else
		free(w);
}

static void source_ready(void *ud)
{
	struct relay *r = ud;

	r->loop.source_armed = false;
	fill(r);
	if (r->loop.fn && r->loop.ready)
		hand_over(r);
}

static void relay_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct relay *r = (struct relay *)b;

	assert(!r->loop.fn);
	assert(r->slot[r->current].at == r->slot[r->current].n);
	assert(r->slot[r->current].last == BODY_WAIT);
	r->loop.fn = fn;
	r->loop.ud = ud;
	fill(r);
	if (r->loop.ready)
		post_wake(r);
}

static void relay_close(struct body *b)
{
	struct relay *r = (struct relay *)b;

	free(r->slot[0].p);
	free(r->slot[1].p);
	if (r->loop.wake && r->loop.wake->posted)
		r->loop.wake->relay = NULL;
	else
		free(r->loop.wake);
	if (r->loop.closed)
		*r->loop.closed = true;
}

static const struct body_ops relay_ops = {
	.name = "relay", .pull = relay_pull, .arm = relay_arm, .close = relay_close};

struct body *body_relay_new(struct arena *a, struct body *below, size_t slot_bytes,
			    struct mailbox *home)
{
	struct relay *r = ARENA_NEW(a, struct relay);

	assert(home && slot_bytes > 0);
	body_init(&r->body, &relay_ops, below, below->length);
	r->slot[0].last = r->slot[1].last = BODY_WAIT;
	r->loop.slot_bytes = slot_bytes;
	r->loop.home = home;
	slot_start(r, &r->slot[1]);
	return &r->body;
}

bool body_relay_whole(const struct body *relay)
{
	const struct relay *r = (const struct relay *)relay;

	assert(relay->magic == BODY_MAGIC && relay->ops == &relay_ops);
	return r->slot[r->current].last != BODY_WAIT;
}
