/* Deleting a repository: marked first, so that nobody finds it any more, then emptied, then forgotten.
 * A crash in between leaves it marked; deleting it again goes on. */
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

static rc mark(struct vcall *c, struct str key, struct repo *ret)
{
	for (unsigned i = 0; i < MARK_TRIES; i++) {
		struct str raw, changed;
		rc r;

		TRY(read_record(c, key, &raw, ret));
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

rc repo_delete(struct vcall *c, struct str id)
{
	struct str key = key_join(c->a, STR("repos/"), id);
	struct repo r;
	rc res = mark(c, key, &r);

	cache_drop(c->v->repos, id);
	TRY(res);
	TRY(drop_partition(c, &r));
	namespace_release(c, r.storage_id, r.storage_namespace);
	pthread_mutex_lock(&c->v->names);
	res = forget(c, key, &r);
	pthread_mutex_unlock(&c->v->names);
	cache_drop(c->v->repos, id);
	return res;
}
