#include "versions/repo.h"

#include "versions/branch.h"
#include "versions/commit_record.h"
#include "versions/internal.h"
#include "versions/namespace.h"
#include "versions/pb.h"

#define REPOS STR("repos/")

enum { ACTIVE = 0, IN_DELETION = 1 };

struct str repo_encode(const struct repo *r, struct arena *a)
{
	Pb__RepositoryData m = PB__REPOSITORY_DATA__INIT;
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.seconds = r->created.s;
	t.nanos = r->created.ns;
	m.id = pb_bytes(r->id);
	m.storage_namespace = pb_bytes(r->storage_namespace);
	m.default_branch_id = pb_bytes(r->default_branch);
	m.creation_date = &t;
	m.state = r->in_deletion ? IN_DELETION : ACTIVE;
	m.instance_uid = pb_bytes(r->instance_uid);
	m.read_only = r->read_only;
	m.storage_id = pb_bytes(r->storage_id);
	return pb_pack(&m.base, a);
}

static struct str partition_of(struct arena *a, struct str id, struct str uid)
{
	const struct str pieces[] = {id, STR("-"), uid};

	return arena_join(a, pieces, 3);
}

rc repo_decode(struct str bytes, struct arena *a, struct repo *ret, struct err *reterr)
{
	Pb__RepositoryData *m = pb_unpack(&pb__repository_data__descriptor, bytes, a);

	if (!m)
		return err_set(reterr, ERR_CORRUPT, "a repository's record can't be decoded");
	*ret = (struct repo){
		.id = pb_str(m->id),
		.storage_namespace = pb_str(m->storage_namespace),
		.default_branch = pb_str(m->default_branch_id),
		.instance_uid = pb_str(m->instance_uid),
		.storage_id = pb_str(m->storage_id),
		.created = pb_time(m->creation_date),
		.read_only = m->read_only,
		.in_deletion = m->state == IN_DELETION,
	};
	ret->partition = partition_of(a, ret->id, ret->instance_uid);
	return RC_OK;
}

static struct str repo_key(struct arena *a, struct str id)
{
	return key_join(a, REPOS, id);
}

rc read_only_refused(const struct repo *r, struct err *reterr)
{
	return r->read_only ? err_default(reterr, ERR_ReadOnlyRepository) : RC_OK;
}

static rc not_found(struct vcall *c)
{
	return err_set(c->err, ERR_NOT_FOUND, "repository not found");
}

/* Its record, NOT_FOUND also for a name that none can have. */
static rc read_raw(struct vcall *c, struct str id, struct str *ret)
{
	rc r;

	if (!rc_ok(valid_repo_name(id, NULL)))
		return not_found(c);
	r = kv_get(c->v->kv, c->wait, PARTITION_GRAVELER, repo_key(c->a, id), c->a, ret, c->err);
	return rc_is(r, NOT_FOUND) ? not_found(c) : r;
}

rc repo_read(struct vcall *c, struct str id, struct repo *ret)
{
	struct str raw;

	TRY(read_raw(c, id, &raw));
	return repo_decode(raw, c->a, ret, c->err);
}

static rc was_deleted(struct vcall *c, const struct repo *r)
{
	return err_set(c->err, ERR_NOT_FOUND, "repository " STR_FMT " was deleted", STR_ARG(r->id));
}

rc repo_stays(struct vcall *c, const struct repo *r)
{
	struct repo now;
	rc res = repo_read(c, r->id, &now);

	if (rc_is(res, NOT_FOUND))
		return was_deleted(c, r);
	TRY(res);
	if (now.in_deletion || !str_eq(now.instance_uid, r->instance_uid))
		return was_deleted(c, r);
	return RC_OK;
}

/* Old records name no store: the one that they mean is known by its id elsewhere. */
static void resolve_store(struct vcall *c, struct repo *r)
{
	struct registry *stores;
	struct backend *b;

	if (r->storage_id.n)
		return;
	stores = versions_registry(c->v);
	if (rc_ok(registry_get(stores, r->storage_id, &b, NULL)))
		r->storage_id = arena_dup(c->a, b->id);
	registry_unref(stores);
}

static int64_t cache_ttl(const struct versions *v)
{
	uint32_t random;

	rand_bytes(&random, sizeof(random));
	return v->repo_cache_ms - (int64_t)(random % (uint64_t)(v->repo_cache_ms / 4 + 1));
}

rc repo_get(struct vcall *c, struct str id, struct repo *ret)
{
	struct cache *cache = c->v->repos;
	uint64_t epoch = cache_epoch(cache);
	struct str raw;
	bool hit = cache_get(cache, id, c->a, &raw);

	if (!hit)
		TRY(read_raw(c, id, &raw));
	TRY(repo_decode(raw, c->a, ret, c->err));
	if (ret->in_deletion)
		return not_found(c);
	if (!hit)
		cache_put(cache, epoch, id, raw, cache_ttl(c->v));
	resolve_store(c, ret);
	return RC_OK;
}

static void let_go(void *b)
{
	backend_unref(b);
}

/* What is got from a registry, for as long as the call's arena lives. */
static rc borrowed(struct vcall *c, struct registry *stores, rc found, struct backend **b)
{
	if (rc_ok(found)) {
		backend_ref(*b);
		arena_defer(c->a, let_go, *b);
	}
	registry_unref(stores);
	return found;
}

rc store_backend(struct vcall *c, struct str id, struct backend **ret)
{
	struct registry *stores = versions_registry(c->v);
	rc found = registry_get(stores, id, ret, c->err);

	return borrowed(c, stores, found, ret);
}

rc repo_backend(struct vcall *c, const struct repo *r, struct backend **ret)
{
	return store_backend(c, r->storage_id, ret);
}

rc store_default(struct vcall *c, struct str space, struct backend **ret)
{
	struct registry *stores = versions_registry(c->v);
	rc found = registry_default(stores, space, ret, c->err);

	return borrowed(c, stores, found, ret);
}

/* Creating. */

static rc choose_store(struct vcall *c, const struct repo_create *in, struct backend **ret)
{
	if (!in->storage_id.p) {
		TRY(store_default(c, in->storage_namespace, ret));
	} else if (!rc_ok(store_backend(c, in->storage_id, ret))) {
		return err_set(c->err, ERR_INVALID,
			       "storage id: invalid value: no store %.*s is configured",
			       STR_ARG(in->storage_id));
	}
	return (*ret)->check_space(*ret, in->storage_namespace, c->err);
}

static rc refuse_existing(struct vcall *c, struct str id)
{
	struct str raw;
	rc r = read_raw(c, id, &raw);

	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	return err_set(c->err, ERR_EXISTS, "not unique");
}

static rc first_commit(struct vcall *c, const struct repo *r)
{
	struct commit first = {
		.committer = STR(""),
		.message = STR("Repository created"),
		.meta_range_id = STR(""),
		.created = r->created,
		.version = COMMIT_VERSION,
		.generation = 1,
	};

	TRY(commit_add(c, r, &first));
	return branch_create_at(c, r, r->default_branch, first.id);
}

static rc write_record(struct vcall *c, const struct repo *r)
{
	rc res;

	pthread_mutex_lock(&c->v->names);
	res = kv_set_if(c->v->kv, PARTITION_GRAVELER, repo_key(c->a, r->id), repo_encode(r, c->a),
			KV_IF_ABSENT, STR_NONE, c->err);
	pthread_mutex_unlock(&c->v->names);
	cache_drop(c->v->repos, r->id);
	return rc_is(res, PREDICATE) ? err_set(c->err, ERR_EXISTS, "not unique") : res;
}

static rc check_create(struct vcall *c, const struct repo_create *in, struct str branch)
{
	TRY(valid_repo_name(in->id, c->err));
	TRY(valid_branch_name(branch, c->err));
	if (!str_is_utf8(in->storage_namespace))
		return err_set(c->err, ERR_INVALID, "a storage namespace must be UTF-8");
	return refuse_existing(c, in->id);
}

static struct repo planned(struct vcall *c, const struct repo_create *in, struct str branch,
			   const struct backend *b)
{
	char uid[XID_CHARS + 1];
	struct repo r = {
		.id = arena_dup(c->a, in->id),
		.storage_namespace = arena_dup(c->a, in->storage_namespace),
		.default_branch = arena_dup(c->a, branch),
		.storage_id = arena_dup(c->a, b->id),
		.created = wall_now(),
		.read_only = in->read_only,
	};

	xid_now(uid);
	r.instance_uid = arena_dup(c->a, str_c(uid));
	r.partition = partition_of(c->a, r.id, r.instance_uid);
	return r;
}

rc repo_create(struct vcall *c, const struct repo_create *in, struct repo *ret)
{
	struct str branch = in->default_branch.p ? in->default_branch : STR("main");
	int64_t began = mono_ms();
	struct backend *b;

	TRY(check_create(c, in, branch));
	TRY(choose_store(c, in, &b));
	*ret = planned(c, in, branch, b);
	if (!in->bare && !in->read_only)
		TRY(namespace_take(c, b, ret->storage_namespace, ret->id));
	if (!in->bare)
		TRY(first_commit(c, ret));
	if (mono_ms() - began > CLAIM_LIFE_MS / 2)
		return err_set(c->err, ERR_ServiceUnavailable,
			       "creating the repository took too long; try again");
	return write_record(c, ret);
}

/* Listing. */

rc repo_list(struct vcall *c, struct str prefix, struct str after, size_t max, struct repo **ret,
	     size_t *ret_n, bool *ret_more)
{
	struct str whole = key_join(c->a, REPOS, prefix);
	struct str from = scan_from(c->a, whole, after.p ? key_join(c->a, REPOS, after) : STR_NONE);
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct repo *list = arena_alloc(c->a, max * sizeof(*list)), one;
	struct kv_entry e;
	size_t n = 0;
	bool end;

	if (c->wait == KV_NOWAIT)
		return err_default(c->err, ERR_WOULD_BLOCK);
	*ret_more = false;
	TRY(kv_scan(c->v->kv, PARTITION_GRAVELER, from, max + 1, &it, c->err));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, whole))
			break;
		TRY(repo_decode(arena_dup(c->a, e.value), c->a, &one, c->err));
		if (one.in_deletion)
			continue;
		*ret_more = n == max;
		if (*ret_more)
			break;
		resolve_store(c, &one);
		list[n++] = one;
	}
	*ret = list;
	*ret_n = n;
	return RC_OK;
}

struct object_ptr repo_pointer(const struct repo *r, struct str key)
{
	return (struct object_ptr){
		.store_id = r->storage_id,
		.space = r->storage_namespace,
		.key = key,
		.type = ADDRESS_RELATIVE,
	};
}

struct str repo_address(const struct repo *r, struct str key, struct arena *a)
{
	struct str space = r->storage_namespace, slash = str_ends(space, STR("/")) ? STR("") : STR("/");

	return arena_join(a, (struct str[]){space, slash, key}, 3);
}
