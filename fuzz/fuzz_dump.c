/* Dumps from strangers: what is read to its end can be written and read again, the same; everything else is
 * refused with a story. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "kv/dump.h"

static rc read_all(struct kv_stream *s, struct kv_totals *ret, struct err *reterr)
{
	struct kv_tally *t = kv_tally_new();
	struct kv_tally_partition p;
	struct kv_record r;
	bool end = false;
	rc result = s->ops->begin(s, STR_NONE, STR_NONE, reterr);

	while (rc_ok(result) && !end) {
		result = s->ops->next(s, &r, &end, reterr);
		if (rc_ok(result) && !end) {
			MUST(r.partition.n && r.key.n && r.value.p);
			kv_tally_add(t, &r, &p);
		}
	}
	kv_tally_end(t, &p, ret);
	kv_tally_free(t);
	return result;
}

static void write_again(struct kv_stream *s, const struct kv_totals *want)
{
	const struct kv_dump d = {.from = s, .by = STR("fuzz")};
	int fd = memfd_create("dump", MFD_CLOEXEC);
	struct kv_totals t;
	struct kv_stream *again;
	FILE *f;

	MUST(fd >= 0);
	MUST(rc_ok(kv_dump_write(&d, fd, &t, NULL)));
	MUST(memcmp(t.digest, want->digest, KV_DIGEST_SIZE) == 0);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	f = fdopen(fd, "rb");
	MUST(f && rc_ok(kv_dump_open(f, "again", &again, NULL)));
	MUST(rc_ok(read_all(again, &t, NULL)));
	MUST(memcmp(t.digest, want->digest, KV_DIGEST_SIZE) == 0);
	kv_stream_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *f = size ? fmemopen((void *)data, size, "rb") : NULL;
	struct kv_stream *s;
	struct kv_totals t;
	struct err e = {0};
	rc r;

	if (!f)
		return 0;
	r = kv_dump_open(f, "input", &s, &e);
	if (rc_ok(r)) {
		r = read_all(s, &t, &e);
		if (rc_ok(r))
			write_again(s, &t);
		kv_stream_free(s);
	}
	if (!rc_ok(r))
		MUST(e.code == r.code && e.msg[0] && !rc_is(r, IO));
	return 0;
}
