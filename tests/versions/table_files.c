#include "tests/versions/table_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "versions/sstable_format.h"

static rc mem_read(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr)
{
	struct mem_file *f = ud;

	assert_true(offset <= f->bytes.n && n <= f->bytes.n - offset);
	if (++f->reads == f->fail_at)
		return err_set(reterr, ERR_IO, "the disk is gone");
	memcpy(dst, f->bytes.p + offset, n);
	if (f->mend && offset + n <= f->bytes.n - SST_FOOTER)
		sst_put32((char *)dst + n - 4, sst_crc(dst, n - 4));
	return RC_OK;
}

static void mem_close(void *ud)
{
	struct mem_file *f = ud;

	f->closed++;
}

struct sstable_source mem_source(struct mem_file *f)
{
	return (struct sstable_source){mem_read, mem_close, f, f->bytes.n};
}

rc buf_append(void *ud, const void *p, size_t n, struct err *reterr)
{
	if (!buf_add(ud, str_make(p, n)))
		return err_set(reterr, ERR_IO, "no space");
	return RC_OK;
}

void table_write(const struct sstable_record *r, size_t n, struct buf *to,
		 struct sstable_summary *ret)
{
	struct meta type = {STR("type"), STR("ranges")};
	struct sstable_writer *w = sstable_writer_new(&(struct sstable_writer_options){
		.append = buf_append, .ud = to, .props = &type, .props_n = 1});
	struct err err = {0};

	buf_reset(to);
	for (size_t i = 0; i < n; i++)
		assert_ok(sstable_writer_add(w, r[i].key, r[i].value, &err));
	assert_ok(sstable_writer_finish(w, ret, &err));
	sstable_writer_free(w);
	assert_int_equal(ret->count, n);
	assert_int_equal(ret->file_size, to->n);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 33;
}

static struct str random_bytes(struct arena *a, size_t n, uint64_t *state, const char *of)
{
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = of ? of[next_random(state) % 4] : (char)next_random(state);
	return str_make(p, n);
}

static struct str make_key(struct arena *a, enum table_shape shape, size_t i, uint64_t *state)
{
	if (shape == SHAPE_BINARY)
		return i == 0 ? STR("") : random_bytes(a, next_random(state) % 12, state, "\0\x01\xfe\xff");
	return arena_printf(a, "tables/%02llu/part-%05zu%.*s",
			    (unsigned long long)next_random(state) % 40, i,
			    (int)next_random(state) % 8, "-suffix");
}

static struct str make_value(struct arena *a, enum table_shape shape, uint64_t *state)
{
	static const size_t large[] = {0, 3000, 4000, 4096, 5000, 70000, 1 << 20};

	switch (shape) {
	case SHAPE_EMPTY:
		return STR("");
	case SHAPE_LARGE:
		return random_bytes(a, large[next_random(state) % 7], state, NULL);
	case SHAPE_UNIFORM:
		return random_bytes(a, next_random(state) % 400, state, "aaab");
	default:
		return random_bytes(a, next_random(state) % 300, state, NULL);
	}
}

static int by_key(const void *x, const void *y)
{
	return str_cmp(((const struct sstable_record *)x)->key,
		       ((const struct sstable_record *)y)->key);
}

struct sstable_record *table_records(struct arena *a, enum table_shape shape, unsigned seed,
				     size_t *n)
{
	struct sstable_record *r = arena_alloc(a, (*n + 1) * sizeof(*r));
	uint64_t state = seed;
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		r[i].key = make_key(a, shape, i, &state);
		r[i].value = make_value(a, shape, &state);
	}
	qsort(r, *n, sizeof(*r), by_key);
	for (size_t i = 0; i < *n; i++)
		if (kept == 0 || str_cmp(r[kept - 1].key, r[i].key) < 0)
			r[kept++] = r[i];
	*n = kept;
	return r;
}

struct str read_file(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct str ret;
	char *p;

	if (!f)
		fail_msg("%s can't be opened", path);
	fseek(f, 0, SEEK_END);
	ret.n = (size_t)ftell(f);
	rewind(f);
	ret.p = p = arena_alloc(a, ret.n + 1);
	assert_int_equal(fread(p, 1, ret.n, f), ret.n);
	fclose(f);
	return ret;
}

static struct str data_path(struct arena *a, const char *name)
{
	const char *top = getenv("SLUICE_SOURCE");

	return arena_printf(a, "%s/tests/data/lakefs/%s", top ? top : ".", name);
}

struct str fixture_file(struct arena *a, const char *name)
{
	return read_file(a, data_path(a, name).p);
}

static size_t add_folder(struct arena *a, const char *folder, struct fixture_table *ret, size_t n)
{
	struct str path = data_path(a, folder);
	DIR *dir = opendir(path.p);
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (strlen(e->d_name) != SSTABLE_ID_LEN)
			continue;
		assert_true(n < FIXTURE_TABLES_MAX);
		ret[n].id = arena_dup(a, str_c(e->d_name));
		ret[n].bytes = read_file(a, arena_printf(a, "%s/%s", path.p, e->d_name).p);
		n++;
	}
	closedir(dir);
	return n;
}

size_t fixture_tables(struct arena *a, struct fixture_table ret[FIXTURE_TABLES_MAX])
{
	size_t n = add_folder(a, "namespace/_lakefs", ret, 0);

	return add_folder(a, "large_namespace/_lakefs", ret, n);
}
