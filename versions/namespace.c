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

struct claim {
	struct str owner, store_id, space; /* space.p NULL: it doesn't say */
	int64_t since_s;                   /* -1: it can't be read */
	bool nobodys, backup; /* backup: the owner's, who has data elsewhere */
};

static struct claim claim_of(struct arena *a, struct str value)
{
	struct str since, store, rest;
	struct claim ret = {.owner = str_cut(value, ' ', &rest), .since_s = -1};
	uint64_t n;

	since = str_cut(rest, ' ', &store);
	store = str_cut(store, ' ', &ret.space);
	if (str_to_u64(since, &n) && n <= INT64_MAX)
		ret.since_s = (int64_t)n;
	if (!hex_decode(a, store, &ret.store_id))
		ret.space = STR_NONE;
	ret.nobodys = str_starts(ret.owner, STR("-"));
	if (ret.nobodys)
		ret.owner = str_skip(ret.owner, 1);
	ret.backup = str_starts(ret.owner, STR("+"));
	if (ret.backup)
		ret.owner = str_skip(ret.owner, 1);
	return ret;
}

static struct str claim_value(struct arena *a, const struct claim *k)
{
	struct str store = hex_encode(a, k->store_id);

	return arena_printf(a, "%s%s%.*s %lld %.*s %.*s", k->nobodys ? "-" : "", k->backup ? "+" : "", STR_ARG(k->owner),
			    (long long)k->since_s, STR_ARG(store), STR_ARG(k->space));
}

static bool alive(const struct claim *k, int64_t now_s)
{
	int64_t age = k->since_s < 0 ? 0 : now_s - k->since_s;

	return age >= 0 && age * 1000 < CLAIM_LIFE_MS;
}

static rc refuse_backup(struct vcall *c, struct str space, struct str id)
{
	return err_set(c->err, ERR_INVALID,
		       "storage namespace already in use: %.*s holds a backup of repository %.*s; choose another one",
		       STR_ARG(space), STR_ARG(id));
}

/* Somebody else's claim: whether it may be taken over. */
static rc check_foreign(struct vcall *c, struct str space, const struct claim *k)
{
	struct repo other;
	rc r = repo_get(c, k->owner, &other);

	if (rc_ok(r))
		return refuse(c, space);
	if (!rc_is(r, NOT_FOUND))
		return r;
	if (alive(k, wall_now().s))
		return err_set(c->err, ERR_INVALID,
			       "storage namespace already in use: repository %.*s is being created "
			       "there; try again in %d minutes",
			       STR_ARG(k->owner), CLAIM_LIFE_MS / 60000);
	return RC_OK;
}

static rc claim(struct vcall *c, struct str store_id, struct str space, struct str id, bool used)
{
	struct claim mine = {id, store_id, space, wall_now().s, false, false}, found;
	struct str key = claim_key(c->a, store_id, space), raw = STR_NONE;
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_NAMESPACES, key, c->a, &raw, c->err);

	if (rc_is(r, NOT_FOUND)) {
		if (used)
			return refuse(c, space);
		raw = STR_NONE;
	} else {
		TRY(r);
		found = claim_of(c->a, raw);
		if (found.backup && (used || alive(&found, mine.since_s)))
			return refuse_backup(c, space, found.owner);
		if (!found.backup && (found.nobodys || !str_eq(found.owner, id)))
			TRY(check_foreign(c, space, &found));
	}
	r = kv_set_if(c->v->kv, PARTITION_NAMESPACES, key, claim_value(c->a, &mine),
		      raw.p ? KV_IF_VALUE : KV_IF_ABSENT, raw, c->err);
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
	TRY(claim(c, b->id, space, id, used));
	r = backend_put_now(b, &p, &o, body_mem_new(c->a, dummy), c->a, &stat, c->err);
	if (rc_ok(r))
		return r;
	if (!rc_is(r, UNKNOWN_OUTCOME) && !used)
		namespace_release(c, b->id, space);
	return err_wrap(r, c->err, "storage namespace %.*s can't be written", STR_ARG(space));
}

/* Backups. */

static struct object_ptr mark_ptr(struct vcall *c, struct backend *b, struct str space)
{
	struct object_ptr p = dummy_ptr(c, b, space);

	p.key = arena_printf(c->a, "%s/sluice_backup", c->v->block_prefix);
	return p;
}

/* Whose backup is there; STR_NONE: nobody's. */
static rc marked(struct vcall *c, struct backend *b, struct str space, struct str *ret)
{
	struct object_ptr p = mark_ptr(c, b, space);
	char text[64];
	size_t n;
	rc r = backend_read_now(b, &p, 0, text, sizeof(text), &n, c->err);

	*ret = rc_ok(r) ? arena_dup(c->a, str_trim(str_make(text, n))) : STR_NONE;
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

static rc claim_backup(struct vcall *c, struct backend *b, struct str space, struct str id)
{
	struct claim mine = {id, b->id, space, wall_now().s, false, true}, found;
	struct str key = claim_key(c->a, b->id, space), raw = STR_NONE;
	rc r = kv_get(c->v->kv, KV_BLOCK, PARTITION_NAMESPACES, key, c->a, &raw, c->err);

	if (rc_ok(r)) {
		found = claim_of(c->a, raw);
		if (!found.backup)
			TRY(check_foreign(c, space, &found));
		else if (!str_eq(found.owner, id) && alive(&found, mine.since_s))
			return refuse_backup(c, space, found.owner);
	} else if (rc_is(r, NOT_FOUND)) {
		raw = STR_NONE;
	} else {
		return r;
	}
	r = kv_set_if(c->v->kv, PARTITION_NAMESPACES, key, claim_value(c->a, &mine),
		      raw.p ? KV_IF_VALUE : KV_IF_ABSENT, raw, c->err);
	if (rc_is(r, PREDICATE))
		return err_set(c->err, ERR_INVALID,
			       "storage namespace already in use: somebody else is taking it just now; try again");
	return r;
}

rc namespace_take_backup(struct vcall *c, struct backend *b, struct str space, struct str id)
{
	struct object_ptr mark = mark_ptr(c, b, space), p = dummy_ptr(c, b, space);
	const struct backend_put_options o = {0};
	struct backend_stat stat;
	struct str whose;
	bool used;

	TRY(dummy_exists(c, b, space, &used));
	TRY(marked(c, b, space, &whose));
	if (whose.p && !str_eq(whose, id))
		return refuse_backup(c, space, whose);
	if (!whose.p && used)
		return refuse(c, space);
	TRY(claim_backup(c, b, space, id));
	if (!whose.p)
		TRY(backend_put_now(b, &mark, &o, body_mem_new(c->a, id), c->a, &stat, c->err));
	return used ? RC_OK : backend_put_now(b, &p, &o, body_mem_new(c->a, dummy), c->a, &stat, c->err);
}

void namespace_release(struct vcall *c, struct str store_id, struct str space)
{
	IGNORE_RC(kv_delete(c->v->kv, PARTITION_NAMESPACES, claim_key(c->a, store_id, space), NULL));
}

/* Dissolving. */

static rc in_use(struct vcall *c, struct str key, const struct claim *k, bool *ret)
{
	struct repo repo;
	struct str raw;
	rc r;

	*ret = false;
	if (k->backup || !rc_ok(valid_repo_name(k->owner, NULL)))
		return RC_OK;
	/* As it is now; one that is being deleted releases its namespace itself. */
	r = kv_get(c->v->kv, KV_BLOCK, PARTITION_GRAVELER,
		   key_join(c->a, STR("repos/"), k->owner), c->a, &raw, c->err);
	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	TRY(repo_decode(raw, c->a, &repo, c->err));
	*ret = str_eq(claim_key(c->a, repo.storage_id, repo.storage_namespace), key);
	return RC_OK;
}

/* Nobody's claim is ours for its life; half of it is for the last call. */
static rc in_time(struct vcall *c, int64_t began_ms)
{
	if (mono_ms() - began_ms > CLAIM_LIFE_MS / 2)
		return err_set(c->err, ERR_ServiceUnavailable,
			       "dissolving the claim took too long; the next sweep tries again");
	return RC_OK;
}

static rc dissolve(struct vcall *c, struct backend *b, struct str key, const struct claim *k)
{
	struct object_ptr p = dummy_ptr(c, b, k->space);
	int64_t began = mono_ms();

	/* A backup's dummy goes with the backup. */
	if (!k->backup)
		TRY(backend_remove_now(b, &p, c->err));
	TRY(in_time(c, began));
	return kv_delete(c->v->kv, PARTITION_NAMESPACES, key, c->err);
}

rc namespace_expire(struct vcall *c, struct str key, struct str value, int64_t now_s,
		    bool *ret_removed)
{
	struct claim k = claim_of(c->a, value);
	struct backend *b;
	bool used;
	rc r;

	*ret_removed = false;
	if (!k.space.p || alive(&k, now_s) ||
	    !str_eq(claim_key(c->a, k.store_id, k.space), key))
		return RC_OK;
	TRY(in_use(c, key, &k, &used));
	if (used)
		return RC_OK;
	TRY(store_backend(c, k.store_id, &b));
	k.nobodys = true;
	k.since_s = now_s;
	r = kv_set_if(c->v->kv, PARTITION_NAMESPACES, key, claim_value(c->a, &k), KV_IF_VALUE,
		      value, c->err);
	if (rc_is(r, PREDICATE))
		return RC_OK;
	TRY(r);
	TRY(dissolve(c, b, key, &k));
	*ret_removed = true;
	return RC_OK;
}
