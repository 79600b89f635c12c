#include "kv/moment.h"

#include <stdlib.h>

struct kv_moment {
	struct kv_iter it;
	struct arena *a;
	struct kv_entry *e;
	size_t n, cap, at;
	size_t bytes;
};

bool kv_moment_add(struct kv_moment *m, struct str key, struct str value)
{
	m->bytes += sizeof(*m->e) + key.n + value.n;
	if (m->bytes > KV_MOMENT_BYTES)
		return false;
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->e = realloc(m->e, m->cap * sizeof(*m->e));
		if (!m->e)
			abort();
	}
	m->e[m->n++] = (struct kv_entry){arena_dup(m->a, key), arena_dup(m->a, value)};
	return true;
}

void kv_moment_reset(struct kv_moment *m)
{
	arena_free(m->a);
	m->a = arena_new();
	m->n = m->at = m->bytes = 0;
}

void kv_moment_free(struct kv_moment *m)
{
	arena_free(m->a);
	free(m->e);
	free(m);
}

static rc moment_seek(struct kv_iter *it, struct str from, struct err *reterr)
{
	struct kv_moment *m = (struct kv_moment *)it;
	size_t low = m->at ? m->at - 1 : 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (str_cmp(m->e[middle].key, from) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	m->at = low;
	return RC_OK;
}

static rc moment_next(struct kv_iter *it, struct kv_entry *ret, bool *ret_end, struct err *reterr)
{
	struct kv_moment *m = (struct kv_moment *)it;

	*ret_end = m->at == m->n;
	if (!*ret_end)
		*ret = m->e[m->at++];
	return RC_OK;
}

static void moment_close(struct kv_iter *it)
{
	kv_moment_free((struct kv_moment *)it);
}

struct kv_moment *kv_moment_new(void)
{
	static const struct kv_iter_ops ops = {
	    .seek = moment_seek, .next = moment_next, .close = moment_close};
	struct kv_moment *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->it.ops = &ops;
	m->a = arena_new();
	return m;
}

struct kv_iter *kv_moment_iter(struct kv_moment *m)
{
	return &m->it;
}

rc kv_moment_too_large(struct err *reterr)
{
	return err_set(reterr, ERR_UNSUPPORTED,
		       "more entries than can be read at one moment (%d MiB)",
		       KV_MOMENT_BYTES >> 20);
}
