/* A branch's life, as its record tells it:
 *
 *    no record --branch_create--> closed --branch_open_new--> open
 *    open --branch_close--> closed --branch_mark_removed--> removed --forget--> no record
 *    closed --branch_reopen--> open
 *
 * Each step but the last is one compare-and-set of the record, so of two that want different ones, one
 * wins and the other learns of it. No step relies on a clock; clocks say only when to give up waiting.
 *
 *   open     Anybody writes.
 *   closed   Readable. It is looked whether anything is listed: nothing -> removed, else -> open. Writers
 *            answer SlowDown; from closed_ms later on whoever closed it is taken for dead, and the next
 *            writer opens it (branch_get_open). A remover may take over at any time, by closing it again.
 *   removed  Nobody finds it. The record is still there because the KV knows no conditional delete: it
 *            is deleted at once, or, if that came late or never, replaced by the next branch of that name,
 *            who waits until nobody may be about to delete it any more.
 *
 * Where one process has the KV for itself nobody waits for one that died: what is older than the process is
 * nobody's.
 *
 * No write that was acknowledged is lost. A writer writes under the staging token of an open record and is
 * acknowledged if that token still is the branch's afterwards (or the write was guarded by the record
 * itself). Closing seals the token and takes a new one: what was acknowledged is there when it is looked
 * for, and nothing is acknowledged later. An unacknowledged record under a dropped token is the clean-up's.
 *
 * Repositories (repo_delete.c) are removed by removing their default branch first, so that other branches
 * must not come into being unseen: a new one is made closed, and opened only by who has seen, afterwards,
 * that the default branch is open. Who closes the default branch and lists the others afterwards sees the
 * new branch, or its maker sees that the default branch is closed. */
#include "versions/branch_remove.h"

#include "versions/internal.h"
#include "versions/listing.h"
#include "versions/staging.h"

/* So long a removed record may be deleted; so long must who replaces it wait: twice as long, for clocks. */
enum { FORGET_MS = 30 * 1000, REMOVED_MS = 2 * FORGET_MS };

/* Whether who has written the time may be at it still. Not if he was an earlier process on a KV that is this one's
 * alone. */
static bool is_fresh(const struct vcall *c, int64_t since_ms, int64_t life_ms)
{
	int64_t age = wall_ms() - since_ms;

	return since_ms >= c->v->alone_since_ms && age < life_ms && age > -life_ms;
}

static rc changed(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown,
		       "the branch changed while it was being removed; try again");
}

/* Opening. */

/* The staging token that closing has sealed, when nothing was written under it: kept, each attempt to
 * remove the branch would make the list longer. Nothing can have been acknowledged under it since. */
static rc drop_empty_seal(struct vcall *c, struct branch *b, struct str *ret)
{
	bool empty;

	*ret = STR_NONE;
	if (!b->sealed_n)
		return RC_OK;
	TRY(staging_is_empty(c, b->sealed[0], &empty));
	if (!empty)
		return RC_OK;
	*ret = b->sealed[0];
	b->sealed++;
	b->sealed_n--;
	return RC_OK;
}

rc branch_reopen(struct vcall *c, const struct repo *r, struct branch *b)
{
	struct branch open = *b;
	struct str dropped;

	open.closed_ms = 0;
	TRY(drop_empty_seal(c, &open, &dropped));
	TRY(branch_replace(c, r, b, &open));
	*b = open;
	if (dropped.p) /* not told: at worst an empty partition is never looked at again */
		IGNORE_RC(branch_drop_token(c, dropped));
	return RC_OK;
}

/* Of a repository without a default branch: a bare one, or one that is being deleted? */
static rc check_bare(struct vcall *c, const struct repo *r)
{
	struct branch removed;
	rc res = branch_read(c, r, r->default_branch, &removed);

	if (rc_ok(res))
		return err_set(c->err, ERR_NOT_FOUND, "repository %.*s is being deleted",
			       STR_ARG(r->id));
	return rc_is(res, NOT_FOUND) ? repo_stays(c, r) : res;
}

static rc check_repo_stays(struct vcall *c, const struct repo *r)
{
	struct branch b;
	rc res = branch_get_open(c, r, r->default_branch, &b);

	return rc_is(res, NOT_FOUND) ? check_bare(c, r) : res;
}

rc branch_get_open(struct vcall *c, const struct repo *r, struct str name, struct branch *ret)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		rc res;

		TRY(branch_get(c, r, name, ret));
		if (!ret->closed_ms)
			return RC_OK;
		if (is_fresh(c, ret->closed_ms, c->v->closed_ms))
			return err_set(c->err, ERR_SlowDown,
				       "branch %.*s is being deleted; try again", STR_ARG(name));
		if (c->wait == KV_NOWAIT)
			return err_default(c->err, ERR_WOULD_BLOCK);
		if (!str_eq(name, r->default_branch))
			TRY(check_repo_stays(c, r));
		res = branch_reopen(c, r, ret);
		if (!rc_is(res, PREDICATE))
			TRY(res);
	}
	return changed(c);
}

/* Creating. */

rc branch_replace_removed(struct vcall *c, const struct repo *r, struct branch *b)
{
	struct branch old;
	rc res = branch_read(c, r, b->id, &old);

	if (rc_is(res, NOT_FOUND))
		return changed(c);
	TRY(res);
	if (!old.removed_ms)
		return err_set(c->err, ERR_EXISTS, "branch already exists: not unique");
	if (is_fresh(c, old.removed_ms, REMOVED_MS))
		return err_set(c->err, ERR_SlowDown,
			       "a branch %.*s has just been deleted; try again in a minute",
			       STR_ARG(b->id));
	pthread_mutex_lock(&c->v->names);
	res = branch_replace(c, r, &old, b);
	pthread_mutex_unlock(&c->v->names);
	if (rc_is(res, PREDICATE))
		return changed(c);
	TRY(res);
	/* The new branch is there, whatever becomes of these: at worst staged records are left behind. */
	IGNORE_RC(branch_drop_tokens(&(struct vcall){.v = c->v, .a = c->a}, &old));
	return RC_OK;
}

rc branch_open_new(struct vcall *c, const struct repo *r, struct branch *b)
{
	rc res = check_repo_stays(c, r);

	if (!rc_ok(res)) { /* the error to tell is the first; what is left is closed and empty */
		IGNORE_RC(branch_remove(&(struct vcall){.v = c->v, .a = c->a}, r, b));
		return res;
	}
	res = branch_reopen(c, r, b);
	/* Somebody else has opened it, or has removed it already. */
	return rc_is(res, PREDICATE) ? branch_get(c, r, b->id, b) : res;
}

/* Removing. */

static void seal(struct vcall *c, const struct repo *r, struct branch *b)
{
	struct str *sealed = arena_alloc(c->a, (b->sealed_n + 1) * sizeof(*sealed));

	sealed[0] = b->staging_token;
	for (size_t i = 0; i < b->sealed_n; i++)
		sealed[i + 1] = b->sealed[i];
	b->sealed = sealed;
	b->sealed_n++;
	b->staging_token = branch_new_token(c->a, r, b->id);
}

rc branch_close(struct vcall *c, const struct repo *r, struct str name, struct branch *ret)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct branch open;
		rc res;

		TRY(branch_get(c, r, name, &open));
		*ret = open;
		if (!open.closed_ms)
			seal(c, r, ret);
		ret->closed_ms = wall_ms();
		res = branch_replace(c, r, &open, ret);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return changed(c);
}

rc branch_mark_removed(struct vcall *c, const struct repo *r, struct branch *b)
{
	struct branch removed = *b;

	removed.removed_ms = wall_ms();
	TRY(branch_replace(c, r, b, &removed));
	*b = removed;
	return RC_OK;
}

/* Under the lock nobody of this process can have replaced the record by a new branch's, and nobody else does
 * it so soon. Neither step is told if it fails: the branch is gone. */
static void forget(struct vcall *c, const struct repo *r, const struct branch *b, int64_t began)
{
	struct vcall quiet = {.v = c->v, .a = c->a};
	struct branch now;

	if (!rc_ok(branch_drop_tokens(&quiet, b)))
		return; /* who replaces the record will do it */
	pthread_mutex_lock(&c->v->names);
	if (mono_ms() - began < FORGET_MS && rc_ok(branch_read(&quiet, r, b->id, &now)) &&
	    str_eq(now.raw, b->raw))
		IGNORE_RC(kv_delete(c->v->kv, r->partition, branch_key(c->a, b->id), NULL));
	pthread_mutex_unlock(&c->v->names);
}

rc branch_remove(struct vcall *c, const struct repo *r, struct branch *b)
{
	int64_t began = mono_ms();

	TRY(branch_mark_removed(c, r, b));
	forget(c, r, b, began);
	return RC_OK;
}

rc branch_lists_nothing(struct vcall *c, const struct repo *r, struct str name)
{
	const struct list_request one = {.prefix = STR(""), .after = STR_NONE, .max = 1};
	struct list_page page;

	TRY(objects_list(c, r, name, &one, &page));
	if (page.n)
		return err_set(c->err, ERR_BucketNotEmpty,
			       "The bucket you tried to delete is not empty: branch %.*s holds "
			       "objects, the first is '%.*s'.",
			       STR_ARG(str_head(name, 100)), STR_ARG(str_head(page.items[0].key, 200)));
	return RC_OK;
}

rc branch_remove_empty(struct vcall *c, const struct repo *r, struct str name)
{
	struct branch b;
	rc res;

	TRY(read_only_refused(r, c->err));
	if (str_eq(name, r->default_branch))
		return err_set(c->err, ERR_INVALID, "the default branch can't be deleted");
	TRY(branch_get(c, r, name, &b)); /* other refs list something, too */
	TRY(branch_lists_nothing(c, r, name)); /* most that aren't empty needn't be closed for it */
	TRY(branch_close(c, r, name, &b));
	res = branch_lists_nothing(c, r, name);
	if (rc_ok(res))
		res = branch_remove(c, r, &b);
	else /* else the next writer does it, later */
		IGNORE_RC(branch_reopen(&(struct vcall){.v = c->v, .a = c->a}, r, &b));
	return rc_is(res, PREDICATE) ? changed(c) : res;
}
