#include "tests/versions/world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "tests/kv/ddb_service.h"
#include "tests/kv/pg_cluster.h"
#include "versions/multipart.h"

enum { MOVE_MAX = 1000 };

/* A driver without guarded sets, over one that has them. */

struct plain {
	struct kv kv;
	struct kv_ops ops;
	struct kv *next;
	unsigned countdown;
	bool writes; /* are counted, not reads */
	void (*hook)(void *ud);
	void *ud;
};

static void tick(struct kv *kv, bool write)
{
	struct plain *p = (struct plain *)kv;

	if (p->writes == write && p->countdown && --p->countdown == 0)
		p->hook(p->ud);
}

static struct kv *below(struct kv *kv)
{
	return ((struct plain *)kv)->next;
}

static rc plain_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		    struct arena *a, struct str *ret_value, struct err *reterr)
{
	tick(kv, false);
	return kv_get(below(kv), wait, partition, key, a, ret_value, reterr);
}

static rc plain_set(struct kv *kv, struct str partition, struct str key, struct str value,
		    struct err *reterr)
{
	tick(kv, true);
	return kv_set(below(kv), partition, key, value, reterr);
}

static rc plain_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		       enum kv_cond cond, struct str current, struct err *reterr)
{
	tick(kv, true);
	return kv_set_if(below(kv), partition, key, value, cond, current, reterr);
}

static rc plain_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	return kv_delete(below(kv), partition, key, reterr);
}

static rc plain_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		     struct kv_iter **ret, struct err *reterr)
{
	tick(kv, false);
	return kv_scan(below(kv), partition, from, batch, ret, reterr);
}

static void plain_free(struct kv *kv)
{
	kv_free(below(kv));
	free(kv);
}

static const struct kv_ops plain_ops = {
	.name = "plain",
	.get = plain_get,
	.set = plain_set,
	.set_if = plain_set_if,
	.delete = plain_delete,
	.scan = plain_scan,
	.free = plain_free,
	.has_nowait = true,
};

static struct kv *plain_new(struct kv *next)
{
	struct plain *p = calloc(1, sizeof(*p));

	p->ops = plain_ops;
	p->ops.has_nowait = next->ops->has_nowait;
	p->kv.ops = &p->ops;
	p->next = next;
	return &p->kv;
}

/* The world. */

/* Nothing is forgotten while a test looks whether it is remembered, on a machine that stands still now and then. */
enum { CACHE_MS = 3600 * 1000 };

/* Tests wait for the end of one: a slow database needs more than memory does. */
int64_t world_lease_ms(void)
{
	return getenv("SLUICE_WORLD_KV") ? 3000 : 1000;
}

static struct versions *process_new(struct world *w, bool cached, int64_t lease_ms)
{
	const struct versions_options o = {
		.kv = w->kv,
		.registry = w->registry,
		.meta = w->meta,
		.data = w->data,
		.repo_cache_ms = CACHE_MS,
		.repo_cache_size = 100,
		.ensure_readable_root = true,
		.block_prefix = STR("_lakefs"),
		/* small, so that a few hundred entries make many ranges */
		.max_range_bytes = 4096,
		.range_raggedness = 10,
		.ranges = w->ranges,
		.lease_ms = lease_ms,
		.alone = w->alone,
	};
	const struct tables_options tables = {
		.cache_dir = cached ? str_c(w->cache) : STR_NONE,
		.cache_bytes = 256 * 1024,
		.block_cache_bytes = 64 * 1024,
		.open_max = 20,
	};

	struct versions *v = versions_new(&o);

	versions_open_tables(v, &tables);
	return v;
}

static void start(struct world *w)
{
	w->v = process_new(w, true, 0);
	w->c = (struct vcall){.v = w->v, .a = w->a, .wait = KV_BLOCK, .err = &w->err};
}

/* With SLUICE_WORLD_KV=postgres, or dynamodb, the worlds stand on one, whose drivers have no guarded sets and no reads
 * without waiting; each has a table of its own. */
static struct kv *new_postgres(void)
{
	static unsigned tables;
	struct kv_postgres_options o = {.max_idle_connections = 25, .scan_page_size = 50};
	char more[64], uri[256];
	struct kv *kv = NULL;
	struct err e = {0};

	snprintf(more, sizeof(more), "&lakefskv_table=world%u", tables++);
	o.connection_string = str_c(pg_cluster_uri(pg_cluster_shared(), 0, more, uri));
	if (!rc_ok(kv_postgres_open(&o, &kv, &e)))
		fail_msg("%s", e.msg);
	return kv_share_new(kv);
}

static struct kv *new_dynamodb(void)
{
	static unsigned tables;
	struct arena *a = arena_new();
	struct kv_dynamodb_options o =
		ddb_service_options(ddb_service_shared(), a, 0, arena_printf(a, "world%u", tables++).p);
	struct kv *kv = NULL;
	struct err e = {0};

	if (!rc_ok(kv_dynamodb_open(&o, &kv, &e)))
		fail_msg("%s", e.msg);
	arena_free(a);
	return kv_share_new(kv);
}

struct kv *world_database(void)
{
	const char *name = getenv("SLUICE_WORLD_KV");

	return !name			       ? NULL
	       : strcmp(name, "postgres") == 0 ? new_postgres()
	       : strcmp(name, "dynamodb") == 0 ? new_dynamodb()
					       : NULL;
}

static struct kv *new_kv(void)
{
	struct kv *kv = world_database();

	return kv ? kv : kv_mem_new();
}

static void open_stores(struct world *w, bool two)
{
	struct backend *stores[2];

	stores[0] = w->store = backend_fault_new(backend_mem_new(STR(""), w->data));
	if (two)
		stores[1] = w->other = backend_fault_new(backend_mem_new(STR("other"), w->data));
	w->registry = registry_of(stores, two ? 2 : 1, STR(""));
}

static void open_world(struct world *w, enum world_kind kind, bool two)
{
	struct kv *mem = new_kv();

	*w = (struct world){.a = arena_new()};
	w->plain = kind == PLAIN ? plain_new(mem) : NULL;
	w->kv = kv_fault_new(w->plain ? w->plain : mem);
	w->meta = work_pool_new("meta", 2, 100);
	w->data = work_pool_new("data", 2, 100);
	w->ranges = work_pool_new("ranges", 2, 100);
	snprintf(w->cache, sizeof(w->cache), "%s", "/tmp/sluice-world-XXXXXX");
	assert_non_null(mkdtemp(w->cache));
	open_stores(w, two);
	start(w);
}

void world_open(struct world *w, enum world_kind kind)
{
	open_world(w, kind, false);
}

void world_open_two(struct world *w)
{
	open_world(w, GUARDED, true);
}

void world_lose_kv(struct world *w)
{
	versions_free(w->v);
	kv_free(w->kv);
	w->plain = NULL;
	w->kv = kv_fault_new(kv_mem_new());
	start(w);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void world_close(struct world *w)
{
	work_pool_free(w->meta);
	work_pool_free(w->data);
	work_pool_free(w->ranges);
	versions_free(w->v);
	versions_free(w->second);
	nftw(w->cache, remove_one, 10, FTW_DEPTH | FTW_PHYS);
	registry_unref(w->registry);
	kv_free(w->kv);
	arena_free(w->a);
}

struct versions *world_other_with(struct world *w, int64_t lease_ms)
{
	if (!w->second) {
		w->second = process_new(w, false, lease_ms);
		versions_free(w->v);
		w->v = w->c.v = process_new(w, false, lease_ms);
	}
	return w->second;
}

struct versions *world_other(struct world *w)
{
	return world_other_with(w, world_lease_ms());
}

struct versions *world_peer(struct world *w)
{
	return world_other_with(w, 0);
}

void world_restart(struct world *w)
{
	versions_free(w->v);
	start(w);
}

void world_forget(struct world *w)
{
	arena_free(w->a);
	w->a = w->c.a = arena_new();
}

struct repo world_repo(struct world *w)
{
	const struct repo_create in = {.id = STR("repo1"), .storage_namespace = STR("mem://repo1")};
	struct repo r;

	assert_ok(repo_create(&w->c, &in, &r));
	return r;
}

void world_seal(struct vcall *c, const struct repo *r, struct str name)
{
	for (;;) {
		struct branch b, sealed;
		struct str *tokens;
		rc res;

		assert_ok(branch_get(c, r, name, &b));
		sealed = b;
		tokens = arena_alloc(c->a, (b.sealed_n + 1) * sizeof(*tokens));
		tokens[0] = b.staging_token;
		for (size_t i = 0; i < b.sealed_n; i++)
			tokens[i + 1] = b.sealed[i];
		sealed.sealed = tokens;
		sealed.sealed_n = b.sealed_n + 1;
		sealed.staging_token = branch_new_token(c->a, r, name);
		res = kv_set_if(versions_kv(c->v), r->partition, branch_key(c->a, name),
				branch_encode(&sealed, c->a), KV_IF_VALUE, b.raw, NULL);
		if (rc_ok(res))
			return;
		assert_true(rc_is(res, PREDICATE));
	}
}

void world_hook(struct world *w, unsigned nth, void (*hook)(void *ud), void *ud)
{
	struct plain *p = (struct plain *)w->plain;

	assert_non_null(p);
	p->countdown = nth;
	p->writes = false;
	p->hook = hook;
	p->ud = ud;
}

void world_hook_writes(struct world *w, unsigned nth, void (*hook)(void *ud), void *ud)
{
	world_hook(w, nth, hook, ud);
	((struct plain *)w->plain)->writes = true;
}

/* Copies a token's records to another; deletes them when `to` is STR_NONE. */
static void move(struct vcall *c, struct str token, struct str to)
{
	struct kv *kv = versions_kv(c->v);
	struct kv_entry *list = arena_alloc(c->a, MOVE_MAX * sizeof(*list)), e;
	struct kv_iter *it;
	size_t n = 0;
	bool end;

	assert_ok(kv_scan(kv, token, STR(""), 0, &it, c->err));
	for (;;) {
		assert_ok(kv_iter_next(it, &e, &end, c->err));
		if (end)
			break;
		assert_in_range(n, 0, MOVE_MAX - 1);
		list[n++] = (struct kv_entry){arena_dup(c->a, e.key), arena_dup(c->a, e.value)};
	}
	kv_iter_close(it);
	for (size_t i = 0; i < n; i++)
		assert_ok(to.p ? kv_set(kv, to, list[i].key, list[i].value, c->err)
			       : kv_delete(kv, token, list[i].key, c->err));
}

void world_move_sealed(struct vcall *c, const struct repo *r, struct str name)
{
	struct str token = branch_new_token(c->a, r, name);
	struct branch b, moved;

	assert_ok(branch_get(c, r, name, &b));
	moved = b;
	for (size_t i = b.sealed_n; i-- > 0;)
		move(c, b.sealed[i], token);
	moved.sealed = &token;
	moved.sealed_n = 1;
	assert_ok(kv_set_if(versions_kv(c->v), r->partition, branch_key(c->a, name),
			    branch_encode(&moved, c->a), KV_IF_VALUE, b.raw, c->err));
	for (size_t i = 0; i < b.sealed_n; i++)
		move(c, b.sealed[i], STR_NONE);
}

size_t world_keys(struct world *w, struct str partition)
{
	struct kv_entry e;
	struct kv_iter *it;
	size_t n = 0;
	bool end;

	assert_ok(kv_scan(w->kv, partition, STR(""), 0, &it, &w->err));
	for (;;) {
		assert_ok(kv_iter_next(it, &e, &end, &w->err));
		if (end)
			break;
		n++;
	}
	kv_iter_close(it);
	return n;
}

rc world_store_part(struct world *w, struct arena *a, const struct upload *u, unsigned number,
		    struct str bytes, struct upload_part *ret)
{
	const struct backend_blocking_ops *store = w->store->blocking;
	uint8_t *sum = arena_alloc(a, DIGEST_MAX), md5[DIGEST_MAX];
	struct backend_stat stat = {0};
	struct backend_writer *writer;
	struct err err;

	TRY(store->mpu_open_part(w->store, &u->to, u->store_upload_id, number, NULL, &writer, &err));
	if (!rc_ok(store->write(writer, bytes.p, bytes.n, &err)))
		abort();
	TRY(store->commit(writer, a, &stat, &err));
	digest_of(DIGEST_MD5, bytes, md5);
	*ret = (struct upload_part){
		.number = number,
		.size = bytes.n,
		.modified = wall_now(),
		.etag = hex_encode(a, str_make(md5, 16)),
		.store_etag = stat.etag,
	};
	if (u->checksum != DIGEST_KINDS) {
		digest_of(u->checksum, bytes, sum);
		ret->checksum[u->checksum] = str_make(sum, digest_size(u->checksum));
	}
	return RC_OK;
}

struct entry some_entry(struct arena *a, unsigned seed)
{
	return (struct entry){
		.address = arena_printf(a, "data/p/%08u", seed),
		.address_type = ADDRESS_RELATIVE,
		.modified = {.s = 1795000000 + seed, .ns = 5},
		.size = seed,
		.etag = arena_printf(a, "%032x", seed),
		.content_type = STR("application/octet-stream"),
	};
}
