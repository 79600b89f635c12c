/* Multipart uploads: the rules, and Complete stopped after each of its steps. */
#include "tests/versions/world.h"

#include "base/encode.h"
#include "versions/listing.h"
#include "versions/multipart.h"
#include "versions/upload_record.h"

#define BIG (5u << 20)
/* Of "a" * 5 MiB and "end", by Python's hashlib. */
#define ETAG_OF_PARTS "cc8f6f16b44b75adde6349ab98aee432-2"
#define SHA256_OF_PARTS "082b356bed4394bc6ca53d7d011a7d7a0d99b8ee25bd4ca407b3abc62e394098"

static char big[BIG];

static struct upload new_upload(struct world *w, const struct repo *r, enum digest_kind k)
{
	struct meta *m = arena_alloc(w->a, 2 * sizeof(*m));
	const struct upload in = {
		.path = STR("dir/object"),
		.branch = STR("main"),
		.metadata = m,
		.metadata_n = 2,
		.content_type = STR("text/plain"),
		.checksum = k,
	};
	struct upload u;

	m[0] = (struct meta){STR("z"), STR("1")};
	m[1] = (struct meta){STR("a"), STR("2")};
	assert_ok(upload_create(&w->c, r, &in, &u));
	return u;
}

static struct upload_part put_part(struct world *w, const struct upload *u, unsigned number,
				   struct str bytes)
{
	struct upload_part p;

	assert_ok(world_store_part(w, w->a, u, number, bytes, &p));
	assert_ok(kv_set(w->kv, STR("sluice-parts"), part_key(w->a, u->id, number),
			 part_encode(&p, w->a), &w->err));
	return p;
}

static rc complete_if(struct vcall *c, const struct repo *r, const struct upload *u,
		      const struct upload_part *parts, size_t n, enum stage_cond cond,
		      struct str etag, struct entry *ret)
{
	const struct upload_completion how = {
		.parts = parts, .n = n, .cond = cond, .etag = etag};

	return upload_complete(c, r, u->branch, u->path, u->id, &how, ret);
}

static rc complete(struct world *w, const struct repo *r, const struct upload *u,
		   const struct upload_part *parts, size_t n, struct entry *ret)
{
	return complete_if(&w->c, r, u, parts, n, STAGE_ALWAYS, STR_NONE, ret);
}

static void test_multipart__whole_story(void **state)
{
	struct upload_part parts[2], *list;
	struct upload u, again;
	struct entry e, seen;
	struct world w;
	struct repo r;
	struct object_ptr p;
	char got[8];
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_SHA256);
	assert_int_equal(u.id.n, 44);
	memset(big, 'a', BIG);
	parts[0] = put_part(&w, &u, 3, str_make(big, BIG));
	parts[1] = put_part(&w, &u, 7, STR("end"));
	assert_ok(upload_get(&w.c, &r, STR("main"), STR("dir/object"), u.id, &again));
	assert_str(again.store_upload_id, u.store_upload_id);
	assert_int_equal(again.checksum, DIGEST_SHA256);
	assert_rc(upload_get(&w.c, &r, STR("dev"), STR("dir/object"), u.id, &again), NoSuchUpload);
	assert_rc(upload_get(&w.c, &r, STR("main"), STR("dir/other"), u.id, &again), NoSuchUpload);
	assert_rc(upload_get(&w.c, &r, STR("main"), STR("dir/object"), STR("../x"), &again),
		  NoSuchUpload);
	assert_ok(upload_parts(&w.c, &u, 0, 1, &list, &n, &more));
	assert_true(n == 1 && more && list[0].number == 3);
	assert_ok(upload_parts(&w.c, &u, 3, 5, &list, &n, &more));
	assert_true(n == 1 && !more && list[0].number == 7 && list[0].size == 3);
	assert_ok(complete(&w, &r, &u, parts, 2, &e));
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("dir/object"), &seen));
	assert_str(seen.etag, e.etag);
	assert_int_equal(seen.size, BIG + 3);
	assert_int_equal(seen.parts_n, 2);
	assert_int_equal(seen.part_sizes[1], 3);
	assert_str(seen.content_type, STR("text/plain"));
	assert_str(seen.metadata[0].key, STR("a"));
	assert_true(seen.checksum_composite);
	assert_int_equal(seen.checksum[DIGEST_SHA256].n, 32);
	p = object_pointer(&r, &seen);
	assert_ok(backend_read_now(w.store, &p, BIG - 1, got, sizeof(got), &n, &w.err));
	assert_str(str_make(got, n), STR("aend"));
	assert_ok(upload_parts(&w.c, &u, 0, 5, &list, &n, &more));
	assert_int_equal(n, 0);
	world_close(&w);
}

static void test_multipart__etag_and_checksum(void **state)
{
	struct upload_part parts[2];
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;
	uint8_t sums[64], sum[DIGEST_MAX];
	struct str raw;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_SHA256);
	memset(big, 'a', BIG);
	parts[0] = put_part(&w, &u, 1, str_make(big, BIG));
	parts[1] = put_part(&w, &u, 2, STR("end"));
	assert_ok(complete(&w, &r, &u, parts, 2, &e));
	assert_str(e.etag, STR(ETAG_OF_PARTS));
	assert_true(hex_decode(w.a, STR(SHA256_OF_PARTS), &raw));
	assert_str(e.checksum[DIGEST_SHA256], raw);
	memcpy(sums, parts[0].checksum[DIGEST_SHA256].p, 32);
	memcpy(sums + 32, parts[1].checksum[DIGEST_SHA256].p, 32);
	digest_of(DIGEST_SHA256, str_make(sums, 64), sum);
	assert_memory_equal(e.checksum[DIGEST_SHA256].p, sum, 32);
	u = new_upload(&w, &r, DIGEST_CRC32);
	parts[0] = put_part(&w, &u, 1, STR("x"));
	assert_ok(complete(&w, &r, &u, parts, 1, &e));
	assert_true(e.checksum_composite);
	assert_str(entry_part_checksum(&e, 0), parts[0].checksum[DIGEST_CRC32]);
	world_close(&w);
}

static void test_multipart__refused(void **state)
{
	struct upload_part p[3], bad[3];
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_KINDS);
	p[0] = put_part(&w, &u, 1, str_make(big, BIG));
	p[1] = put_part(&w, &u, 2, STR("small"));
	p[2] = put_part(&w, &u, 4, STR("end"));
	assert_rc(complete(&w, &r, &u, p, 3, &e), EntityTooSmall);
	assert_rc(complete(&w, &r, &u, p, 0, &e), InvalidRequest);
	bad[0] = p[1];
	bad[1] = p[0];
	assert_rc(complete(&w, &r, &u, bad, 2, &e), InvalidPartOrder);
	bad[0] = p[0];
	assert_rc(complete(&w, &r, &u, bad, 2, &e), InvalidPartOrder);
	bad[1] = p[1];
	bad[1].number = 3;
	assert_rc(complete(&w, &r, &u, bad, 2, &e), InvalidPart);
	bad[1].number = 5;
	assert_rc(complete(&w, &r, &u, bad, 2, &e), InvalidPart);
	bad[1] = p[1];
	bad[1].etag = p[0].etag;
	assert_rc(complete(&w, &r, &u, bad, 2, &e), InvalidPart);
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("dir/object"), &e), NOT_FOUND);
	/* A part that is put again replaces the old one. */
	bad[1] = put_part(&w, &u, 2, STR("other"));
	assert_rc(complete(&w, &r, &u, p, 2, &e), InvalidPart);
	assert_ok(complete(&w, &r, &u, bad, 2, &e));
	world_close(&w);
}

static void test_multipart__conditions(void **state)
{
	struct upload_part p;
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_KINDS);
	p = put_part(&w, &u, 1, STR("one"));
	assert_rc(complete_if(&w.c, &r, &u, &p, 1, STAGE_IF_ETAG, STR("x"), &e), NOT_FOUND);
	assert_ok(complete_if(&w.c, &r, &u, &p, 1, STAGE_IF_ABSENT, STR_NONE, &e));
	u = new_upload(&w, &r, DIGEST_KINDS);
	p = put_part(&w, &u, 1, STR("two"));
	assert_rc(complete_if(&w.c, &r, &u, &p, 1, STAGE_IF_ABSENT, STR_NONE, &e), PREDICATE);
	/* It is still open. */
	assert_ok(complete_if(&w.c, &r, &u, &p, 1, STAGE_IF_ETAG, e.etag, &e));
	world_close(&w);
}

static void test_multipart__abort(void **state)
{
	struct upload_part p, *list;
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_KINDS);
	p = put_part(&w, &u, 1, STR("one"));
	kv_fault_arm(w.kv, KV_CALL_DELETE, 1, ERR_UNKNOWN_OUTCOME, false);
	assert_rc(upload_abort(&w.c, &r, &u), UNKNOWN_OUTCOME);
	assert_ok(upload_abort(&w.c, &r, &u));
	assert_rc(upload_abort(&w.c, &r, &u), NoSuchUpload);
	assert_rc(complete(&w, &r, &u, &p, 1, &e), NoSuchUpload);
	assert_ok(upload_parts(&w.c, &u, 0, 5, &list, &n, &more));
	assert_int_equal(n, 0);
	world_close(&w);
}

/* After a stop: the object is whole or absent, and the same Complete carries it through (or says that
 * the upload is gone when the object is there). */
static void after_stop(struct world *w, struct repo *r, const struct upload *u,
		       const struct upload_part *p, enum stage_cond cond, rc first)
{
	struct entry e, seen;
	struct object_ptr at;
	char got[8];
	size_t n;
	rc stat, again;

	stat = object_stat(&w->c, r, STR("main"), STR("dir/object"), &seen);
	assert_true(rc_ok(stat) || rc_is(stat, NOT_FOUND));
	assert_true(rc_ok(stat) || !rc_ok(first));
	again = complete_if(&w->c, r, u, p, 1, cond, STR_NONE, &e);
	if (!rc_ok(again)) {
		assert_rc(again, NoSuchUpload);
		assert_ok(stat);
	}
	assert_ok(object_stat(&w->c, r, STR("main"), STR("dir/object"), &seen));
	assert_str(seen.address, u->to.key);
	at = object_pointer(r, &seen);
	assert_ok(backend_read_now(w->store, &at, 0, got, sizeof(got), &n, &w->err));
	assert_str(str_make(got, n), STR("one"));
}

static void stop_complete(bool in_store, bool after, enum stage_cond cond)
{
	const enum err_code code = after ? ERR_UNKNOWN_OUTCOME : ERR_IO;

	for (uint64_t nth = 1;; nth++) {
		struct upload_part p;
		struct upload u;
		struct entry e;
		struct world w;
		struct repo r;
		rc first;

		world_open(&w, GUARDED);
		r = world_repo(&w);
		u = new_upload(&w, &r, DIGEST_KINDS);
		p = put_part(&w, &u, 1, STR("one"));
		if (in_store)
			backend_fault_arm(w.store, BACKEND_CALL_ALL, nth, code, after);
		else
			kv_fault_arm(w.kv, KV_CALL_ANY, nth, code, after);
		first = complete_if(&w.c, &r, &u, &p, 1, cond, STR_NONE, &e);
		backend_fault_arm(w.store, BACKEND_CALL_ALL, 0, ERR_IO, false);
		kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
		world_restart(&w);
		after_stop(&w, &r, &u, &p, cond, first);
		world_close(&w);
		if (rc_ok(first) && nth > 20)
			break;
		assert_in_range(nth, 1, 60);
	}
}

static void test_multipart__complete_stopped(void **state)
{
	for (int i = 0; i < 8; i++)
		stop_complete(i & 1, i & 2, i & 4 ? STAGE_IF_ABSENT : STAGE_ALWAYS);
}

/* Once begun, only the same list: what is found at the address is made of it. */
static void test_multipart__another_list(void **state)
{
	struct upload_part p[2];
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, DIGEST_KINDS);
	p[0] = put_part(&w, &u, 1, STR("one"));
	p[1] = put_part(&w, &u, 2, STR("two"));
	backend_fault_arm(w.store, BACKEND_CALL_MPU, 1, ERR_UNKNOWN_OUTCOME, true);
	assert_rc(complete(&w, &r, &u, p, 1, &e), UNKNOWN_OUTCOME);
	assert_rc(complete(&w, &r, &u, p + 1, 1, &e), InvalidRequest);
	assert_ok(complete(&w, &r, &u, p, 1, &e));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multipart__whole_story),
		cmocka_unit_test(test_multipart__etag_and_checksum),
		cmocka_unit_test(test_multipart__refused),
		cmocka_unit_test(test_multipart__conditions),
		cmocka_unit_test(test_multipart__abort),
		cmocka_unit_test(test_multipart__complete_stopped),
		cmocka_unit_test(test_multipart__another_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
