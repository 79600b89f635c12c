#include "versions/tag.h"

#include "versions/internal.h"
#include "versions/pb.h"
#include "versions/ref.h"

#define TAGS STR("tags/")

/* Room for "tags/" in DynamoDB's 1,024-byte keys. */
enum { TAG_MAX = 900, COMMIT_ID_CHARS = 64 };

static struct str tag_encode(const struct tag *t, struct arena *a)
{
	Pb__TagData m = PB__TAG_DATA__INIT;

	m.id = pb_bytes(t->id);
	m.commit_id = pb_bytes(t->commit_id);
	return pb_pack(&m.base, a);
}

static rc tag_decode(struct str bytes, struct arena *a, struct tag *ret, struct err *reterr)
{
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, bytes, a);

	if (!m || !m->commit_id.len)
		return err_set(reterr, ERR_CORRUPT, "a tag's record can't be decoded");
	*ret = (struct tag){.id = pb_str(m->id), .commit_id = pb_str(m->commit_id)};
	return RC_OK;
}

static bool forbidden(char c)
{
	return (unsigned char)c <= ' ' || (c && strchr("/^:?*[\\", c));
}

rc valid_tag_name(struct str name, struct err *reterr)
{
	bool ok = name.n >= 1 && name.n <= TAG_MAX && !str_eq(name, STR("@")) &&
		  !str_ends(name, STR(".")) && !str_ends(name, STR(".lock")) &&
		  str_find(name, STR("..")) == name.n && str_find(name, STR("@{")) == name.n &&
		  str_is_utf8(name);

	for (size_t i = 0; ok && i < name.n; i++)
		ok = !forbidden(name.p[i]);
	if (!ok)
		return err_set(reterr, ERR_INVALID,
			       "tag name: 1 to %d bytes of UTF-8 without spaces, control characters and "
			       "/ ^ : ? * [ \\ .. @{, not '@', not ending with '.' or '.lock'",
			       TAG_MAX);
	return RC_OK;
}

static rc not_found(struct vcall *c)
{
	return err_set(c->err, ERR_NOT_FOUND, "tag not found");
}

rc tag_get(struct vcall *c, const struct repo *r, struct str id, struct tag *ret)
{
	struct str raw;
	rc res;

	*ret = (struct tag){0};
	if (!rc_ok(valid_tag_name(id, NULL)))
		return not_found(c);
	res = kv_get(c->v->kv, c->wait, r->partition, key_join(c->a, TAGS, id), c->a, &raw, c->err);
	if (rc_is(res, NOT_FOUND))
		return not_found(c);
	TRY(res);
	return tag_decode(raw, c->a, ret, c->err);
}

/* A branch or a whole commit id wins over a tag when a name is resolved: such a tag could never be read. */
static rc refuse_taken(struct vcall *c, const struct repo *r, struct str id)
{
	struct commit commit;
	struct branch b;
	rc res = branch_get(c, r, id, &b);

	if (rc_ok(res))
		return err_set(c->err, ERR_EXISTS, "branch name " STR_FMT ": conflict found",
			       STR_ARG(id));
	if (rc_is(res, NOT_FOUND) && id.n == COMMIT_ID_CHARS) {
		res = commit_get(c, r, id, &commit);
		if (rc_ok(res))
			return err_set(c->err, ERR_EXISTS,
				       "commit ID " STR_FMT ": conflict found", STR_ARG(id));
	}
	return rc_is(res, NOT_FOUND) ? RC_OK : res;
}

rc tag_create(struct vcall *c, const struct repo *r, struct str id, struct str ref, bool force,
	      struct tag *ret)
{
	struct commit commit;
	rc res;

	TRY(valid_tag_name(id, c->err));
	if (!force)
		TRY(read_only_refused(r, c->err));
	TRY(ref_commit(c, r, ref, &commit));
	TRY(refuse_taken(c, r, id));
	*ret = (struct tag){.id = id, .commit_id = commit.id};
	res = kv_set_if(c->v->kv, r->partition, key_join(c->a, TAGS, id), tag_encode(ret, c->a),
			KV_IF_ABSENT, STR_NONE, c->err);
	if (rc_is(res, PREDICATE))
		return err_set(c->err, ERR_EXISTS, "tag already exists: not unique");
	return res;
}

rc tag_delete(struct vcall *c, const struct repo *r, struct str id, bool force)
{
	struct tag t;

	if (!force)
		TRY(read_only_refused(r, c->err));
	TRY(tag_get(c, r, id, &t));
	return kv_delete(c->v->kv, r->partition, key_join(c->a, TAGS, id), c->err);
}

rc tag_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after, size_t max,
	    struct tag **ret, size_t *ret_n, bool *ret_more)
{
	struct str whole = key_join(c->a, TAGS, prefix);
	struct str from = scan_from(c->a, whole, after.p ? key_join(c->a, TAGS, after) : STR_NONE);
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct tag *list = arena_alloc(c->a, max * sizeof(*list));
	struct kv_entry e;
	size_t n = 0;
	bool end;

	*ret_more = false;
	TRY(kv_scan(c->v->kv, r->partition, from, max + 1, &it, c->err));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, whole))
			break;
		*ret_more = n == max;
		if (*ret_more)
			break;
		TRY(tag_decode(arena_dup(c->a, e.value), c->a, &list[n], c->err));
		list[n++].id = str_skip(arena_dup(c->a, e.key), TAGS.n);
	}
	*ret = list;
	*ret_n = n;
	return RC_OK;
}
