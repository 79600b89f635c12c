#include "tests/kv/migrating.h"

static void put(struct kv *kv, struct str partition, struct str key, struct str value)
{
	struct err e;

	if (!rc_ok(kv_set(kv, partition, key, value, &e)))
		fail_msg("%s", e.msg);
}

void fill(struct kv *kv, unsigned records)
{
	static const struct str partitions[] = {STR("graveler"), STR("repo-1"), STR("\0\xff"), STR("repo-main:token"),
						STR("\xff\xff")};
	struct arena *a = arena_new();

	for (unsigned i = 0; i < records; i++) {
		struct str key = arena_printf(a, "key/%05u", i * 7919 % 100000);

		put(kv, partitions[i % 5], i % 11 ? key : arena_printf(a, "\xfe%c%u", 1, i),
		    i % 3 ? arena_printf(a, "value %u", i) : STR(""));
	}
	put(kv, STR("kv-internal-metadata"), STR("kv/schema/version"), STR("4"));
	arena_free(a);
}

const char *everything_of(struct kv_stream *s, struct arena *a)
{
	struct kv_tally *t = kv_tally_new();
	struct kv_tally_partition p;
	struct kv_totals totals;
	char hex[KV_DIGEST_HEX];
	struct kv_record r;
	struct err e;
	bool end = false;

	if (!rc_ok(s->ops->begin(s, STR_NONE, STR_NONE, &e)))
		fail_msg("%s", e.msg);
	for (;;) {
		if (!rc_ok(s->ops->next(s, &r, &end, &e)))
			fail_msg("%s", e.msg);
		if (end)
			break;
		kv_tally_add(t, &r, &p);
	}
	kv_tally_end(t, &p, &totals);
	kv_tally_free(t);
	kv_digest_hex(totals.digest, hex);
	return arena_printf(a, "%llu in %llu, %s", (unsigned long long)totals.records,
			    (unsigned long long)totals.partitions, hex)
		.p;
}

const char *everything(struct kv *kv, struct arena *a)
{
	struct kv_stream *s = kv_stream_new(kv);
	const char *all = everything_of(s, a);

	kv_stream_free(s);
	return all;
}

rc migrate_watching(struct kv *from, struct kv *to, bool clear, int64_t watch_ms, struct kv_migrated *ret,
		    struct err *reterr)
{
	struct kv_stream *s = kv_stream_new(from);
	const struct kv_migration m = {
		.from = s, .to = to, .name = STR("a test"), .clear = clear, .watch_ms = watch_ms};
	rc r = kv_migrate(&m, ret, reterr);

	kv_stream_free(s);
	return r;
}

rc migrate(struct kv *from, struct kv *to, bool clear, struct kv_migrated *ret, struct err *reterr)
{
	return migrate_watching(from, to, clear, 300, ret, reterr);
}

bool usable(struct kv *kv)
{
	struct err e;
	rc r = kv_check_incoming(kv, &e);

	if (!rc_ok(r) && !rc_is(r, CONFIG))
		fail_msg("%s", e.msg);
	return rc_ok(r);
}

void make_shared(struct kv *kv, struct kv_ops *ops)
{
	*ops = *kv->ops;
	ops->sole_owner = false;
	kv->ops = ops;
}
