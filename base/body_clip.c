/* A range of what is below. */
#include "base/body.h"

#include <inttypes.h>

#include "base/arena.h"

struct clip {
	struct body body;
	uint64_t skip, left; /* bytes still to leave out, then to pass */
};

static enum body_state ended_early(const struct clip *c, struct err *reterr)
{
	IGNORE_RC(err_set(reterr, ERR_IO,
			  "The object ended %" PRIu64 " bytes before the end of the range.",
			  c->skip + c->left));
	return BODY_FAIL;
}

static enum body_state clip_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	struct clip *c = (struct clip *)b;
	enum body_state s;
	size_t n;

	if (c->left == 0)
		return BODY_END;
	while (c->skip) {
		s = body_pull(b->below, dst, c->skip < cap ? (size_t)c->skip : cap, &n, reterr);
		if (s != BODY_MORE)
			return s == BODY_END ? ended_early(c, reterr) : s;
		c->skip -= n;
	}
	s = body_pull(b->below, dst, c->left < cap ? (size_t)c->left : cap, ret_n, reterr);
	c->left -= *ret_n;
	return s == BODY_END ? ended_early(c, reterr) : s;
}

static const struct body_ops clip_ops = {.name = "clip", .pull = clip_pull};

struct body *body_clip_new(struct arena *a, struct body *below, uint64_t offset, uint64_t n)
{
	struct clip *c = ARENA_NEW(a, struct clip);

	body_init(&c->body, &clip_ops, below, n <= INT64_MAX ? (int64_t)n : -1);
	c->skip = offset;
	c->left = n;
	return &c->body;
}
