#include "kv/migrate.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "kv/hold.h"
#include "kv/migrate_steps.h"

rc migration_tick(struct migration *x, enum kv_step step, uint64_t done, uint64_t total, uint64_t bytes,
		  struct err *reterr)
{
	const struct kv_progress p = {step, done, total, bytes};

	return x->m->progress ? x->m->progress(x->m->ud, &p, reterr) : RC_OK;
}

/* Survey. */

static rc survey(struct migration *x, struct kv_tally *t, struct err *reterr)
{
	const struct kv_migration *m = x->m;
	struct kv_tally_partition before;
	struct kv_record r;
	uint64_t n = 0, bytes = 0;
	bool end;

	TRY(m->from->ops->begin(m->from, STR_NONE, STR_NONE, reterr));
	for (;;) {
		TRY(m->from->ops->next(m->from, &r, &end, reterr));
		if (end)
			break;
		if (str_eq(r.partition, KV_MARKS))
			return err_set(reterr, ERR_INVALID,
				       "the source has records of partition " STR_FMT
				       ", which belong to one database and can't be copied",
				       STR_ARG(KV_MARKS));
		if (m->known)
			TRY(m->known(m->ud, &r, reterr));
		kv_tally_add(t, &r, &before);
		bytes += r.key.n + r.value.n;
		if (++n % MIGRATION_TICK == 0)
			TRY(migration_tick(x, KV_STEP_SURVEY, n, 0, bytes, reterr));
	}
	kv_tally_end(t, &before, &x->out->source);
	return migration_tick(x, KV_STEP_SURVEY, n, n, bytes, reterr);
}

static rc run_survey(struct migration *x, struct err *reterr)
{
	struct kv_tally *t = kv_tally_new();
	rc r = survey(x, t, reterr);

	kv_tally_free(t);
	kv_digest_hex(x->out->source.digest, x->source);
	return r;
}

/* The target, before anything is written. */

static rc is_empty(struct kv *kv, bool *ret, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	*ret = false;
	TRY(kv_partitions(kv, STR_NONE, &it, reterr));
	do {
		TRY(kv_iter_next(it, &e, &end, reterr));
	} while (!end && str_eq(e.key, KV_MARKS));
	*ret = end;
	return RC_OK;
}

static rc plan_fresh(struct migration *x, struct err *reterr)
{
	bool empty;

	TRY(is_empty(x->m->to, &empty, reterr));
	if (!empty && !x->m->clear)
		return err_set(reterr, ERR_EXISTS,
			       "the target isn't empty: name another one, or have all that it holds deleted "
			       "with --clear-target");
	x->out->clears = !empty;
	x->mark.phase = empty ? KV_PHASE_COPY : KV_PHASE_CLEAR;
	return RC_OK;
}

/* A mark was met: it must be this source's, unless all is to begin anew. */
static rc plan_marked(struct migration *x, struct err *reterr)
{
	struct kv_incoming *k = &x->mark;

	if (x->m->clear) {
		x->out->clears = true;
		*k = (struct kv_incoming){.phase = KV_PHASE_CLEAR, .beats = k->beats};
		return RC_OK;
	}
	if (!str_eq(k->source, str_c(x->source)))
		return err_set(reterr, ERR_EXISTS,
			       "the target was begun to be filled from " STR_FMT
			       ", and that was another source or has been written to since: start over with "
			       "--clear-target",
			       STR_ARG(str_head(k->from, 200)));
	x->out->resumed = true;
	return RC_OK;
}

/* Whoever is at work moves the mark each second. */
static rc check_alone(struct migration *x, struct err *reterr)
{
	int64_t watch = x->m->watch_ms ? x->m->watch_ms : KV_WATCH_MS, until = mono_ms() + watch;

	while (!x->m->to->ops->sole_owner && mono_ms() < until) {
		struct kv_incoming now;
		struct str raw;

		usleep(100 * 1000);
		TRY(kv_incoming_get(x->m->to, x->a, &now, &raw, reterr));
		if (!str_eq(raw, x->raw))
			return err_set(reterr, ERR_SlowDown,
				       "another process fills this target just now: let it end, or stop it");
	}
	return RC_OK;
}

static rc plan(struct migration *x, struct err *reterr)
{
	rc r = kv_incoming_get(x->m->to, x->a, &x->mark, &x->raw, reterr);

	if (rc_is(r, CORRUPT) && x->m->clear && x->raw.p)
		r = RC_OK;
	TRY(r);
	if (!x->raw.p)
		return plan_fresh(x, reterr);
	TRY(plan_marked(x, reterr));
	return x->m->dry_run ? RC_OK : check_alone(x, reterr);
}

/* The mark. */

rc migration_mark(struct migration *x, struct err *reterr)
{
	struct arena_mark at = arena_mark(x->mark_arena);
	struct str raw;
	rc r;

	x->mark.beats++;
	r = kv_incoming_put(x->m->to, &x->mark, x->raw, x->mark_arena, &raw, reterr);
	if (rc_ok(r)) {
		buf_reset(&x->raw_kept);
		buf_add(&x->raw_kept, raw);
		x->raw = buf_str(&x->raw_kept);
		x->marked_ms = mono_ms();
	}
	arena_rewind(x->mark_arena, at);
	if (rc_is(r, PREDICATE))
		return err_set(reterr, ERR_SlowDown,
			       "another process has taken over the filling of this target");
	return r;
}

rc migration_beat(struct migration *x, struct err *reterr)
{
	return mono_ms() - x->marked_ms < BEAT_MS ? RC_OK : migration_mark(x, reterr);
}

/* Servers put their heartbeat first and look for the mark then; this does it the other way round, so that
 * one of the two sees the other. */
static rc mark_first(struct migration *x, struct err *reterr)
{
	const struct kv_hold_options o = {.watch_ms = x->m->watch_ms};
	bool fresh = !x->raw.p;
	rc r;

	x->mark.run = uuid4(x->a);
	x->mark.source = str_c(x->source);
	x->mark.from = str_head(x->m->name, 1000);
	x->mark.records = x->out->source.records;
	TRY(migration_mark(x, reterr));
	r = kv_check_writers(x->m->to, &o, reterr);
	if (rc_ok(r))
		return r;
	IGNORE_RC(err_wrap(r, reterr, "the target"));
	if (fresh && rc_is(r, SlowDown))
		IGNORE_RC(kv_incoming_remove(x->m->to, NULL)); /* the servers on it have told by now */
	return r;
}

static rc enter(struct migration *x, enum kv_phase phase, struct err *reterr)
{
	x->mark.phase = phase;
	return migration_mark(x, reterr);
}

static rc work(struct migration *x, struct err *reterr)
{
	TRY(mark_first(x, reterr));
	if (x->mark.phase == KV_PHASE_CLEAR) {
		TRY(migration_clear(x, reterr));
		TRY(enter(x, KV_PHASE_COPY, reterr));
	}
	if (x->mark.phase == KV_PHASE_COPY) {
		TRY(migration_copy(x, reterr));
		TRY(enter(x, KV_PHASE_VERIFY, reterr));
	}
	TRY(migration_verify(x, reterr));
	if (x->m->last_check)
		TRY(x->m->last_check(x->m->ud, reterr));
	return kv_incoming_remove(x->m->to, reterr);
}

static rc migrate(struct migration *x, struct err *reterr)
{
	TRY(run_survey(x, reterr));
	if (!x->m->to)
		return RC_OK;
	TRY(plan(x, reterr));
	return x->m->dry_run ? RC_OK : work(x, reterr);
}

rc kv_migrate(const struct kv_migration *m, struct kv_migrated *ret, struct err *reterr)
{
	struct migration x = {
		.m = m,
		.out = ret,
		.a = arena_new(),
		.mark_arena = arena_new(),
		.raw_kept = BUF_INIT(1 << 20),
		.place_partition = BUF_INIT(KV_PARTITION_MAX),
		.place_key = BUF_INIT(KV_KEY_MAX),
	};
	rc r;

	*ret = (struct kv_migrated){};
	r = migrate(&x, reterr);
	buf_deinit(&x.raw_kept);
	buf_deinit(&x.place_partition);
	buf_deinit(&x.place_key);
	arena_free(x.mark_arena);
	arena_free(x.a);
	return r;
}
