/* The KV on RocksDB: one folder, one process.
 *
 * Keys. Length of the partition (two bytes, big-endian), partition, key: no two pairs meet, each
 * partition is a range of its own in the bytewise order of its keys, and since no partition has
 * 0xffff bytes, each range has an end to give to the iterator.
 *
 * Durability. Every write is a synced one, and RocksDB puts a change into its memory only after the
 * sync, so what anybody reads is durable. Threads that write at once share a sync (the first of them
 * writes and syncs for all that wait): throughput grows with the number of workers.
 *
 * Conditions. RocksDB's plain database has none, so stripes of locks over the keys make them:
 *	set, delete	share the key's stripe
 *	set_guarded	shares the stripes of the key and of the guard, reads the guard, writes
 *	write_many	shares the stripes of all keys and guards, reads the guards, writes all at once
 *	set_if		owns the key's stripe, reads the key, writes
 * so that between a condition's read and its write nobody else changes what was read. The stripe is
 * held until the write is durable: releasing it earlier would show others a value that a crash can
 * take back. What is hot, ordinary puts into one branch, shares its stripe and goes on at once,
 * syncing together; what owns (a seal, a commit) waits for the puts under way and holds up the next
 * ones for one sync. Reads take no lock.
 *
 * Failure. A failed write or sync is UNKNOWN_OUTCOME, and RocksDB then refuses all later writes: a sync
 * that failed is never retried into success. After a full disk it begins a new log by itself once there
 * is room; after anything else the KV must be opened again. */
#include "kv/kv.h"

#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kv/folder.h"
#include "kv/rocksdb_partitions.h"
#include "kv/stripes.h"

enum {
	BLOCK_CACHE_TIER = 1,
	INFO_LOG_WARN = 2,
	MAX_OPEN_FILES = 256,
	DEFAULT_BLOCK_CACHE = 32 << 20,
	DEFAULT_WRITE_BUFFER = 16 << 20,
};

struct rocks {
	struct kv kv;
	rocksdb_t *db;
	struct kv_folder *folder;
	struct stripes *stripes;
	rocksdb_readoptions_t *read, *read_nowait;
	rocksdb_writeoptions_t *write;
	atomic_bool failed; /* a write did */
};

struct rocks_iter {
	struct kv_iter it;
	struct rocks *rocks;
	rocksdb_iterator_t *rit;
	rocksdb_readoptions_t *options;
	bool fresh; /* it stands at what next is to return, not before it */
	size_t prefix_n;
	char *prefix, *upper; /* the partition's range; `upper` must outlive rit */
};

/* A key as RocksDB has it; small ones need no memory. */
struct full_key {
	char *p;
	size_t n;
	char small[512];
};

static void *allocate(size_t n)
{
	void *p = malloc(n);

	if (!p)
		abort();
	return p;
}

static size_t put_prefix(char *to, struct str partition)
{
	to[0] = (char)(partition.n >> 8);
	to[1] = (char)(partition.n & 0xff);
	memcpy(to + 2, partition.p, partition.n);
	return partition.n + 2;
}

static void full_key_init(struct full_key *k, struct str partition, struct str key)
{
	size_t n = 2 + partition.n + key.n;

	k->p = n <= sizeof(k->small) ? k->small : allocate(n);
	k->n = put_prefix(k->p, partition);
	if (key.n)
		memcpy(k->p + k->n, key.p, key.n);
	k->n += key.n;
}

static void full_key_deinit(struct full_key *k)
{
	if (k->p != k->small)
		free(k->p);
}

static unsigned stripe(const struct full_key *k)
{
	return stripe_of(str_make(k->p, k->n));
}

static void free_message(char **message)
{
	rocksdb_free(*message);
}

static void free_pinned(rocksdb_pinnableslice_t **v)
{
	if (*v)
		rocksdb_pinnableslice_destroy(*v);
}

static bool begins(const char *message, const char *with)
{
	return strncmp(message, with, strlen(with)) == 0;
}

rc rocks_read_failed(const char *path, const char *why, struct err *reterr)
{
	if (begins(why, "Corruption"))
		return err_set(reterr, ERR_CORRUPT,
			       "the KV in %s is damaged (%s): check the disk, then restore the folder "
			       "from a backup",
			       path, why);
	return err_set(reterr, ERR_IO, "reading the KV in %s: %s", path, why);
}

static rc read_failed(const struct rocks *r, const char *why, struct err *reterr)
{
	return rocks_read_failed(kv_folder_path(r->folder), why, reterr);
}

static rc write_failed(struct rocks *r, const char *why, struct err *reterr)
{
	atomic_store(&r->failed, true);
	return err_set(reterr, ERR_UNKNOWN_OUTCOME,
		       "writing to the KV in %s failed, and whether the change took place isn't known "
		       "(%s): check the disk and its free space, and restart if that doesn't help",
		       kv_folder_path(r->folder), why);
}

/* NOT_FOUND and WOULD_BLOCK are plain answers here; callers word them. */
static rc read_pinned(struct rocks *r, enum kv_wait wait, const struct full_key *k,
		      rocksdb_pinnableslice_t **ret, struct err *reterr)
{
	CLEANUP(free_message) char *why = NULL;

	*ret = rocksdb_get_pinned(r->db, wait == KV_NOWAIT ? r->read_nowait : r->read, k->p, k->n,
				  &why);
	if (!why)
		return *ret ? RC_OK : RC(NOT_FOUND);
	if (wait == KV_NOWAIT && begins(why, "Result incomplete"))
		return RC(WOULD_BLOCK);
	return read_failed(r, why, reterr);
}

static struct str pinned_str(const rocksdb_pinnableslice_t *v)
{
	size_t n;
	const char *p = rocksdb_pinnableslice_value(v, &n);

	return str_make(p, n);
}

static rc rocks_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		    struct arena *a, struct str *ret_value, struct err *reterr)
{
	CLEANUP(free_pinned) rocksdb_pinnableslice_t *v = NULL;
	CLEANUP(full_key_deinit) struct full_key k;
	rc r;

	full_key_init(&k, partition, key);
	r = read_pinned((struct rocks *)kv, wait, &k, &v, reterr);
	if (rc_is(r, NOT_FOUND) || rc_is(r, WOULD_BLOCK))
		return err_default(reterr, r.code);
	if (rc_ok(r))
		*ret_value = arena_dup(a, pinned_str(v));
	return r;
}

static rc put(struct rocks *r, const struct full_key *k, struct str value, struct err *reterr)
{
	CLEANUP(free_message) char *why = NULL;

	rocksdb_put(r->db, r->write, k->p, k->n, value.p, value.n, &why);
	return why ? write_failed(r, why, reterr) : RC_OK;
}

static rc rocks_set(struct kv *kv, struct str partition, struct str key, struct str value,
		    struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;
	CLEANUP(full_key_deinit) struct full_key k;
	unsigned s;
	rc ret;

	full_key_init(&k, partition, key);
	s = stripe(&k);
	stripe_share(r->stripes, s);
	ret = put(r, &k, value, reterr);
	stripe_unshare(r->stripes, s);
	return ret;
}

static rc rocks_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;
	CLEANUP(full_key_deinit) struct full_key k;
	CLEANUP(free_message) char *why = NULL;
	unsigned s;

	full_key_init(&k, partition, key);
	s = stripe(&k);
	stripe_share(r->stripes, s);
	rocksdb_delete(r->db, r->write, k.p, k.n, &why);
	stripe_unshare(r->stripes, s);
	return why ? write_failed(r, why, reterr) : RC_OK;
}

/* Under the key's stripe. */
static rc check(struct rocks *r, const struct full_key *k, enum kv_cond cond, struct str current,
		struct err *reterr)
{
	CLEANUP(free_pinned) rocksdb_pinnableslice_t *v = NULL;
	rc got = read_pinned(r, KV_BLOCK, k, &v, reterr);
	bool holds = false;

	if (rc_ok(got))
		holds = cond == KV_IF_PRESENT ||
			(cond == KV_IF_VALUE && str_eq(pinned_str(v), current));
	else if (rc_is(got, NOT_FOUND))
		holds = cond == KV_IF_ABSENT;
	else
		return got;
	return holds ? RC_OK : err_default(reterr, ERR_PREDICATE);
}

static rc check_and_put(struct rocks *r, const struct full_key *guard, enum kv_cond cond,
			struct str current, const struct full_key *k, struct str value,
			struct err *reterr)
{
	TRY(check(r, guard, cond, current, reterr));
	return put(r, k, value, reterr);
}

static rc rocks_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		       enum kv_cond cond, struct str current, struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;
	CLEANUP(full_key_deinit) struct full_key k;
	unsigned s;
	rc ret;

	full_key_init(&k, partition, key);
	s = stripe(&k);
	stripe_own(r->stripes, s);
	ret = check_and_put(r, &k, cond, current, &k, value, reterr);
	stripe_disown(r->stripes, s);
	return ret;
}

static rc rocks_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
			    struct str guard_partition, struct str guard_key,
			    struct str guard_value, struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;
	CLEANUP(full_key_deinit) struct full_key k;
	CLEANUP(full_key_deinit) struct full_key guard;
	unsigned s, gs;
	rc ret;

	full_key_init(&k, partition, key);
	full_key_init(&guard, guard_partition, guard_key);
	s = stripe(&k);
	gs = stripe(&guard);
	stripe_share_pair(r->stripes, s, gs);
	ret = check_and_put(r, &guard, KV_IF_VALUE, guard_value, &k, value, reterr);
	stripe_unshare_pair(r->stripes, s, gs);
	return ret;
}

/* Several writes. */

struct many {
	struct rocks *rocks;
	struct kv_write *w;
	size_t n;
	unsigned stripes[2 * KV_WRITES_MAX];
	size_t stripes_n;
};

static unsigned stripe_at(struct str partition, struct str key)
{
	CLEANUP(full_key_deinit) struct full_key k;

	full_key_init(&k, partition, key);
	return stripe(&k);
}

static bool same_guard(const struct kv_write *a, const struct kv_write *b)
{
	return str_eq(a->guard_value, b->guard_value) && str_eq(a->guard_key, b->guard_key) &&
	       str_eq(a->guard_partition, b->guard_partition);
}

static void share_all(struct many *m)
{
	const struct kv_write *last = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct kv_write *w = &m->w[i];

		if (!rc_ok(w->result))
			continue;
		m->stripes[m->stripes_n++] = stripe_at(w->partition, w->key);
		if (!w->has_guard || (last && same_guard(last, w)))
			continue;
		m->stripes[m->stripes_n++] = stripe_at(w->guard_partition, w->guard_key);
		last = w;
	}
	m->stripes_n = stripe_share_many(m->rocks->stripes, m->stripes, m->stripes_n);
}

static void check_guard(struct many *m, struct kv_write *w)
{
	CLEANUP(full_key_deinit) struct full_key guard;

	full_key_init(&guard, w->guard_partition, w->guard_key);
	w->result = check(m->rocks, &guard, KV_IF_VALUE, w->guard_value, w->err);
}

/* Each guard once, whatever its answer. */
static void check_guards(struct many *m)
{
	struct kv_write *checked[KV_WRITES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct kv_write *w = &m->w[i];
		size_t k = n;

		if (!rc_ok(w->result) || !w->has_guard)
			continue;
		while (k > 0 && !same_guard(checked[k - 1], w))
			k--;
		if (k == 0) {
			check_guard(m, w);
			checked[n++] = w;
		} else if (!rc_ok(checked[k - 1]->result)) {
			w->result = checked[k - 1]->result;
			if (w->err && checked[k - 1]->err)
				*w->err = *checked[k - 1]->err;
			else
				IGNORE_RC(err_default(w->err, w->result.code));
		}
	}
}

static void add_write(rocksdb_writebatch_t *to, const struct kv_write *w)
{
	CLEANUP(full_key_deinit) struct full_key k;

	full_key_init(&k, w->partition, w->key);
	if (w->remove)
		rocksdb_writebatch_delete(to, k.p, k.n);
	else
		rocksdb_writebatch_put(to, k.p, k.n, w->value.p, w->value.n);
}

static void write_batch(struct many *m, rocksdb_writebatch_t *batch)
{
	CLEANUP(free_message) char *why = NULL;

	rocksdb_write(m->rocks->db, m->rocks->write, batch, &why);
	for (size_t i = 0; why && i < m->n; i++)
		if (rc_ok(m->w[i].result))
			m->w[i].result = write_failed(m->rocks, why, m->w[i].err);
}

static void rocks_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	struct many m = {.rocks = (struct rocks *)kv, .w = w, .n = n};
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();

	share_all(&m);
	check_guards(&m);
	for (size_t i = 0; i < n; i++)
		if (rc_ok(w[i].result))
			add_write(batch, &w[i]);
	if (rocksdb_writebatch_count(batch) > 0)
		write_batch(&m, batch);
	stripe_unshare_many(m.rocks->stripes, m.stripes, m.stripes_n);
	rocksdb_writebatch_destroy(batch);
}

static rc rocks_iter_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct rocks_iter *it = (struct rocks_iter *)base;
	CLEANUP(full_key_deinit) struct full_key k;

	full_key_init(&k, str_make(it->prefix + 2, it->prefix_n - 2), from);
	rocksdb_iter_seek(it->rit, k.p, k.n);
	it->fresh = true;
	return RC_OK;
}

static rc rocks_iter_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			  struct err *reterr)
{
	struct rocks_iter *it = (struct rocks_iter *)base;
	CLEANUP(free_message) char *why = NULL;
	struct str key;

	if (!it->fresh && rocksdb_iter_valid(it->rit))
		rocksdb_iter_next(it->rit);
	it->fresh = false;
	if (!rocksdb_iter_valid(it->rit)) {
		rocksdb_iter_get_error(it->rit, &why);
		*ret_end = !why;
		return why ? read_failed(it->rocks, why, reterr) : RC_OK;
	}
	key.p = rocksdb_iter_key(it->rit, &key.n);
	ret->key = str_skip(key, it->prefix_n);
	ret->value.p = rocksdb_iter_value(it->rit, &ret->value.n);
	return RC_OK;
}

static void rocks_iter_close(struct kv_iter *base)
{
	struct rocks_iter *it = (struct rocks_iter *)base;

	rocksdb_iter_destroy(it->rit);
	rocksdb_readoptions_destroy(it->options);
	free(it->prefix);
	free(it->upper);
	free(it);
}

static const struct kv_iter_ops iter_ops = {
	.seek = rocks_iter_seek,
	.next = rocks_iter_next,
	.close = rocks_iter_close,
};

/* The least bytes above all that begin with the prefix: there are such (see the head). */
static size_t above(const char *prefix, size_t n, char *to)
{
	memcpy(to, prefix, n);
	while ((unsigned char)to[n - 1] == 0xff)
		n--;
	to[n - 1] = (char)((unsigned char)to[n - 1] + 1);
	return n;
}

static rc rocks_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		     struct kv_iter **ret, struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;
	struct rocks_iter *it = allocate(sizeof(*it));

	*it = (struct rocks_iter){
		.it.ops = &iter_ops,
		.rocks = r,
		.options = rocksdb_readoptions_create(),
		.prefix = allocate(2 + partition.n),
		.upper = allocate(2 + partition.n),
	};
	it->prefix_n = put_prefix(it->prefix, partition);
	rocksdb_readoptions_set_iterate_upper_bound(it->options, it->upper,
						    above(it->prefix, it->prefix_n, it->upper));
	rocksdb_readoptions_set_background_purge_on_iterator_cleanup(it->options, 1);
	it->rit = rocksdb_create_iterator(r->db, it->options);
	*ret = &it->it;
	return rocks_iter_seek(*ret, from, reterr);
}

static rc rocks_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	struct rocks *r = (struct rocks *)kv;

	return rocks_partitions_open(r->db, kv_folder_path(r->folder), from, ret, reterr);
}

static void rocks_free(struct kv *kv)
{
	struct rocks *r = (struct rocks *)kv;
	CLEANUP(free_message) char *why = NULL;

	/* For unsynced writes. After a failure that was reported already, and RocksDB asserts that
	 * nobody syncs such a log again. */
	if (!atomic_load(&r->failed))
		rocksdb_flush_wal(r->db, 1, &why);
	rocksdb_close(r->db);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_readoptions_destroy(r->read_nowait);
	rocksdb_writeoptions_destroy(r->write);
	stripes_free(r->stripes);
	kv_folder_release(r->folder);
	free(r);
}

static const struct kv_ops ops = {
	.name = "rocksdb",
	.get = rocks_get,
	.set = rocks_set,
	.set_if = rocks_set_if,
	.delete = rocks_delete,
	.scan = rocks_scan,
	.free = rocks_free,
	.set_guarded = rocks_set_guarded,
	.write_many = rocks_write_many,
	.partitions = rocks_partitions,
	.has_nowait = true,
	.sole_owner = true,
	.snapshots = true,
};

/* Index and filter blocks live in the bounded cache, too, in its better half. */
static void set_tables(rocksdb_options_t *to, const struct kv_rocksdb_options *o)
{
	size_t cache_bytes = o->block_cache_bytes ? o->block_cache_bytes : DEFAULT_BLOCK_CACHE;
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	rocksdb_cache_t *cache = rocksdb_cache_create_lru(cache_bytes);

	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_block_size(t, 8 << 10);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_options_set_block_based_table_factory(to, t);
	rocksdb_cache_destroy(cache); /* the factory holds it */
	rocksdb_block_based_options_destroy(t);
}

static rocksdb_options_t *options_new(const struct kv_rocksdb_options *o)
{
	size_t buffer = o->write_buffer_bytes ? o->write_buffer_bytes : DEFAULT_WRITE_BUFFER;
	rocksdb_options_t *to = rocksdb_options_create();

	rocksdb_options_set_create_if_missing(to, 1);
	rocksdb_options_set_write_buffer_size(to, buffer);
	rocksdb_options_set_max_write_buffer_number(to, 3);
	rocksdb_options_set_max_total_wal_size(to, 4 * buffer);
	/* Else each of those who share a sync is woken twice, the first time to put its own change
	 * into memory: half as much CPU again for a set. */
	rocksdb_options_set_allow_concurrent_memtable_write(to, 0);
	rocksdb_options_set_max_open_files(to, MAX_OPEN_FILES);
	rocksdb_options_set_max_background_jobs(to, 2);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(to, 1);
	rocksdb_options_set_max_manifest_file_size(to, 16 << 20);
	rocksdb_options_set_info_log_level(to, INFO_LOG_WARN);
	rocksdb_options_set_max_log_file_size(to, 1 << 20);
	rocksdb_options_set_keep_log_file_num(to, 3);
	rocksdb_options_set_stats_dump_period_sec(to, 0);
	rocksdb_options_set_stats_persist_period_sec(to, 0);
	set_tables(to, o);
	return to;
}

/* With the best compression that the library was built with. */
static rocksdb_t *open_db(rocksdb_options_t *options, const char *path, char **ret_why)
{
	static const int compressions[] = {rocksdb_lz4_compression, rocksdb_snappy_compression,
					   rocksdb_no_compression};
	rocksdb_t *db = NULL;

	for (size_t i = 0; !db && i < sizeof(compressions) / sizeof(compressions[0]); i++) {
		rocksdb_options_set_compression(options, compressions[i]);
		rocksdb_free(*ret_why);
		*ret_why = NULL;
		db = rocksdb_open(options, path, ret_why);
		if (!db && !strstr(*ret_why, "is not linked"))
			break;
	}
	return db;
}

static rc open_failed(const char *path, const char *why, struct err *reterr)
{
	if (strstr(why, "/LOCK"))
		return err_set(reterr, ERR_CONFIG,
			       "database.local.path: %s is in use by another process (another "
			       "sluice?). Stop it; one folder serves one process (%s)",
			       path, why);
	if (begins(why, "Corruption"))
		return err_set(reterr, ERR_CORRUPT,
			       "database.local.path: the KV in %s is damaged (%s): check the disk, "
			       "then restore the folder from a backup",
			       path, why);
	return err_set(reterr, ERR_CONFIG,
		       "database.local.path: opening the KV in %s: %s (check the disk, its free "
		       "space and the owner of the files)",
		       path, why);
}

static struct rocks *rocks_new(rocksdb_t *db, struct kv_folder *folder, bool sync)
{
	struct rocks *r = allocate(sizeof(*r));

	*r = (struct rocks){
		.kv.ops = &ops,
		.db = db,
		.folder = folder,
		.stripes = stripes_new(),
		.read = rocksdb_readoptions_create(),
		.read_nowait = rocksdb_readoptions_create(),
		.write = rocksdb_writeoptions_create(),
	};
	rocksdb_readoptions_set_read_tier(r->read_nowait, BLOCK_CACHE_TIER);
	rocksdb_writeoptions_set_sync(r->write, sync);
	return r;
}

rc kv_rocksdb_open(const struct kv_rocksdb_options *o, struct kv **ret, struct err *reterr)
{
	CLEANUP(free_message) char *why = NULL;
	struct kv_folder *folder;
	rocksdb_options_t *options;
	rocksdb_t *db;
	rc r;

	TRY(kv_folder_claim(o->path, o->existing, &folder, reterr));
	options = options_new(o);
	db = open_db(options, kv_folder_path(folder), &why);
	rocksdb_options_destroy(options);
	if (db) {
		*ret = &rocks_new(db, folder, o->sync_writes)->kv;
		return RC_OK;
	}
	r = open_failed(kv_folder_path(folder), why, reterr);
	kv_folder_release(folder);
	return r;
}
