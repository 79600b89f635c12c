#include "versions/namespace.h"

#include "base/digest.h"
#include "base/encode.h"
#include "versions/internal.h"

static const struct str dummy =
	STR("this is dummy data - created by lakeFS to check accessibility");

static struct str claim_key(struct arena *a, struct str store_id, struct str space)
{
	struct str pieces[] = {store_id, str_make("", 1), space};
	uint8_t hash[DIGEST_MAX];

	while (pieces[2].n && pieces[2].p[pieces[2].n - 1] == '/')
		pieces[2].n--;
	digest_of(DIGEST_SHA256, arena_join(a, pieces, 3), hash);
	return hex_encode(a, str_make(hash, 32));
}

static struct object_ptr dummy_ptr(struct vcall *c, struct backend *b, struct str space)
{
	return (struct object_ptr){
		.store_id = b->id,
		.space = space,
		.key = arena_printf(c->a, "%s/dummy", c->v->block_prefix),
		.type = ADDRESS_RELATIVE,
	};
}

static rc exists(struct vcall *c, struct backend *b, const struct object_ptr *p, bool *ret)
{
	struct backend_stat stat;
	rc r = backend_head_now(b, p, c->a, &stat, c->err);

	*ret = rc_ok(r);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

static rc dummy_exists(struct vcall *c, struct backend *b, struct str space, bool *ret)
{
	struct object_ptr p = dummy_ptr(c, b, space);

	TRY(exists(c, b, &p, ret));
	if (*ret || !c->v->ensure_readable_root)
		return RC_OK;
	p.key = STR("dummy");
	return exists(c, b, &p, ret);
}

static rc refuse(struct vcall *c, struct str space)
{
	return err_set(c->err, ERR_INVALID,
		       "storage namespace already in use: %.*s holds a repository's data; choose another one",
		       STR_ARG(space));
}

/* Somebody else's claim: whether it may be taken over. */
static rc check_foreign(struct vcall *c, struct str space, struct str owner, struct str since)
{
	struct repo other;
	uint64_t then;
	int64_t age;
	rc r = repo_get(c, owner, &other);

	if (rc_ok(r))
		return refuse(c, space);
	if (!rc_is(r, NOT_FOUND))
		return r;
	age = str_to_u64(since, &then) ? wall_now().s - (int64_t)then : 0;
	if (age >= 0 && age * 1000 < CLAIM_LIFE_MS)
		return err_set(c->err, ERR_INVALID,
			       "storage namespace already in use: repository %.*s is being created "
			       "there; try again in %d minutes",
			       STR_ARG(owner), CLAIM_LIFE_MS / 60000);
	return RC_OK;
}

static rc claim(struct vcall *c, struct str key, struct str space, struct str id, bool used)
{
	struct str raw = STR_NONE, since, owner;
	struct str value = arena_printf(c->a, "%.*s %lld", STR_ARG(id), (long long)wall_now().s);
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_NAMESPACES, key, c->a, &raw, c->err);

	if (rc_is(r, NOT_FOUND)) {
		if (used)
			return refuse(c, space);
		raw = STR_NONE;
	} else {
		TRY(r);
		owner = str_cut(raw, ' ', &since);
		if (!str_eq(owner, id))
			TRY(check_foreign(c, space, owner, since));
	}
	r = kv_set_if(c->v->kv, PARTITION_NAMESPACES, key, value, raw.p ? KV_IF_VALUE : KV_IF_ABSENT,
		      raw, c->err);
	if (rc_is(r, PREDICATE))
		return err_set(c->err, ERR_INVALID,
			       "storage namespace already in use: another repository is being created there");
	return r;
}

rc namespace_take(struct vcall *c, struct backend *b, struct str space, struct str id)
{
	struct object_ptr p = dummy_ptr(c, b, space);
	const struct backend_put_options o = {0};
	struct backend_stat stat;
	bool used;
	rc r;

	TRY(dummy_exists(c, b, space, &used));
	TRY(claim(c, claim_key(c->a, b->id, space), space, id, used));
	r = backend_put_now(b, &p, &o, body_mem_new(c->a, dummy), c->a, &stat, c->err);
	if (rc_ok(r))
		return r;
	if (!rc_is(r, UNKNOWN_OUTCOME) && !used)
		namespace_release(c, b->id, space);
	return err_wrap(r, c->err, "storage namespace %.*s can't be written", STR_ARG(space));
}

void namespace_release(struct vcall *c, struct str store_id, struct str space)
{
	IGNORE_RC(kv_delete(c->v->kv, PARTITION_NAMESPACES, claim_key(c->a, store_id, space), NULL));
}
