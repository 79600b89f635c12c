/* What the version engine costs over RocksDB and a local store: commits, diffs, merges, logs and pages, and how
 * they grow.  usage: versions-speed FOLDER [objects ...]   (10000 100000 1000000) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "versions/compare.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/ref.h"

struct bench {
	struct kv *kv;
	struct work_pool *data, *ranges;
	struct registry *registry;
	struct versions *v;
	struct repo r;
	struct arena *a;
	struct err err;
	struct vcall c;
};

static void must(struct bench *b, rc done, const char *what)
{
	if (rc_ok(done))
		return;
	fprintf(stderr, "%s: %s: %s\n", what, err_name(done.code), b->err.msg);
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct meter {
	double wall, cpu;
};

static struct meter begin(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		fputs("5", f);
		fclose(f);
	}
	return (struct meter){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static long peak_mib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %ld", &kib);
	if (f)
		fclose(f);
	return kib / 1024;
}

static void end(struct bench *b, struct meter m, const char *what, size_t n)
{
	printf("%-44s %9zu  %8.3f s  %8.3f CPU s  %5ld MiB peak\n", what, n,
	       seconds(CLOCK_MONOTONIC) - m.wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - m.cpu, peak_mib());
	fflush(stdout);
	arena_free(b->a);
	b->a = b->c.a = arena_new();
}

static void open_bench(struct bench *b, const char *folder)
{
	char path[4096];
	struct backend *store;
	const struct kv_rocksdb_options kv = {.path = str_make(path, 0), .sync_writes = true};
	struct kv_rocksdb_options ko = kv;
	struct backend_local_options lo = {.sync = true};
	struct tables_options to = {.cache_bytes = 1 << 30, .block_cache_bytes = 64 << 20};

	*b = (struct bench){.a = arena_new()};
	snprintf(path, sizeof(path), "%s/kv", folder);
	ko.path = arena_dup(b->a, str_c(path));
	must(b, kv_rocksdb_open(&ko, &b->kv, &b->err), "KV");
	b->data = work_pool_new("data", 4, 1000);
	b->ranges = work_pool_new("ranges", 4, 1000);
	snprintf(path, sizeof(path), "%s/objects", folder);
	lo.path = arena_dup(b->a, str_c(path));
	lo.pool = b->data;
	must(b, backend_local_open(&lo, &store, &b->err), "store");
	b->registry = registry_of(&store, 1, STR(""));
	b->v = versions_new(&(struct versions_options){
		.kv = b->kv, .registry = b->registry, .meta = b->data, .data = b->data, .ranges = b->ranges,
		.repo_cache_ms = 5000, .repo_cache_size = 100, .block_prefix = STR("_lakefs")});
	snprintf(path, sizeof(path), "%s/cache", folder);
	to.cache_dir = str_c(path);
	versions_open_tables(b->v, &to);
	b->c = (struct vcall){.v = b->v, .a = b->a, .wait = KV_BLOCK, .err = &b->err};
}

static void close_bench(struct bench *b)
{
	work_pool_free(b->data);
	work_pool_free(b->ranges);
	versions_free(b->v);
	registry_unref(b->registry);
	kv_free(b->kv);
	arena_free(b->a);
}

static struct str path_of(struct arena *a, size_t i)
{
	return arena_printf(a, "tables/events/day=%04zu/part-%08zu.parquet", i / 1000, i);
}

static struct entry entry_of(struct arena *a, size_t i, unsigned version)
{
	size_t seed[2] = {i, version};
	uint8_t sum[DIGEST_MAX];
	char hex[33];

	digest_of(DIGEST_MD5, str_make(seed, sizeof(seed)), sum);
	for (unsigned k = 0; k < 16; k++)
		snprintf(hex + 2 * k, 3, "%02x", sum[k]);
	return (struct entry){
		.address = arena_printf(a, "data/ft6v6npksdu93jtut3k0/%.20s", hex),
		.address_type = ADDRESS_RELATIVE,
		.modified = {.s = 1795000000 + (int64_t)i, .ns = 5},
		.size = (int64_t)i,
		.etag = arena_dup(a, str_c(hex)),
		.content_type = STR("application/octet-stream"),
	};
}

/* Straight into the branch's token: what objects' puts leave there. */
static void stage_range(struct bench *b, const char *branch, size_t from, size_t to, size_t step, unsigned version)
{
	struct branch br;
	struct kv_write w[KV_WRITES_MAX];
	size_t n = 0;

	must(b, branch_get(&b->c, &b->r, str_c(branch), &br), "branch");
	for (size_t i = from; i < to; i += step) {
		struct entry e = entry_of(b->a, i, version);
		struct str key = path_of(b->a, i);

		w[n++] = (struct kv_write){.partition = br.staging_token, .key = key,
					   .value = staged_encode(key, &e, b->a)};
		if (n == KV_WRITES_MAX || i + step >= to) {
			kv_write_many(b->kv, w, n);
			n = 0;
			if ((i + 1) % 65536 == 0) {
				arena_free(b->a);
				b->a = b->c.a = arena_new();
				must(b, branch_get(&b->c, &b->r, str_c(branch), &br), "branch");
			}
		}
	}
}

static void commit(struct bench *b, const char *branch)
{
	struct commit_request q = {.branch = str_c(branch), .committer = STR("bench"), .message = STR("m")};
	struct commit made;

	must(b, branch_commit(&b->c, &b->r, &q, &made), "commit");
}

static void merge(struct bench *b, const char *source, const char *dest)
{
	struct merge_request q = {.source = str_c(source), .destination = str_c(dest), .committer = STR("bench")};
	struct commit made;

	must(b, branch_merge(&b->c, &b->r, &q, &made), "merge");
}

static void page(struct bench *b, const char *ref, const char *delimiter, const char *what, size_t n)
{
	struct list_request q = {.max = 1000, .delimiter = str_c(delimiter)};
	struct list_page got;
	struct meter m = begin();

	for (int i = 0; i < 20; i++)
		must(b, objects_list(&b->c, &b->r, str_c(ref), &q, &got), "list");
	end(b, m, what, n);
}

static void diff(struct bench *b, const char *left, const char *right, bool three, size_t n)
{
	struct compare_request q = {.max = 1000};
	struct compare_page got = {.truncated = true};
	struct meter m = begin();
	size_t found = 0;

	while (got.truncated) {
		must(b, compare_refs(&b->c, &b->r, str_c(left), str_c(right), three, &q, &got), "diff");
		found += got.n;
		q.after = got.next;
	}
	printf("   (%zu differences)\n", found);
	end(b, m, three ? "diff three-dot, all pages of 1000" : "diff two-dot, all pages of 1000", n);
}

static void size_of(struct bench *b, size_t n)
{
	const struct repo_create in = {.id = arena_printf(b->a, "bench%zu", n),
				       .storage_namespace = arena_printf(b->a, "local://bench%zu", n)};
	struct arena *keep = b->a;
	struct meter m;

	must(b, repo_create(&b->c, &in, &b->r), "repository");
	b->a = b->c.a = arena_new(); /* the repository's text stays */
	stage_range(b, "main", 0, n, 1, 1);
	m = begin();
	commit(b, "main");
	end(b, m, "commit of staged objects", n);
	page(b, "main", "", "20 first pages of 1000, branch", n);
	page(b, "main", "/", "20 pages with delimiter, branch", n);
	must(b, branch_create(&b->c, &b->r, STR("dev"), STR("main")), "branch");
	stage_range(b, "dev", 0, n, n / 1000, 2);
	m = begin();
	commit(b, "dev");
	end(b, m, "commit of 1000 changes all over", n);
	stage_range(b, "main", n / 2, n / 2 + 1, 1, 3);
	m = begin();
	commit(b, "main");
	end(b, m, "commit of 1 change", n);
	diff(b, "main", "dev", false, n);
	diff(b, "main", "dev", true, n);
	stage_range(b, "dev", n / 2, n / 2 + 1, 1, 3);
	commit(b, "dev");
	m = begin();
	merge(b, "dev", "main");
	end(b, m, "merge of 1000 changes", n);
	arena_free(keep);
}

static void history(struct bench *b, size_t n)
{
	const struct repo_create in = {.id = STR("benchlog"), .storage_namespace = STR("local://benchlog")};
	struct str object = path_of(b->a, 7), next = STR_NONE, from;
	struct arena *keep = b->a;
	struct log_page got = {.more = true};
	struct branch br;
	struct meter m;
	size_t found = 0;

	must(b, repo_create(&b->c, &in, &b->r), "repository");
	b->a = b->c.a = arena_new();
	m = begin();
	for (size_t i = 0; i < n; i++) {
		stage_range(b, "main", i % 100 == 7 ? 7 : 1000 + i, (i % 100 == 7 ? 7 : 1000 + i) + 1, 1, (unsigned)i);
		commit(b, "main");
		if (i % 100 == 0) {
			arena_free(b->a);
			b->a = b->c.a = arena_new();
		}
	}
	end(b, m, "commits of one object each", n);
	must(b, branch_get(&b->c, &b->r, STR("main"), &br), "branch");
	from = br.commit_id;
	m = begin();
	while (got.more) {
		struct log_request q = {.from = from, .after = next, .max = 1000, .since = INT64_MIN,
					.objects = &object, .objects_n = 1, .scan_max = 100000};

		must(b, history_log(&b->c, &b->r, &q, &got), "log");
		found += got.n;
		next = got.next;
	}
	printf("   (%zu commits)\n", found);
	end(b, m, "log of one path", n);
	arena_free(keep);
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"10000", "100000", "1000000"};
	struct bench b;

	if (argc < 2) {
		fprintf(stderr, "usage: versions-speed FOLDER [objects ...]\n");
		return 2;
	}
	open_bench(&b, argv[1]);
	for (int i = 0; i < (argc > 2 ? argc - 2 : 3); i++)
		size_of(&b, strtoul(argc > 2 ? argv[i + 2] : usual[i], NULL, 10));
	if (argc == 2)
		history(&b, 10000);
	close_bench(&b);
	return 0;
}
