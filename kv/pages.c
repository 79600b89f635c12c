#include "kv/pages.h"

#include <stdlib.h>

enum {
	FIRST_ROWS = 100,
	GROWTH = 4,
};

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

size_t kv_pages_grown(const struct kv_pages *s)
{
	return at_most(s->rows * GROWTH, s->rows_max);
}

/* What begins with more bytes than a key can have begins behind the first of them. */
void kv_pages_place(struct kv_pages *s, struct str at, bool after)
{
	buf_reset(&s->place);
	buf_add(&s->place, str_head(at, s->place.max));
	s->after = after || at.n > s->place.max;
}

void kv_pages_turn(struct kv_pages *s, size_t room)
{
	arena_free(s->page.a);
	s->page.a = arena_new();
	s->page.e = arena_alloc(s->page.a, room * sizeof(*s->page.e));
	s->page.n = s->page.at = 0;
}

static rc pages_next(struct kv_iter *it, struct kv_entry *ret, bool *ret_end, struct err *reterr)
{
	struct kv_pages *s = (struct kv_pages *)it;

	while (s->page.at == s->page.n && !s->last_page)
		TRY(s->fetch(s, reterr));
	*ret_end = s->page.at == s->page.n;
	if (!*ret_end)
		*ret = s->page.e[s->page.at++];
	return RC_OK;
}

/* True when the page at hand has the answer. */
static bool seek_in_page(struct kv_pages *s, struct str from)
{
	size_t low = s->page.at ? s->page.at - 1 : 0, high = s->page.n;

	if (low == high)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (str_cmp(s->page.e[middle].key, from) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	s->page.at = low;
	return low < s->page.n;
}

static rc pages_seek(struct kv_iter *it, struct str from, struct err *reterr)
{
	struct kv_pages *s = (struct kv_pages *)it;

	if (seek_in_page(s, from))
		return RC_OK;
	kv_pages_place(s, from, false);
	s->page.at = s->page.n = 0;
	s->last_page = false;
	return RC_OK;
}

static void pages_close(struct kv_iter *it)
{
	struct kv_pages *s = (struct kv_pages *)it;

	buf_deinit(&s->place);
	arena_free(s->page.a);
	arena_free(s->a);
	free(s);
}

static const struct kv_iter_ops iter_ops = {
    .seek = pages_seek,
    .next = pages_next,
    .close = pages_close,
};

struct kv_iter *kv_pages_new(const struct kv_pages_options *o)
{
	struct kv_pages *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->it.ops = &iter_ops;
	s->kv = o->kv;
	s->fetch = o->fetch;
	s->a = arena_new();
	s->partition = o->partition.p ? arena_dup(s->a, o->partition) : STR_NONE;
	s->place = BUF_INIT(o->place_max);
	s->rows_max = o->rows_max;
	/* One more, so that who looks whether there is more needn't ask twice. */
	s->rows = at_most(o->batch ? o->batch + 1 : FIRST_ROWS, s->rows_max);
	kv_pages_place(s, o->from, false);
	return &s->it;
}
