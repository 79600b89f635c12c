#include "tests/versions/lakefs_repo.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "versions/dump.h"

static struct str read_file(struct arena *a, const char *folder, const char *name)
{
	const char *root = getenv("SLUICE_SOURCE");
	struct str path = arena_printf(a, "%s/tests/data/lakefs/%s%s", root ? root : ".", folder, name);
	FILE *f = fopen(path.p, "rb");
	long n;
	char *p;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = arena_alloc(a, (size_t)n + 1);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	fclose(f);
	return str_make(p, (size_t)n);
}

struct json *lakefs_expected(struct arena *a)
{
	struct json *ret;

	assert_ok(json_parse(a, read_file(a, "", "expected.json"), &ret, NULL));
	return ret;
}

static void store_table(struct world *w, const char *name)
{
	const struct object_ptr to = {.space = STR("mem://fixture"),
				      .key = arena_printf(w->a, "_lakefs/%s", name)};
	struct str bytes = read_file(w->a, "namespace/_lakefs/", name);
	struct backend_stat st;

	assert_ok(backend_put_now(w->store, &to, NULL, body_mem_new(w->a, bytes), w->a, &st, NULL));
}

struct repo lakefs_repo(struct world *w)
{
	const struct repo_create in = {
		.id = STR("fixture-repo"), .storage_namespace = STR("mem://fixture"), .bare = true};
	const struct json *ids = json_member(lakefs_expected(w->a), "sync_dump");
	const struct refs_dump dump = {.commits = json_str(json_member(ids, "commits_meta_range_id")),
				       .tags = json_str(json_member(ids, "tags_meta_range_id")),
				       .branches = json_str(json_member(ids, "branches_meta_range_id"))};
	struct str folder = arena_printf(w->a, "%s/tests/data/lakefs/namespace/_lakefs",
					 getenv("SLUICE_SOURCE") ? getenv("SLUICE_SOURCE") : ".");
	DIR *d = opendir(folder.p);
	struct repo r;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (strlen(e->d_name) == 64)
			store_table(w, e->d_name);
	closedir(d);
	assert_ok(repo_create(&w->c, &in, &r));
	assert_ok(refs_restore(&w->c, &r, &dump, false, NULL));
	return r;
}

const struct json *lakefs_world(struct world *w, const char *name, size_t least, struct repo *ret)
{
	const struct json *said;

	world_open(w, GUARDED);
	*ret = lakefs_repo(w);
	said = json_member(lakefs_expected(w->a), name);
	assert_in_range(json_count(said), least, 100);
	return said;
}
