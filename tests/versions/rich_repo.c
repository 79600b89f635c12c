#include "tests/versions/rich_repo.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/encode.h"
#include "versions/dump.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/tag.h"

enum { MANY = 1000, TOLD_MAX = 8 << 20 };

static struct backend *store_of(struct world *w, const struct repo *r)
{
	struct backend *b;

	assert_ok(repo_backend(&w->c, r, &b));
	return b;
}

static void stage(struct world *w, const struct repo *r, const char *branch, const char *path, struct entry *e)
{
	bool sent;

	entry_sort_metadata(e);
	assert_ok(object_stage(&w->c, r, str_c(branch), str_c(path), e, STAGE_ALWAYS, STR_NONE, &sent));
}

static struct entry entry_of(struct world *w, const struct repo *r, struct str bytes)
{
	struct object_ptr to = {.store_id = r->storage_id,
				.space = r->storage_namespace,
				.key = object_new_address(w->v, w->a),
				.type = ADDRESS_RELATIVE};
	uint8_t md5[DIGEST_MAX];
	struct backend_stat st;

	digest_of(DIGEST_MD5, bytes, md5);
	assert_ok(backend_put_now(store_of(w, r), &to, NULL, body_mem_new(w->a, bytes), w->a, &st, NULL));
	return (struct entry){.address = to.key,
			      .address_type = ADDRESS_RELATIVE,
			      .modified = {.s = 1795000000, .ns = 5},
			      .size = (int64_t)bytes.n,
			      .etag = hex_encode(w->a, str_make(md5, 16)),
			      .content_type = STR("text/plain")};
}

void rich_put(struct world *w, const struct repo *r, const char *branch, const char *path, struct str bytes)
{
	struct entry e = entry_of(w, r, bytes);

	stage(w, r, branch, path, &e);
}

struct str rich_commit(struct world *w, const struct repo *r, const char *branch, const char *message)
{
	struct meta metadata[] = {{STR("who"), STR("Zoë")}, {STR("why"), str_c(message)}};
	const struct commit_request q = {.branch = str_c(branch),
					 .committer = STR("x"),
					 .message = str_c(message),
					 .metadata = metadata,
					 .metadata_n = 2};
	struct commit made;

	assert_ok(branch_commit(&w->c, r, &q, &made));
	return made.id;
}

static void fill(struct world *w, const struct repo *r)
{
	static const char *const names[] = {"plain", "dir/a b", "ключ/ß/日本語", "emoji/\xf0\x9f\xa6\x86", "e/\xcc\x81"};
	struct meta metadata[] = {{STR("k"), STR("värde")}, {STR("::sluice::tagging"), STR("a=b")}};
	struct entry e;

	for (unsigned i = 0; i < 120; i++) {
		struct str path = arena_printf(w->a, "many/%04u", i);

		rich_put(w, r, "main", path.p, arena_printf(w->a, "body %u of many", i));
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		e = entry_of(w, r, str_c(names[i]));
		e.metadata = metadata;
		e.metadata_n = 2;
		stage(w, r, "main", names[i], &e);
	}
	stage(w, r, "main", "copies/shared", &e); /* the same body twice */
	e = entry_of(w, r, STR(""));
	stage(w, r, "main", "empty", &e);
	e = (struct entry){.address = STR("mem://elsewhere/x"),
			   .address_type = ADDRESS_FULL,
			   .size = 7,
			   .etag = STR("no-md5"),
			   .modified = {.s = 1}};
	stage(w, r, "main", "outside", &e);
}

struct repo rich_repo(struct world *w)
{
	const struct repo_create in = {.id = STR("rich"), .storage_namespace = STR("mem://rich")};
	struct merge_request merge = {.source = STR("dev"), .destination = STR("main"), .committer = STR("y")};
	struct commit made;
	struct repo r;
	struct tag tag;

	assert_ok(repo_create(&w->c, &in, &r));
	fill(w, &r);
	rich_commit(w, &r, "main", "first");
	assert_ok(tag_create(&w->c, &r, STR("v1"), STR("main"), false, &tag));
	assert_ok(branch_create(&w->c, &r, STR("dev"), STR("main")));
	rich_put(w, &r, "dev", "only/dev", STR("on dev"));
	assert_ok(object_delete(&w->c, &r, STR("dev"), STR("many/0007")));
	rich_commit(w, &r, "dev", "on dev");
	rich_put(w, &r, "main", "many/0001", STR("another body"));
	rich_commit(w, &r, "main", "second");
	assert_ok(branch_merge(&w->c, &r, &merge, &made));
	assert_ok(tag_create(&w->c, &r, STR("v2-ünï"), STR("main"), false, &tag));
	assert_ok(branch_create(&w->c, &r, STR("old"), STR("v1")));
	rich_put(w, &r, "dev", "staged", STR("not committed"));
	return r;
}

static void tell_bytes(struct world *w, const struct repo *r, const struct entry *e, struct buf *out)
{
	struct object_ptr at = object_pointer(r, e);
	char *bytes = arena_alloc(w->a, (size_t)e->size + 1);
	size_t n;

	if (e->address_type != ADDRESS_RELATIVE)
		return;
	assert_ok(backend_read_now(store_of(w, r), &at, 0, bytes, (size_t)e->size + 1, &n, NULL));
	buf_add(out, str_make(bytes, n));
}

static void tell_commit(struct world *w, const struct repo *r, struct str id, struct buf *out)
{
	const struct log_request log = {
		.from = id, .after = STR_NONE, .max = MANY, .stop_at = STR_NONE, .since = INT64_MIN};
	const struct list_request list = {.prefix = STR(""), .delimiter = STR_NONE, .after = STR_NONE, .max = MANY};
	struct log_page commits;
	struct list_page objects;

	assert_ok(history_log(&w->c, r, &log, &commits));
	for (size_t i = 0; i < commits.n; i++) {
		buf_add(out, commit_encode(&commits.commits[i], w->a));
		buf_add_c(out, '\n');
	}
	assert_ok(objects_list(&w->c, r, id, &list, &objects));
	assert_false(commits.more || objects.truncated);
	for (size_t i = 0; i < objects.n; i++) {
		buf_add(out, objects.items[i].key);
		buf_add(out, entry_encode(&objects.items[i].entry, w->a));
		tell_bytes(w, r, &objects.items[i].entry, out);
		buf_add_c(out, '\n');
	}
}

struct str rich_told(struct world *w, const struct repo *r)
{
	struct buf out = BUF_INIT(TOLD_MAX);
	struct branch *branches;
	struct tag *tags;
	struct str ret;
	size_t n;
	bool more;

	assert_ok(branch_list(&w->c, r, STR(""), STR_NONE, MANY, true, &branches, &n, &more));
	for (size_t i = 0; i < n; i++) {
		buf_printf(&out, "branch " STR_FMT " " STR_FMT "\n", STR_ARG(branches[i].id),
			   STR_ARG(branches[i].commit_id));
		tell_commit(w, r, branches[i].commit_id, &out);
	}
	assert_ok(tag_list(&w->c, r, STR(""), STR_NONE, MANY, &tags, &n, &more));
	for (size_t i = 0; i < n; i++) {
		buf_printf(&out, "tag " STR_FMT " " STR_FMT "\n", STR_ARG(tags[i].id), STR_ARG(tags[i].commit_id));
		tell_commit(w, r, tags[i].commit_id, &out);
	}
	assert_false(out.overflow);
	ret = arena_dup(w->a, buf_str(&out));
	buf_deinit(&out);
	return ret;
}

struct repo rich_restored(struct world *w, const char *name, struct str storage_id, struct str space)
{
	const struct repo_create in = {
		.id = str_c(name), .storage_namespace = space, .storage_id = storage_id, .bare = true};
	struct refs_dump d;
	struct repo r;

	assert_ok(repo_create(&w->c, &in, &r));
	assert_ok(refs_read_manifest(&w->c, &r, &d));
	assert_ok(refs_restore(&w->c, &r, &d, false, NULL));
	return r;
}

struct object_ptr rich_at(const struct repo *r, const char *branch, const char *path, struct world *w)
{
	struct entry e;

	assert_ok(object_stat(&w->c, r, str_c(branch), str_c(path), &e));
	return object_pointer(r, &e);
}
