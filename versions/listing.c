#include "versions/listing.h"

#include "versions/committed.h"
#include "versions/internal.h"
#include "versions/merge.h"
#include "versions/ref.h"

struct layers {
	struct layer **list;
	size_t n;
};

static void layers_close(struct layers *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		ls->list[i]->ops->close(ls->list[i]);
	ls->n = 0;
}

static rc layers_open(struct vcall *c, const struct repo *r, const struct branch *b,
		      struct str from, size_t batch, struct layers *ret)
{
	struct layer *committed;

	ret->list = arena_alloc(c->a, (b->sealed_n + 2) * sizeof(struct layer *));
	if (b->staging_token.n) { /* none of a commit */
		TRY(staging_layer(c, b->staging_token, from, batch, &ret->list[ret->n]));
		ret->n++;
	}
	for (size_t i = 0; i < b->sealed_n; i++) {
		TRY(staging_layer(c, b->sealed[i], from, batch, &ret->list[ret->n]));
		ret->n++;
	}
	TRY(committed_layer(c, r, b->commit_id, from, &committed));
	if (committed)
		ret->list[ret->n++] = committed;
	return RC_OK;
}

static bool common_prefix(const struct list_request *q, struct str key, struct str *ret)
{
	struct str rest;
	size_t at;

	if (!q->delimiter.n || !str_starts(key, q->prefix))
		return false;
	rest = str_skip(key, q->prefix.n);
	at = str_find(rest, q->delimiter);
	if (at == rest.n)
		return false;
	*ret = str_head(key, q->prefix.n + at + q->delimiter.n);
	return true;
}

/* Where the page begins; STR_NONE: beyond every key. */
static struct str first_key(struct arena *a, const struct list_request *q)
{
	struct str prefix;

	if (common_prefix(q, q->after, &prefix) && prefix.n == q->after.n)
		return arena_prefix_end(a, q->after);
	return scan_from(a, q->prefix.p ? q->prefix : STR(""), q->after.n ? q->after : STR_NONE);
}

static struct list_item *add_item(struct arena *a, struct list_page *page, size_t *cap)
{
	if (page->n == *cap) {
		struct list_item *old = page->items;

		*cap = *cap ? *cap * 2 : 64;
		page->items = arena_alloc(a, *cap * sizeof(*old));
		if (page->n)
			memcpy(page->items, old, page->n * sizeof(*old));
	}
	return &page->items[page->n++];
}

static rc add_entry(struct vcall *c, struct list_item *to, const struct layer_item *from)
{
	to->key = arena_dup(c->a, from->key);
	to->is_prefix = false;
	return entry_decode(arena_dup(c->a, from->entry), c->a, &to->entry, c->err);
}

static void finish_page(struct list_page *page)
{
	page->truncated = true;
	page->next = page->items[page->n - 1].key;
}

static rc fill(struct vcall *c, struct merge *m, const struct list_request *q,
	       struct list_page *page)
{
	struct layer_item item;
	struct str prefix, after;
	size_t cap = 0;
	bool end;

	for (;;) {
		TRY(merge_next(m, &item, &end, c->err));
		if (end || !str_starts(item.key, q->prefix))
			return RC_OK;
		if (page->n == q->max) {
			finish_page(page);
			return RC_OK;
		}
		if (!common_prefix(q, item.key, &prefix)) {
			TRY(add_entry(c, add_item(c->a, page, &cap), &item));
			continue;
		}
		prefix = arena_dup(c->a, prefix);
		*add_item(c->a, page, &cap) = (struct list_item){.key = prefix, .is_prefix = true};
		after = arena_prefix_end(c->a, prefix);
		if (!after.p)
			return RC_OK;
		TRY(merge_seek(m, after, c->err));
	}
}

static rc make_page(struct vcall *c, const struct repo *r, const struct branch *b,
		    const struct list_request *q, struct list_page *ret)
{
	CLEANUP(layers_close) struct layers layers = {0};
	struct str from = first_key(c->a, q);

	*ret = (struct list_page){0};
	if (!from.p || !q->max)
		return RC_OK;
	TRY(layers_open(c, r, b, from, q->max + 1, &layers));
	return fill(c, merge_new(c->a, layers.list, layers.n), q, ret);
}

static rc list_branch(struct vcall *c, const struct repo *r, const struct branch *first,
		      const struct list_request *q, struct list_page *ret)
{
	struct arena_mark m = arena_mark(c->a);
	struct branch before = *first, after;

	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		arena_rewind(c->a, m);
		if (i)
			TRY(branch_get(c, r, first->id, &before));
		TRY(make_page(c, r, &before, q, ret));
		TRY(branch_get(c, r, first->id, &after));
		if (str_eq(before.raw, after.raw))
			return RC_OK;
	}
	return err_set(c->err, ERR_SlowDown, "the branch keeps changing; try again");
}

rc objects_list(struct vcall *c, const struct repo *r, struct str ref,
		const struct list_request *q, struct list_page *ret)
{
	struct ref at;

	if (c->wait == KV_NOWAIT)
		return err_default(c->err, ERR_WOULD_BLOCK);
	TRY(ref_resolve(c, r, ref, &at));
	if (at.is_branch)
		return list_branch(c, r, &at.branch, q, ret);
	return make_page(c, r, &(struct branch){.commit_id = at.commit_id}, q, ret);
}
