#include "versions/staged_changes.h"

#include <stdlib.h>

#include "versions/merge.h"

/* Scans are asked for in batches of this size; they are closed at each, for a scan lives for one page. */
enum { BATCH = 1000 };

struct staged_changes {
	struct changes changes;
	struct versions *v;
	struct arena *a;       /* tokens */
	struct arena *page;    /* of the scans at hand */
	const struct str *tokens;
	size_t n;
	struct layer **layers;
	size_t open;
	struct merge *merge;
	unsigned left;         /* items until the scans are opened anew */
	struct buf from;       /* the least key that wasn't passed: where the scans are opened anew */
	struct buf value;
	uint8_t identity[IDENTITY_BYTES];
};

static void close_layers(struct staged_changes *s)
{
	for (size_t i = 0; i < s->open; i++)
		s->layers[i]->ops->close(s->layers[i]);
	s->open = 0;
	s->merge = NULL;
}

static rc open_layers(struct staged_changes *s, struct err *reterr)
{
	struct vcall c = {.v = s->v, .wait = KV_BLOCK, .err = reterr};
	struct str from;

	close_layers(s);
	arena_free(s->page);
	c.a = s->page = arena_new();
	from = arena_dup(s->page, buf_str(&s->from));
	for (size_t i = 0; i < s->n; i++) {
		TRY(staging_layer(&c, s->tokens[i], from, BATCH, &s->layers[i]));
		s->open++;
	}
	s->merge = merge_new(s->page, s->layers, s->n);
	s->left = BATCH;
	return RC_OK;
}

static rc as_record(struct staged_changes *s, const struct layer_item *item, struct record *ret,
		    struct err *reterr)
{
	struct str identity = item->identity;
	struct entry e;

	*ret = (struct record){.key = item->key};
	if (!item->entry.p)
		return RC_OK;
	if (!identity.p) { /* staged by a stranger: lakeFS always writes it */
		struct arena *a = arena_new();
		rc decoded = entry_decode(item->entry, a, &e, reterr);

		if (rc_ok(decoded)) {
			entry_sort_metadata(&e);
			entry_identity(&e, s->identity);
		}
		arena_free(a);
		TRY(decoded);
		identity = str_make(s->identity, sizeof(s->identity));
	}
	buf_reset(&s->value);
	if (!record_encode(identity, item->entry, &s->value))
		return err_set(reterr, ERR_CORRUPT, "a staged entry is too large");
	return record_decode(item->key, buf_str(&s->value), ret, reterr);
}

static rc next(struct changes *ch, struct record *ret, bool *ret_end, struct err *reterr)
{
	struct staged_changes *s = (struct staged_changes *)ch;
	struct layer_item item;

	if (s->left-- == 0)
		TRY(open_layers(s, reterr));
	TRY(merge_next_any(s->merge, &item, ret_end, reterr));
	if (*ret_end)
		return RC_OK;
	buf_reset(&s->from);
	buf_add(&s->from, item.key);
	buf_add_c(&s->from, 0);
	return as_record(s, &item, ret, reterr);
}

rc staged_changes_open(struct vcall *c, const struct str *tokens, size_t n, struct str from,
		       struct staged_changes **ret)
{
	static const struct change_ops ops = {next};
	struct staged_changes *s = calloc(1, sizeof(*s));
	struct str *copy;
	rc opened;

	if (!s)
		abort();
	s->changes.ops = &ops;
	s->v = c->v;
	s->a = arena_new();
	copy = arena_alloc(s->a, n * sizeof(*copy) + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_dup(s->a, tokens[i]);
	s->tokens = copy;
	s->n = n;
	s->layers = arena_zalloc(s->a, n * sizeof(*s->layers) + 1);
	buf_init(&s->from, KV_KEY_MAX + 1);
	buf_init(&s->value, KV_VALUE_MAX + 1024);
	buf_add(&s->from, from);
	opened = open_layers(s, c->err);
	if (rc_ok(opened))
		*ret = s;
	else
		staged_changes_close(s);
	return opened;
}

void staged_changes_close(struct staged_changes *s)
{
	if (!s)
		return;
	close_layers(s);
	arena_free(s->page);
	arena_free(s->a);
	buf_deinit(&s->from);
	buf_deinit(&s->value);
	free(s);
}

void staged_changes_closep(struct staged_changes **s)
{
	staged_changes_close(*s);
}

struct changes *staged_changes_of(struct staged_changes *s)
{
	return &s->changes;
}

rc staged_changes_seek(struct staged_changes *s, struct str key, struct err *reterr)
{
	if (str_cmp(key, buf_str(&s->from)) > 0) {
		buf_reset(&s->from);
		buf_add(&s->from, key);
	}
	return merge_seek(s->merge, key, reterr);
}

struct str *branch_tokens(struct arena *a, const struct branch *b, size_t *ret_n)
{
	struct str *tokens = arena_alloc(a, (b->sealed_n + 1) * sizeof(*tokens));

	tokens[0] = b->staging_token;
	for (size_t i = 0; i < b->sealed_n; i++)
		tokens[i + 1] = b->sealed[i];
	*ret_n = b->sealed_n + 1;
	return tokens;
}

static rc change_differs(struct mr_iter *it, const struct record *change, bool *ret, struct err *reterr)
{
	struct record there;

	TRY(mr_iter_find(it, change->key, &there, reterr));
	*ret = !record_same(change, &there);
	return RC_OK;
}

rc staged_differs(struct vcall *c, const struct repo *r, const struct str *tokens, size_t n,
		  struct str meta_range, bool *ret)
{
	CLEANUP(staged_changes_closep) struct staged_changes *s = NULL;
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;
	struct record change;
	bool end = false;

	*ret = false;
	TRY(staged_changes_open(c, tokens, n, STR_NONE, &s));
	TRY(mr_iter_open(c, r, meta_range, false, &it));
	TRY(mr_iter_next(it, c->err));
	while (!*ret) {
		TRY(next(&s->changes, &change, &end, c->err));
		if (end)
			return RC_OK;
		TRY(change_differs(it, &change, ret, c->err));
	}
	return RC_OK;
}
