#include "versions/staging.h"

#include "versions/internal.h"
#include "versions/layer.h"

rc staging_get(struct vcall *c, struct str token, struct str path, struct staged *ret)
{
	bool tombstone;
	rc r;

	*ret = (struct staged){.state = STAGED_NOTHING};
	r = kv_get(c->v->kv, c->wait, token, path, c->a, &ret->raw, c->err);
	if (rc_is(r, NOT_FOUND)) {
		ret->raw = STR_NONE;
		return RC_OK;
	}
	TRY(r);
	TRY(staged_decode(ret->raw, c->a, &ret->entry, &tombstone, c->err));
	ret->state = tombstone ? STAGED_TOMBSTONE : STAGED_ENTRY;
	ret->token = token;
	return RC_OK;
}

rc staging_is_empty(struct vcall *c, struct str token, bool *ret)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;

	TRY(kv_scan(c->v->kv, token, STR(""), 1, &it, c->err));
	return kv_iter_next(it, &e, ret, c->err);
}

static bool maybe_written(rc r)
{
	return !surely_unwritten(r);
}

static rc same_token(struct vcall *c, const struct branch *now, const struct branch *b)
{
	if (!str_eq(now->staging_token, b->staging_token))
		return err_set(c->err, ERR_PREDICATE, "the branch's staging token changed");
	return RC_OK;
}

rc staging_confirm(struct vcall *c, const struct repo *r, const struct branch *b)
{
	struct branch now;

	TRY(branch_get(c, r, b->id, &now));
	return same_token(c, &now, b);
}

/* Without guards: written, then the branch is read again. */
static rc write_and_confirm(struct vcall *c, const struct repo *r, const struct branch *b,
			    struct str path, struct str value, bool *ret_sent)
{
	struct err read_err = {0};
	struct kv_write w = {
		.partition = b->staging_token, .key = path, .value = value, .err = c->err};
	struct kv_read again = {.partition = r->partition,
				.key = branch_key(c->a, b->id),
				.a = c->a,
				.err = &read_err};
	struct branch now;

	kv_write_then_read(c->v->kv, &w, 1, &again, 1);
	*ret_sent |= maybe_written(w.result);
	TRY(w.result);
	if (!rc_ok(again.result) && c->err)
		*c->err = read_err;
	TRY(branch_from(c, again.result, again.value, &now));
	return same_token(c, &now, b);
}

rc staging_write(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
		 struct str value, bool *ret_sent)
{
	struct kv *kv = c->v->kv;
	rc res;

	if (kv_has_guarded(kv)) {
		res = kv_set_guarded(kv, b->staging_token, path, value, r->partition,
				     branch_key(c->a, b->id), b->raw, c->err);
		*ret_sent |= maybe_written(res);
		return res;
	}
	return write_and_confirm(c, r, b, path, value, ret_sent);
}

rc staging_replace(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
		   struct str value, enum kv_cond cond, struct str current, bool *ret_sent)
{
	rc res = kv_set_if(c->v->kv, b->staging_token, path, value, cond, current, c->err);

	*ret_sent |= maybe_written(res);
	TRY(res);
	return staging_confirm(c, r, b);
}

/* As a layer. */

struct staging_layer {
	struct layer layer;
	struct kv_iter *it;
};

static rc next(struct layer *l, struct layer_item *ret, bool *ret_end, struct err *reterr)
{
	struct kv_entry e;

	TRY(kv_iter_next(((struct staging_layer *)l)->it, &e, ret_end, reterr));
	if (*ret_end)
		return RC_OK;
	ret->key = e.key;
	return staged_parts(e.value, &ret->identity, &ret->entry, reterr);
}

static rc seek(struct layer *l, struct str from, struct err *reterr)
{
	return kv_iter_seek(((struct staging_layer *)l)->it, from, reterr);
}

static void close_layer(struct layer *l)
{
	kv_iter_close(((struct staging_layer *)l)->it);
}

static const struct layer_ops ops = {.next = next, .seek = seek, .close = close_layer};

rc staging_layer(struct vcall *c, struct str token, struct str from, size_t batch,
		 struct layer **ret)
{
	struct staging_layer *l = ARENA_NEW(c->a, struct staging_layer);

	l->layer.ops = &ops;
	TRY(kv_scan(c->v->kv, token, from, batch, &l->it, c->err));
	*ret = &l->layer;
	return RC_OK;
}
