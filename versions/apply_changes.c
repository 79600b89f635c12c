#include "versions/merge3.h"

#include "versions/internal.h"

struct apply {
	struct vcall *c;
	struct mr_iter *base;
	struct changes *changes;
	struct record change;
	bool changes_end;
	struct mr_writer *w;
	struct merge_summary *sum;
	struct err *err;
};

static rc next_change(struct apply *p)
{
	return p->changes->ops->next(p->changes, &p->change, &p->changes_end, p->err);
}

static rc keep_record(struct apply *p)
{
	const struct record *r = mr_iter_record(p->base);

	TRY(mr_writer_record(p->w, r->key, r->value, p->err));
	return mr_iter_next(p->base, p->err);
}

static rc keep_range(struct apply *p)
{
	TRY(mr_writer_range(p->w, mr_iter_range(p->base), p->err));
	return mr_iter_next_range(p->base, p->err);
}

/* What base doesn't have. */
static rc add(struct apply *p)
{
	if (p->change.identity.p) {
		TRY(mr_writer_record(p->w, p->change.key, p->change.value, p->err));
		p->sum->added++;
	}
	return next_change(p);
}

/* What base has, too. */
static rc replace(struct apply *p)
{
	if (p->change.identity.p &&
	    str_eq(p->change.identity, mr_iter_record(p->base)->identity)) {
		TRY(next_change(p));
		return keep_record(p);
	}
	if (p->change.identity.p) {
		TRY(mr_writer_record(p->w, p->change.key, p->change.value, p->err));
		p->sum->changed++;
	} else {
		p->sum->removed++;
	}
	TRY(next_change(p));
	return mr_iter_next(p->base, p->err);
}

static rc step(struct apply *p)
{
	enum mr_at at = mr_iter_at(p->base);
	int order;

	if (at == MR_END)
		return add(p);
	if (p->changes_end)
		return at == MR_HEAD ? keep_range(p) : keep_record(p);
	order = str_cmp(mr_iter_key(p->base), p->change.key);
	if (order > 0)
		return add(p);
	if (at == MR_HEAD && str_cmp(mr_iter_range(p->base)->max, p->change.key) < 0)
		return keep_range(p);
	if (at == MR_HEAD)
		return mr_iter_next(p->base, p->err);
	return order < 0 ? keep_record(p) : replace(p);
}

static rc apply(struct apply *p)
{
	TRY(mr_iter_next(p->base, p->err));
	TRY(next_change(p));
	for (int64_t n = 1; mr_iter_at(p->base) != MR_END || !p->changes_end; n++) {
		TRY(step(p));
		TRY(vcall_tick(p->c, n));
	}
	return RC_OK;
}

rc apply_changes(struct vcall *c, const struct repo *r, struct str base, struct changes *changes,
		 struct mr_writer *w, struct merge_summary *ret)
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;

	*ret = (struct merge_summary){0};
	TRY(mr_iter_open(c, r, base, true, &it));
	return apply(&(struct apply){
		.c = c, .base = it, .changes = changes, .w = w, .sum = ret, .err = c->err});
}
