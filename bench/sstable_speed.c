/* What encoding and reading tables costs, in CPU seconds for a million records that look like entries.
 * usage: sstable-speed [records] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/digest.h"
#include "versions/record.h"
#include "versions/snappy.h"
#include "versions/sstable.h"

enum { TABLE_BYTES = 20 << 20 };

struct records {
	struct buf bytes;
	struct {
		struct str key, value;
	} *at;
	size_t n;
};

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(rc done, const struct err *err)
{
	if (rc_ok(done))
		return;
	fprintf(stderr, "%s\n", err->msg);
	exit(1);
}

/* An Entry's fields with bytes as random as real ones. */
static void make_entry(struct buf *b, size_t i, char data[static 200], size_t *ret_n)
{
	uint8_t sha[DIGEST_MAX];
	char hex[65];

	digest_of(DIGEST_SHA256, str_make(&i, sizeof(i)), sha);
	for (unsigned k = 0; k < 32; k++)
		snprintf(hex + 2 * k, 3, "%02x", sha[k]);
	*ret_n = (size_t)snprintf(data, 200,
				  "\n1data/ft6v6npksdu93jtut3k0/%.20s\x12\f\b%.4s\x18\x80\x80\x04\" %.32s"
				  "0\x01:\x18" "application/octet-stream",
				  hex, hex + 20, hex + 24);
	buf_printf(b, "tables/events/day=%03zu/part-%08zu.parquet", i / 4000, i);
	record_encode(str_make(sha, 32), str_make(data, *ret_n), b);
}

static struct records make(size_t n)
{
	struct records r = {.bytes = BUF_INIT((size_t)1 << 32), .n = n};
	size_t *ends = calloc(2 * n + 1, sizeof(*ends));
	char data[200];

	r.at = calloc(n, sizeof(r.at[0]));
	if (!r.at || !ends)
		abort();
	for (size_t i = 0; i < n; i++) {
		size_t data_n;

		make_entry(&r.bytes, i, data, &data_n);
		ends[2 * i + 2] = r.bytes.n;
		ends[2 * i + 1] = r.bytes.n - record_size(str_make(data, 32), str_make(data, data_n));
	}
	for (size_t i = 0; i < 2 * n; i++) {
		struct str s = str_make(r.bytes.p + ends[i], ends[i + 1] - ends[i]);

		*(i % 2 ? &r.at[i / 2].value : &r.at[i / 2].key) = s;
	}
	free(ends);
	return r;
}

static rc append(void *ud, const void *p, size_t n, struct err *reterr)
{
	buf_add(ud, str_make(p, n));
	return RC_OK;
}

/* One table of some 20 MiB, as the ranges' default is. Answers how many records it took. */
static size_t write_table(const struct records *r, size_t from, struct buf *to)
{
	struct meta type = {STR("type"), STR("ranges")};
	struct sstable_writer *w = sstable_writer_new(&(struct sstable_writer_options){
		.append = append, .ud = to, .props = &type, .props_n = 1});
	struct sstable_summary s;
	struct err err = {0};

	for (; from < r->n && sstable_writer_estimated_size(w) < TABLE_BYTES; from++)
		must(sstable_writer_add(w, r->at[from].key, r->at[from].value, &err), &err);
	must(sstable_writer_finish(w, &s, &err), &err);
	sstable_writer_free(w);
	return s.count;
}

static rc read_bytes(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr)
{
	memcpy(dst, ((struct buf *)ud)->p + offset, n);
	return RC_OK;
}

static size_t scan_table(struct buf *b)
{
	struct sstable_source source = {read_bytes, NULL, b, b->n};
	struct sstable_record record;
	struct sstable *t;
	struct sstable_iter *it;
	struct err err = {0};
	size_t n = 0;
	bool end = false;

	must(sstable_open(&source, NULL, &t, &err), &err);
	it = sstable_iter_new(t, SSTABLE_PASSING);
	for (;; n++) {
		must(sstable_iter_next(it, &record, &end, &err), &err);
		if (end)
			break;
	}
	sstable_iter_close(it);
	sstable_unref(t);
	return n;
}

static void get_many(const struct records *r, size_t n, struct buf *b, struct block_cache *cache)
{
	struct sstable_source source = {read_bytes, NULL, b, b->n};
	struct sstable_open_options o = {.cache = cache};
	struct arena *a = arena_new();
	struct arena_mark mark = arena_mark(a);
	struct sstable *t;
	struct err err = {0};
	double start;

	must(sstable_open(&source, &o, &t, &err), &err);
	for (int warm = 0; warm < 2; warm++) {
		start = cpu();
		for (size_t i = 0, at = 0; i < n; i++, at = (at + 7919) % n) {
			struct str value;

			must(sstable_get(t, r->at[at].key, a, &value, &err), &err);
			arena_rewind(a, mark);
		}
		printf("get, %s cache:\t%.2f us each\n", !cache ? "no" : warm ? "warm" : "cold",
		       (cpu() - start) / (double)n * 1e6);
	}
	sstable_unref(t);
	arena_free(a);
}

int main(int argc, char **argv)
{
	uint64_t n = 1000000;
	struct records r;
	struct buf b = BUF_INIT((size_t)1 << 30);
	struct block_cache *cache = block_cache_new(256 << 20);
	size_t done = 0, bytes = 0, tables = 0, first = 0;
	double start, write_s = 0, scan_s = 0;

	if (argc > 1 && !str_to_u64(str_c(argv[1]), &n))
		return 2;
	r = make(n);
	while (done < n) {
		size_t took;

		buf_reset(&b);
		start = cpu();
		took = write_table(&r, done, &b);
		write_s += cpu() - start;
		start = cpu();
		if (scan_table(&b) != took)
			abort();
		scan_s += cpu() - start;
		first = first ? first : took;
		done += took;
		bytes += b.n;
		tables++;
	}
	printf("%zu records of %zu bytes, %zu tables, %zu MiB\n", r.n, r.bytes.n / r.n, tables,
	       bytes >> 20);
	printf("write:\t%.3f s\nscan:\t%.3f s\n", write_s, scan_s);
	buf_reset(&b);
	write_table(&r, 0, &b);
	get_many(&r, first, &b, cache);
	block_cache_free(cache);
	buf_deinit(&b);
	buf_deinit(&r.bytes);
	free(r.at);
	return 0;
}
