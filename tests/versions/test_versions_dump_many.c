/* Dumps over RocksDB, PostgreSQL, DynamoDB: of very many commits, in memory that has a bound, whatever their number (SLUICE_DUMP_COMMITS says how
 * many); and of branches that never rest, at one moment. */
#include "tests/versions/world.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "versions/commit_record.h"
#include "versions/dump.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/metarange.h"
#include "versions/object.h"

/* Of a commit, in the set of those that were seen (half empty, and copied when it grows); and in all, for blocks, pages and
 * RocksDB's memory. */
enum { A_COMMIT = 2 * 32 * 3, IN_ALL = 96 << 20 };

static size_t many(void)
{
	const char *n = getenv("SLUICE_DUMP_COMMITS");

	return n ? strtoul(n, NULL, 10) : 3000;
}

static size_t peak_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	unsigned long kib = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			break;
	fclose(f);
	return (size_t)kib * 1024;
}

static void reset_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	assert_non_null(f);
	fputs("5", f);
	fclose(f);
}

/* A chain: written as a migration would, many at once. */
static void add_commits(struct world *w, const struct repo *r, size_t n, char head[65])
{
	struct kv_write writes[KV_WRITES_MAX];
	struct str parent;

	snprintf(head, 65, "%s", "");
	for (size_t i = 0; i < n;) {
		struct arena *a = arena_new();
		size_t k = 0;

		for (; k < KV_WRITES_MAX && i < n; k++, i++) {
			struct commit c = {.committer = STR("x"),
					   .message = arena_printf(a, "commit %zu of a long history", i),
					   .meta_range_id = STR(""),
					   .created = {.s = 1700000000 + (int64_t)i},
					   .version = COMMIT_VERSION,
					   .generation = (int32_t)i + 1,
					   .parents = &parent,
					   .parents_n = i ? 1 : 0};

			parent = arena_dup(a, str_c(head));
			c.id = commit_id(&c, a);
			memcpy(head, c.id.p, 64);
			head[64] = 0;
			writes[k] = (struct kv_write){.partition = r->partition,
						      .key = key_join(a, STR("commits/"), c.id),
						      .value = commit_encode(&c, a)};
		}
		kv_write_many(w->kv, writes, k);
		for (size_t j = 0; j < k; j++)
			assert_ok(writes[j].result);
		arena_free(a);
	}
}

/* A world on disk, or in a database. */
static void open_world(struct world *w, char dir[64])
{
	const struct backend_local_options local = {
		.id = STR(""), .path = arena_printf(w->a, "%s/objects", dir), .pool = w->data};
	const struct kv_rocksdb_options kv = {.path = arena_printf(w->a, "%s/kv", dir)};
	const struct tables_options tables = {.block_cache_bytes = 1 << 20};
	struct versions_options o = {.meta = w->meta,
				     .data = w->data,
				     .repo_cache_ms = 5000,
				     .repo_cache_size = 10,
				     .block_prefix = STR("_lakefs")};

	assert_ok(backend_local_open(&local, &w->store, NULL));
	w->kv = world_database();
	if (!w->kv)
		assert_ok(kv_rocksdb_open(&kv, &w->kv, NULL));
	w->registry = registry_of(&w->store, 1, STR(""));
	o.kv = w->kv;
	o.registry = w->registry;
	w->v = versions_new(&o);
	versions_open_tables(w->v, &tables);
	w->c = (struct vcall){.v = w->v, .a = w->a, .wait = KV_BLOCK, .err = &w->err};
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void close_world(struct world *w, const char *dir)
{
	versions_free(w->v);
	registry_unref(w->registry);
	kv_free(w->kv);
	work_pool_free(w->data);
	work_pool_free(w->meta);
	arena_free(w->a);
	nftw(dir, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static void assert_modest(size_t before, size_t n, const char *what)
{
	size_t peak = peak_bytes(), grown = peak > before ? peak - before : 0;

	print_message("%s of %zu commits: %zu MiB more\n", what, n, grown >> 20);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(grown, 0, IN_ALL + n * A_COMMIT);
#endif
}

static void test_dump_many(void **state)
{
	const struct repo_create first = {.id = STR("many"), .storage_namespace = STR("local://many")},
				 second = {.id = STR("again"), .storage_namespace = STR("local://many"), .bare = true};
	struct world w = {.a = arena_new(), .data = work_pool_new("data", 2, 100), .meta = work_pool_new("meta", 1, 10)};
	char dir[64] = "/tmp/sluice-many-XXXXXX", head[65];
	size_t n = many(), before;
	struct refs_dump d;
	struct repo r, again;
	struct branch b;

	assert_non_null(mkdtemp(dir));
	open_world(&w, dir);
	assert_ok(repo_create(&w.c, &first, &r));
	add_commits(&w, &r, n, head);
	assert_ok(branch_create(&w.c, &r, STR("long"), str_c(head)));
	reset_peak();
	before = peak_bytes();
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	assert_modest(before, n, "dump");
	assert_ok(repo_create(&w.c, &second, &again));
	reset_peak();
	before = peak_bytes();
	assert_ok(refs_restore(&w.c, &again, &d, false, NULL));
	assert_modest(before, n, "restore");
	assert_ok(branch_get(&w.c, &again, STR("long"), &b));
	assert_str(b.commit_id, str_c(head));
	assert_int_equal(world_keys(&w, again.partition), n + 1 + 2); /* its first commit; two branches */
	close_world(&w, dir);
}

/* "z" follows "a" from commit to commit, round and round, until it is told to stop. */
enum { ROUND = 50 };

/* So many that reading takes its time; DynamoDB's transactions have a hundred items. */
static unsigned beside(void)
{
	const char *kv = getenv("SLUICE_WORLD_KV");

	return kv && strcmp(kv, "dynamodb") == 0 ? 90 : 3000;
}

struct follower {
	struct world *w;
	const struct repo *r;
	char ids[ROUND][65];
	_Atomic unsigned moved;
	_Atomic bool stop;
};

static void make_commits(struct follower *f)
{
	for (unsigned i = 0; i < ROUND; i++) {
		struct vcall *c = &f->w->c;
		struct entry e = some_entry(c->a, i);
		const struct commit_request q = {.branch = STR("a"), .committer = STR("f"), .message = STR("on")};
		struct commit made;
		bool sent;

		assert_ok(object_stage(c, f->r, STR("a"), STR("path"), &e, STAGE_ALWAYS, STR_NONE, &sent));
		assert_ok(branch_commit(c, f->r, &q, &made));
		memcpy(f->ids[i], made.id.p, 64);
	}
}

static void *follow(void *arg)
{
	struct follower *f = arg;

	while (!f->stop) {
		struct arena *a = arena_new();
		struct vcall c = {.v = f->w->v, .a = a, .wait = KV_BLOCK};
		struct str to = str_c(f->ids[f->moved % ROUND]);

		assert_ok(branch_hard_reset(&c, f->r, STR("a"), to, false));
		assert_ok(branch_hard_reset(&c, f->r, STR("z"), to, false));
		f->moved++;
		arena_free(a);
	}
	return NULL;
}

static unsigned dumped_at(struct follower *f, const struct refs_dump *d, const char *branch)
{
	struct record record;

	assert_ok(metarange_get(&f->w->c, f->r, d->branches, str_c(branch), &record));
	for (unsigned i = 0; i < ROUND; i++)
		if (memcmp(f->ids[i], record.identity.p, 64) == 0)
			return i;
	fail_msg("%s is nowhere", branch);
	return 0;
}

static void test_dump_of_branches_that_never_rest(void **state)
{
	const struct repo_create in = {.id = STR("moving"), .storage_namespace = STR("local://moving")};
	struct world w = {.a = arena_new(), .data = work_pool_new("data", 2, 100), .meta = work_pool_new("meta", 1, 10)};
	struct follower *f = calloc(1, sizeof(*f));
	char dir[64] = "/tmp/sluice-many-XXXXXX";
	struct refs_dump dumps[10];
	pthread_t thread;
	int64_t began;
	struct repo r;

	assert_non_null(f);
	assert_non_null(mkdtemp(dir));
	open_world(&w, dir);
	assert_ok(repo_create(&w.c, &in, &r));
	assert_ok(branch_create(&w.c, &r, STR("a"), STR("main")));
	f->w = &w;
	f->r = &r;
	make_commits(f);
	assert_ok(branch_create(&w.c, &r, STR("z"), STR("a")));
	for (unsigned i = 0; i < beside(); i++)
		assert_ok(branch_create(&w.c, &r, arena_printf(w.a, "m%u", i), STR("main")));
	began = mono_ms();
	assert_int_equal(pthread_create(&thread, NULL, follow, f), 0);
	/* The last ten; more where the other thread hardly gets a turn. */
	for (unsigned i = 0; i < 10 || (f->moved <= 20 && mono_ms() - began < 120000); i++)
		assert_ok(refs_dump(&w.c, &r, NULL, &dumps[i % 10]));
	f->stop = true;
	pthread_join(thread, NULL);
	assert_true(f->moved > 20);
	for (unsigned i = 0; i < 10; i++)
		assert_in_range((dumped_at(f, &dumps[i], "a") + ROUND - dumped_at(f, &dumps[i], "z")) % ROUND, 0, 1);
	free(f);
	close_world(&w, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump_many),
		cmocka_unit_test(test_dump_of_branches_that_never_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
