#include "versions/merge.h"

struct input {
	struct layer *layer;
	struct layer_item item;
	bool end;
	bool used; /* the item was passed: to be advanced before it is looked at again */
};

/* A handful: a branch's sealed tokens are bounded, so that looking at each is cheapest. */
struct merge {
	struct input *in;
	size_t n;
};

struct merge *merge_new(struct arena *a, struct layer **layers, size_t n)
{
	struct merge *m = ARENA_NEW(a, struct merge);

	m->in = arena_zalloc(a, n * sizeof(*m->in));
	m->n = n;
	for (size_t i = 0; i < n; i++)
		m->in[i] = (struct input){.layer = layers[i], .used = true};
	return m;
}

static rc refill(struct input *in, struct err *reterr)
{
	if (!in->used || in->end)
		return RC_OK;
	in->used = false;
	return in->layer->ops->next(in->layer, &in->item, &in->end, reterr);
}

static struct input *least(struct merge *m)
{
	struct input *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (!m->in[i].end && (!best || str_cmp(m->in[i].item.key, best->item.key) < 0))
			best = &m->in[i];
	return best;
}

rc merge_next_any(struct merge *m, struct layer_item *ret, bool *ret_end, struct err *reterr)
{
	struct input *best;

	for (size_t i = 0; i < m->n; i++)
		TRY(refill(&m->in[i], reterr));
	best = least(m);
	*ret_end = !best;
	if (!best)
		return RC_OK;
	/* The first with the key is the newest; the same key further down is passed over. */
	for (struct input *in = best; in < m->in + m->n; in++)
		in->used = in == best || (!in->end && str_eq(in->item.key, best->item.key));
	*ret = best->item;
	return RC_OK;
}

rc merge_next(struct merge *m, struct layer_item *ret, bool *ret_end, struct err *reterr)
{
	do
		TRY(merge_next_any(m, ret, ret_end, reterr));
	while (!*ret_end && !ret->entry.p);
	return RC_OK;
}

rc merge_seek(struct merge *m, struct str from, struct err *reterr)
{
	for (size_t i = 0; i < m->n; i++) {
		struct input *in = &m->in[i];

		if (in->end || (!in->used && str_cmp(in->item.key, from) >= 0))
			continue;
		TRY(in->layer->ops->seek(in->layer, from, reterr));
		in->used = true;
	}
	return RC_OK;
}
