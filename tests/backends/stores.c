#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/local.h"
#include "backends/remote.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"

struct err test_err;

void check_rc(rc r, const struct err *e, const char *file, int line)
{
	if (!rc_ok(r))
		print_error("%s: %s\n", err_name(r.code), e->msg);
	_assert_true(rc_ok(r), "rc_ok", file, line);
}

void check_code(rc r, enum err_code code, const struct err *e, const char *file, int line)
{
	if (r.code != code)
		print_error("%s, not %s: %s\n", err_name(r.code), err_name(code), e->msg);
	_assert_true(r.code == code, "expected code", file, line);
}

static const struct store_row rows[STORE_KINDS] = {
	[STORE_LOCAL] = {"local", "local", NULL},
	[STORE_LOCAL_NAMED] = {"local, named temporaries", "local", NULL},
	[STORE_MEM] = {"mem", "local", NULL},
	[STORE_FAULT] = {"fault", "local", NULL},
	[STORE_S3_VERSITYGW] = {"s3: versitygw", "s3", store_open_s3},
	[STORE_S3_S3PROXY] = {"s3: s3proxy", "s3", store_open_s3},
	[STORE_AZURE] = {"azure: azurite", "azure", store_open_azure},
	[STORE_GCS_MEMORY] = {"gcs: fake-gcs-server in memory", "gcs", store_open_gcs},
	[STORE_GCS_FILES] = {"gcs: fake-gcs-server on files", "gcs", store_open_gcs},
};

enum store_kind store_first = 0, store_end = STORE_LOCAL_KINDS;

const char *store_kind_name(enum store_kind k)
{
	return rows[k].name;
}

void store_group(int argc, char **argv)
{
	const char *group = argc > 1 ? argv[1] : "local";

	store_first = 0;
	while (store_first < STORE_KINDS && strcmp(rows[store_first].group, group) != 0)
		store_first++;
	store_end = store_first;
	while (store_end < STORE_KINDS && strcmp(rows[store_end].group, group) == 0)
		store_end++;
	if (store_first == store_end) {
		fprintf(stderr, "there is no group of stores \"%s\"\n", group);
		exit(2);
	}
}

void store_dir_new(char out[64])
{
	snprintf(out, 64, "/tmp/sluice-store-XXXXXX");
	assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	return remove(path);
}

void store_dir_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t counted;

static int count_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	counted += flag == FTW_F;
	return 0;
}

size_t store_files(const char *path)
{
	counted = 0;
	nftw(path, count_one, 16, FTW_PHYS);
	return counted;
}

void store_open(struct store *s, enum store_kind k, struct work_pool *pool)
{
	struct backend_local_options o = {.id = STR("store"), .pool = pool, .sync = true};

	if (rows[k].open) {
		store_open_twisted(s, k, &(struct store_twist){0});
		return;
	}
	*s = (struct store){.space = STR("mem://space/of names")};
	if (k == STORE_MEM || k == STORE_FAULT) {
		s->b = backend_mem_new(STR("store"), pool);
		if (k == STORE_FAULT)
			s->b = backend_fault_new(s->b);
		return;
	}
	store_dir_new(s->root);
	o.path = str_c(s->root);
	ok(backend_local_open(&o, &s->b, &test_err));
	((struct local *)s->b)->named = k == STORE_LOCAL_NAMED;
	s->space = STR("local://space/of names");
}

struct remote_options store_remote(const struct store_twist *t)
{
	return (struct remote_options){
		.id = STR("store"),
		.workers = 8,
		.max_retries = t->no_retries ? 0 : t->max_retries ? t->max_retries : 8,
		.stall_ms = t->stall_ms,
		.deadline_ms = t->deadline_ms,
	};
}

void store_open_twisted(struct store *s, enum store_kind k, const struct store_twist *t)
{
	static unsigned n;

	*s = (struct store){.remote = true};
	rows[k].open(s, k, t);
	if (!s->front)
		s->front = s->at->port;
	snprintf(s->memory, sizeof(s->memory), STR_FMT "/n%u/of names", STR_ARG(s->space), ++n);
	s->space = str_c(s->memory);
}

void store_reopen(struct store *s, enum store_kind k, struct store_twist t)
{
	struct store again;

	store_open_twisted(&again, k, &t);
	memcpy(again.memory, s->memory, sizeof(again.memory));
	store_close(s);
	*s = again;
	s->space = str_c(s->memory);
}

void store_close(struct store *s)
{
	backend_free(s->b);
	if (s->root[0])
		store_dir_remove(s->root);
}

void store_settle(struct store *s)
{
	if (s->at && s->at->settle)
		s->at->settle(s->b, s->space);
}

struct object_ptr at(const struct store *s, const char *key)
{
	return (struct object_ptr){.space = s->space, .key = str_c(key), .type = ADDRESS_RELATIVE};
}

char pattern(uint64_t i, unsigned seed)
{
	return (char)((i * 131 + (i >> 8) * 7 + (i >> 16) + seed) & 255);
}

struct str pattern_new(struct arena *a, size_t n, unsigned seed)
{
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = pattern(i, seed);
	return str_make(p, n);
}

rc put_bytes(struct store *s, const char *key, struct str bytes)
{
	struct object_ptr to = at(s, key);
	struct arena *a = arena_new();
	struct body *body = body_mem_new(a, bytes);
	struct backend_stat st;
	rc r = backend_put_now(s->b, &to, NULL, body, a, &st, &test_err);

	if (rc_ok(r))
		assert_int_equal(st.size, bytes.n);
	body_close(body);
	arena_free(a);
	return r;
}

rc get_bytes(struct store *s, struct arena *a, const char *key, struct str *ret)
{
	struct object_ptr p = at(s, key);
	struct backend_stat st;
	char *bytes;
	size_t n;

	TRY(backend_head_now(s->b, &p, a, &st, &test_err));
	bytes = arena_alloc(a, st.size + 1);
	TRY(backend_read_now(s->b, &p, 0, bytes, st.size + 1, &n, &test_err));
	assert_int_equal(n, st.size);
	*ret = str_make(bytes, n);
	return RC_OK;
}

bool holds(struct store *s, const char *key, struct str bytes)
{
	struct arena *a = arena_new();
	struct str got;
	rc r = get_bytes(s, a, key, &got);
	bool same = rc_ok(r) && str_eq(got, bytes);

	arena_free(a);
	return same;
}
