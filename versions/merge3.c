/* The walk goes over three iterators in step. Where heads of ranges meet, whole ranges are decided; where they
 * overlap, the walk descends to records. Which ranges are taken whole never changes what the result says,
 * only what it costs. */
#include "versions/merge3.h"

#include "versions/internal.h"

struct walk {
	struct mr_iter *dest, *source, *base;
	enum merge_strategy strategy;
	struct mr_writer *w;
	struct merge_summary *sum;
	struct vcall *c;
	struct arena *a;
	struct err *err;
};

static bool at_end(const struct mr_iter *it)
{
	return mr_iter_at(it) == MR_END;
}

static bool at_head(const struct mr_iter *it)
{
	return mr_iter_at(it) == MR_HEAD;
}

/* A merge that is going to fail only counts on. */
static bool writing(const struct walk *m)
{
	return m->strategy != MERGE_NONE || !m->sum->conflicts;
}

static rc put(struct walk *m, const struct record *record)
{
	return writing(m) ? mr_writer_record(m->w, record->key, record->value, m->err) : RC_OK;
}

static rc put_range(struct walk *m, const struct mr_iter *it)
{
	return writing(m) ? mr_writer_range(m->w, mr_iter_range(it), m->err) : RC_OK;
}

/* Ranges. */

enum side { DEST, SOURCE };

static struct mr_iter *iter_of(struct walk *m, enum side side)
{
	return side == DEST ? m->dest : m->source;
}

/* The side's range lies in a gap of the other side. */
static rc lone_range(struct walk *m, enum side side)
{
	struct mr_iter *it = iter_of(m, side);
	const struct range_info *range = mr_iter_range(it);

	TRY(mr_iter_seek(m->base, range->min, m->err));
	if (at_end(m->base) || str_cmp(mr_iter_key(m->base), range->max) > 0) {
		TRY(put_range(m, it)); /* nobody had any of it: this side added it */
		if (side == SOURCE)
			m->sum->added += range->count > 0 ? range->count : 1;
		return mr_iter_next_range(it, m->err);
	}
	if (mr_iter_same_range(m->base, it)) { /* the other side removed all of it */
		if (side == DEST)
			m->sum->removed += range->count > 0 ? range->count : 1;
		return mr_iter_next_range(it, m->err);
	}
	return mr_iter_next(it, m->err);
}

static bool before(const struct mr_iter *range, const struct mr_iter *other)
{
	return at_end(other) || str_cmp(mr_iter_range(range)->max, mr_iter_key(other)) < 0;
}

static bool same_bounds(const struct mr_iter *a, const struct mr_iter *b)
{
	const struct range_info *x = mr_iter_range(a), *y = mr_iter_range(b);

	return str_eq(x->min, y->min) && str_eq(x->max, y->max);
}

/* Both at heads. *ret_done: decided; else they overlap, and records must be looked at. */
static rc two_ranges(struct walk *m, bool *ret_done)
{
	bool take_source;

	*ret_done = true;
	if (mr_iter_same_range(m->dest, m->source)) {
		TRY(put_range(m, m->dest));
	} else {
		*ret_done = same_bounds(m->dest, m->source);
		if (!*ret_done)
			return RC_OK;
		TRY(mr_iter_seek(m->base, mr_iter_key(m->dest), m->err));
		take_source = mr_iter_same_range(m->base, m->dest);
		*ret_done = take_source || mr_iter_same_range(m->base, m->source);
		if (!*ret_done)
			return RC_OK;
		TRY(put_range(m, take_source ? m->source : m->dest));
		m->sum->changed += take_source; /* at least one: it isn't known how many */
	}
	TRY(mr_iter_next_range(m->dest, m->err));
	return mr_iter_next_range(m->source, m->err);
}

/* Records. */

static void conflict(struct walk *m, struct str key)
{
	if (m->sum->first_n < MERGE_CONFLICTS_NAMED)
		m->sum->first[m->sum->first_n++] = arena_dup(m->a, key);
	m->sum->conflicts++;
}

static rc only_dest(struct walk *m)
{
	const struct record *d = mr_iter_record(m->dest);
	struct record b;
	bool keep;

	TRY(mr_iter_find(m->base, d->key, &b, m->err));
	keep = !b.identity.p;
	if (!keep && !record_same(d, &b)) {
		conflict(m, d->key);
		keep = m->strategy == MERGE_DEST_WINS;
	}
	if (keep)
		TRY(put(m, d));
	else
		m->sum->removed++;
	return mr_iter_next(m->dest, m->err);
}

static rc only_source(struct walk *m)
{
	const struct record *s = mr_iter_record(m->source);
	struct record b;
	bool take;

	TRY(mr_iter_find(m->base, s->key, &b, m->err));
	take = !b.identity.p;
	if (!take && !record_same(s, &b)) {
		conflict(m, s->key);
		take = m->strategy == MERGE_SOURCE_WINS;
	}
	if (take)
		TRY(put(m, s));
	m->sum->added += take;
	return mr_iter_next(m->source, m->err);
}

static rc both(struct walk *m)
{
	const struct record *d = mr_iter_record(m->dest), *s = mr_iter_record(m->source);
	bool take_source = false;
	struct record b;

	if (!str_eq(d->identity, s->identity)) {
		TRY(mr_iter_find(m->base, d->key, &b, m->err));
		take_source = record_same(d, &b);
		if (!take_source && !record_same(s, &b)) {
			conflict(m, d->key);
			take_source = m->strategy == MERGE_SOURCE_WINS;
		}
	}
	TRY(put(m, take_source ? s : d));
	m->sum->changed += take_source;
	TRY(mr_iter_next(m->dest, m->err));
	return mr_iter_next(m->source, m->err);
}

static rc records(struct walk *m)
{
	int order = at_end(m->dest)	? 1
		    : at_end(m->source) ? -1
					: str_cmp(mr_iter_key(m->dest), mr_iter_key(m->source));

	if (order <= 0 && at_head(m->dest))
		return mr_iter_next(m->dest, m->err);
	if (order >= 0 && at_head(m->source))
		return mr_iter_next(m->source, m->err);
	return order < 0 ? only_dest(m) : order > 0 ? only_source(m) : both(m);
}

static rc step(struct walk *m)
{
	bool done = false;

	if (at_head(m->dest) && before(m->dest, m->source))
		return lone_range(m, DEST);
	if (at_head(m->source) && before(m->source, m->dest))
		return lone_range(m, SOURCE);
	if (at_head(m->dest) && at_head(m->source))
		TRY(two_ranges(m, &done));
	return done ? RC_OK : records(m);
}

static rc walk(struct walk *m)
{
	TRY(mr_iter_next(m->dest, m->err));
	TRY(mr_iter_next(m->source, m->err));
	TRY(mr_iter_next(m->base, m->err));
	for (int64_t n = 1; !at_end(m->dest) || !at_end(m->source); n++) {
		TRY(step(m));
		TRY(vcall_tick(m->c, n));
	}
	if (m->strategy == MERGE_NONE && m->sum->conflicts)
		return err_set(m->err, ERR_MergeConflict,
			       "conflict found: %lld paths were changed on both sides, '" STR_FMT
			       "' is the first; merge with a strategy, or make them equal before",
			       (long long)m->sum->conflicts, STR_ARG(m->sum->first[0]));
	return RC_OK;
}

rc merge3(struct vcall *c, const struct repo *r, struct str dest, struct str source, struct str base,
	  enum merge_strategy strategy, struct mr_writer *w, struct merge_summary *ret)
{
	CLEANUP(mr_iter_closep) struct mr_iter *d = NULL;
	CLEANUP(mr_iter_closep) struct mr_iter *s = NULL;
	CLEANUP(mr_iter_closep) struct mr_iter *b = NULL;

	*ret = (struct merge_summary){
		.first = arena_alloc(c->a, MERGE_CONFLICTS_NAMED * sizeof(*ret->first))};
	TRY(mr_iter_open(c, r, dest, true, &d));
	TRY(mr_iter_open(c, r, source, true, &s));
	TRY(mr_iter_open(c, r, base, true, &b));
	return walk(&(struct walk){
		.dest = d, .source = s, .base = b, .strategy = strategy, .w = w, .sum = ret, .c = c, .a = c->a, .err = c->err});
}
