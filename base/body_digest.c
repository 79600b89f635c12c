/* Digests of what passes, and the comparison at its end. */
#include "base/body.h"

#include "base/arena.h"
#include "base/digest.h"

struct digest_stage {
	struct body body;
	struct digest_set *set;
};

static enum body_state digest_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct digest_stage *d = (struct digest_stage *)b;
	enum body_state s = body_pull(b->below, dst, cap, ret_n, reterr);

	if (s == BODY_MORE)
		digest_set_update(d->set, dst, *ret_n);
	return s;
}

static const struct body_ops digest_ops = {.name = "digest", .pull = digest_pull};

struct body *body_digest_new(struct arena *a, struct body *below, struct digest_set *set)
{
	struct digest_stage *d = ARENA_NEW(a, struct digest_stage);

	body_init(&d->body, &digest_ops, below, below->length);
	d->set = set;
	return &d->body;
}

struct check_stage {
	struct body body;
	body_check_fn *check;
	void *ud;
};

static enum body_state check_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				  struct err *reterr)
{
	struct check_stage *c = (struct check_stage *)b;
	enum body_state s = body_pull(b->below, dst, cap, ret_n, reterr);

	if (s != BODY_END)
		return s;
	return rc_ok(c->check(c->ud, reterr)) ? BODY_END : BODY_FAIL;
}

static const struct body_ops check_ops = {.name = "check", .pull = check_pull};

struct body *body_check_new(struct arena *a, struct body *below, body_check_fn *check, void *ud)
{
	struct check_stage *c = ARENA_NEW(a, struct check_stage);

	body_init(&c->body, &check_ops, below, below->length);
	c->check = check;
	c->ud = ud;
	return &c->body;
}
