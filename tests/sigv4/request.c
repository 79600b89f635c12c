#include "request.h"

#include <stdlib.h>

struct sigv4_request request_of_str(struct arena *a, struct str method, struct str target,
				    struct str headers)
{
	struct sigv4_header *v = arena_alloc(a, 64 * sizeof(*v));
	struct sigv4_request r = {.method = method, .headers = v};

	r.path = str_cut(target, '?', &r.query);
	while (headers.n) {
		struct str value, name = str_cut(str_cut(headers, '\n', &headers), ':', &value);

		assert_true(r.headers_n < 60);
		v[r.headers_n++] = (struct sigv4_header){name, str_trim(value)};
	}
	return r;
}

struct sigv4_request request_of(struct arena *a, const char *method, const char *target,
				const char *headers)
{
	return request_of_str(a, str_c(method), str_c(target), str_c(headers));
}

struct sigv4_request request_with(struct arena *a, struct sigv4_request r, const char *name,
				  struct str value)
{
	struct sigv4_header *v = arena_alloc(a, (r.headers_n + 1) * sizeof(*v));

	if (r.headers_n)
		memcpy(v, r.headers, r.headers_n * sizeof(*v));
	v[r.headers_n++] = (struct sigv4_header){str_c(name), value};
	r.headers = v;
	return r;
}

void assert_str(struct str got, const char *want)
{
	char *copy = test_malloc(got.n + 1);

	if (got.n)
		memcpy(copy, got.p, got.n);
	copy[got.n] = 0;
	assert_string_equal(copy, want);
	test_free(copy);
}

struct pieces {
	struct body body;
	struct str left;
	size_t most;
	bool waits;
	unsigned seed;
};

static enum body_state pieces_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct pieces *p = (struct pieces *)b;
	size_t n = 1 + (size_t)rand_r(&p->seed) % p->most;

	if (p->waits && rand_r(&p->seed) % 4 == 0)
		return BODY_WAIT;
	if (p->left.n == 0)
		return BODY_END;
	n = n < cap ? n : cap;
	n = n < p->left.n ? n : p->left.n;
	memcpy(dst, p->left.p, n);
	p->left = str_skip(p->left, n);
	*ret_n = n;
	return BODY_MORE;
}

static void pieces_close(struct body *b)
{
}

static const struct body_ops pieces_ops = {
	.name = "pieces",
	.pull = pieces_pull,
	.close = pieces_close,
};

struct body *pieces_new(struct arena *a, struct str bytes, size_t most, bool waits, unsigned seed)
{
	struct pieces *p = ARENA_NEW(a, struct pieces);

	body_init(&p->body, &pieces_ops, NULL, (int64_t)bytes.n);
	p->left = bytes;
	p->most = most;
	p->waits = waits;
	p->seed = seed;
	return &p->body;
}

enum body_state pull_all(struct body *b, size_t cap, struct arena *a, struct str *ret,
			 struct err *reterr)
{
	size_t room = 256 * 1024, n = 0;
	char *to = arena_alloc(a, room);
	enum body_state got;

	do {
		size_t more = 0;

		assert_true(n + cap <= room);
		got = body_pull(b, to + n, cap, &more, reterr);
		assert_true((got == BODY_MORE) == (more > 0));
		n += more;
	} while (got == BODY_MORE || got == BODY_WAIT);
	*ret = str_make(to, n);
	return got;
}
