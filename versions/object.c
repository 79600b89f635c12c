#include "versions/object.h"

#include "versions/committed.h"
#include "versions/internal.h"
#include "versions/stage_batch.h"

enum {
	IDS_PER_PARTITION = 50000,
	PARTITION_LIFE_MS = 3600 * 1000,
};

struct object_ptr object_pointer(const struct repo *r, const struct entry *e)
{
	return (struct object_ptr){
		.store_id = r->storage_id,
		.space = r->storage_namespace,
		.key = e->address,
		.type = e->address_type,
	};
}

struct str object_new_address(struct versions *v, struct arena *a)
{
	char partition[XID_CHARS + 1], id[XID_CHARS + 1];
	int64_t now = mono_ms();

	pthread_mutex_lock(&v->ids);
	if (!v->ids_locked.left || now >= v->ids_locked.expires_ms) {
		xid_descending(v->ids_locked.partition);
		v->ids_locked.left = IDS_PER_PARTITION;
		v->ids_locked.expires_ms = now + PARTITION_LIFE_MS;
	}
	v->ids_locked.left--;
	memcpy(partition, v->ids_locked.partition, sizeof(partition));
	pthread_mutex_unlock(&v->ids);
	xid_now(id);
	return arena_printf(a, "data/%s/%s", partition, id);
}

static rc path_not_found(struct vcall *c)
{
	return err_set(c->err, ERR_NOT_FOUND, "path not found");
}

static rc keeps_changing(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown, "the branch or the object keeps changing; try again");
}

/* What lies below the branch's own token: NOTHING, also for a tombstone in a sealed one. */
static rc find_below(struct vcall *c, const struct repo *r, const struct branch *b,
		     struct str path, struct staged *ret)
{
	rc res;

	for (size_t i = 0; i < b->sealed_n; i++) {
		TRY(staging_get(c, b->sealed[i], path, ret));
		if (ret->state == STAGED_TOMBSTONE)
			ret->state = STAGED_NOTHING;
		else if (ret->state == STAGED_NOTHING)
			continue;
		return RC_OK;
	}
	*ret = (struct staged){.state = STAGED_ENTRY};
	res = committed_get(c, r, b->commit_id, path, &ret->entry);
	if (!rc_is(res, NOT_FOUND))
		return res;
	ret->state = STAGED_NOTHING;
	return RC_OK;
}

rc object_find(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
	       struct staged *top, struct staged *ret)
{
	TRY(staging_get(c, b->staging_token, path, top));
	*ret = *top;
	if (top->state == STAGED_NOTHING)
		return find_below(c, r, b, path, ret);
	if (top->state == STAGED_TOMBSTONE)
		ret->state = STAGED_NOTHING;
	return RC_OK;
}

rc object_stat(struct vcall *c, const struct repo *r, struct str ref, struct str path,
	       struct entry *ret)
{
	struct branch b, now;
	struct staged top, found;

	if (!rc_ok(valid_path(path, NULL)))
		return path_not_found(c);
	TRY(branch_get(c, r, ref, &now));
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		b = now;
		TRY(object_find(c, r, &b, path, &top, &found));
		if (found.state == STAGED_ENTRY) {
			*ret = found.entry;
			return RC_OK;
		}
		/* A commit may have carried the entry from where it wasn't looked for yet to where it
		 * had been missed already. */
		TRY(branch_get(c, r, ref, &now));
		if (str_eq(now.raw, b.raw))
			return path_not_found(c);
	}
	return keeps_changing(c);
}

/* Staging. */

static rc stage_always(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		       struct str value, bool *ret_sent)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct branch b;
		rc res;

		TRY(branch_get(c, r, branch, &b));
		res = staging_write(c, r, &b, path, value, ret_sent);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return keeps_changing(c);
}

/* Ours, left by a try before the branch moved: it was allowed then. The address isn't enough, copies
 * share a body. */
static bool is_ours(const struct entry *found, const struct entry *e)
{
	return found->address_type == e->address_type && str_eq(found->address, e->address) &&
	       found->modified.s == e->modified.s && found->modified.ns == e->modified.ns;
}

/* A condition fails for good only if the branch is still the one that it was looked up in: PREDICATE
 * and NOT_FOUND say so, WOULD_BLOCK asks for another look. */
static rc check_condition(struct vcall *c, const struct repo *r, const struct branch *b,
			  const struct staged *found, enum stage_cond cond, struct str etag)
{
	bool there = found->state == STAGED_ENTRY;
	struct branch now;

	if (cond == STAGE_IF_ABSENT ? !there
				    : there && (str_eq(etag, STR("*")) ||
						str_eq(etag, found->entry.etag)))
		return RC_OK;
	TRY(branch_get(c, r, b->id, &now));
	if (!str_eq(now.raw, b->raw))
		return RC(WOULD_BLOCK);
	if (cond == STAGE_IF_ETAG && !there)
		return path_not_found(c);
	return err_set(c->err, ERR_PREDICATE, there && cond == STAGE_IF_ABSENT
						      ? "path already exists"
						      : "the object has another ETag");
}

static rc stage_if(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		   const struct entry *e, struct str value, enum stage_cond cond, struct str etag,
		   bool *ret_sent)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct staged top, found;
		struct branch b;
		rc res = RC_OK;

		TRY(branch_get(c, r, branch, &b));
		TRY(object_find(c, r, &b, path, &top, &found));
		if (!*ret_sent || found.state != STAGED_ENTRY || !is_ours(&found.entry, e))
			res = check_condition(c, r, &b, &found, cond, etag);
		if (rc_is(res, WOULD_BLOCK))
			continue;
		TRY(res);
		res = staging_replace(c, r, &b, path, value, top.raw.p ? KV_IF_VALUE : KV_IF_ABSENT,
				      top.raw, ret_sent);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return keeps_changing(c);
}

rc object_stage(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		const struct entry *e, enum stage_cond cond, struct str etag, bool *ret_sent)
{
	struct str value;

	*ret_sent = false;
	TRY(valid_path(path, c->err));
	TRY(read_only_refused(r, c->err));
	TRY(entry_check(e, c->err));
	value = staged_encode(path, e, c->a);
	if (cond == STAGE_ALWAYS)
		return stage_always(c, r, branch, path, value, ret_sent);
	return stage_if(c, r, branch, path, e, value, cond, etag, ret_sent);
}

/* Deleting. */

static rc check_delete(const struct repo *r, struct str path, struct err *reterr)
{
	TRY(valid_path(path, reterr));
	return read_only_refused(r, reterr);
}

static void delete_some(struct vcall *c, const struct repo *r, struct object_delete_item *items,
			size_t n)
{
	struct arena *a = arena_new();
	struct stage_item *s = arena_zalloc(a, n * sizeof(*s));
	struct err *errs = arena_zalloc(a, n * sizeof(*errs));

	for (size_t i = 0; i < n; i++)
		s[i] = (struct stage_item){
			.repo = r,
			.branch = items[i].branch,
			.path = items[i].path,
			.value = staged_encode(items[i].path, NULL, a),
			.tombstone = true,
			.err = &errs[i],
			.result = check_delete(r, items[i].path, &errs[i]),
		};
	stage_many(c->v, s, n);
	for (size_t i = 0; i < n; i++) {
		struct err *kept = rc_ok(s[i].result) ? NULL : ARENA_NEW(c->a, struct err);

		if (kept)
			*kept = errs[i];
		items[i].result = s[i].result;
		items[i].err = kept;
	}
	arena_free(a);
}

void objects_delete(struct vcall *c, const struct repo *r, struct object_delete_item *items,
		    size_t n)
{
	for (size_t i = 0; i < n; i += KV_WRITES_MAX)
		delete_some(c, r, items + i, n - i < KV_WRITES_MAX ? n - i : KV_WRITES_MAX);
}

rc object_delete(struct vcall *c, const struct repo *r, struct str branch, struct str path)
{
	struct object_delete_item item = {.branch = branch, .path = path};

	objects_delete(c, r, &item, 1);
	if (item.err && c->err)
		*c->err = *item.err;
	return item.result;
}
