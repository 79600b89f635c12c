#include "versions/repo_metadata.h"

#include "versions/internal.h"
#include "versions/pb.h"

#define KEY STR("repo-metadata")

enum { TRIES = 20 };

/* *ret_raw STR_NONE: there is no record. */
static rc read_record(struct vcall *c, const struct repo *r, struct str *ret_raw, struct meta **ret,
		      size_t *ret_n)
{
	rc res = kv_get(c->v->kv, c->wait, r->partition, KEY, c->a, ret_raw, c->err);
	Pb__RepoMetadata *m;

	*ret = NULL;
	*ret_n = 0;
	if (rc_is(res, NOT_FOUND)) {
		*ret_raw = STR_NONE;
		return RC_OK;
	}
	TRY(res);
	m = pb_unpack(&pb__repo_metadata__descriptor, *ret_raw, c->a);
	if (!m)
		return err_set(c->err, ERR_CORRUPT, "the metadata of repository " STR_FMT " can't be decoded",
			       STR_ARG(r->id));
	*ret = pb_pairs_of(m->metadata, m->n_metadata, c->a);
	*ret_n = meta_sort(*ret, m->n_metadata);
	return RC_OK;
}

rc repo_metadata_get(struct vcall *c, const struct repo *r, struct meta **ret, size_t *ret_n)
{
	struct str raw;

	return read_record(c, r, &raw, ret, ret_n);
}

static bool named(struct str key, const struct str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(key, list[i]))
			return true;
	return false;
}

static rc check(struct vcall *c, const struct meta *m, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		bytes += m[i].key.n + m[i].value.n;
		if (!str_is_utf8(m[i].key) || !str_is_utf8(m[i].value))
			return err_set(c->err, ERR_INVALID, "a repository's metadata must be UTF-8");
	}
	if (n > REPO_METADATA_MAX || bytes > REPO_METADATA_BYTES_MAX)
		return err_set(c->err, ERR_INVALID,
			       "a repository's metadata may have %d keys and %d bytes; these would be %zu and %zu",
			       REPO_METADATA_MAX, REPO_METADATA_BYTES_MAX, n, bytes);
	return RC_OK;
}

static struct str encode(struct arena *a, const struct meta *m, size_t n)
{
	Pb__RepoMetadata record = PB__REPO_METADATA__INIT;

	record.metadata = pb_pairs(m, n, a);
	record.n_metadata = n;
	return pb_pack(&record.base, a);
}

rc repo_metadata_update(struct vcall *c, const struct repo *r, const struct meta *set, size_t set_n,
			const struct str *remove, size_t remove_n)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct meta *have, *all;
		size_t have_n, n = 0;
		struct str raw;
		rc res;

		TRY(read_record(c, r, &raw, &have, &have_n));
		all = arena_alloc(c->a, (have_n + set_n) * sizeof(*all) + 1);
		for (size_t k = 0; k < have_n; k++)
			if (!named(have[k].key, remove, remove_n))
				all[n++] = have[k];
		for (size_t k = 0; k < set_n; k++)
			all[n++] = set[k];
		n = meta_sort(all, n);
		TRY(check(c, all, n));
		res = kv_set_if(c->v->kv, r->partition, KEY, encode(c->a, all, n),
				raw.p ? KV_IF_VALUE : KV_IF_ABSENT, raw, c->err);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return err_set(c->err, ERR_SlowDown, "others keep changing the repository's metadata; try again");
}
