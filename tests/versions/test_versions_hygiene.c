/* Hygiene: what goes and what stays, stopped at each of its steps, and two at once. */
#include "tests/versions/world.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "versions/hygiene.h"
#include "versions/hygiene_kinds.h"
#include "versions/listing.h"
#include "versions/multipart.h"
#include "versions/namespace.h"
#include "versions/staging.h"
#include "versions/upload_record.h"

#define HOURS ((int64_t)3600 * 1000)
#define DAYS_MS (24 * HOURS)

static int64_t now_ms(void)
{
	return wall_now().s * 1000;
}

static struct hygiene_options options(struct world *w)
{
	return (struct hygiene_options){.versions = w->v,
					.uploads_ms = 7 * DAYS_MS,
					.tokens_ms = HOURS,
					.temporaries_ms = DAYS_MS,
					.parts_ms = HOURS,
					.max = 10000};
}

static struct hygiene_counts sweep_at(struct world *w, int64_t at_ms)
{
	struct hygiene_options o = options(w);
	struct hygiene_counts n;

	assert_ok(hygiene_sweep(&o, at_ms, &n, &w->err));
	assert_int_equal(n.failures, 0);
	return n;
}

static struct upload new_upload(struct world *w, const struct repo *r, struct str path)
{
	const struct upload in = {
		.path = path, .branch = STR("main"), .checksum = DIGEST_KINDS};
	struct upload u;

	assert_ok(upload_create(&w->c, r, &in, &u));
	return u;
}

static struct upload_part put_part(struct world *w, const struct upload *u, unsigned number,
				   struct str bytes, int64_t at_ms)
{
	struct upload_part p;

	assert_ok(world_store_part(w, w->a, u, number, bytes, &p));
	p.modified = (struct timestamp){.s = at_ms / 1000};
	assert_ok(kv_set(w->kv, PARTITION_PARTS, part_key(w->a, u->id, number),
			 part_encode(&p, w->a), &w->err));
	return p;
}

static rc complete(struct world *w, const struct repo *r, const struct upload *u,
		   const struct upload_part *parts, size_t n, struct entry *ret)
{
	const struct upload_completion how = {.parts = parts, .n = n};

	return upload_complete(&w->c, r, u->branch, u->path, u->id, &how, ret);
}

static bool upload_there(struct world *w, const struct repo *r, const struct upload *u)
{
	struct upload got;
	rc res = upload_get(&w->c, r, u->branch, u->path, u->id, &got);

	assert_true(rc_ok(res) || rc_is(res, NoSuchUpload));
	return rc_ok(res);
}

static bool store_has(struct world *w, const struct upload *u)
{
	struct backend_writer *writer;
	rc r = w->store->blocking->mpu_open_part(w->store, &u->to, u->store_upload_id, 9, NULL, &writer,
						 &w->err);

	if (rc_ok(r))
		w->store->blocking->abort(writer);
	else
		assert_true(rc_is(r, NOT_FOUND));
	return rc_ok(r);
}

static void reads(struct world *w, const struct repo *r, struct str path, struct str want)
{
	struct object_ptr at;
	struct entry e;
	char got[16];
	size_t n;

	assert_ok(object_stat(&w->c, r, STR("main"), path, &e));
	at = object_pointer(r, &e);
	assert_ok(backend_read_now(w->store, &at, 0, got, sizeof(got), &n, &w->err));
	assert_str(str_make(got, n), want);
}

/* Uploads. */

static void test_hygiene__uploads(void **state)
{
	struct upload idle, busy, done;
	struct hygiene_counts n;
	struct upload_part p;
	struct entry e;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	r = world_repo(&w);
	done = new_upload(&w, &r, STR("done"));
	p = put_part(&w, &done, 1, STR("done"), now);
	assert_ok(complete(&w, &r, &done, &p, 1, &e));
	idle = new_upload(&w, &r, STR("idle"));
	put_part(&w, &idle, 1, STR("one"), now);
	put_part(&w, &idle, 2, STR("two"), now);
	busy = new_upload(&w, &r, STR("busy"));
	put_part(&w, &busy, 1, STR("one"), now);
	p = put_part(&w, &busy, 700, STR("busy"), now + 2 * DAYS_MS);
	assert_int_equal(sweep_at(&w, now + 7 * DAYS_MS - HOURS).uploads, 0);
	assert_true(upload_there(&w, &r, &idle) && upload_there(&w, &r, &busy));
	n = sweep_at(&w, now + 8 * DAYS_MS);
	assert_int_equal(n.uploads, 1);
	assert_int_equal(n.parts, 2);
	assert_false(upload_there(&w, &r, &idle) || store_has(&w, &idle));
	assert_true(upload_there(&w, &r, &busy) && store_has(&w, &busy));
	assert_ok(complete(&w, &r, &busy, &p, 1, &e));
	n = sweep_at(&w, now + 30 * DAYS_MS);
	assert_int_equal(n.uploads, 0);
	assert_int_equal(world_keys(&w, PARTITION_MULTIPARTS), 0);
	assert_int_equal(world_keys(&w, PARTITION_PARTS), 0);
	reads(&w, &r, STR("done"), STR("done"));
	reads(&w, &r, STR("busy"), STR("busy"));
	world_close(&w);
}

static void test_hygiene__never(void **state)
{
	struct hygiene_options o;
	struct hygiene_counts n;
	struct upload u;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, STR("x"));
	assert_ok(kv_set(w.kv, PARTITION_CLEANUP, STR("repo1-gone:uuid"), STR("stub-value"), NULL));
	o = options(&w);
	o.uploads_ms = o.tokens_ms = o.temporaries_ms = 0;
	for (int i = 0; i < 2; i++)
		assert_ok(hygiene_sweep(&o, now_ms() + (i + 1) * 3650 * DAYS_MS, &n, &w.err));
	assert_int_equal(n.uploads + n.tokens, 0);
	assert_true(upload_there(&w, &r, &u));
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 1);
	world_close(&w);
}

/* Also when another one has its name by now, whose uploads stay. */
static void test_hygiene__uploads_of_a_gone_repository(void **state)
{
	const struct repo_create again = {.id = STR("repo1"), .storage_namespace = STR("mem://two")};
	struct hygiene_counts n;
	struct upload u, v;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, STR("x"));
	put_part(&w, &u, 1, STR("one"), now);
	assert_ok(repo_delete(&w.c, STR("repo1")));
	assert_ok(repo_create(&w.c, &again, &r));
	v = new_upload(&w, &r, STR("x"));
	put_part(&w, &v, 1, STR("one"), now + 8 * DAYS_MS);
	assert_int_equal(sweep_at(&w, now + DAYS_MS).uploads, 0);
	assert_int_equal(world_keys(&w, PARTITION_MULTIPARTS), 2);
	n = sweep_at(&w, now + 8 * DAYS_MS);
	assert_int_equal(n.uploads, 1);
	assert_int_equal(n.parts, 1);
	assert_true(upload_there(&w, &r, &v));
	assert_int_equal(world_keys(&w, PARTITION_PARTS), 1);
	world_close(&w);
}

static void test_hygiene__uploads_of_lakefs(void **state)
{
	struct upload_record u = {.u = {.id = STR("lakefs-id"), .path = STR("x")}};
	struct world w;

	world_open(&w, GUARDED);
	assert_ok(kv_set(w.kv, PARTITION_MULTIPARTS, STR("lakefs-id"), upload_encode(&u, w.a), NULL));
	assert_int_equal(sweep_at(&w, now_ms() + 100 * DAYS_MS).uploads, 0);
	assert_int_equal(world_keys(&w, PARTITION_MULTIPARTS), 1);
	world_close(&w);
}

/* One that can't be removed is told, and the next one goes. */
static void test_hygiene__failures(void **state)
{
	struct hygiene_options o;
	struct hygiene_counts n;
	struct world w;
	struct repo r;
	int64_t later = now_ms() + 8 * DAYS_MS;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	new_upload(&w, &r, STR("x"));
	new_upload(&w, &r, STR("y"));
	/* behind the others */
	assert_ok(kv_set(w.kv, PARTITION_MULTIPARTS, STR("~broken"), STR("\xff\xff"), NULL));
	backend_fault_arm(w.store, BACKEND_CALL_MPU, 1, ERR_IO, false);
	o = options(&w);
	assert_rc(hygiene_sweep(&o, later, &n, &w.err), IO);
	assert_non_null(strstr(w.err.msg, "a fault was injected"));
	assert_true(n.uploads == 1 && n.failures == 2);
	assert_rc(hygiene_sweep(&o, later, &n, &w.err), CORRUPT);
	assert_true(n.uploads == 1 && n.failures == 1);
	assert_int_equal(world_keys(&w, PARTITION_MULTIPARTS), 1);
	world_close(&w);
}

static void test_hygiene__late_parts(void **state)
{
	struct upload open, ended;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	r = world_repo(&w);
	open = new_upload(&w, &r, STR("open"));
	ended = new_upload(&w, &r, STR("ended"));
	for (unsigned i = 1; i <= 600; i++) {
		put_part(&w, &open, i, STR("x"), now);
		put_part(&w, &ended, i, STR("x"), i <= 300 ? now : now + 2 * HOURS);
	}
	assert_ok(kv_delete(w.kv, PARTITION_MULTIPARTS, ended.id, NULL));
	assert_int_equal(sweep_at(&w, now + HOURS / 2).parts, 0);
	assert_int_equal(sweep_at(&w, now + 2 * HOURS).parts, 300);
	assert_int_equal(sweep_at(&w, now + 4 * HOURS).parts, 300);
	assert_int_equal(world_keys(&w, PARTITION_PARTS), 600);
	assert_true(upload_there(&w, &r, &open));
	world_close(&w);
}

/* Whatever a Complete and then a sweep came to, the object is whole or absent, and later sweeps leave
 * no record. */
static void after_stop(struct world *w, struct repo *r, const struct upload *u, rc completed)
{
	struct entry e;
	rc seen = object_stat(&w->c, r, STR("main"), STR("x"), &e);

	assert_true(rc_ok(seen) || (rc_is(seen, NOT_FOUND) && !rc_ok(completed)));
	sweep_at(w, now_ms() + 8 * DAYS_MS);
	if (rc_ok(seen))
		reads(w, r, STR("x"), STR("one"));
	else
		assert_rc(object_stat(&w->c, r, STR("main"), STR("x"), &e), NOT_FOUND);
	assert_false(upload_there(w, r, u) || store_has(w, u));
	assert_int_equal(world_keys(w, PARTITION_MULTIPARTS), 0);
	assert_int_equal(world_keys(w, PARTITION_PARTS), 0);
}

static void arm(struct world *w, bool in_store, uint64_t nth, enum err_code code, bool after)
{
	if (in_store)
		backend_fault_arm(w->store, BACKEND_CALL_ALL, nth, code, after);
	else
		kv_fault_arm(w->kv, KV_CALL_ANY, nth, code, after);
}

/* Complete stopped at its n-th call, the sweep at its m-th. */
static bool stopped_twice(bool in_store, bool after, uint64_t nth, uint64_t mth, bool *ret_swept)
{
	const enum err_code code = after ? ERR_UNKNOWN_OUTCOME : ERR_IO;
	struct hygiene_options o;
	struct hygiene_counts n;
	struct upload_part p;
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;
	rc completed;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	u = new_upload(&w, &r, STR("x"));
	p = put_part(&w, &u, 1, STR("one"), now_ms());
	arm(&w, in_store, nth, code, after);
	completed = complete(&w, &r, &u, &p, 1, &e);
	arm(&w, in_store, 0, ERR_IO, false);
	world_restart(&w);
	o = options(&w);
	arm(&w, mth & 1, mth / 2 + 1, code, after);
	*ret_swept = rc_ok(hygiene_sweep(&o, now_ms() + 8 * DAYS_MS, &n, &w.err));
	arm(&w, true, 0, ERR_IO, false);
	arm(&w, false, 0, ERR_IO, false);
	after_stop(&w, &r, &u, completed);
	world_close(&w);
	return rc_ok(completed);
}

static void test_hygiene__stopped_after_each_step(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		bool passed = false;

		for (uint64_t nth = 1; !passed; nth++) {
			bool swept = false;
			/* Both the store's call and the KV's of that number must have gone untouched. */
			for (uint64_t mth = 0, calm = 0; calm < 6; mth++) {
				passed = stopped_twice(kind & 1, kind & 2, nth, mth, &swept);
				calm = swept ? calm + 1 : 0;
				assert_in_range(mth, 0, 100);
			}
			assert_in_range(nth, 0, 60);
			passed &= nth > 20;
		}
	}
}

/* Tokens. */

static void stage(struct world *w, const struct repo *r, struct str branch, struct str path)
{
	struct entry e = some_entry(w->a, (unsigned)path.n);
	bool sent;

	assert_ok(object_stage(&w->c, r, branch, path, &e, STAGE_ALWAYS, STR_NONE, &sent));
}

static void queue(struct world *w, struct str token)
{
	assert_ok(kv_set(w->kv, PARTITION_CLEANUP, token, STR("stub-value"), &w->err));
}

static void test_hygiene__tokens(void **state)
{
	struct hygiene_counts n;
	struct entry e;
	struct branch b;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR("main")));
	stage(&w, &r, STR("main"), STR("kept"));
	stage(&w, &r, STR("dev"), STR("a"));
	stage(&w, &r, STR("dev"), STR("b"));
	assert_ok(branch_get(&w.c, &r, STR("dev"), &b));
	assert_ok(branch_delete(&w.c, &r, STR("dev")));
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 1);
	assert_int_equal(sweep_at(&w, now).tokens, 0);
	assert_int_equal(world_keys(&w, PARTITION_DROPPED), 1);
	/* Other processes, and this one after a restart, count from the same time. */
	world_restart(&w);
	assert_int_equal(sweep_at(&w, now + HOURS - 1000).tokens, 0);
	assert_int_equal(world_keys(&w, b.staging_token), 2);
	n = sweep_at(&w, now + HOURS);
	assert_int_equal(n.tokens, 1);
	assert_int_equal(n.staged, 2);
	assert_int_equal(world_keys(&w, b.staging_token), 0);
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 0);
	assert_int_equal(world_keys(&w, PARTITION_DROPPED), 0);
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("kept"), &e));
	world_close(&w);
}

/* Another sweep may write down a token's time when this one has just finished with it. */
static void test_hygiene__times_without_a_token(void **state)
{
	struct world w;

	world_open(&w, GUARDED);
	assert_ok(kv_set(w.kv, PARTITION_DROPPED, STR("repo1-b:uuid"), STR("12345"), NULL));
	queue(&w, STR("repo1-c:uuid"));
	assert_int_equal(sweep_at(&w, now_ms()).tokens, 0);
	assert_int_equal(world_keys(&w, PARTITION_DROPPED), 1);
	/* A clock that was ahead doesn't keep it for ever. */
	assert_ok(kv_set(w.kv, PARTITION_DROPPED, STR("repo1-c:uuid"), STR("99999999999999"), NULL));
	assert_int_equal(sweep_at(&w, now_ms()).tokens, 0);
	assert_int_equal(sweep_at(&w, now_ms() + 2 * HOURS).tokens, 1);
	world_close(&w);
}

/* A queue that is wrong harms nobody, however the names are to be taken apart. */
static void test_hygiene__tokens_still_named(void **state)
{
	const struct repo_create in = {.id = STR("a-b-c"),
				       .storage_namespace = STR("mem://abc"),
				       .default_branch = STR("d-e")};
	struct branch before, b;
	struct entry e;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	assert_ok(repo_create(&w.c, &in, &r));
	stage(&w, &r, STR("d-e"), STR("sealed"));
	assert_ok(branch_get(&w.c, &r, STR("d-e"), &before));
	world_seal(&w.c, &r, STR("d-e"));
	stage(&w, &r, STR("d-e"), STR("top"));
	assert_ok(branch_get(&w.c, &r, STR("d-e"), &b));
	queue(&w, b.staging_token);
	queue(&w, b.sealed[0]);
	for (int i = 0; i < 5; i++)
		assert_int_equal(sweep_at(&w, now + i * HOURS).staged, 0);
	assert_ok(object_stat(&w.c, &r, STR("d-e"), STR("sealed"), &e));
	assert_ok(object_stat(&w.c, &r, STR("d-e"), STR("top"), &e));
	/* Its grace time begins when it isn't named any more. */
	world_move_sealed(&w.c, &r, STR("d-e"));
	assert_int_equal(sweep_at(&w, now + 4 * HOURS + HOURS / 2).tokens, 0);
	assert_int_equal(sweep_at(&w, now + 5 * HOURS).tokens, 1);
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 1);
	assert_ok(object_stat(&w.c, &r, STR("d-e"), STR("sealed"), &e));
	assert_ok(object_stat(&w.c, &r, STR("d-e"), STR("top"), &e));
	world_close(&w);
}

static void test_hygiene__tokens_that_are_none(void **state)
{
	const struct str names[] = {STR("graveler"), STR("auth"), STR("multiparts"), STR("x:y"),
				    STR(":"), STR("-:"), STR("no-colon")};
	struct hygiene_options o;
	struct hygiene_counts n;
	struct world w;
	struct repo r;
	int64_t now = now_ms();
	size_t before;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(kv_set(w.kv, STR("auth"), STR("users/admin"), STR("x"), NULL));
	assert_ok(kv_set(w.kv, STR("no-colon"), STR("x"), STR("x"), NULL));
	queue(&w, r.partition);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		queue(&w, names[i]);
	before = world_keys(&w, r.partition);
	sweep_at(&w, now);
	o = options(&w);
	assert_rc(hygiene_sweep(&o, now + 2 * HOURS, &n, &w.err), INVALID);
	assert_int_equal(world_keys(&w, r.partition), before);
	assert_true(world_keys(&w, PARTITION_GRAVELER) && world_keys(&w, STR("auth")));
	assert_int_equal(world_keys(&w, STR("no-colon")), 1);
	world_close(&w);
}

static void many_staged(struct world *w, struct str token, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_ok(kv_set(w->kv, token, arena_printf(w->a, "path/%u", i), STR("x"), NULL));
	queue(w, token);
}

static void test_hygiene__bounded(void **state)
{
	const struct str token = STR("repo1-gone:d7e0f1c2-0000-4000-8000-000000000000");
	struct hygiene_options o;
	struct hygiene_counts n;
	_Atomic bool stop = true;
	struct world w;
	int64_t now = now_ms();
	size_t staged = 0;
	int sweeps = 0;

	world_open(&w, GUARDED);
	many_staged(&w, token, 1300);
	sweep_at(&w, now);
	o = options(&w);
	o.max = 300;
	o.stop = &stop;
	assert_ok(hygiene_sweep(&o, now + HOURS, &n, &w.err));
	assert_int_equal(world_keys(&w, token), 1300);
	stop = false;
	do {
		assert_ok(hygiene_sweep(&o, now + HOURS, &n, &w.err));
		assert_true(n.staged <= 300);
		staged += n.staged;
		sweeps++;
	} while (n.more);
	assert_int_equal(staged, 1300);
	assert_int_equal(sweeps, 5);
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP) + world_keys(&w, token), 0);
	world_close(&w);
}

static void test_hygiene__tokens_stopped(void **state)
{
	const struct str token = STR("repo1-gone:d7e0f1c2-0000-4000-8000-000000000000");

	for (int after = 0; after < 2; after++) {
		int calm = 0;

		for (uint64_t nth = 1; calm < 3; nth++) {
			struct hygiene_options o;
			struct hygiene_counts n;
			struct entry e;
			struct world w;
			struct repo r;
			int64_t now = now_ms();

			world_open(&w, GUARDED);
			r = world_repo(&w);
			stage(&w, &r, STR("main"), STR("kept"));
			many_staged(&w, token, 3);
			sweep_at(&w, now);
			o = options(&w);
			kv_fault_arm(w.kv, KV_CALL_ANY, nth, after ? ERR_UNKNOWN_OUTCOME : ERR_IO,
				     after);
			calm = rc_ok(hygiene_sweep(&o, now + HOURS, &n, &w.err)) ? calm + 1 : 0;
			kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
			sweep_at(&w, now + HOURS);
			sweep_at(&w, now + 2 * HOURS);
			assert_int_equal(world_keys(&w, token), 0);
			assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 0);
			assert_int_equal(world_keys(&w, PARTITION_DROPPED), 0);
			assert_ok(object_stat(&w.c, &r, STR("main"), STR("kept"), &e));
			world_close(&w);
			assert_in_range(nth, 0, 100);
		}
	}
}

/* Claims. */

static const struct repo_create one = {.id = STR("repo1"), .storage_namespace = STR("mem://repo1")};
static const struct repo_create other = {.id = STR("repo2"), .storage_namespace = STR("mem://repo1")};

/* A creation that died: the claim and the dummy are there, the repository's record is not. */
static void half_create(struct world *w)
{
	struct repo r;

	kv_fault_arm(w->kv, KV_CALL_SET_IF, 3, ERR_IO, false);
	assert_rc(repo_create(&w->c, &one, &r), IO);
	assert_rc(repo_get(&w->c, STR("repo1"), &r), NOT_FOUND);
	assert_int_equal(world_keys(w, PARTITION_NAMESPACES), 1);
}

static bool has_dummy(struct world *w)
{
	const struct object_ptr p = {
		.space = STR("mem://repo1"), .key = STR("_lakefs/dummy"), .type = ADDRESS_RELATIVE};
	struct backend_stat st;

	return rc_ok(backend_head_now(w->store, &p, w->a, &st, NULL));
}

static void test_hygiene__claims(void **state)
{
	struct world w;
	struct repo r;
	int64_t now;

	world_open(&w, GUARDED);
	half_create(&w);
	now = now_ms(); /* the claim is no younger */
	assert_true(has_dummy(&w));
	assert_int_equal(sweep_at(&w, now + CLAIM_LIFE_MS / 2).namespaces, 0);
	assert_rc(repo_create(&w.c, &other, &r), INVALID);
	assert_int_equal(sweep_at(&w, now + CLAIM_LIFE_MS + 2000).namespaces, 1);
	assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 0);
	assert_false(has_dummy(&w));
	assert_ok(repo_create(&w.c, &other, &r));
	assert_int_equal(sweep_at(&w, now + DAYS_MS).namespaces, 0);
	assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 1);
	assert_true(has_dummy(&w));
	assert_rc(repo_create(&w.c, &one, &r), INVALID);
	world_close(&w);
}

/* The repository was created elsewhere in the end. */
static void test_hygiene__claim_of_another_namespace(void **state)
{
	const struct repo_create elsewhere = {.id = STR("repo1"),
					      .storage_namespace = STR("mem://elsewhere")};
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	half_create(&w);
	assert_ok(repo_create(&w.c, &elsewhere, &r));
	assert_rc(repo_create(&w.c, &other, &r), INVALID);
	assert_int_equal(sweep_at(&w, now_ms() + CLAIM_LIFE_MS + 2000).namespaces, 1);
	assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 1);
	assert_ok(repo_create(&w.c, &other, &r));
	assert_ok(repo_get(&w.c, STR("repo1"), &r));
	world_close(&w);
}

/* Whoever creates while a claim is being dissolved waits until that is surely over. */
static void test_hygiene__claims_stopped(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		int calm = 0;

		for (uint64_t nth = 1; calm < 3; nth++) {
			struct hygiene_options o;
			struct hygiene_counts n;
			struct world w;
			struct repo r;
			int64_t now;
			rc res;

			world_open(&w, GUARDED);
			half_create(&w);
			now = now_ms();
			o = options(&w);
			arm(&w, kind & 1, nth, kind & 2 ? ERR_UNKNOWN_OUTCOME : ERR_IO, kind & 2);
			res = hygiene_sweep(&o, now + CLAIM_LIFE_MS + 2000, &n, &w.err);
			calm = rc_ok(res) ? calm + 1 : 0;
			arm(&w, kind & 1, 0, ERR_IO, false);
			sweep_at(&w, now + 3 * CLAIM_LIFE_MS);
			assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 0);
			assert_false(has_dummy(&w));
			assert_ok(repo_create(&w.c, nth & 1 ? &one : &other, &r));
			assert_in_range(nth, 0, 100);
			world_close(&w);
		}
	}
}

static void test_hygiene__claim_taken_while_dissolved(void **state)
{
	struct hygiene_options o;
	struct hygiene_counts n;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	half_create(&w);
	o = options(&w);
	backend_fault_arm(w.store, BACKEND_CALL_REMOVE, 1, ERR_IO, false);
	assert_rc(hygiene_sweep(&o, now_ms() + CLAIM_LIFE_MS + 2000, &n, &w.err), IO);
	/* By the clock of the sweep it is nobody's, and young. */
	assert_int_equal(sweep_at(&w, now_ms() + CLAIM_LIFE_MS + 4000).namespaces, 0);
	assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 1);
	assert_true(has_dummy(&w));
	assert_int_equal(sweep_at(&w, now_ms() + 3 * CLAIM_LIFE_MS).namespaces, 1);
	assert_ok(repo_create(&w.c, &one, &r));
	world_close(&w);
}

/* Two at once. */

struct sweeper {
	struct world *w;
	int64_t at_ms;
	rc result;
	struct err err;
	pthread_t thread;
};

static void *sweep_thread(void *ud)
{
	struct sweeper *s = ud;
	struct hygiene_options o = options(s->w);
	struct hygiene_counts n;

	s->result = hygiene_sweep(&o, s->at_ms, &n, &s->err);
	return NULL;
}

static void sweep_twice_at_once(struct world *w, int64_t at_ms)
{
	struct sweeper s[2];

	for (int i = 0; i < 2; i++) {
		s[i] = (struct sweeper){.w = w, .at_ms = at_ms};
		assert_int_equal(pthread_create(&s[i].thread, NULL, sweep_thread, &s[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(s[i].thread, NULL), 0);
		assert_ok(s[i].result);
	}
}

static void test_hygiene__two_at_once(void **state)
{
	struct upload_part p;
	struct upload u;
	struct entry e;
	struct world w;
	struct repo r;
	int64_t now = now_ms();

	world_open(&w, GUARDED);
	half_create(&w);
	assert_ok(repo_create(&w.c,
			      &(struct repo_create){.id = STR("repo3"),
						    .storage_namespace = STR("mem://three")},
			      &r));
	for (unsigned i = 0; i < 100; i++) {
		u = new_upload(&w, &r, arena_printf(w.a, "u/%u", i));
		p = put_part(&w, &u, 1, STR("one"), now);
		if (i % 10 == 0)
			assert_ok(complete(&w, &r, &u, &p, 1, &e));
		many_staged(&w, arena_printf(w.a, "repo3-b%u:d7e0f1c2-0000-4000-8000-0", i), 20);
	}
	sweep_twice_at_once(&w, now);
	sweep_twice_at_once(&w, now + 8 * DAYS_MS);
	assert_int_equal(world_keys(&w, PARTITION_MULTIPARTS) + world_keys(&w, PARTITION_PARTS), 0);
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 0);
	assert_int_equal(world_keys(&w, PARTITION_NAMESPACES), 1);
	for (unsigned i = 0; i < 100; i++) {
		struct str token = arena_printf(w.a, "repo3-b%u:d7e0f1c2-0000-4000-8000-0", i);

		assert_int_equal(world_keys(&w, token), 0);
		if (i % 10 == 0)
			reads(&w, &r, arena_printf(w.a, "u/%u", i), STR("one"));
	}
	/* A sweep may have seen a token that the other one just finished. */
	sweep_at(&w, now + 9 * DAYS_MS);
	assert_int_equal(world_keys(&w, PARTITION_DROPPED), 0);
	world_close(&w);
}

/* A local store. */

static void world_open_local(struct world *w, char root[64])
{
	struct backend_local_options o = {.id = STR("")};

	snprintf(root, 64, "/tmp/sluice-hygiene-XXXXXX");
	assert_non_null(mkdtemp(root));
	*w = (struct world){.a = arena_new()};
	w->kv = kv_fault_new(kv_mem_new());
	w->meta = work_pool_new("meta", 2, 100);
	w->data = work_pool_new("data", 2, 100);
	o.path = str_c(root);
	o.pool = w->data;
	assert_ok(backend_local_open(&o, &w->store, &w->err));
	w->store = backend_fault_new(w->store);
	w->registry = registry_of(&w->store, 1, STR(""));
	world_restart(w);
}


static void test_hygiene__local_store(void **state)
{
	const struct repo_create in = {.id = STR("repo1"), .storage_namespace = STR("local://r")};
	struct upload known, unknown;
	struct hygiene_counts n;
	char root[64], path[256];
	struct world w;
	struct repo r;
	int64_t now;
	int fd;

	world_open_local(&w, root);
	assert_ok(repo_create(&w.c, &in, &r));
	known = new_upload(&w, &r, STR("known"));
	put_part(&w, &known, 1, STR("x"), now_ms() + 8 * DAYS_MS);
	unknown = new_upload(&w, &r, STR("unknown"));
	assert_ok(kv_delete(w.kv, PARTITION_MULTIPARTS, unknown.id, NULL));
	snprintf(path, sizeof(path), "%s/.sluice/tmp/left", root);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	now = now_ms();
	n = sweep_at(&w, now);
	assert_int_equal(n.store_files + n.store_uploads, 0);
	n = sweep_at(&w, now + 2 * DAYS_MS);
	assert_true(n.store_files == 1 && n.store_uploads == 0);
	assert_int_equal(sweep_at(&w, now + 7 * DAYS_MS + HOURS).store_uploads, 0);
	n = sweep_at(&w, now + 9 * DAYS_MS);
	assert_true(n.store_uploads == 1 && n.uploads == 0);
	assert_true(store_has(&w, &known) && !store_has(&w, &unknown));
	backend_fault_arm(w.store, BACKEND_CALL_SWEEP, 1, ERR_IO, false);
	assert_rc(hygiene_sweep(&(struct hygiene_options){.versions = w.v, .max = 10}, now, &n,
				&w.err),
		  IO);
	assert_int_equal(n.failures, 1);
	assert_int_equal(sweep_at(&w, now + 30 * DAYS_MS).uploads, 1);
	assert_false(store_has(&w, &known));
	world_close(&w);
	snprintf(path, sizeof(path), "rm -rf %s", root);
	assert_int_equal(system(path), 0);
}

/* The thread. */

static void test_hygiene__thread(void **state)
{
	struct hygiene_options o;
	struct hygiene *h;
	struct world w;
	int64_t began = mono_ms();

	world_open(&w, GUARDED);
	many_staged(&w, STR("repo1-gone:d7e0f1c2-0000-4000-8000-000000000000"), 3);
	o = options(&w);
	o.tokens_ms = 1;
	h = hygiene_start(&o, 20);
	while (mono_ms() - began < 120000 && world_keys(&w, PARTITION_CLEANUP))
		usleep(10000);
	assert_int_equal(world_keys(&w, PARTITION_CLEANUP), 0);
	hygiene_stop(h);
	o = options(&w);
	/* It waits for up to a minute, by chance, before it looks whether to stop, unless it is woken; a busy machine
	 * may need some of that. */
	for (int i = 0; i < 4; i++) {
		h = hygiene_start(&o, 365 * DAYS_MS);
		began = mono_ms();
		hygiene_stop(h);
		assert_true(mono_ms() - began < 20000);
	}
	hygiene_stop(NULL);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hygiene__uploads),
		cmocka_unit_test(test_hygiene__never),
		cmocka_unit_test(test_hygiene__uploads_of_a_gone_repository),
		cmocka_unit_test(test_hygiene__uploads_of_lakefs),
		cmocka_unit_test(test_hygiene__failures),
		cmocka_unit_test(test_hygiene__late_parts),
		cmocka_unit_test(test_hygiene__stopped_after_each_step),
		cmocka_unit_test(test_hygiene__tokens),
		cmocka_unit_test(test_hygiene__times_without_a_token),
		cmocka_unit_test(test_hygiene__tokens_still_named),
		cmocka_unit_test(test_hygiene__tokens_that_are_none),
		cmocka_unit_test(test_hygiene__bounded),
		cmocka_unit_test(test_hygiene__tokens_stopped),
		cmocka_unit_test(test_hygiene__claims),
		cmocka_unit_test(test_hygiene__claim_of_another_namespace),
		cmocka_unit_test(test_hygiene__claims_stopped),
		cmocka_unit_test(test_hygiene__claim_taken_while_dissolved),
		cmocka_unit_test(test_hygiene__two_at_once),
		cmocka_unit_test(test_hygiene__local_store),
		cmocka_unit_test(test_hygiene__thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
