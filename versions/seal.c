#include "versions/seal.h"

#include "versions/branch_remove.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/staged_changes.h"

static rc keeps_changing(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown, "the branch keeps changing; try again");
}

static rc is_empty(struct vcall *c, struct str token, bool *ret)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;

	TRY(kv_scan(c->v->kv, token, STR(""), 1, &it, c->err));
	return kv_iter_next(it, &e, ret, c->err);
}

static rc replace(struct vcall *c, const struct repo *r, const struct branch *b, struct str raw)
{
	return kv_set_if(c->v->kv, r->partition, branch_key(c->a, b->id), branch_encode(b, c->a),
			 KV_IF_VALUE, raw, c->err);
}

/* The two oldest tokens become one: the newer's records are copied over the older's. At each moment the
 * branch reads the same, for the newer one hides what is copied until it is dropped. */
static rc join_oldest(struct vcall *c, const struct repo *r, const struct branch *b)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str newer = b->sealed[b->sealed_n - 2], older = b->sealed[b->sealed_n - 1];
	struct branch joined = *b;
	struct kv_entry e;
	struct str *tokens = arena_alloc(c->a, b->sealed_n * sizeof(*tokens));
	bool end;
	rc res;

	TRY(kv_scan(c->v->kv, newer, STR(""), 0, &it, c->err));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end)
			break;
		TRY(kv_set(c->v->kv, older, e.key, e.value, c->err));
	}
	memcpy(tokens, b->sealed, b->sealed_n * sizeof(*tokens));
	tokens[b->sealed_n - 2] = older;
	joined.sealed = tokens;
	joined.sealed_n--;
	res = replace(c, r, &joined, b->raw);
	if (rc_ok(res))
		IGNORE_RC(branch_drop_token(&(struct vcall){.v = c->v, .a = c->a}, newer));
	return rc_is(res, PREDICATE) ? RC_OK : res;
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
		TRY(is_empty(c, ret->staging_token, &empty));
		if (empty)
			return RC_OK;
		if (ret->sealed_n >= SEALED_MAX) {
			TRY(join_oldest(c, r, ret));
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

	if (!str_eq(now->commit_id, from->commit_id) || now->sealed_n < dropped)
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
