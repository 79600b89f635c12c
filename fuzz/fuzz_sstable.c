/* A table's file. The first byte says whether the checksums of its blocks are mended as they are read:
 * else no changed input would come further than that. */
#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "versions/record.h"
#include "versions/sstable.h"
#include "versions/sstable_format.h"

struct input {
	struct str bytes;
	bool mend;
};

static rc read_input(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr)
{
	struct input *in = ud;

	MUST(offset <= in->bytes.n && n <= in->bytes.n - offset);
	memcpy(dst, in->bytes.p + offset, n);
	if (in->mend && n > SST_BLOCK_TRAILER && offset + n <= in->bytes.n - SST_FOOTER)
		sst_put32((char *)dst + n - 4, sst_crc(dst, n - 4));
	return RC_OK;
}

static void keep(struct buf *last, struct str key)
{
	buf_reset(last);
	MUST(buf_add(last, key));
}

/* Whatever the table: keys ascend from `from` on. Answers how many there are. */
static rc walk(struct sstable *t, struct str from, struct buf *last, uint64_t *ret_n, struct err *why)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_KEEP);
	struct sstable_record r;
	struct record parts;
	bool end;

	TRY(sstable_iter_seek(it, from, why));
	for (*ret_n = 0;; ++*ret_n) {
		TRY(sstable_iter_next(it, &r, &end, why));
		if (end)
			return RC_OK;
		MUST(str_cmp(r.key, *ret_n ? buf_str(last) : from) >= (*ret_n ? 1 : 0));
		IGNORE_RC(record_decode(r.key, r.value, &parts, why)); /* it need not be one */
		keep(last, r.key);
	}
}

static rc read_table(const struct sstable_source *source, struct buf *last, struct arena *a,
		     struct err *why)
{
	CLEANUP(sstable_unrefp) struct sstable *t = NULL;
	char id[SSTABLE_ID_LEN + 1];
	uint64_t n, counted, rest;
	struct str value;

	TRY(sstable_open(source, NULL, &t, why));
	TRY(walk(t, STR(""), last, &n, why));
	TRY(sstable_identity(t, id, &counted, why));
	MUST(counted == n);
	if (n == 0)
		return RC_OK;
	TRY(sstable_get(t, arena_dup(a, buf_str(last)), a, &value, why));
	return walk(t, STR("m"), last, &rest, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.bytes = str_make(data, size)};
	struct buf last = BUF_INIT(SSTABLE_KEY_MAX);
	struct arena *a = arena_new();
	struct sstable_source source;
	struct err why = {0};
	rc got;

	in.mend = take_byte(&in.bytes) & 1;
	source = (struct sstable_source){read_input, NULL, &in, in.bytes.n};
	got = read_table(&source, &last, a, &why);
	MUST(rc_ok(got) || rc_is(got, CORRUPT) || rc_is(got, UNSUPPORTED) || rc_is(got, NOT_FOUND));
	MUST(rc_ok(got) || why.msg[0]);
	buf_deinit(&last);
	arena_free(a);
	return 0;
}
