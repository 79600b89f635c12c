/* Staging tokens that no branch names any more: what is staged under them, then themselves.
 *
 *   queued --1--> seen --grace time--> seen, empty --2--> queued, empty, unseen --3--> gone
 *
 * Whoever queues a token does so after the branch record that named it is another one or gone, and a
 * token that is once out of a branch's record never comes back into one: so nobody can find it who
 * didn't read the branch before that, and the grace time is for those (a page of a listing, a Complete).
 * It begins when a sweep sees the token for the first time, which is written down: the queue's record is
 * lakeFS's and has no time in it.
 *
 * To be sure, a token is looked for in the branches that its name may mean: "<repository>-<branch>:<uuid>"
 * where both may have dashes. One that is still named stays, and its grace time begins anew. What is not
 * named like a token is never emptied: it would be some other partition.
 *
 * A sweep that dies goes on from where it was; after 2 the grace time is waited for once more. 3 may let
 * another sweep write 1 again: a time without a token goes, too.
 */
#include "versions/branch.h"
#include "versions/hygiene_kinds.h"

static bool names(const struct branch *b, struct str token)
{
	bool found = str_eq(b->staging_token, token);

	for (size_t i = 0; i < b->sealed_n && !found; i++)
		found = str_eq(b->sealed[i], token);
	return found;
}

static rc named_by(struct vcall *c, struct str repo, struct str name, struct str token, bool *ret)
{
	struct branch b;
	struct repo r;
	rc res = sweep_repo(c, repo, &r);

	if (rc_ok(res) && r.in_deletion)
		return RC_OK;
	if (rc_ok(res))
		res = branch_get(c, &r, name, &b);
	if (rc_is(res, NOT_FOUND))
		return RC_OK;
	TRY(res);
	*ret |= names(&b, token);
	return RC_OK;
}

/* INVALID: it isn't a token's name. */
static rc still_named(struct vcall *c, struct str token, bool *ret)
{
	size_t colon = token.n, dashes = 0;

	*ret = false;
	while (colon > 0 && token.p[colon - 1] != ':')
		colon--;
	for (size_t i = 0; i + 1 < colon; i++) {
		if (token.p[i] != '-')
			continue;
		dashes++;
		TRY(named_by(c, str_head(token, i), str_make(token.p + i + 1, colon - i - 2), token,
			     ret));
	}
	if (!dashes)
		return err_set(c->err, ERR_INVALID,
			       "this is no staging token, so it is left as it is");
	return RC_OK;
}

static rc write_seen(struct sweep *s, struct vcall *c, struct str token)
{
	return kv_set(c->v->kv, PARTITION_DROPPED, token,
		      arena_printf(c->a, "%lld", (long long)s->now_ms), c->err);
}

static rc in_grace(struct sweep *s, struct vcall *c, struct str token, bool *ret)
{
	struct str raw;
	uint64_t seen;
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_DROPPED, token, c->a, &raw, c->err);

	*ret = true;
	if (rc_is(r, NOT_FOUND))
		return write_seen(s, c, token);
	TRY(r);
	/* One that can't be read, or that a clock wrote which was ahead. */
	if (!str_to_u64(raw, &seen) || seen > (uint64_t)s->now_ms)
		return write_seen(s, c, token);
	*ret = s->now_ms - (int64_t)seen < s->o->tokens_ms;
	return RC_OK;
}

static rc visit_token(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	bool wait, named, done;

	TRY(in_grace(s, c, e.key, &wait));
	if (wait)
		return RC_OK;
	TRY(still_named(c, e.key, &named));
	if (named)
		return write_seen(s, c, e.key);
	TRY(sweep_empty(s, c, e.key, STR_NONE, &s->counts->staged, &done));
	if (!done)
		return RC_OK;
	TRY(sweep_delete(s, c, PARTITION_DROPPED, e.key));
	TRY(sweep_delete(s, c, PARTITION_CLEANUP, e.key));
	s->counts->tokens++;
	return RC_OK;
}

static rc visit_seen(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	struct str raw;
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_CLEANUP, e.key, c->a, &raw, c->err);

	return rc_is(r, NOT_FOUND) ? sweep_delete(s, c, PARTITION_DROPPED, e.key) : r;
}

void sweep_tokens(struct sweep *s)
{
	if (!s->o->tokens_ms)
		return;
	sweep_each(s, PARTITION_CLEANUP, visit_token, NULL);
	sweep_each(s, PARTITION_DROPPED, visit_seen, NULL);
}
