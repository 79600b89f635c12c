/* Undoing what is staged. */
#include "versions/branch_remove.h"
#include "versions/committed.h"
#include "versions/compare.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/protection.h"
#include "versions/seal.h"
#include "versions/staging.h"
#include "versions/turn.h"

enum { PAGE = 1000, STRICT_TRIES = 8 };

static rc allowed(struct vcall *c, const struct repo *r, struct str branch, bool force)
{
	if (!force)
		TRY(read_only_refused(r, c->err));
	return protection_check(c, r, branch, PROTECT_STAGING);
}

static rc keeps_changing(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown, "the branch keeps changing; try again");
}

/* All tokens at once, for a fresh one: who has written under the old one and isn't answered yet writes again. */
static rc try_reset(struct vcall *c, const struct repo *r, struct str branch)
{
	struct vcall quiet = {.v = c->v, .a = c->a};
	struct branch b, clean;
	bool empty;

	TRY(branch_get_open(c, r, branch, &b));
	TRY(staging_is_empty(c, b.staging_token, &empty));
	if (empty && b.sealed_n == 0)
		return RC_OK;
	clean = b;
	clean.staging_token = branch_new_token(c->a, r, branch);
	clean.sealed_n = 0;
	TRY(branch_replace(c, r, &b, &clean));
	/* It is done, whatever becomes of this: at worst staged records are left behind. */
	IGNORE_RC(branch_drop_tokens(&quiet, &b));
	return RC_OK;
}

rc branch_reset(struct vcall *c, const struct repo *r, struct str branch, bool force)
{
	struct turn turn;
	rc res;

	TRY(allowed(c, r, branch, force));
	TRY(turn_begin(&turn, c, r, branch));
	do
		res = try_reset(c, r, branch);
	while (rc_is(res, PREDICATE) && rc_ok(res = turn_again(&turn)));
	turn_end(&turn);
	return res;
}

/* The value that hides what is staged below: the committed entry, or a tombstone. */
static rc undoing(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
		  struct str *ret)
{
	struct entry e;
	rc found = committed_get(c, r, b->commit_id, path, &e);

	if (rc_is(found, NOT_FOUND))
		*ret = staged_encode(path, NULL, c->a);
	else if (rc_ok(found))
		*ret = staged_encode(path, &e, c->a);
	return rc_is(found, NOT_FOUND) ? RC_OK : found;
}

/* After the last undoing entry is staged. PREDICATE: the branch is another one than when it was looked what undoes, and
 * all is to be done again, over what was staged so far. Else whoever has sealed before, and is about to commit
 * what was undone, learns of it, and begins anew: the entries would undo his commit. */
static rc announce(struct vcall *c, const struct repo *r, const struct branch *b)
{
	struct branch undone = *b;

	undone.resets++;
	return branch_replace(c, r, b, &undone);
}

/* One path of a branch that was sealed before. PREDICATE: something was staged there since then, perhaps made of what is to
 * go (a change of tags, a conditional write). */
static rc undo_sealed(struct vcall *c, const struct repo *r, const struct branch *b, struct str path)
{
	struct str value;
	bool sent = false;

	TRY(undoing(c, r, b, path, &value));
	return staging_replace(c, r, b, path, value, KV_IF_ABSENT, STR_NONE, &sent);
}

/* A page of what differs; `after` has the text of where the next one begins. */
static rc undo_page(struct vcall *c, const struct repo *r, const struct branch *b, struct compare_request *q,
		    bool strict, struct buf *after, bool *ret_more)
{
	struct compare_page page;

	TRY(compare_uncommitted(c, r, b->id, q, &page));
	for (size_t i = 0; i < page.n; i++) {
		rc res = undo_sealed(c, r, b, page.items[i].path);

		if (strict || !rc_is(res, PREDICATE))
			TRY(res);
	}
	buf_reset(after);
	buf_add(after, page.next);
	q->after = buf_str(after);
	*ret_more = page.truncated;
	return RC_OK;
}

/* What was sealed, path by path; each page has memory of its own. */
static rc undo_prefix(struct vcall *c, const struct repo *r, const struct branch *b, struct str prefix, bool strict)
{
	struct compare_request q = {.prefix = prefix, .max = PAGE};
	struct buf after = BUF_INIT(KV_KEY_MAX);
	bool more = true;
	rc res = RC_OK;

	while (rc_ok(res) && more) {
		struct vcall page = {.v = c->v, .a = arena_new(), .wait = c->wait, .err = c->err};

		res = undo_page(&page, r, b, &q, strict, &after, &more);
		arena_free(page.a);
	}
	buf_deinit(&after);
	return res;
}

/* What is staged under the prefix when the branch is sealed goes, what comes later stays. strict: PREDICATE when something
 * comes before the path was undone, so that it goes, too, the next time. Where writers never rest, it stays at last. */
static rc try_reset_prefix(struct vcall *c, const struct repo *r, struct str branch, struct str prefix, bool strict)
{
	struct branch b;

	TRY(branch_seal(c, r, branch, &b));
	TRY(undo_prefix(c, r, &b, prefix, strict));
	return announce(c, r, &b);
}

rc branch_reset_prefix(struct vcall *c, const struct repo *r, struct str branch, struct str prefix,
		       bool force)
{
	struct turn turn;
	unsigned tries = 0;
	rc res;

	TRY(allowed(c, r, branch, force));
	TRY(turn_begin(&turn, c, r, branch));
	do
		res = try_reset_prefix(c, r, branch, prefix, tries++ < STRICT_TRIES);
	while (rc_is(res, PREDICATE) && rc_ok(res = turn_again(&turn)));
	turn_end(&turn);
	return res;
}

rc branch_reset_object(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		       bool force)
{
	TRY(allowed(c, r, branch, force));
	TRY(valid_path(path, c->err));
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct branch b;
		struct str value;
		bool sent = false;
		rc res;

		TRY(branch_get_open(c, r, branch, &b));
		TRY(undoing(c, r, &b, path, &value));
		res = staging_write(c, r, &b, path, value, &sent);
		if (rc_ok(res))
			res = announce(c, r, &b);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return keeps_changing(c);
}
