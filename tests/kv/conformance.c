#include "tests/kv/conformance.h"

#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/kv/ddb_service.h"
#include "tests/kv/pg_cluster.h"

static struct kv *open_mem(const char *folder)
{
	return kv_mem_new();
}

static struct kv *open_fault(const char *folder)
{
	return kv_fault_new(kv_mem_new());
}

#ifndef __SANITIZE_THREAD__
static struct kv *open_rocksdb(const char *folder)
{
	struct kv_rocksdb_options o = {
		.path = str_c(folder),
		.sync_writes = true,
		.block_cache_bytes = 1 << 20,
		.write_buffer_bytes = 256 << 10, /* so that tables are written, too */
	};
	struct kv *kv = NULL;
	struct err e;

	if (!rc_ok(kv_rocksdb_open(&o, &kv, &e)))
		fail_msg("%s", e.msg);
	return kv;
}
#endif

static struct kv *open_share(const char *folder)
{
	return kv_share_new(kv_mem_new());
}

/* A table for each test. Pages of a few rows, so that scans have many. */
static struct kv *open_postgres(const char *folder)
{
	static unsigned tables;
	char table[64], uri[256];
	struct kv_postgres_options o = {.max_idle_connections = 25, .scan_page_size = 7};
	struct kv *kv = NULL;
	struct err e = {0};

	snprintf(table, sizeof(table), "&lakefskv_table=kv%%20%u", tables++);
	o.connection_string = str_c(pg_cluster_uri(pg_cluster_shared(), 0, table, uri));
	if (!rc_ok(kv_postgres_open(&o, &kv, &e)))
		fail_msg("%s", e.msg);
	return kv;
}

static struct kv *open_postgres_shared(const char *folder)
{
	return kv_share_new(open_postgres(folder));
}

/* A table for each test, all in one service. Pages of a few rows, so that scans have many. */
static struct kv *open_dynamodb(const char *folder)
{
	static unsigned tables;
	struct arena *a = arena_new();
	struct kv_dynamodb_options o =
		ddb_service_options(ddb_service_shared(), a, 0, arena_printf(a, "kv.%u", tables++).p);
	struct kv *kv = NULL;
	struct err e = {0};

	o.scan_limit = 7;
	if (!rc_ok(kv_dynamodb_open(&o, &kv, &e)))
		fail_msg("%s", e.msg);
	arena_free(a);
	return kv;
}

static const struct kv_row rows[] = {
	{.name = "mem", .open = open_mem, .slow = false},
	{.name = "fault", .open = open_fault, .slow = false},
	{.name = "share", .open = open_share, .slow = false},
	{.name = "postgres", .open = open_postgres, .slow = true},
	{.name = "postgres, reads shared", .open = open_postgres_shared, .slow = true},
	{.name = "dynamodb", .open = open_dynamodb, .slow = true, .key_max = 1024, .value_max = 390 << 10,
	 .moment_max = 100},
#ifndef __SANITIZE_THREAD__ /* the library isn't built for it */
	{.name = "rocksdb", .open = open_rocksdb, .slow = true},
#endif
};

static const struct kv_row *current;

void scratch_new(char folder[64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, 64, "%s/sluice-kv-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(folder))
		fail_msg("mkdtemp %s", folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void scratch_remove(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int kv_setup(void **state)
{
	struct kv_fixture *f = calloc(1, sizeof(*f));

	f->row = current;
	f->arena = arena_new();
	scratch_new(f->folder);
	f->kv = current->open(f->folder);
	*state = f;
	return 0;
}

int kv_teardown(void **state)
{
	struct kv_fixture *f = *state;

	kv_free(f->kv);
	arena_free(f->arena);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

int kv_run_rows(const struct CMUnitTest *tests, size_t n)
{
	const char *only = getenv("SLUICE_KV_ROW");
	int failed = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		current = &rows[i];
		if (only && strcmp(only, current->name) != 0)
			continue;
		failed += _cmocka_run_group_tests(rows[i].name, tests, n, NULL, NULL);
	}
	return failed;
}

rc kv_text_set(struct kv_fixture *f, const char *partition, const char *key, const char *value)
{
	return kv_set(f->kv, str_c(partition), str_c(key), str_c(value), &f->err);
}

const char *kv_text_get(struct kv_fixture *f, const char *partition, const char *key)
{
	struct str v;
	rc r = kv_get(f->kv, KV_BLOCK, str_c(partition), str_c(key), f->arena, &v, &f->err);

	if (rc_is(r, NOT_FOUND))
		return NULL;
	assert_ok(r, f);
	return arena_cstr(f->arena, v);
}

const char *kv_text_scan(struct kv_fixture *f, struct str partition, struct str from)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	CLEANUP(buf_deinit) struct buf out = BUF_INIT(1 << 20);
	struct kv_entry e;
	bool end;

	assert_ok(kv_scan(f->kv, partition, from, 0, &it, &f->err), f);
	for (;;) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		if (end)
			return arena_cstr(f->arena, buf_str(&out));
		buf_printf(&out, "%s%.*s=%.*s", out.n ? " " : "", STR_ARG(e.key),
			   STR_ARG(e.value));
	}
}
