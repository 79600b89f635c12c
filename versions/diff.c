#include "versions/diff.h"

#include <stdlib.h>

struct diff {
	struct mr_iter *left, *right;
	struct mr_iter *base; /* NULL: two-dot */
	struct str end; /* STR_NONE: none */
	bool left_used, right_used; /* the record was answered: to be passed at the next call */
};

static rc open_all(struct vcall *c, const struct repo *r, struct str left, struct str right,
		   struct str base, struct diff *d)
{
	TRY(mr_iter_open(c, r, left, true, &d->left));
	TRY(mr_iter_open(c, r, right, true, &d->right));
	if (base.p)
		TRY(mr_iter_open(c, r, base, true, &d->base));
	TRY(mr_iter_next(d->left, c->err));
	TRY(mr_iter_next(d->right, c->err));
	return d->base ? mr_iter_next(d->base, c->err) : RC_OK;
}

rc diff_open(struct vcall *c, const struct repo *r, struct str left, struct str right, struct str base,
	     struct diff **ret)
{
	struct diff *d = calloc(1, sizeof(*d));
	rc opened;

	if (!d)
		abort();
	opened = open_all(c, r, left, right, base, d);
	if (rc_ok(opened))
		*ret = d;
	else
		diff_close(d);
	return opened;
}

void diff_close(struct diff *d)
{
	if (!d)
		return;
	mr_iter_close(d->left);
	mr_iter_close(d->right);
	mr_iter_close(d->base);
	free(d);
}

void diff_closep(struct diff **d)
{
	diff_close(*d);
}

static rc pass_used(struct diff *d, struct err *reterr)
{
	if (d->left_used)
		TRY(mr_iter_next(d->left, reterr));
	d->left_used = false;
	if (d->right_used)
		TRY(mr_iter_next(d->right, reterr));
	d->right_used = false;
	return RC_OK;
}

/* In the same range at the same key: what follows in it is the same, too. */
static bool in_step(const struct diff *d, int order)
{
	return order == 0 && mr_iter_at(d->left) != MR_END &&
	       mr_iter_at(d->left) == mr_iter_at(d->right) &&
	       str_eq(mr_iter_range(d->left)->id, mr_iter_range(d->right)->id);
}

static int order_of(const struct diff *d)
{
	if (mr_iter_at(d->left) == MR_END)
		return mr_iter_at(d->right) == MR_END ? 0 : 1;
	if (mr_iter_at(d->right) == MR_END)
		return -1;
	return str_cmp(mr_iter_key(d->left), mr_iter_key(d->right));
}

static bool is_past_end(const struct diff *d, int order)
{
	return d->end.p && str_cmp(mr_iter_key(order <= 0 ? d->left : d->right), d->end) >= 0;
}

/* The next key that the two sides don't agree on. */
static rc next_two(struct diff *d, struct diff_item *ret, bool *ret_end, struct err *reterr)
{
	TRY(pass_used(d, reterr));
	for (;;) {
		int order = order_of(d);

		*ret_end = (order == 0 && mr_iter_at(d->left) == MR_END) || is_past_end(d, order);
		if (*ret_end)
			return RC_OK;
		if (in_step(d, order)) {
			TRY(mr_iter_next_range(d->left, reterr));
			TRY(mr_iter_next_range(d->right, reterr));
			continue;
		}
		if (order <= 0 && mr_iter_at(d->left) == MR_HEAD) {
			TRY(mr_iter_next(d->left, reterr));
			continue;
		}
		if (order >= 0 && mr_iter_at(d->right) == MR_HEAD) {
			TRY(mr_iter_next(d->right, reterr));
			continue;
		}
		d->left_used = order <= 0;
		d->right_used = order >= 0;
		*ret = (struct diff_item){.type = order < 0   ? DIFF_REMOVED
						  : order > 0 ? DIFF_ADDED
							      : DIFF_CHANGED};
		if (d->left_used)
			ret->left = *mr_iter_record(d->left);
		if (d->right_used)
			ret->right = *mr_iter_record(d->right);
		ret->key = d->left_used ? ret->left.key : ret->right.key;
		if (order != 0 || !str_eq(ret->left.identity, ret->right.identity))
			return RC_OK;
		TRY(pass_used(d, reterr));
	}
}

rc diff_next(struct diff *d, struct diff_item *ret, bool *ret_end, struct err *reterr)
{
	for (;;) {
		TRY(next_two(d, ret, ret_end, reterr));
		if (*ret_end || !d->base)
			return RC_OK;
		TRY(mr_iter_find(d->base, ret->key, &ret->base, reterr));
		if (record_same(&ret->base, &ret->right))
			continue; /* left's own change */
		if (!record_same(&ret->base, &ret->left))
			ret->type = DIFF_CONFLICT;
		return RC_OK;
	}
}

void diff_end_at(struct diff *d, struct str end)
{
	d->end = end;
}

rc diff_seek(struct diff *d, struct str key, struct err *reterr)
{
	TRY(pass_used(d, reterr));
	TRY(mr_iter_seek(d->left, key, reterr));
	return mr_iter_seek(d->right, key, reterr);
}
