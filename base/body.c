#include "base/body.h"

#include <assert.h>

#include "base/arena.h"

void body_init(struct body *b, const struct body_ops *ops, struct body *below, int64_t length)
{
	assert(ops->name && ops->pull && (ops->arm || below || length >= 0));
	assert(!below || below->magic == BODY_MAGIC);
	*b = (struct body){
		.ops = ops, .below = below, .length = length, .magic = BODY_MAGIC, .over = BODY_MORE};
}

/* Asked again after its failure: the first answer had the story. */
static enum body_state failed_before(const struct body *b, struct err *reterr)
{
	IGNORE_RC(err_default(reterr, b->failed));
	return BODY_FAIL;
}

enum body_state body_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct err unwanted;
	enum body_state s;

	assert(b->magic == BODY_MAGIC && cap > 0);
	*ret_n = 0;
	if (b->over == BODY_FAIL)
		return failed_before(b, reterr);
	if (b->over == BODY_END)
		return BODY_END;
	reterr = reterr ? reterr : &unwanted;
	s = b->ops->pull(b, dst, cap, ret_n, reterr);
	assert(s == BODY_MORE ? *ret_n > 0 && *ret_n <= cap : *ret_n == 0);
	if (s == BODY_END || s == BODY_FAIL)
		b->over = s;
	if (s == BODY_FAIL) {
		assert(reterr->code > ERR_NONE && reterr->code < ERR_COUNT);
		b->failed = reterr->code;
	}
	return s;
}

size_t body_spliceable(struct body *b)
{
	assert(b->magic == BODY_MAGIC);
	return b->over == BODY_MORE && b->ops->spliceable ? b->ops->spliceable(b) : 0;
}

ssize_t body_splice(struct body *b, int socket, size_t max)
{
	assert(b->magic == BODY_MAGIC && b->ops->splice && max > 0);
	return b->ops->splice(b, socket, max);
}

void body_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	assert(fn);
	while (b && !b->ops->arm) {
		assert(b->magic == BODY_MAGIC);
		b = b->below;
	}
	assert(b && b->magic == BODY_MAGIC);
	b->ops->arm(b, fn, ud);
}

void body_close(struct body *b)
{
	while (b) {
		struct body *below = b->below;

		assert(b->magic == BODY_MAGIC);
		b->magic = 0;
		if (b->ops->close)
			b->ops->close(b);
		b = below;
	}
}

struct mem {
	struct body body;
	struct str left;
};

static enum body_state mem_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				struct err *reterr)
{
	struct mem *m = (struct mem *)b;
	size_t n = m->left.n < cap ? m->left.n : cap;

	if (n == 0)
		return BODY_END;
	memcpy(dst, m->left.p, n);
	m->left = str_skip(m->left, n);
	*ret_n = n;
	return BODY_MORE;
}

static const struct body_ops mem_ops = {.name = "memory", .pull = mem_pull};

struct body *body_mem_new(struct arena *a, struct str bytes)
{
	struct mem *m = ARENA_NEW(a, struct mem);

	body_init(&m->body, &mem_ops, NULL, (int64_t)bytes.n);
	m->left = bytes;
	return &m->body;
}
