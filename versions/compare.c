#include "versions/compare.h"

#include <stdlib.h>

#include "versions/history.h"
#include "versions/internal.h"
#include "versions/staged_changes.h"

/* Differences, ascending: of metaranges, of what is staged, or of both. */
struct stream {
	struct diff *diff;              /* NULL: staged alone */
	struct staged_changes *staged;  /* NULL: metaranges alone */
	struct mr_iter *left, *base;    /* to look staged keys up; base NULL: two-dot */
	/* the heads of both */
	struct diff_item item;
	struct record change;
	bool item_there, change_there, diff_end, staged_end;
};

static void stream_close(struct stream *s)
{
	diff_close(s->diff);
	staged_changes_close(s->staged);
	mr_iter_close(s->left);
	mr_iter_close(s->base);
}

/* A staged change, seen from left and base. *ret_differs false: no difference to tell. */
static rc judge(struct stream *s, struct diff_item *ret, bool *ret_differs, struct err *reterr)
{
	*ret = (struct diff_item){.key = s->change.key, .right = s->change};
	TRY(mr_iter_find(s->left, ret->key, &ret->left, reterr));
	if (s->base)
		TRY(mr_iter_find(s->base, ret->key, &ret->base, reterr));
	*ret_differs = !record_same(&ret->left, &ret->right) &&
		       !(s->base && record_same(&ret->base, &ret->right));
	ret->type = s->base && !record_same(&ret->base, &ret->left) ? DIFF_CONFLICT
		    : !ret->left.identity.p		      ? DIFF_ADDED
		    : !ret->right.identity.p		      ? DIFF_REMOVED
							      : DIFF_CHANGED;
	return RC_OK;
}

static rc fill_heads(struct stream *s, struct err *reterr)
{
	if (!s->item_there && !s->diff_end) {
		TRY(diff_next(s->diff, &s->item, &s->diff_end, reterr));
		s->item_there = !s->diff_end;
	}
	if (!s->change_there && !s->staged_end) {
		struct changes *ch = staged_changes_of(s->staged);

		TRY(ch->ops->next(ch, &s->change, &s->staged_end, reterr));
		s->change_there = !s->staged_end;
	}
	return RC_OK;
}

static rc stream_next(struct stream *s, struct diff_item *ret, bool *ret_end, struct err *reterr)
{
	for (;;) {
		bool differs = true, staged;
		int order;

		TRY(fill_heads(s, reterr));
		*ret_end = !s->item_there && !s->change_there;
		if (*ret_end)
			return RC_OK;
		order = !s->item_there	  ? 1
			: !s->change_there ? -1
					   : str_cmp(s->item.key, s->change.key);
		staged = order >= 0;
		if (staged)
			TRY(judge(s, ret, &differs, reterr));
		else
			*ret = s->item;
		s->item_there &= order > 0; /* what is staged over it counts */
		s->change_there &= !staged;
		if (differs)
			return RC_OK;
	}
}

static rc stream_seek(struct stream *s, struct str key, struct err *reterr)
{
	if (s->item_there && str_cmp(s->item.key, key) < 0)
		s->item_there = false;
	if (s->change_there && str_cmp(s->change.key, key) < 0)
		s->change_there = false;
	if (s->diff && !s->item_there)
		TRY(diff_seek(s->diff, key, reterr));
	if (s->staged && !s->change_there)
		TRY(staged_changes_seek(s->staged, key, reterr));
	return RC_OK;
}

static rc open_at_start(struct vcall *c, const struct repo *r, struct str id, struct mr_iter **ret)
{
	TRY(mr_iter_open(c, r, id, false, ret));
	return mr_iter_next(*ret, c->err);
}

static rc open_staged(struct vcall *c, const struct repo *r, const struct branch *b, struct str left,
		      struct str base, struct stream *s)
{
	size_t n;
	const struct str *tokens = branch_tokens(c->a, b, &n);

	TRY(staged_changes_open(c, tokens, n, STR_NONE, &s->staged));
	TRY(open_at_start(c, r, left, &s->left));
	return base.p ? open_at_start(c, r, base, &s->base) : RC_OK;
}

/* Pages. */

static rc take(struct vcall *c, const struct diff_item *d, struct compare_item *ret)
{
	*ret = (struct compare_item){.type = d->type, .path = arena_dup(c->a, d->key)};
	ret->has_left = d->left.identity.p != NULL;
	ret->has_right = d->right.identity.p != NULL;
	if (ret->has_left)
		TRY(entry_decode(arena_dup(c->a, d->left.data), c->a, &ret->left, c->err));
	if (ret->has_right)
		TRY(entry_decode(arena_dup(c->a, d->right.data), c->a, &ret->right, c->err));
	return RC_OK;
}

/* The common prefix that the key rolls up into; STR_NONE: none. */
static struct str rolled(const struct compare_request *q, struct str key)
{
	struct str rest = str_skip(key, q->prefix.n);
	size_t at = q->delimiter.n ? str_find(rest, q->delimiter) : rest.n;

	return at == rest.n ? STR_NONE : str_head(key, q->prefix.n + at + q->delimiter.n);
}

static rc fill(struct vcall *c, struct stream *s, const struct compare_request *q,
	       struct compare_page *ret)
{
	struct diff_item d;
	bool end;

	for (;;) {
		struct str prefix, after;

		TRY(stream_next(s, &d, &end, c->err));
		if (end || !str_starts(d.key, q->prefix))
			return RC_OK;
		if (ret->n == q->max) {
			ret->truncated = true;
			ret->next = ret->items[ret->n - 1].path;
			return RC_OK;
		}
		prefix = rolled(q, d.key);
		if (!prefix.p) {
			TRY(take(c, &d, &ret->items[ret->n]));
			ret->n++;
			continue;
		}
		prefix = arena_dup(c->a, prefix);
		ret->items[ret->n++] =
			(struct compare_item){.type = DIFF_CHANGED, .path = prefix, .is_prefix = true};
		after = arena_prefix_end(c->a, prefix);
		if (!after.p)
			return RC_OK;
		TRY(stream_seek(s, after, c->err));
	}
}

static rc make_page(struct vcall *c, struct stream *s, const struct compare_request *q,
		    struct compare_page *ret)
{
	struct str from = scan_from(c->a, q->prefix.p ? q->prefix : STR(""),
				    q->after.n ? q->after : STR_NONE);

	/* a common prefix that ended the page before is behind us with all that it holds */
	if (q->delimiter.n && str_ends(q->after, q->delimiter) && str_starts(q->after, q->prefix) &&
	    q->after.n > q->prefix.n)
		from = arena_prefix_end(c->a, q->after);
	*ret = (struct compare_page){.items = arena_alloc(c->a, q->max * sizeof(*ret->items) + 1)};
	if (!from.p)
		return RC_OK;
	s->diff_end = !s->diff;
	s->staged_end = !s->staged;
	TRY(stream_seek(s, from, c->err));
	return fill(c, s, q, ret);
}

static rc meta_range_of(struct vcall *c, const struct repo *r, struct str commit_id, struct str *ret)
{
	return commit_meta_range(c, r, commit_id, ret);
}

/* What is staged counts where it is asked for: a bare branch is its commit here, as in lakeFS. */
static bool asks_for_staged(struct str expression, const struct ref *ref)
{
	return ref->is_branch && expression.n && expression.p[expression.n - 1] == '$';
}

rc compare_refs(struct vcall *c, const struct repo *r, struct str left, struct str right, bool three_dot,
		const struct compare_request *q, struct compare_page *ret)
{
	CLEANUP(stream_close) struct stream s = {0};
	struct str l, rt, b = STR_NONE, base_id;
	struct ref x, y;

	TRY(ref_resolve(c, r, left, &x));
	TRY(ref_resolve(c, r, right, &y));
	TRY(meta_range_of(c, r, x.commit_id, &l));
	TRY(meta_range_of(c, r, y.commit_id, &rt));
	if (three_dot) {
		TRY(merge_base(c, r, x.commit_id, y.commit_id, &base_id));
		TRY(meta_range_of(c, r, base_id, &b));
	}
	TRY(diff_open(c, r, l, rt, b, &s.diff));
	if (asks_for_staged(right, &y))
		TRY(open_staged(c, r, &y.branch, l, b, &s));
	return make_page(c, &s, q, ret);
}

rc compare_uncommitted(struct vcall *c, const struct repo *r, struct str branch,
		       const struct compare_request *q, struct compare_page *ret)
{
	CLEANUP(stream_close) struct stream s = {0};
	struct str committed;
	struct branch b;

	TRY(branch_get(c, r, branch, &b));
	TRY(meta_range_of(c, r, b.commit_id, &committed));
	TRY(open_staged(c, r, &b, committed, STR_NONE, &s));
	return make_page(c, &s, q, ret);
}

rc branch_is_dirty(struct vcall *c, const struct repo *r, const struct branch *b, bool *ret)
{
	struct str committed;
	size_t n;
	const struct str *tokens = branch_tokens(c->a, b, &n);

	TRY(meta_range_of(c, r, b->commit_id, &committed));
	return staged_differs(c, r, tokens, n, committed, ret);
}
