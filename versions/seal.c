#include "versions/seal.h"

#include "versions/branch_remove.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/staged_changes.h"
#include "versions/staging.h"

static rc keeps_changing(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown, "the branch keeps changing; try again");
}

static rc replace(struct vcall *c, const struct repo *r, const struct branch *b, struct str raw)
{
	return kv_set_if(c->v->kv, r->partition, branch_key(c->a, b->id), branch_encode(b, c->a),
			 KV_IF_VALUE, raw, c->err);
}

/* Records on their way to another token, as many as one KV write takes. */
struct batch {
	struct arena *a;
	struct kv_write w[KV_WRITES_MAX];
	size_t n, bytes;
};

enum { BATCH_BYTES = 4 << 20 };

static rc write_batch(struct vcall *c, struct batch *b)
{
	rc res = RC_OK;

	kv_write_many(c->v->kv, b->w, b->n);
	for (size_t i = 0; i < b->n && rc_ok(res); i++)
		res = b->w[i].result;
	return rc_ok(res) ? res : err_wrap(res, c->err, "joining a branch's sealed tokens");
}

/* One page of a token, for a scan lives no longer. `from`: where it begins, and then the next one. */
static rc copy_page(struct vcall *c, struct str token, struct str to, struct batch *b, struct buf *from,
		    bool *ret_end)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;

	b->n = b->bytes = 0;
	TRY(kv_scan(c->v->kv, token, buf_str(from), KV_WRITES_MAX, &it, c->err));
	while (b->n < KV_WRITES_MAX && b->bytes < BATCH_BYTES) {
		TRY(kv_iter_next(it, &e, ret_end, c->err));
		if (*ret_end)
			break;
		b->w[b->n++] = (struct kv_write){.partition = to,
						 .key = arena_dup(b->a, e.key),
						 .value = arena_dup(b->a, e.value)};
		b->bytes += e.key.n + e.value.n;
		buf_reset(from);
		buf_add(from, e.key);
		buf_add_c(from, 0);
	}
	return write_batch(c, b);
}

static rc copy_token(struct vcall *c, struct str token, struct str to)
{
	struct batch *b = ARENA_NEW(c->a, struct batch);
	struct buf from = BUF_INIT(KV_KEY_MAX + 1);
	bool end = false;
	rc res = RC_OK;

	while (rc_ok(res) && !end) {
		b->a = arena_new();
		res = copy_page(c, token, to, b, &from, &end);
		arena_free(b->a);
	}
	buf_deinit(&from);
	return res;
}

/* All sealed tokens become one, a fresh one, the older's records first: nobody else knows it until the branch
 * names it, so that of two who join at once neither can write into what the other one has made. */
static rc join_sealed(struct vcall *c, const struct repo *r, const struct branch *b)
{
	struct str token = branch_new_token(c->a, r, b->id);
	struct vcall quiet = {.v = c->v, .a = c->a};
	struct branch joined = *b;
	rc res;

	for (size_t i = b->sealed_n; i-- > 0;)
		TRY(copy_token(c, b->sealed[i], token));
	joined.sealed = &token;
	joined.sealed_n = 1;
	res = replace(c, r, &joined, b->raw);
	for (size_t i = 0; rc_ok(res) && i < b->sealed_n; i++)
		IGNORE_RC(branch_drop_token(&quiet, b->sealed[i]));
	if (!rc_is(res, PREDICATE))
		return res;
	IGNORE_RC(branch_drop_token(&quiet, token));
	return RC_OK;
}

static rc seal_once(struct vcall *c, const struct repo *r, struct branch *b)
{
	struct branch sealed = *b;
	rc res;

	sealed.sealed = branch_tokens(c->a, b, &sealed.sealed_n);
	sealed.staging_token = branch_new_token(c->a, r, b->id);
	res = replace(c, r, &sealed, b->raw);
	if (rc_ok(res)) {
		sealed.raw = branch_encode(&sealed, c->a);
		*b = sealed;
	}
	return res;
}

rc branch_seal(struct vcall *c, const struct repo *r, struct str name, struct branch *ret)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		bool empty;
		rc res;

		TRY(branch_get_open(c, r, name, ret));
		TRY(staging_is_empty(c, ret->staging_token, &empty));
		if (empty)
			return RC_OK;
		if (ret->sealed_n >= SEALED_MAX) {
			TRY(join_sealed(c, r, ret));
			continue;
		}
		res = seal_once(c, r, ret);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return keeps_changing(c);
}

/* `now` without the sealed tokens of `from` that are dropped, its oldest: others may have sealed since. */
static bool without(const struct branch *from, size_t dropped, struct branch *now)
{
	const struct str *oldest = from->sealed + (from->sealed_n - dropped);

	if (!str_eq(now->commit_id, from->commit_id) || now->resets != from->resets || now->sealed_n < dropped)
		return false;
	now->sealed_n -= dropped;
	for (size_t i = 0; i < dropped; i++)
		if (!str_eq(now->sealed[now->sealed_n + i], oldest[i]))
			return false;
	return true;
}

/* The branch is moved, whatever becomes of this: at worst staged records are left behind. */
static void drop_tokens(struct vcall *c, const struct branch *from, size_t dropped)
{
	struct vcall quiet = {.v = c->v, .a = c->a};

	for (size_t i = from->sealed_n - dropped; i < from->sealed_n; i++)
		IGNORE_RC(branch_drop_token(&quiet, from->sealed[i]));
}

rc branch_move(struct vcall *c, const struct repo *r, const struct branch *from, struct str commit_id,
	       size_t dropped)
{
	struct branch now = *from;

	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct str raw = now.raw;
		rc res;

		if (!without(from, dropped, &now))
			return err_set(c->err, ERR_PREDICATE, "the branch was moved by somebody else");
		now.commit_id = commit_id;
		res = replace(c, r, &now, raw);
		if (rc_ok(res))
			drop_tokens(c, from, dropped);
		if (!rc_is(res, PREDICATE))
			return res;
		TRY(branch_get_open(c, r, from->id, &now));
	}
	return keeps_changing(c);
}
