/* In rounds: read each branch once, write all that is guarded by it at once, and take those whose branch
 * moved meanwhile into the next round.
 *
 * A tombstone needs no condition on what it hides: whoever writes the same path meanwhile does so at the
 * same time as the deletion, and may come before or after it. That there is nothing to hide must be
 * seen in one state of the branch: it is read again afterwards. */
#include "versions/stage_batch.h"

#include <assert.h>

#include "base/clock.h"
#include "versions/branch_remove.h"
#include "versions/internal.h"
#include "versions/protection.h"

/* So long what somebody saw of a branch may be tried: what is written under a token that was dropped by
 * then must be there long before the clean-up of dropped tokens comes. */
enum { SEEN_MS = 10 * 1000 };

/* A branch, as read in this round. */
struct stage_target {
	const struct repo *repo;
	struct branch before, after;
	rc found, found_after;
	struct err err;
	bool read_after;
};

struct round {
	struct versions *v;
	struct arena *a; /* of this round */
	bool first;
	struct stage_target *targets;
	size_t targets_n;
	struct kv_write *writes;
	struct stage_item **written; /* beside them */
	size_t writes_n;
};

static struct vcall call_of(struct round *r, struct err *err)
{
	return (struct vcall){.v = r->v, .a = r->a, .wait = KV_BLOCK, .err = err};
}

/* In the first round, for what is written whatever is there. */
static bool may_use_seen(const struct round *r, const struct stage_item *s)
{
	return r->first && s->seen && s->seen->at_ms && !s->seen->b.closed_ms && !s->tombstone &&
	       !r->v->kv->ops->has_nowait && mono_ms() - s->seen->at_ms < SEEN_MS;
}

static struct stage_target *target_of(struct round *r, const struct stage_item *s)
{
	struct stage_target *t;
	struct vcall c;

	for (size_t i = r->targets_n; i-- > 0;) {
		t = &r->targets[i];
		if (str_eq(t->before.id, s->branch) &&
		    str_eq(t->repo->partition, s->repo->partition))
			return t;
	}
	t = &r->targets[r->targets_n++];
	t->repo = s->repo;
	c = call_of(r, &t->err);
	if (may_use_seen(r, s)) {
		t->before = s->seen->b;
		t->found = RC_OK;
	} else {
		t->found = branch_get_open(&c, s->repo, s->branch, &t->before);
	}
	if (rc_ok(t->found))
		t->found = protection_check(&c, s->repo, s->branch, PROTECT_STAGING);
	t->before.id = s->branch;
	return t;
}

static rc target_failed(const struct stage_target *t, rc r, struct stage_item *s)
{
	if (s->err)
		*s->err = t->err;
	return r;
}

static void add_write(struct round *r, struct stage_item *s)
{
	const struct branch *b = &s->target->before;

	r->written[r->writes_n] = s;
	r->writes[r->writes_n++] = (struct kv_write){
		.partition = b->staging_token,
		.key = s->path,
		.value = s->value,
		.has_guard = kv_has_guarded(r->v->kv),
		.guard_partition = s->repo->partition,
		.guard_key = branch_key(r->a, b->id),
		.guard_value = b->raw,
		.err = s->err,
	};
}

static rc plan(struct round *r, struct stage_item *s)
{
	struct vcall c = call_of(r, s->err);
	struct staged top, found = {.state = STAGED_ENTRY};

	s->target = target_of(r, s);
	if (!rc_ok(s->target->found))
		return target_failed(s->target, s->target->found, s);
	/* One that was sent before may lie where a commit has already looked: it says nothing. */
	if (s->tombstone && !s->sent)
		TRY(object_find(&c, s->repo, &s->target->before, s->path, &top, &found));
	s->writes = found.state == STAGED_ENTRY;
	if (s->writes)
		add_write(r, s);
	return RC_OK;
}

/* Without guards the branches that were written to are read again, right behind. */
static void write_and_read_again(struct round *r)
{
	struct kv_read *reads = arena_zalloc(r->a, (r->targets_n + 1) * sizeof(*reads));
	struct stage_target **of = arena_alloc(r->a, (r->targets_n + 1) * sizeof(struct stage_target *));
	size_t n = 0;

	for (size_t i = 0; i < r->writes_n; i++) {
		struct stage_target *t = r->written[i]->target;

		if (t->read_after)
			continue;
		t->read_after = true;
		of[n] = t;
		reads[n++] = (struct kv_read){.partition = t->repo->partition,
					      .key = branch_key(r->a, t->before.id),
					      .a = r->a,
					      .err = &t->err};
	}
	kv_write_then_read(r->v->kv, r->writes, r->writes_n, reads, n);
	for (size_t i = 0; i < n; i++) {
		struct vcall c = call_of(r, &of[i]->err);

		of[i]->found_after = branch_from(&c, reads[i].result, reads[i].value, &of[i]->after);
	}
}

static void write_all(struct round *r)
{
	if (kv_has_guarded(r->v->kv))
		kv_write_many(r->v->kv, r->writes, r->writes_n);
	else
		write_and_read_again(r);
	for (size_t i = 0; i < r->writes_n; i++) {
		struct stage_item *s = r->written[i];

		s->result = r->writes[i].result;
		s->sent |= !surely_unwritten(s->result);
	}
}

/* PREDICATE: what was seen in the branch, or written under its token, needs another round. */
static rc confirm(struct round *r, struct stage_item *s)
{
	struct stage_target *t = s->target;
	struct vcall c = call_of(r, &t->err);

	if (s->writes && kv_has_guarded(r->v->kv))
		return RC_OK;
	if (!t->read_after) {
		t->read_after = true;
		t->found_after = branch_get(&c, s->repo, s->branch, &t->after);
	}
	if (!rc_ok(t->found_after))
		return target_failed(t, t->found_after, s);
	if (s->writes ? str_eq(t->after.staging_token, t->before.staging_token)
		      : str_eq(t->after.raw, t->before.raw))
		return RC_OK;
	return err_set(s->err, ERR_PREDICATE, "the branch changed");
}

/* How many need another round. */
static size_t run_round(struct round *r, struct stage_item *items, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (items[i].again)
			items[i].result = plan(r, &items[i]);
	write_all(r);
	for (size_t i = 0; i < n; i++) {
		struct stage_item *s = &items[i];

		if (s->again && rc_ok(s->result))
			s->result = confirm(r, s);
		s->again = s->again && rc_is(s->result, PREDICATE);
		left += s->again;
	}
	return left;
}

static size_t round_over(struct versions *v, struct stage_item *items, size_t n, bool first)
{
	struct round r = {.v = v, .a = arena_new(), .first = first};
	size_t left;

	r.targets = arena_zalloc(r.a, n * sizeof(*r.targets));
	r.writes = arena_alloc(r.a, n * sizeof(*r.writes));
	r.written = arena_alloc(r.a, n * sizeof(*r.written));
	left = run_round(&r, items, n);
	arena_free(r.a);
	return left;
}

void stage_many(struct versions *v, struct stage_item *items, size_t n)
{
	size_t left = 0;

	assert(n <= KV_WRITES_MAX);
	for (size_t i = 0; i < n; i++) {
		items[i].sent = false;
		items[i].again = rc_ok(items[i].result);
		left += items[i].again;
	}
	for (unsigned i = 0; left && i < BRANCH_TRIES; i++)
		left = round_over(v, items, n, i == 0);
	for (size_t i = 0; left && i < n; i++)
		if (items[i].again)
			items[i].result = err_set(items[i].err, ERR_SlowDown,
						  "the branch keeps changing; try again");
}
