#include "versions/commit_record.h"

#include "base/encode.h"
#include "versions/ident.h"
#include "versions/internal.h"
#include "versions/pb.h"

#define COMMITS STR("commits/")
/* Commits are immutable: only room limits how long they stay. */
#define FOR_EVER_MS ((int64_t)1 << 40)

struct str commit_id(const struct commit *c, struct arena *a)
{
	struct buf b = BUF_INIT(SIZE_MAX / 4);
	uint8_t parents[32], id[32];

	ident_strings(&b, c->parents, c->parents_n);
	ident_finish(&b, parents);
	ident_string(&b, STR("commit:v1"));
	ident_string(&b, c->committer);
	ident_string(&b, c->message);
	ident_string(&b, c->meta_range_id);
	ident_int(&b, c->created.s);
	ident_map(&b, c->metadata, c->metadata_n);
	ident_hash(&b, parents);
	ident_finish(&b, id);
	buf_deinit(&b);
	return hex_encode(a, str_make(id, sizeof(id)));
}

struct str commit_encode(const struct commit *c, struct arena *a)
{
	Pb__CommitData m = PB__COMMIT_DATA__INIT;
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.seconds = c->created.s;
	t.nanos = c->created.ns;
	m.id = pb_bytes(c->id);
	m.committer = pb_bytes(c->committer);
	m.message = pb_bytes(c->message);
	m.creation_date = &t;
	m.meta_range_id = pb_bytes(c->meta_range_id);
	m.n_metadata = c->metadata_n;
	m.metadata = pb_pairs(c->metadata, c->metadata_n, a);
	m.n_parents = c->parents_n;
	m.parents = pb_strings(c->parents, c->parents_n, a);
	m.version = c->version;
	m.generation = c->generation;
	return pb_pack(&m.base, a);
}

rc commit_decode(struct str bytes, struct arena *a, struct commit *ret, struct err *reterr)
{
	Pb__CommitData *m = pb_unpack(&pb__commit_data__descriptor, bytes, a);
	struct meta *metadata;

	if (!m)
		return err_set(reterr, ERR_CORRUPT, "a commit's record can't be decoded");
	metadata = pb_pairs_of(m->metadata, m->n_metadata, a);
	*ret = (struct commit){
		.id = pb_str(m->id),
		.committer = pb_str(m->committer),
		.message = pb_str(m->message),
		.meta_range_id = pb_str(m->meta_range_id),
		.created = pb_time(m->creation_date),
		.metadata = metadata,
		.metadata_n = meta_sort(metadata, m->n_metadata),
		.parents = pb_strings_of(m->parents, m->n_parents, a),
		.parents_n = m->n_parents,
		.version = m->version,
		.generation = m->generation,
	};
	return RC_OK;
}

rc commit_check(const struct commit *c, struct err *reterr)
{
	size_t n = c->message.n + c->committer.n;

	if (!str_is_utf8(c->message) || !str_is_utf8(c->committer))
		return err_set(reterr, ERR_INVALID, "a commit's message and committer must be valid UTF-8");
	for (size_t i = 0; i < c->metadata_n; i++) {
		if (!str_is_utf8(c->metadata[i].key) || !str_is_utf8(c->metadata[i].value))
			return err_set(reterr, ERR_INVALID, "a commit's metadata must be valid UTF-8");
		n += c->metadata[i].key.n + c->metadata[i].value.n;
	}
	if (n > COMMIT_TEXT_MAX)
		return err_set(reterr, ERR_INVALID,
			       "a commit's message and metadata may have %d bytes together, these have %zu",
			       COMMIT_TEXT_MAX, n);
	return RC_OK;
}

rc commit_add(struct vcall *c, const struct repo *r, struct commit *commit)
{
	rc res;

	commit->id = commit_id(commit, c->a);
	res = kv_set_if(c->v->kv, r->partition, key_join(c->a, COMMITS, commit->id),
			commit_encode(commit, c->a), KV_IF_ABSENT, STR_NONE, c->err);
	return rc_is(res, PREDICATE) ? RC_OK : res;
}

static struct str cache_key(struct arena *a, const struct repo *r, struct str id)
{
	const struct str pieces[] = {r->partition, STR("/"), id};

	return arena_join(a, pieces, 3);
}

rc commit_get(struct vcall *c, const struct repo *r, struct str id, struct commit *ret)
{
	struct str raw, key = cache_key(c->a, r, id);
	struct cache *cache = c->v->commit_records;
	uint64_t epoch = cache_epoch(cache);
	rc res;

	if (cache_get(cache, key, c->a, &raw))
		return commit_decode(raw, c->a, ret, c->err);
	if (!id.n) /* of a branch in a repository without commits */
		return err_set(c->err, ERR_NOT_FOUND, "commit not found");
	res = kv_get(c->v->kv, c->wait, r->partition, key_join(c->a, COMMITS, id), c->a, &raw,
		     c->err);
	if (rc_is(res, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "commit not found");
	TRY(res);
	TRY(commit_decode(raw, c->a, ret, c->err));
	cache_put(cache, epoch, key, raw, FOR_EVER_MS);
	return RC_OK;
}

rc commit_named(struct vcall *c, const struct repo *r, struct str id, struct commit *ret)
{
	rc res = commit_get(c, r, id, ret);

	if (!rc_is(res, NOT_FOUND))
		return res;
	TRY(repo_stays(c, r));
	return err_set(c->err, ERR_CORRUPT, "commit " STR_FMT ", which a record names, is missing", STR_ARG(id));
}

rc commit_meta_range(struct vcall *c, const struct repo *r, struct str id, struct str *ret)
{
	struct str key = cache_key(c->a, r, id);
	struct cache *cache = c->v->commits;
	uint64_t epoch = cache_epoch(cache);
	struct commit commit;

	if (cache_get(cache, key, c->a, ret))
		return RC_OK;
	TRY(commit_named(c, r, id, &commit));
	*ret = commit.meta_range_id;
	cache_put(cache, epoch, key, *ret, FOR_EVER_MS);
	return RC_OK;
}
