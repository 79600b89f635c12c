/* Deleting a repository: marked first, so that nobody finds it any more, then emptied, then forgotten.
 * A crash in between leaves it marked; deleting it again goes on.
 *
 * Who has found it before may go on: its default branch is removed before the others are looked for, so
 * that no new one is made unseen (branch_remove.c).
 *
 * One that must be empty isn't marked before that is certain: its default branch is closed, everything
 * looked at, and the branch removed. From there on nothing can be written any more, and it is deleted
 * like any other. A crash before the mark leaves it without its default branch. */
#include "versions/branch_remove.h"
#include "versions/commit_record.h"
#include "versions/branch.h"
#include "versions/internal.h"
#include "versions/namespace.h"
#include "versions/pb.h"

enum { BATCH = 1000, MARK_TRIES = 10, IN_DELETION = 1 };

static rc read_record(struct vcall *c, struct str key, struct str *ret_raw, struct repo *ret)
{
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_GRAVELER, key, c->a, ret_raw, c->err);

	if (rc_is(r, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "repository not found");
	TRY(r);
	return repo_decode(*ret_raw, c->a, ret, c->err);
}

/* Changes the state and nothing else: fields of a newer writer stay. */
static rc marked(struct vcall *c, struct str raw, struct str *ret)
{
	Pb__RepositoryData *m = pb_unpack(&pb__repository_data__descriptor, raw, c->a);

	if (!m)
		return err_set(c->err, ERR_CORRUPT, "the repository's record can't be decoded");
	m->state = IN_DELETION;
	*ret = pb_pack(&m->base, c->a);
	return RC_OK;
}

/* uid: of the one that is meant, STR_NONE: whichever has the name now. */
static rc mark(struct vcall *c, struct str key, struct str uid, struct repo *ret)
{
	for (unsigned i = 0; i < MARK_TRIES; i++) {
		struct str raw, changed;
		rc r;

		TRY(read_record(c, key, &raw, ret));
		if (uid.p && !str_eq(ret->instance_uid, uid))
			return err_set(c->err, ERR_NOT_FOUND, "repository not found");
		if (ret->in_deletion)
			return RC_OK;
		TRY(marked(c, raw, &changed));
		r = kv_set_if(c->v->kv, PARTITION_GRAVELER, key, changed, KV_IF_VALUE, raw, c->err);
		if (!rc_is(r, PREDICATE))
			return r;
	}
	return err_set(c->err, ERR_SlowDown, "the repository's record keeps changing; try again");
}

static rc drop(struct vcall *c, const struct repo *r, struct kv_entry e)
{
	struct branch b;

	if (str_starts(e.key, STR("branches/"))) {
		TRY(branch_decode(e.value, c->a, &b, c->err));
		TRY(branch_drop_tokens(c, &b));
	}
	return kv_delete(c->v->kv, r->partition, e.key, c->err);
}

/* A scan is closed before anything is deleted under it. */
static rc drop_batch(struct vcall *c, const struct repo *r, bool *ret_more)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry *list = arena_alloc(c->a, BATCH * sizeof(*list));
	size_t n = 0;
	bool end = false;

	TRY(kv_scan(c->v->kv, r->partition, STR("\x01"), BATCH, &it, c->err));
	while (n < BATCH) {
		struct kv_entry e;

		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end)
			break;
		list[n++] = (struct kv_entry){arena_dup(c->a, e.key), arena_dup(c->a, e.value)};
	}
	kv_iter_closep(&it);
	for (size_t i = 0; i < n; i++)
		TRY(drop(c, r, list[i]));
	*ret_more = !end;
	return RC_OK;
}

static rc drop_partition(struct vcall *c, const struct repo *r)
{
	bool more = true;

	while (more) {
		struct arena_mark m = arena_mark(c->a);
		rc res = drop_batch(c, r, &more);

		arena_rewind(c->a, m);
		TRY(res);
	}
	return RC_OK;
}

/* Only this very repository's record: one of the same name may have been created meanwhile. */
static rc forget(struct vcall *c, struct str key, const struct repo *r)
{
	struct repo now;
	struct str raw;
	rc res = read_record(c, key, &raw, &now);

	if (rc_is(res, NOT_FOUND))
		return RC_OK;
	TRY(res);
	if (!str_eq(now.instance_uid, r->instance_uid))
		return RC_OK;
	return kv_delete(c->v->kv, PARTITION_GRAVELER, key, c->err);
}

static rc remove_default_branch(struct vcall *c, const struct repo *r)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct branch b;
		rc res = branch_get(c, r, r->default_branch, &b);

		if (rc_is(res, NOT_FOUND)) /* bare, or removed before */
			return RC_OK;
		TRY(res);
		res = branch_mark_removed(c, r, &b);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return err_set(c->err, ERR_SlowDown, "the default branch keeps changing; try again");
}

static rc delete_instance(struct vcall *c, struct str id, struct str uid)
{
	struct str key = key_join(c->a, STR("repos/"), id);
	struct repo r;
	rc res = mark(c, key, uid, &r);

	cache_drop(c->v->repos, id);
	TRY(res);
	TRY(remove_default_branch(c, &r));
	TRY(drop_partition(c, &r));
	namespace_release(c, r.storage_id, r.storage_namespace);
	pthread_mutex_lock(&c->v->names);
	res = forget(c, key, &r);
	pthread_mutex_unlock(&c->v->names);
	cache_drop(c->v->repos, id);
	return res;
}

rc repo_delete(struct vcall *c, struct str id)
{
	return delete_instance(c, id, STR_NONE);
}

/* Empty ones. */

static rc not_empty(struct vcall *c, const struct repo *r, const char *what, struct str name)
{
	return err_set(c->err, ERR_BucketNotEmpty,
		       "The bucket you tried to delete is not empty: repository %.*s has %s%.*s.",
		       STR_ARG(r->id), what, STR_ARG(str_head(name, 200)));
}

static rc check_branches(struct vcall *c, const struct repo *r)
{
	struct branch *list;
	size_t n;
	bool more;

	TRY(branch_list(c, r, STR(""), STR_NONE, 2, true, &list, &n, &more));
	for (size_t i = 0; i < n; i++)
		if (!str_eq(list[i].id, r->default_branch))
			return not_empty(c, r, "another branch: ", list[i].id);
	return RC_OK;
}

static rc check_tags(struct vcall *c, const struct repo *r)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(kv_scan(c->v->kv, r->partition, STR("tags/"), 1, &it, c->err));
	TRY(kv_iter_next(it, &e, &end, c->err));
	if (!end && str_starts(e.key, STR("tags/")))
		return not_empty(c, r, "a tag: ", str_skip(e.key, strlen("tags/")));
	return RC_OK;
}

static rc check_default_branch(struct vcall *c, const struct repo *r)
{
	struct commit commit;
	struct branch b;

	TRY(branch_get(c, r, r->default_branch, &b));
	TRY(branch_lists_nothing(c, r, r->default_branch));
	TRY(commit_named(c, r, b.commit_id, &commit));
	if (commit.parents_n)
		return not_empty(c, r, "a history: commit ", commit.id);
	return RC_OK;
}

static rc check_empty(struct vcall *c, const struct repo *r)
{
	TRY(check_branches(c, r));
	TRY(check_tags(c, r));
	return check_default_branch(c, r);
}

static rc remove_empty_default(struct vcall *c, const struct repo *r)
{
	struct branch b;
	rc res;

	TRY(check_empty(c, r)); /* most that aren't empty needn't be closed for it */
	TRY(branch_close(c, r, r->default_branch, &b));
	res = check_empty(c, r);
	if (rc_ok(res))
		res = branch_mark_removed(c, r, &b);
	else /* else the next writer does it, later */
		IGNORE_RC(branch_reopen(&(struct vcall){.v = c->v, .a = c->a}, r, &b));
	if (rc_is(res, PREDICATE))
		return err_set(c->err, ERR_SlowDown,
			       "branch %.*s changed while the repository was being deleted; try again",
			       STR_ARG(r->default_branch));
	return res;
}

/* The default branch's record says removed: somebody came so far and died. */
static rc resume(struct vcall *c, const struct repo *r)
{
	struct branch b;
	rc res = branch_read(c, r, r->default_branch, &b);

	if (rc_is(res, NOT_FOUND))
		return not_empty(c, r, "no default branch (a bare one): delete it with ",
				 STR("the program that made it"));
	TRY(res);
	TRY(check_branches(c, r));
	return check_tags(c, r);
}

rc repo_delete_empty(struct vcall *c, struct str id)
{
	struct branch b;
	struct repo r;
	rc res;

	cache_drop(c->v->repos, id);
	TRY(repo_get(c, id, &r));
	TRY(read_only_refused(&r, c->err));
	res = branch_get(c, &r, r.default_branch, &b);
	if (rc_is(res, NOT_FOUND))
		TRY(resume(c, &r));
	else if (rc_ok(res))
		TRY(remove_empty_default(c, &r));
	else
		return res;
	return delete_instance(c, id, r.instance_uid);
}
