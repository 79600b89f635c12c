/* Multipart uploads: checksums and expectations, listings, repetition, and many hands at once. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/encode.h"
#include "versions/internal.h"
#include "versions/multipart.h"
#include "versions/upload_record.h"

#define BIG (5u << 20)

static char big[BIG];

static struct upload open_upload(struct world *w, const struct repo *r, const char *path,
				 enum digest_kind k, bool full)
{
	const struct upload in = {
		.path = str_c(path), .branch = STR("main"), .checksum = k, .checksum_full = full};
	struct upload u;

	assert_ok(upload_create(&w->c, r, &in, &u));
	return u;
}

/* On any thread. */
static rc put_part(struct world *w, struct arena *a, const struct repo *r, const struct upload *u,
		   unsigned number, struct str bytes, struct upload_part *ret)
{
	struct err err;
	struct vcall c = {.v = w->v, .a = a, .err = &err};
	struct upload_part p;
	struct upload_record now;

	TRY(world_store_part(w, a, u, number, bytes, &p));
	TRY(upload_read(&c, r, u->branch, u->path, u->id, &now));
	if (now.completing.n)
		return RC(NoSuchUpload);
	*ret = p;
	return kv_set_guarded(w->kv, PARTITION_PARTS, part_key(a, u->id, number), part_encode(&p, a),
			      PARTITION_MULTIPARTS, u->id, now.raw, &err);
}

static struct upload_part part(struct world *w, const struct repo *r, const struct upload *u,
			       unsigned number, struct str bytes)
{
	struct upload_part p;

	assert_ok(put_part(w, w->a, r, u, number, bytes, &p));
	return p;
}

static rc complete(struct world *w, const struct repo *r, const struct upload *u,
		   const struct upload_completion *how, struct entry *ret)
{
	return upload_complete(&w->c, r, u->branch, u->path, u->id, how, ret);
}

static struct str sum_of(struct world *w, enum digest_kind k, struct str s)
{
	uint8_t *sum = arena_alloc(w->a, DIGEST_MAX);

	digest_of(k, s, sum);
	return str_make(sum, digest_size(k));
}

static void test_uploads__full_object(void **state)
{
	static const enum digest_kind kinds[] = {DIGEST_CRC32, DIGEST_CRC32C, DIGEST_CRC64NVME,
						 DIGEST_KINDS};
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	memset(big, 'b', BIG);
	for (size_t i = 0; i < 4; i++) {
		struct upload u = open_upload(&w, &r, "o", kinds[i], kinds[i] != DIGEST_KINDS);
		enum digest_kind k = u.checksum;
		struct upload_part p[2];
		struct upload_completion how = {.parts = p, .n = 2, .checksum_kind = k};
		struct entry e, seen;
		char *whole = arena_alloc(w.a, BIG + 4);

		assert_true(u.checksum_full && u.checksum_implied == (i == 3));
		assert_int_equal(k, i == 3 ? DIGEST_CRC64NVME : kinds[i]);
		p[0] = part(&w, &r, &u, 1, str_make(big, BIG));
		p[1] = part(&w, &r, &u, 5, STR("tail"));
		memcpy(whole, big, BIG);
		memcpy(whole + BIG, "tail", 4);
		how.checksum = sum_of(&w, k, STR("another"));
		assert_rc(complete(&w, &r, &u, &how, &e), BadDigest);
		how.checksum = sum_of(&w, k, str_make(whole, BIG + 4));
		assert_ok(complete(&w, &r, &u, &how, &e));
		assert_str(e.checksum[k], how.checksum);
		assert_false(e.checksum_composite);
		assert_ok(object_stat(&w.c, &r, STR("main"), STR("o"), &seen));
		assert_str(seen.checksum[k], how.checksum);
		assert_str(entry_part_checksum(&seen, 1), p[1].checksum[k]);
	}
	world_close(&w);
}

/* What isn't as the client says changes nothing: the upload is still open, in every respect. */
static void test_uploads__expectations(void **state)
{
	struct upload_part p[2], given[2];
	struct upload_completion how = {.parts = given, .n = 2}, good;
	struct upload_record now;
	struct upload u;
	struct world w;
	struct repo r;
	struct entry e;
	uint8_t sums[64];

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = open_upload(&w, &r, "o", DIGEST_SHA256, false);
	given[0] = p[0] = part(&w, &r, &u, 1, str_make(big, BIG));
	given[1] = p[1] = part(&w, &r, &u, 2, STR("tail"));
	memcpy(sums, p[0].checksum[DIGEST_SHA256].p, 32);
	memcpy(sums + 32, p[1].checksum[DIGEST_SHA256].p, 32);
	how.type = UPLOAD_COMPOSITE;
	how.checksum_kind = DIGEST_SHA256;
	how.checksum = sum_of(&w, DIGEST_SHA256, str_make(sums, 64));
	how.checksum_parts = 2;
	how.has_size = true;
	how.size = BIG + 4;
	good = how;
	how.type = UPLOAD_FULL_OBJECT;
	assert_rc(complete(&w, &r, &u, &how, &e), InvalidRequest);
	how = good;
	how.size++;
	assert_rc(complete(&w, &r, &u, &how, &e), InvalidRequest);
	how = good;
	how.checksum_parts = 3;
	assert_rc(complete(&w, &r, &u, &how, &e), BadDigest);
	how = good;
	how.checksum_kind = DIGEST_CRC32;
	how.checksum = STR("abcd");
	assert_rc(complete(&w, &r, &u, &how, &e), InvalidRequest);
	how = good;
	given[1].checksum[DIGEST_SHA256] = p[0].checksum[DIGEST_SHA256];
	assert_rc(complete(&w, &r, &u, &how, &e), InvalidPart);
	given[1] = p[1];
	given[1].checksum[DIGEST_CRC32] = STR("abcd");
	assert_rc(complete(&w, &r, &u, &how, &e), BadDigest);
	given[1] = p[1];
	assert_ok(upload_read(&w.c, &r, u.branch, u.path, u.id, &now));
	assert_int_equal(now.completing.n, 0);
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("o"), &e), NOT_FOUND);
	assert_ok(complete(&w, &r, &u, &how, &e));
	world_close(&w);
}

static void test_uploads__repeated(void **state)
{
	struct upload_part p, other;
	struct upload_completion how = {.parts = &p, .n = 1, .cond = STAGE_IF_ABSENT};
	struct upload u, v;
	struct world w;
	struct repo r;
	struct entry e;
	bool sent;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = open_upload(&w, &r, "o", DIGEST_KINDS, false);
	p = part(&w, &r, &u, 1, STR("one"));
	assert_ok(complete(&w, &r, &u, &how, &e));
	assert_ok(complete(&w, &r, &u, &how, &e));
	assert_str(e.address, u.to.key);
	/* Of another list, of an id that never was, and once another object is there: it is gone. */
	v = open_upload(&w, &r, "v", DIGEST_KINDS, false);
	other = part(&w, &r, &v, 1, STR("two"));
	how.parts = &other;
	assert_rc(complete(&w, &r, &u, &how, &e), NoSuchUpload);
	how.parts = &p;
	assert_rc(upload_complete(&w.c, &r, u.branch, u.path, STR("x"), &how, &e), NoSuchUpload);
	e = some_entry(w.a, 1);
	assert_ok(object_stage(&w.c, &r, STR("main"), STR("o"), &e, STAGE_ALWAYS, STR_NONE, &sent));
	assert_rc(complete(&w, &r, &u, &how, &e), NoSuchUpload);
	world_close(&w);
}

static void expect_page(struct world *w, const struct repo *r, const struct uploads_request *q,
			const char *want, bool truncated)
{
	struct uploads_page page;
	struct buf text = BUF_INIT(4096);

	assert_ok(uploads_list(&w->c, r, q, &page));
	for (size_t i = 0; i < page.n; i++) {
		buf_add(&text, page.items[i].key);
		buf_add(&text, page.items[i].is_prefix ? STR("* ") : STR(" "));
	}
	assert_str(buf_str(&text), str_c(want));
	assert_int_equal(page.truncated, truncated);
	buf_deinit(&text);
}

static void test_uploads__listed(void **state)
{
	static const char *const paths[] = {"z", "b/2", "a", "b/1", "a", "c"};
	struct uploads_request q = {.max = 100};
	struct upload ups[6];
	struct uploads_page page;
	struct world w;
	struct repo r, other;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(repo_create(&w.c, &(struct repo_create){.id = STR("repo2"),
							  .storage_namespace = STR("mem://repo2")},
			      &other));
	for (size_t i = 0; i < 6; i++)
		ups[i] = open_upload(&w, &r, paths[i], DIGEST_KINDS, false);
	open_upload(&w, &other, "elsewhere", DIGEST_KINDS, false);
	expect_page(&w, &r, &q, "main/a main/a main/b/1 main/b/2 main/c main/z ", false);
	expect_page(&w, &other, &q, "main/elsewhere ", false);
	q.branch = STR("main");
	expect_page(&w, &r, &q, "a a b/1 b/2 c z ", false);
	assert_ok(uploads_list(&w.c, &r, &q, &page));
	assert_str(page.items[0].id, ups[2].id);
	assert_str(page.items[1].id, ups[4].id);
	q.max = 2;
	expect_page(&w, &r, &q, "a a ", true);
	q.key_marker = STR("a");
	expect_page(&w, &r, &q, "b/1 b/2 ", true);
	q.id_marker = ups[2].id;
	expect_page(&w, &r, &q, "a b/1 ", true);
	q.key_marker = q.id_marker = STR_NONE;
	q.delimiter = STR("/");
	q.max = 3;
	expect_page(&w, &r, &q, "a a b/* ", true);
	q.key_marker = STR("b/");
	expect_page(&w, &r, &q, "c z ", false);
	q.key_marker = STR_NONE;
	q.prefix = STR("b/");
	expect_page(&w, &r, &q, "b/1 b/2 ", false);
	q.branch = STR("dev");
	expect_page(&w, &r, &q, "", false);
	q.max = 0;
	expect_page(&w, &r, &q, "", false);
	assert_ok(upload_abort(&w.c, &r, &ups[0]));
	expect_page(&w, &r, &(struct uploads_request){.max = 9, .prefix = STR("main/z")}, "", false);
	world_close(&w);
}

/* Many parts go in few writes, and all of them. */
static void test_uploads__many_parts_dropped(void **state)
{
	struct upload_part *list;
	struct upload u;
	struct world w;
	struct repo r;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = open_upload(&w, &r, "o", DIGEST_KINDS, false);
	for (unsigned i = 1; i <= 3 * KV_WRITES_MAX + 1; i++)
		part(&w, &r, &u, i, STR("x"));
	assert_ok(upload_abort(&w.c, &r, &u));
	assert_ok(upload_parts(&w.c, &u, 0, 10, &list, &n, &more));
	assert_int_equal(n, 0);
	world_close(&w);
}

/* Many hands. */

enum { HANDS = 4 };

struct race {
	struct world *w;
	const struct repo *r;
	struct upload u[HANDS];
	struct upload_part parts[HANDS][2];
	pthread_barrier_t start;
	rc result[HANDS];
	struct entry entry[HANDS];
	struct arena *a[HANDS];
	struct err err[HANDS];
};

struct hand {
	struct race *race;
	unsigned i;
	void (*act)(struct race *race, unsigned i);
};

static void *run_hand(void *arg)
{
	struct hand *h = arg;

	pthread_barrier_wait(&h->race->start);
	h->act(h->race, h->i);
	return NULL;
}

static void run_hands(struct race *race, void (*const acts[HANDS])(struct race *, unsigned))
{
	pthread_t threads[HANDS];
	struct hand hands[HANDS];

	pthread_barrier_init(&race->start, NULL, HANDS);
	for (unsigned i = 0; i < HANDS; i++) {
		race->a[i] = arena_new();
		hands[i] = (struct hand){race, i, acts[i]};
		if (pthread_create(&threads[i], NULL, run_hand, &hands[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < HANDS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race->start);
}

static void end_hands(struct race *race)
{
	for (unsigned i = 0; i < HANDS; i++)
		arena_free(race->a[i]);
}

static struct vcall call_of(struct race *race, unsigned i)
{
	return (struct vcall){.v = race->w->v, .a = race->a[i], .err = &race->err[i]};
}

static void do_complete(struct race *race, unsigned i)
{
	struct vcall c = call_of(race, i);
	const struct upload *u = &race->u[i];
	const struct upload_completion how = {.parts = race->parts[i], .n = 2};

	race->result[i] =
		upload_complete(&c, race->r, u->branch, u->path, u->id, &how, &race->entry[i]);
}

static void do_abort(struct race *race, unsigned i)
{
	struct vcall c = call_of(race, i);

	race->result[i] = upload_abort(&c, race->r, &race->u[i]);
}

static void do_part(struct race *race, unsigned i)
{
	struct upload_part p;

	race->result[i] = put_part(race->w, race->a[i], race->r, &race->u[i], 2, STR("late!"), &p);
}

/* The bytes that the entry names: all of one upload's. */
static void check_object(struct world *w, const struct repo *r, char first, struct str tail)
{
	struct object_ptr at;
	struct entry e;
	char got[16];
	size_t n;

	assert_ok(object_stat(&w->c, r, STR("main"), STR("o"), &e));
	assert_int_equal(e.size, BIG + tail.n);
	at = object_pointer(r, &e);
	assert_ok(backend_read_now(w->store, &at, BIG - 1, got, sizeof(got), &n, &w->err));
	assert_str(str_make(got + 1, n - 1), tail);
	assert_int_equal(got[0], first);
}

static void race_open(struct race *race, struct world *w, struct repo *r)
{
	world_open(w, GUARDED);
	*r = world_repo(w);
	*race = (struct race){.w = w, .r = r};
}

/* Four uploads of one key complete at once: the object is one of them, whole. */
static void test_uploads__overlapping(void **state)
{
	static void (*const acts[HANDS])(struct race *, unsigned) = {do_complete, do_complete,
								     do_complete, do_complete};

	for (int round = 0; round < 5; round++) {
		struct race race;
		struct world w;
		struct repo r;
		struct entry e;
		unsigned winner = HANDS;

		race_open(&race, &w, &r);
		for (unsigned i = 0; i < HANDS; i++) {
			char *tail = arena_alloc(w.a, 4);

			memset(big, 'a' + (int)i, BIG);
			memset(tail, 'a' + (int)i, 4);
			race.u[i] = open_upload(&w, &r, "o", DIGEST_CRC32, true);
			race.parts[i][0] = part(&w, &r, &race.u[i], 1, str_make(big, BIG));
			race.parts[i][1] = part(&w, &r, &race.u[i], 2, str_make(tail, 4));
		}
		run_hands(&race, acts);
		assert_ok(object_stat(&w.c, &r, STR("main"), STR("o"), &e));
		for (unsigned i = 0; i < HANDS; i++) {
			assert_ok(race.result[i]);
			if (str_eq(e.address, race.u[i].to.key))
				winner = i;
		}
		assert_in_range(winner, 0, HANDS - 1);
		assert_str(e.checksum[DIGEST_CRC32], race.entry[winner].checksum[DIGEST_CRC32]);
		memset(big, 'a' + (int)winner, 4);
		check_object(&w, &r, (char)('a' + winner), str_make(big, 4));
		end_hands(&race);
		world_close(&w);
	}
}

/* One upload: completed twice, aborted, and a part put again, all at once. Who hears that it is complete
 * finds the object as it was listed; otherwise nothing is there. */
static void test_uploads__all_at_once(void **state)
{
	static void (*const acts[HANDS])(struct race *, unsigned) = {do_complete, do_abort, do_part,
								     do_complete};

	memset(big, 'a', BIG);
	for (int round = 0; round < 20; round++) {
		struct race race;
		struct world w;
		struct repo r;
		struct entry e;
		bool done;

		race_open(&race, &w, &r);
		race.u[0] = open_upload(&w, &r, "o", DIGEST_CRC32, true);
		race.parts[0][0] = part(&w, &r, &race.u[0], 1, str_make(big, BIG));
		race.parts[0][1] = part(&w, &r, &race.u[0], 2, STR("tail"));
		for (unsigned i = 1; i < HANDS; i++) {
			race.u[i] = race.u[0];
			memcpy(race.parts[i], race.parts[0], sizeof(race.parts[0]));
		}
		run_hands(&race, acts);
		done = rc_ok(race.result[0]) || rc_ok(race.result[3]);
		if (done)
			check_object(&w, &r, 'a', STR("tail"));
		else
			assert_rc(object_stat(&w.c, &r, STR("main"), STR("o"), &e), NOT_FOUND);
		for (unsigned i = 0; i < HANDS; i += 3)
			assert_true(rc_ok(race.result[i]) || rc_is(race.result[i], NoSuchUpload) ||
				    rc_is(race.result[i], InvalidPart));
		end_hands(&race);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uploads__full_object),
		cmocka_unit_test(test_uploads__expectations),
		cmocka_unit_test(test_uploads__repeated),
		cmocka_unit_test(test_uploads__listed),
		cmocka_unit_test(test_uploads__many_parts_dropped),
		cmocka_unit_test(test_uploads__overlapping),
		cmocka_unit_test(test_uploads__all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
