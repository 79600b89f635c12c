/* Records, byte for byte as real lakeFS wrote them, and ids. */
#include "tests/versions/world.h"

#include <stdlib.h>

#include "base/encode.h"
#include "versions/commit_record.h"
#include "versions/pb.h"
#include "versions/upload_record.h"

#include "lakefs_records.h"

static struct arena *a;
static struct err err;

static int setup(void **state)
{
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(a);
	return 0;
}

static struct str unhex(const char *hex)
{
	struct str out;

	assert_true(hex_decode(a, str_c(hex), &out));
	return out;
}

static void test_records__repository(void **state)
{
	struct str raw = unhex(LAKEFS_REPOSITORY);
	struct repo r;

	assert_ok(repo_decode(raw, a, &r, &err));
	assert_str(r.id, STR("fixture-repo"));
	assert_str(r.storage_namespace, STR("local://fixture"));
	assert_str(r.default_branch, STR("main"));
	assert_str(r.instance_uid, STR("dc0gv91ksdu93jtut3l0"));
	assert_str(r.partition, STR("fixture-repo-dc0gv91ksdu93jtut3l0"));
	assert_str(r.storage_id, STR(""));
	assert_int_equal(r.created.s, 1795231652);
	assert_int_equal(r.created.ns, 651003615);
	assert_false(r.read_only || r.in_deletion);
	assert_str(repo_encode(&r, a), raw);
	r.in_deletion = r.read_only = true;
	raw = repo_encode(&r, a);
	assert_ok(repo_decode(raw, a, &r, &err));
	assert_true(r.read_only && r.in_deletion);
}

static void test_records__branch(void **state)
{
	struct str raw = unhex(LAKEFS_BRANCH);
	struct str sealed[] = {STR("r-dev:2"), STR("r-dev:1")};
	struct branch b;

	assert_ok(branch_decode(raw, a, &b, &err));
	assert_str(b.id, STR("dev"));
	assert_str(b.commit_id,
		   STR("14cdadbe1786cd94232bbdac499ebdbcd304e01f2481e57b814330b568c349b8"));
	assert_str(b.staging_token, STR("fixture-repo-dev:1a920ddd-0e35-44e2-bd6c-f9ec3fb612fa"));
	assert_int_equal(b.sealed_n, 0);
	assert_str(branch_encode(&b, a), raw);
	assert_str(b.raw, raw);
	b.hidden = true;
	raw = branch_encode(&b, a);
	assert_true(str_ends(raw, STR("\x28\x01")));
	b.sealed = sealed;
	b.sealed_n = 2;
	assert_ok(branch_decode(branch_encode(&b, a), a, &b, &err));
	assert_true(b.hidden);
	assert_int_equal(b.sealed_n, 2);
	assert_str(b.sealed[0], STR("r-dev:2"));
	assert_str(b.sealed[1], STR("r-dev:1"));
	assert_rc(branch_decode(STR("\x0a\x7f"), a, &b, &err), CORRUPT);
	/* Without a token nothing could be staged. */
	assert_rc(branch_decode(STR("\x0a\x03" "dev"), a, &b, &err), CORRUPT);
}

static void test_records__tag(void **state)
{
	struct str raw = unhex(LAKEFS_TAG);
	Pb__TagData *t = pb_unpack(&pb__tag_data__descriptor, raw, a);

	assert_non_null(t);
	assert_str(pb_str(t->id), STR("タグ"));
	assert_str(pb_str(t->commit_id),
		   STR("699b187f46a0ba87f5ffb742f0f4bb4b9a52bdfc2fad4d8f33958315c409f977"));
	assert_str(pb_pack(&t->base, a), raw);
}

static void test_records__commit_id(void **state)
{
	struct commit c = {
		.committer = STR(""),
		.message = STR("Repository created"),
		.meta_range_id = STR(""),
		.created = {.s = 1795229958, .ns = 77},
		.version = COMMIT_VERSION,
		.generation = 1,
	};

	assert_str(commit_id(&c, a),
		   STR("4f53cd45820e05690b163ac5d397a3b2ba4f8ee7c9e562759f7d2013fb50ba53"));
}

static void check_commit(struct str raw)
{
	struct commit c;

	assert_ok(commit_decode(raw, a, &c, &err));
	assert_str(commit_id(&c, a), c.id);
}

static void test_records__commits_of_lakefs(void **state)
{
	struct str raw = unhex(LAKEFS_FIRST_COMMIT);
	struct commit c;

	check_commit(raw);
	assert_ok(commit_decode(raw, a, &c, &err));
	assert_str(commit_encode(&c, a), raw);
	/* One with metadata in Go's random order and a parent. */
	raw = unhex(LAKEFS_COMMIT);
	check_commit(raw);
	assert_ok(commit_decode(raw, a, &c, &err));
	assert_int_equal(c.metadata_n, 3);
	assert_str(c.metadata[1].key, STR("cherry-pick-committer"));
	assert_str(c.metadata[2].key, STR("cherry-pick-origin"));
	assert_int_equal(c.generation, 8);
	assert_ok(commit_decode(commit_encode(&c, a), a, &c, &err));
	assert_str(commit_id(&c, a), c.id);
}

static void test_records__entry_identity(void **state)
{
	struct entry e = {
		.address = STR("local:///srv/external/noct"),
		.address_type = ADDRESS_FULL,
		.modified = {.s = 1},
		.etag = STR("etag-without-quotes"),
		.content_type = STR("application/octet-stream"),
	};
	struct str raw = unhex("0a1a6c6f63616c3a2f2f2f7372762f65787465726e616c2f6e6f63741202080122136574"
			       "61672d776974686f75742d71756f74657330023a186170706c69636174696f6e2f6f6374"
			       "65742d73747265616d");
	uint8_t id[32];

	assert_str(entry_encode(&e, a), raw);
	entry_identity(&e, id);
	assert_str(hex_encode(a, str_make(id, 32)),
		   STR("55e88b9800aee7db17915b224e0fe78ea56a6b1c6fbb7ca1e648ed64e2a4ed0e"));
}

static void test_records__staged_of_lakefs(void **state)
{
	struct str raw = unhex(LAKEFS_STAGED);
	struct entry e;
	bool tombstone;

	assert_ok(staged_decode(raw, a, &e, &tombstone, &err));
	assert_false(tombstone);
	assert_str(e.address, STR("data/ft6v6npksdu93jtut3k0/dc0gvd1ksdu93jtuta2g"));
	assert_int_equal(e.address_type, ADDRESS_RELATIVE);
	assert_int_equal(e.size, 11);
	assert_str(e.etag, STR("0199f44e588852a3fcbd135929fa7bf5"));
	assert_str(e.content_type, STR("text/plain"));
	assert_str(staged_encode(STR("uncommitted.txt"), &e, a), raw);
	raw = unhex(LAKEFS_TOMBSTONE);
	assert_ok(staged_decode(raw, a, &e, &tombstone, &err));
	assert_true(tombstone);
	assert_str(staged_encode(STR("models/m000/weights.bin"), NULL, a), raw);
}

static struct entry rich_entry(void)
{
	static struct meta metadata[] = {
		{STR("::lakefs::client-mtime"), STR("17")},
		{STR("X-Amz-Meta-empty"), STR("")},
		{STR("X-Amz-Meta-ü"), STR("größe")},
	};
	static uint64_t sizes[] = {5 << 20, 127, 128, 0, UINT64_MAX};
	struct entry e = some_entry(a, 300);

	e.metadata = metadata;
	e.metadata_n = 3;
	e.checksum[DIGEST_SHA256] = STR("01234567890123456789012345678901");
	e.checksum[DIGEST_CRC64NVME] = STR("12345678");
	e.checksum_composite = true;
	e.part_sizes = sizes;
	e.parts_n = 5;
	e.part_checksum_kind = DIGEST_CRC32;
	e.part_checksums = STR("aaaabbbbccccddddeeee");
	return e;
}

static void assert_same_entry(const struct entry *x, const struct entry *y)
{
	assert_str(x->address, y->address);
	assert_int_equal(x->address_type, y->address_type);
	assert_int_equal(x->modified.s, y->modified.s);
	assert_int_equal(x->modified.ns, y->modified.ns);
	assert_int_equal(x->size, y->size);
	assert_str(x->etag, y->etag);
	assert_str(x->content_type, y->content_type);
	assert_int_equal(x->metadata_n, y->metadata_n);
	for (size_t i = 0; i < x->metadata_n; i++) {
		assert_str(x->metadata[i].key, y->metadata[i].key);
		assert_str(x->metadata[i].value, y->metadata[i].value);
	}
	for (unsigned k = 0; k < DIGEST_KINDS; k++)
		assert_str(x->checksum[k], y->checksum[k]);
	assert_int_equal(x->checksum_composite, y->checksum_composite);
	assert_int_equal(x->parts_n, y->parts_n);
	for (size_t i = 0; i < x->parts_n; i++)
		assert_true(x->part_sizes[i] == y->part_sizes[i]);
	assert_int_equal(x->part_checksum_kind, y->part_checksum_kind);
	assert_str(x->part_checksums, y->part_checksums);
}

/* The hand-written codec against the generated one. */
static void test_records__entry_as_protobuf(void **state)
{
	struct entry e = rich_entry(), back;
	struct str raw = entry_encode(&e, a);
	Pb__Entry *m = pb_unpack(&pb__entry__descriptor, raw, a);

	assert_non_null(m);
	assert_str(pb_str(m->address), e.address);
	assert_int_equal(m->last_modified->seconds, e.modified.s);
	assert_int_equal(m->last_modified->nanos, 5);
	assert_int_equal(m->size, 300);
	assert_str(pb_str(m->e_tag), e.etag);
	assert_int_equal(m->n_metadata, 3);
	assert_str(pb_str(m->metadata[2]->value), STR("größe"));
	assert_int_equal(m->address_type, 1);
	assert_int_equal(m->n_checksums, 2);
	assert_int_equal(m->checksums[0]->kind, 2);
	assert_int_equal(m->checksums[1]->kind, 5);
	assert_true(m->checksum_composite);
	assert_int_equal(m->n_part_sizes, 5);
	assert_true(m->part_sizes[4] == UINT64_MAX);
	assert_int_equal(m->part_checksums->kind, 3);
	assert_int_equal(m->part_checksums->value.len, 20);
	assert_ok(entry_decode(raw, a, &back, &err));
	assert_same_entry(&e, &back);
	assert_str(entry_encode(&back, a), raw);
	/* And what the generated one writes. */
	assert_ok(entry_decode(pb_pack(&m->base, a), a, &back, &err));
	assert_same_entry(&e, &back);
}

/* Content-derived attributes are outside of the identity, what a user sets is inside. */
static void test_records__identity_covers(void **state)
{
	struct entry e = rich_entry(), f = e;
	uint8_t x[32], y[32];

	entry_identity(&e, x);
	f.parts_n = 0;
	f.checksum[DIGEST_SHA256] = STR_NONE;
	f.modified.s++;
	f.address = STR("elsewhere");
	entry_identity(&f, y);
	assert_memory_equal(x, y, 32);
	f.metadata_n = 2;
	entry_identity(&f, y);
	assert_memory_not_equal(x, y, 32);
}

static void test_records__entry_damaged(void **state)
{
	struct entry e = rich_entry(), back;
	struct str raw = entry_encode(&e, a);

	for (size_t n = 0; n < raw.n; n++) {
		char *cut = malloc(n ? n : 1);
		rc r;

		memcpy(cut, raw.p, n);
		r = entry_decode(str_make(cut, n), a, &back, &err);
		assert_true(rc_ok(r) || rc_is(r, CORRUPT));
		free(cut);
	}
	srandom(7);
	for (unsigned i = 0; i < 20000; i++) {
		char *bad = malloc(raw.n);
		struct arena_mark m = arena_mark(a);
		rc r;

		memcpy(bad, raw.p, raw.n);
		for (unsigned k = 0; k < 3; k++)
			bad[(size_t)random() % raw.n] = (char)random();
		r = entry_decode(str_make(bad, raw.n), a, &back, &err);
		if (rc_ok(r))
			(void)entry_encode(&back, a);
		else
			assert_rc(r, CORRUPT);
		arena_rewind(a, m);
		free(bad);
	}
}

static void test_records__entry_tolerant(void **state)
{
	struct entry e;

	/* Unknown fields of every wire type, and an address type of old commits. */
	assert_ok(entry_decode(STR("\xa0\x06\x01" "\xa2\x06\x02zz" "\xa5\x06" "1234" "\xa1\x06" "12345678"
				   "\x0a\x08s3://b/k"),
			       a, &e, &err));
	assert_int_equal(e.address_type, ADDRESS_FULL);
	assert_ok(entry_decode(STR("\x0a\x03" "a/b"), a, &e, &err));
	assert_int_equal(e.address_type, ADDRESS_RELATIVE);
	assert_str(e.address, STR("a/b"));
	assert_str(e.etag, STR(""));
	assert_rc(entry_decode(STR("\x30\x03"), a, &e, &err), CORRUPT);
	assert_rc(entry_decode(STR("\x0b"), a, &e, &err), CORRUPT);
}

static void test_records__metadata_sorted(void **state)
{
	struct meta m[] = {{STR("b"), STR("1")}, {STR("a"), STR("2")}, {STR("b"), STR("3")},
			   {STR("ab"), STR("4")}};
	struct entry e = some_entry(a, 1);

	e.metadata = m;
	e.metadata_n = 4;
	assert_rc(entry_check(&e, &err), INVALID);
	entry_sort_metadata(&e);
	assert_ok(entry_check(&e, &err));
	assert_int_equal(e.metadata_n, 3);
	assert_str(m[0].key, STR("a"));
	assert_str(m[1].key, STR("ab"));
	assert_str(m[2].key, STR("b"));
	assert_str(m[2].value, STR("3"));
	m[1].value = STR("\xff");
	assert_rc(entry_check(&e, &err), INVALID);
}

static void test_records__part_checksums(void **state)
{
	struct entry e = rich_entry(), back;

	assert_str(entry_part_checksum(&e, 0), STR("aaaa"));
	assert_str(entry_part_checksum(&e, 4), STR("eeee"));
	assert_null(entry_part_checksum(&e, 5).p);
	/* As many as there are parts, or none. */
	e.part_checksums = STR("aaaabbbbcccc");
	assert_ok(entry_decode(entry_encode(&e, a), a, &back, &err));
	assert_null(back.part_checksums.p);
	assert_null(entry_part_checksum(&back, 0).p);
	e = some_entry(a, 1);
	e.part_checksum_kind = DIGEST_CRC32;
	e.part_checksums = STR("aaaa");
	assert_ok(entry_decode(entry_encode(&e, a), a, &back, &err));
	assert_null(back.part_checksums.p);
}

static void test_records__many_parts(void **state)
{
	struct entry e = some_entry(a, 1), back;
	uint64_t *sizes = arena_alloc(a, 10000 * sizeof(*sizes));
	struct str raw;

	for (unsigned i = 0; i < 10000; i++)
		sizes[i] = ((uint64_t)5 << 30) - i;
	e.part_sizes = sizes;
	e.parts_n = 10000;
	raw = entry_encode(&e, a);
	assert_in_range(raw.n, 1, 100000);
	assert_ok(entry_decode(raw, a, &back, &err));
	assert_same_entry(&e, &back);
	/* The most: DynamoDB's items are 400 KB, with some room for the record around it. */
	e.part_checksum_kind = DIGEST_SHA256;
	e.part_checksums = str_make(arena_zalloc(a, 320000), 320000);
	raw = entry_encode(&e, a);
	assert_in_range(raw.n, 1, 380000);
	assert_ok(entry_decode(raw, a, &back, &err));
	assert_same_entry(&e, &back);
}

static void test_records__upload(void **state)
{
	struct upload_record u = {
		.u = {
			.id = STR("00112233445566778899aabbccddeeff"),
			.path = STR("a/b"),
			.branch = STR("main"),
			.store_upload_id = STR("s1"),
			.to = {.key = STR("data/x/y")},
			.created = {.s = 9, .ns = 8},
			.content_type = STR("text/plain"),
			.checksum = DIGEST_CRC32C,
		},
		.partition = STR("repo1-uid"),
		.completing = STR(""),
	}, back;
	struct upload_part p = {.number = 10000, .size = 5 << 20, .etag = STR("aa"),
				.store_etag = STR("e"), .modified = {.s = 3}}, q;

	assert_ok(upload_decode(upload_encode(&u, a), a, &back, &err));
	assert_str(back.u.id, u.u.id);
	assert_str(back.u.branch, u.u.branch);
	assert_str(back.u.store_upload_id, u.u.store_upload_id);
	assert_str(back.u.to.key, u.u.to.key);
	assert_int_equal(back.u.checksum, DIGEST_CRC32C);
	assert_str(back.partition, u.partition);
	u.u.checksum = DIGEST_KINDS;
	assert_ok(upload_decode(upload_encode(&u, a), a, &back, &err));
	assert_int_equal(back.u.checksum, DIGEST_KINDS);
	p.checksum[DIGEST_CRC32] = STR("abcd");
	assert_ok(part_decode(part_encode(&p, a), a, &q, &err));
	assert_int_equal(q.number, 10000);
	assert_int_equal(q.size, 5 << 20);
	assert_str(q.checksum[DIGEST_CRC32], STR("abcd"));
	assert_null(q.checksum[DIGEST_SHA1].p);
}

static void test_valid__names(void **state)
{
	static const struct {
		const char *name;
		bool repo, branch;
	} rows[] = {
		{"", false, false},	 {"a", false, true},	    {"ab", false, true},
		{"abc", true, true},	 {"-abc", false, false},    {"9-c", true, true},
		{"ABC", false, true},	 {"a_b", false, true},	    {"a.b", false, false},
		{"a/b", false, false},	 {"a b", false, false},	    {"_ab", false, true},
		{"abc-", true, true},	 {"ab\xc3\xa4", false, false}, {"main~1", false, false},
		{"abc\n", false, false},
		{"123456789012345678901234567890123456789012345678901234567890123", true, true},
		{"1234567890123456789012345678901234567890123456789012345678901234", false, true},
	};
	char *path = arena_zalloc(a, 1025);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rc_ok(valid_repo_name(str_c(rows[i].name), &err)), rows[i].repo);
		assert_int_equal(rc_ok(valid_branch_name(str_c(rows[i].name), &err)),
				 rows[i].branch);
	}
	assert_rc(valid_repo_name(STR_NONE, &err), INVALID);
	assert_rc(valid_branch_name(STR("a\0b"), &err), INVALID);
	memset(path, 'x', 1025);
	assert_ok(valid_path(str_make(path, 1024), &err));
	assert_rc(valid_path(str_make(path, 1025), &err), INVALID);
	assert_rc(valid_path(STR(""), &err), INVALID);
	assert_rc(valid_path(STR("a\0b"), &err), INVALID);
	assert_ok(valid_path(STR("\xff//../ "), &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records__repository),
		cmocka_unit_test(test_records__branch),
		cmocka_unit_test(test_records__tag),
		cmocka_unit_test(test_records__commit_id),
		cmocka_unit_test(test_records__commits_of_lakefs),
		cmocka_unit_test(test_records__entry_identity),
		cmocka_unit_test(test_records__staged_of_lakefs),
		cmocka_unit_test(test_records__entry_as_protobuf),
		cmocka_unit_test(test_records__identity_covers),
		cmocka_unit_test(test_records__entry_damaged),
		cmocka_unit_test(test_records__entry_tolerant),
		cmocka_unit_test(test_records__metadata_sorted),
		cmocka_unit_test(test_records__part_checksums),
		cmocka_unit_test(test_records__many_parts),
		cmocka_unit_test(test_records__upload),
		cmocka_unit_test(test_valid__names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
