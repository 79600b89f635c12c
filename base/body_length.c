/* Guards over the number of bytes: exactly so many, or at most so many. */
#include "base/body.h"

#include <inttypes.h>

#include "base/arena.h"

struct guard {
	struct body body;
	uint64_t limit, seen;
};

static enum body_state too_few(const struct guard *g, struct err *reterr)
{
	IGNORE_RC(err_set(reterr, ERR_IncompleteBody,
			  "The body ended after %" PRIu64 " of the %" PRIu64
			  " bytes that were announced.",
			  g->seen, g->limit));
	return BODY_FAIL;
}

static enum body_state too_many(const struct guard *g, struct err *reterr)
{
	IGNORE_RC(err_set(reterr, ERR_InvalidRequest,
			  "The body is longer than the %" PRIu64 " bytes that were announced.",
			  g->limit));
	return BODY_FAIL;
}

static enum body_state length_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct guard *g = (struct guard *)b;
	uint64_t left = g->limit - g->seen;
	enum body_state s;
	char probe;
	size_t n;

	if (left == 0) {
		s = body_pull(b->below, &probe, 1, &n, reterr);
		return s == BODY_MORE ? too_many(g, reterr) : s;
	}
	s = body_pull(b->below, dst, left < cap ? (size_t)left : cap, ret_n, reterr);
	g->seen += *ret_n;
	return s == BODY_END ? too_few(g, reterr) : s;
}

static const struct body_ops length_ops = {.name = "length", .pull = length_pull};

struct body *body_length_new(struct arena *a, struct body *below, uint64_t length)
{
	struct guard *g = ARENA_NEW(a, struct guard);

	body_init(&g->body, &length_ops, below, length <= INT64_MAX ? (int64_t)length : -1);
	g->limit = length;
	return &g->body;
}

static enum body_state max_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				struct err *reterr)
{
	struct guard *g = (struct guard *)b;
	enum body_state s = body_pull(b->below, dst, cap, ret_n, reterr);

	if (*ret_n <= g->limit - g->seen) {
		g->seen += *ret_n;
		return s;
	}
	*ret_n = 0;
	IGNORE_RC(err_set(reterr, ERR_EntityTooLarge,
			  "The body exceeds the maximum of %" PRIu64 " bytes.", g->limit));
	return BODY_FAIL;
}

static const struct body_ops max_ops = {.name = "maximum", .pull = max_pull};

struct body *body_max_new(struct arena *a, struct body *below, uint64_t max)
{
	struct guard *g = ARENA_NEW(a, struct guard);

	body_init(&g->body, &max_ops, below, below->length);
	g->limit = max;
	return &g->body;
}
