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
