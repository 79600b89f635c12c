#include "versions/branch.h"

#include "versions/branch_remove.h"
#include "versions/commit_record.h"
#include "versions/internal.h"
#include "versions/pb.h"
#include "versions/ref.h"

#define BRANCHES STR("branches/")

enum { COMMIT_ID_CHARS = 64 };

struct str branch_encode(const struct branch *b, struct arena *a)
{
	Pb__BranchData m = PB__BRANCH_DATA__INIT;

	m.id = pb_bytes(b->id);
	m.commit_id = pb_bytes(b->commit_id);
	m.staging_token = pb_bytes(b->staging_token);
	m.n_sealed_tokens = b->sealed_n;
	m.sealed_tokens = pb_strings(b->sealed, b->sealed_n, a);
	m.hidden = b->hidden;
	m.closed_ms = b->closed_ms;
	m.removed_ms = b->removed_ms;
	m.resets = b->resets;
	return pb_pack(&m.base, a);
}

rc branch_decode(struct str bytes, struct arena *a, struct branch *ret, struct err *reterr)
{
	Pb__BranchData *m = pb_unpack(&pb__branch_data__descriptor, bytes, a);

	if (!m || !m->staging_token.len)
		return err_set(reterr, ERR_CORRUPT, "a branch's record can't be decoded");
	*ret = (struct branch){
		.id = pb_str(m->id),
		.commit_id = pb_str(m->commit_id),
		.staging_token = pb_str(m->staging_token),
		.sealed = pb_strings_of(m->sealed_tokens, m->n_sealed_tokens, a),
		.sealed_n = m->n_sealed_tokens,
		.hidden = m->hidden,
		.closed_ms = m->closed_ms,
		.removed_ms = m->removed_ms,
		.resets = m->resets,
		.raw = bytes,
	};
	return RC_OK;
}

struct str branch_new_token(struct arena *a, const struct repo *r, struct str name)
{
	const struct str pieces[] = {r->id, STR("-"), name, STR(":"), uuid4(a)};

	return arena_join(a, pieces, 5);
}

struct str branch_key(struct arena *a, struct str name)
{
	return key_join(a, BRANCHES, name);
}

static rc not_found(struct vcall *c)
{
	return err_set(c->err, ERR_NOT_FOUND, "branch not found");
}

static rc record_of(struct vcall *c, rc got, struct str raw, struct branch *ret)
{
	if (rc_is(got, NOT_FOUND))
		return not_found(c);
	TRY(got);
	return branch_decode(raw, c->a, ret, c->err);
}

rc branch_read(struct vcall *c, const struct repo *r, struct str name, struct branch *ret)
{
	struct str raw;
	rc res;

	if (!rc_ok(valid_branch_name(name, NULL)))
		return not_found(c);
	res = kv_get(c->v->kv, c->wait, r->partition, branch_key(c->a, name), c->a, &raw, c->err);
	return record_of(c, res, raw, ret);
}

static rc still_there(struct vcall *c, const struct branch *b)
{
	return b->removed_ms ? not_found(c) : RC_OK;
}

rc branch_from(struct vcall *c, rc got, struct str raw, struct branch *ret)
{
	TRY(record_of(c, got, raw, ret));
	return still_there(c, ret);
}

rc branch_get(struct vcall *c, const struct repo *r, struct str name, struct branch *ret)
{
	TRY(branch_read(c, r, name, ret));
	return still_there(c, ret);
}

rc branch_replace(struct vcall *c, const struct repo *r, const struct branch *read, struct branch *by)
{
	by->raw = branch_encode(by, c->a);
	return kv_set_if(c->v->kv, r->partition, branch_key(c->a, read->id), by->raw, KV_IF_VALUE,
			 read->raw, c->err);
}

static rc add_record(struct vcall *c, const struct repo *r, struct branch *b)
{
	rc res;

	b->raw = branch_encode(b, c->a);
	res = kv_set_if(c->v->kv, r->partition, branch_key(c->a, b->id), b->raw, KV_IF_ABSENT,
			STR_NONE, c->err);
	if (rc_is(res, PREDICATE))
		res = branch_replace_removed(c, r, b);
	return res;
}

static struct branch fresh(struct vcall *c, const struct repo *r, struct str name, struct str commit)
{
	return (struct branch){.id = name,
			       .commit_id = commit,
			       .staging_token = branch_new_token(c->a, r, name)};
}

rc branch_create_at(struct vcall *c, const struct repo *r, struct str name, struct str commit_id)
{
	struct branch b = fresh(c, r, name, commit_id);

	return add_record(c, r, &b);
}

/* Either would win over the other when a name is resolved. */
static rc refuse_tag(struct vcall *c, const struct repo *r, struct str name)
{
	struct str raw;
	rc res = kv_get(c->v->kv, KV_BLOCK, r->partition, key_join(c->a, STR("tags/"), name), c->a,
			&raw, c->err);

	if (rc_is(res, NOT_FOUND))
		return RC_OK;
	TRY(res);
	return err_set(c->err, ERR_EXISTS, "tag ID %.*s: conflict found", STR_ARG(name));
}

static rc refuse_commit(struct vcall *c, const struct repo *r, struct str name)
{
	struct commit commit;
	rc res;

	if (name.n != COMMIT_ID_CHARS)
		return RC_OK;
	res = commit_get(c, r, name, &commit);
	if (rc_is(res, NOT_FOUND))
		return RC_OK;
	TRY(res);
	return err_set(c->err, ERR_EXISTS, "commit ID " STR_FMT ": conflict found", STR_ARG(name));
}

static rc source_commit(struct vcall *c, const struct repo *r, struct str source, struct str *ret)
{
	struct ref ref;
	rc res = ref_resolve(c, r, source, &ref);

	*ret = ref.commit_id;
	if (rc_is(res, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "source reference '%.*s': not found",
			       STR_ARG(str_head(source, 200)));
	return rc_ok(res) ? res : err_wrap(res, c->err, "source reference");
}

rc branch_create_with(struct vcall *c, const struct repo *r, const struct branch_request *q)
{
	struct str commit = STR_NONE;
	struct branch b;

	TRY(valid_branch_name(q->name, c->err));
	if (!q->force)
		TRY(read_only_refused(r, c->err));
	TRY(source_commit(c, r, q->source.p ? q->source : r->default_branch, &commit));
	TRY(refuse_tag(c, r, q->name));
	TRY(refuse_commit(c, r, q->name));
	b = fresh(c, r, q->name, commit);
	b.hidden = q->hidden;
	b.closed_ms = wall_ms();
	TRY(add_record(c, r, &b));
	return branch_open_new(c, r, &b);
}

rc branch_create(struct vcall *c, const struct repo *r, struct str name, struct str source)
{
	return branch_create_with(c, r, &(struct branch_request){.name = name, .source = source});
}

rc branch_drop_token(struct vcall *c, struct str token)
{
	return kv_set(c->v->kv, PARTITION_CLEANUP, token, STR("stub-value"), c->err);
}

rc branch_drop_tokens(struct vcall *c, const struct branch *b)
{
	TRY(branch_drop_token(c, b->staging_token));
	for (size_t i = 0; i < b->sealed_n; i++)
		TRY(branch_drop_token(c, b->sealed[i]));
	return RC_OK;
}

rc branch_delete(struct vcall *c, const struct repo *r, struct str name)
{
	struct branch b;

	TRY(read_only_refused(r, c->err));
	if (str_eq(name, r->default_branch))
		return err_set(c->err, ERR_INVALID, "the default branch can't be deleted");
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		rc res;

		TRY(branch_get(c, r, name, &b));
		res = branch_remove(c, r, &b);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return err_set(c->err, ERR_SlowDown, "the branch keeps changing; try again");
}

rc branch_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after,
	       size_t max, bool with_hidden, struct branch **ret, size_t *ret_n, bool *ret_more)
{
	struct str whole = branch_key(c->a, prefix);
	struct str from = scan_from(c->a, whole, after.p ? branch_key(c->a, after) : STR_NONE);
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct branch *list = arena_alloc(c->a, max * sizeof(*list)), one;
	struct kv_entry e;
	size_t n = 0;
	bool end;

	if (c->wait == KV_NOWAIT)
		return err_default(c->err, ERR_WOULD_BLOCK);
	*ret_more = false;
	TRY(kv_scan(c->v->kv, r->partition, from, max + 1, &it, c->err));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, whole))
			break;
		TRY(branch_decode(arena_dup(c->a, e.value), c->a, &one, c->err));
		if (one.removed_ms || (one.hidden && !with_hidden))
			continue;
		*ret_more = n == max;
		if (*ret_more)
			break;
		list[n++] = one;
	}
	*ret = list;
	*ret_n = n;
	return RC_OK;
}
