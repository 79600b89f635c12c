#include "kv/writes.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct kv_write *x = *(struct kv_write *const *)a, *y = *(struct kv_write *const *)b;
	int by = str_cmp(x->partition, y->partition);

	if (by == 0)
		by = str_cmp(x->key, y->key);
	return by ? by : x < y ? -1 : 1;
}

struct kv_write **kv_writes_sorted(struct arena *a, struct kv_write *w, size_t n, size_t *ret_n)
{
	struct kv_write **list = arena_alloc(a, (n + 1) * sizeof(struct kv_write *));
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result))
			list[k++] = &w[i];
	qsort(list, k, sizeof(struct kv_write *), compare);
	*ret_n = k;
	return list;
}

bool kv_writes_last(struct kv_write **list, size_t n, size_t i)
{
	return i + 1 == n || !str_eq(list[i]->partition, list[i + 1]->partition) ||
	       !str_eq(list[i]->key, list[i + 1]->key);
}

void kv_write_settle(struct kv_write *w, rc r, const struct err *e)
{
	w->result = r;
	if (!rc_ok(r) && w->err)
		*w->err = *e;
}

void kv_writes_spread(struct kv_write **list, size_t n)
{
	for (size_t i = n; i-- > 1;) {
		struct kv_write *to = list[i - 1], *from = list[i];
		struct err e = {0};

		if (kv_writes_last(list, n, i - 1))
			continue;
		if (from->err)
			e = *from->err;
		else
			IGNORE_RC(rc_ok(from->result) ? RC_OK : err_default(&e, from->result.code));
		kv_write_settle(to, from->result, &e);
	}
}
