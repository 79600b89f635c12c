/* Repositories and branches; what a stop after any step leaves behind. */
#include "tests/versions/world.h"

#include "base/rand.h"
#include "versions/commit_record.h"

static const struct repo_create one = {.id = STR("repo1"), .storage_namespace = STR("mem://repo1")};

static bool store_has(struct world *w, const char *space, const char *key, struct str want)
{
	struct object_ptr p = {.store_id = STR(""), .space = str_c(space), .key = str_c(key),
			       .type = ADDRESS_RELATIVE};
	char got[200];
	size_t n;
	rc r = backend_read_now(w->store, &p, 0, got, sizeof(got), &n, &w->err);

	if (!rc_ok(r))
		return false;
	assert_str(str_make(got, n), want);
	return true;
}

static void test_repo__create(void **state)
{
	struct world w;
	struct repo r, found;
	struct branch b;
	struct commit c;

	world_open(&w, GUARDED);
	assert_rc(repo_get(&w.c, STR("repo1"), &r), NOT_FOUND);
	assert_ok(repo_create(&w.c, &one, &r));
	assert_ok(repo_get(&w.c, STR("repo1"), &found));
	assert_str(found.partition, r.partition);
	assert_str(found.default_branch, STR("main"));
	assert_str(found.storage_namespace, STR("mem://repo1"));
	assert_true(xid_valid(found.instance_uid, NULL));
	assert_true(store_has(&w, "mem://repo1", "_lakefs/dummy",
			      STR("this is dummy data - created by lakeFS to check accessibility")));
	assert_ok(branch_get(&w.c, &found, STR("main"), &b));
	assert_true(str_starts(b.staging_token, STR("repo1-main:")));
	assert_int_equal(b.staging_token.n, 11 + 36);
	assert_ok(commit_get(&w.c, &found, b.commit_id, &c));
	assert_str(commit_id(&c, w.a), b.commit_id);
	assert_str(c.message, STR("Repository created"));
	assert_str(c.committer, STR(""));
	assert_str(c.meta_range_id, STR(""));
	assert_int_equal(c.generation, 1);
	assert_int_equal(c.version, 1);
	assert_rc(repo_create(&w.c, &one, &r), EXISTS);
	world_close(&w);
}

static void test_repo__refused(void **state)
{
	struct repo_create in = one;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	in.id = STR("Repo");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	in = one;
	in.storage_namespace = STR("s3://bucket/x");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	in = one;
	in.default_branch = STR("a b");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	in = one;
	in.storage_id = STR("nosuch");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	/* Nothing of it was left behind. */
	assert_ok(repo_create(&w.c, &one, &r));
	in = one;
	in.id = STR("repo2");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	in.storage_namespace = STR("mem://repo1/");
	assert_rc(repo_create(&w.c, &in, &r), INVALID);
	/* A bare one doesn't look. */
	in.bare = true;
	assert_ok(repo_create(&w.c, &in, &r));
	assert_rc(branch_get(&w.c, &r, STR("main"), &(struct branch){0}), NOT_FOUND);
	/* Objects stay when a repository goes, and so does its claim. */
	assert_ok(repo_delete(&w.c, STR("repo1")));
	assert_rc(repo_create(&w.c, &one, &r), INVALID);
	world_close(&w);
}

static void test_repo__names_claimed_by_another(void **state)
{
	struct repo_create other = one;
	struct world w;
	struct repo r;

	other.id = STR("other");
	world_open(&w, GUARDED);
	/* The creation of repo1 stops after its dummy. */
	kv_fault_arm(w.kv, KV_CALL_SET_IF, 2, ERR_IO, false);
	assert_rc(repo_create(&w.c, &one, &r), IO);
	assert_rc(repo_create(&w.c, &other, &r), INVALID);
	assert_ok(repo_create(&w.c, &one, &r));
	world_close(&w);
}

static void create_other(void *ud)
{
	struct world *w = ud;
	struct repo_create other = one;
	struct vcall c = {.v = w->v, .a = w->a};
	struct repo r;

	other.id = STR("other");
	assert_ok(repo_create(&c, &other, &r));
}

/* It begins and ends between the other's look at the dummy and its claim. */
static void test_repo__names_taken_meanwhile(void **state)
{
	struct world w;
	struct repo r;

	world_open(&w, PLAIN);
	world_hook(&w, 2, create_other, &w);
	assert_rc(repo_create(&w.c, &one, &r), INVALID);
	assert_ok(repo_get(&w.c, STR("other"), &r));
	assert_rc(repo_get(&w.c, STR("repo1"), &r), NOT_FOUND);
	world_close(&w);
}

static void test_repo__list(void **state)
{
	struct world w;
	struct repo r, *list;
	struct str after = STR_NONE;
	size_t n, seen = 0;
	bool more = true;

	world_open(&w, GUARDED);
	for (unsigned i = 0; i < 25; i++) {
		struct str id = arena_printf(w.a, "repo-%02u", i);
		const struct repo_create in = {
			.id = id, .storage_namespace = arena_printf(w.a, "mem://s%u", i)};

		assert_ok(repo_create(&w.c, &in, &r));
	}
	assert_ok(repo_create(&w.c, &one, &r));
	assert_ok(repo_delete(&w.c, STR("repo-03")));
	while (more) {
		assert_ok(repo_list(&w.c, STR("repo-"), after, 7, &list, &n, &more));
		assert_in_range(n, 1, 7);
		for (size_t i = 0; i < n; i++, seen++)
			assert_str(list[i].id, arena_printf(w.a, "repo-%02zu",
							    seen < 3 ? seen : seen + 1));
		after = list[n - 1].id;
	}
	assert_int_equal(seen, 24);
	assert_ok(repo_list(&w.c, STR("repo1"), STR_NONE, 1, &list, &n, &more));
	assert_int_equal(n, 1);
	assert_false(more);
	assert_ok(repo_list(&w.c, STR(""), STR("repo1"), 10, &list, &n, &more));
	assert_int_equal(n, 0);
	world_close(&w);
}

static void test_repo__delete(void **state)
{
	struct world w;
	struct branch b;
	struct repo r, again;
	struct str value;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	world_seal(&w.c, &r, STR("main"));
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_ok(repo_delete(&w.c, STR("repo1")));
	assert_rc(repo_get(&w.c, STR("repo1"), &again), NOT_FOUND);
	assert_rc(repo_delete(&w.c, STR("repo1")), NOT_FOUND);
	assert_int_equal(world_keys(&w, r.partition), 0);
	assert_int_equal(world_keys(&w, STR("graveler")), 0);
	assert_int_equal(world_keys(&w, STR("cleanup-tokens")), 3);
	assert_ok(kv_get(w.kv, KV_BLOCK, STR("cleanup-tokens"), b.sealed[0], w.a, &value, NULL));
	assert_str(value, STR("stub-value"));
	world_close(&w);
}

/* Whatever a client can see after a failed or unclear creation: nothing, or all of it. Then creating
 * again succeeds. */
static void after_create(struct world *w, rc created)
{
	struct repo r;
	struct branch b;
	rc seen;

	world_restart(w);
	seen = repo_get(&w->c, STR("repo1"), &r);
	if (rc_ok(created))
		assert_ok(seen);
	if (rc_ok(seen)) {
		assert_ok(branch_get(&w->c, &r, STR("main"), &b));
		assert_rc(repo_create(&w->c, &one, &r), EXISTS);
		return;
	}
	assert_rc(seen, NOT_FOUND);
	assert_ok(repo_create(&w->c, &one, &r));
	assert_ok(branch_get(&w->c, &r, STR("main"), &b));
	assert_int_equal(world_keys(w, STR("sluice-namespaces")), 1);
	assert_ok(repo_delete(&w->c, STR("repo1")));
	assert_int_equal(world_keys(w, STR("sluice-namespaces")), 0);
}

static void test_repo__create_stopped_in_kv(void **state)
{
	for (int after = 0; after < 2; after++) {
		for (uint64_t nth = 1;; nth++) {
			struct world w;
			struct repo r;
			rc created;

			world_open(&w, GUARDED);
			kv_fault_arm(w.kv, KV_CALL_ANY, nth,
				     after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
			created = repo_create(&w.c, &one, &r);
			kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
			after_create(&w, created);
			if (kv_fault_calls(w.kv, KV_CALL_ANY) < nth) {
				world_close(&w);
				break;
			}
			world_close(&w);
			assert_in_range(nth, 1, 100);
		}
	}
}

static void test_repo__create_stopped_in_store(void **state)
{
	for (int after = 0; after < 2; after++) {
		for (uint64_t nth = 1;; nth++) {
			struct world w;
			struct repo r;
			rc created;

			world_open(&w, GUARDED);
			backend_fault_arm(w.store, BACKEND_CALL_ALL, nth,
					  after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
			created = repo_create(&w.c, &one, &r);
			backend_fault_arm(w.store, BACKEND_CALL_ALL, 0, ERR_IO, false);
			after_create(&w, created);
			world_close(&w);
			if (rc_ok(created))
				break;
			assert_in_range(nth, 1, 100);
		}
	}
}

static void test_repo__delete_stopped(void **state)
{
	for (int after = 0; after < 2; after++) {
		for (uint64_t nth = 1;; nth++) {
			struct world w;
			struct repo r, found;
			struct branch b;
			rc deleted, seen;

			world_open(&w, GUARDED);
			r = world_repo(&w);
			assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
			kv_fault_arm(w.kv, KV_CALL_ANY, nth,
				     after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
			deleted = repo_delete(&w.c, STR("repo1"));
			kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
			world_restart(&w);
			seen = repo_get(&w.c, STR("repo1"), &found);
			if (rc_ok(seen)) {
				assert_false(rc_ok(deleted));
				assert_ok(branch_get(&w.c, &found, STR("dev"), &b));
			} else {
				assert_rc(seen, NOT_FOUND);
			}
			if (!rc_ok(deleted)) {
				rc again = repo_delete(&w.c, STR("repo1"));

				assert_true(rc_ok(again) || rc_is(again, NOT_FOUND));
			}
			assert_int_equal(world_keys(&w, r.partition), 0);
			assert_int_equal(world_keys(&w, STR("graveler")), 0);
			world_close(&w);
			if (rc_ok(deleted) && nth > 10)
				break;
			assert_in_range(nth, 1, 200);
		}
	}
}

static void test_repo__cache(void **state)
{
	struct world w;
	struct repo r, found;
	struct vcall nowait;
	uint64_t calls;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	nowait = w.c;
	nowait.wait = KV_NOWAIT;
	assert_ok(repo_get(&nowait, STR("repo1"), &found));
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	assert_ok(repo_get(&nowait, STR("repo1"), &found));
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_ANY), calls);
	assert_str(found.partition, r.partition);
	/* Created and deleted here: nothing old is shown. */
	assert_ok(repo_delete(&w.c, STR("repo1")));
	assert_rc(repo_get(&w.c, STR("repo1"), &found), NOT_FOUND);
	assert_rc(repo_get(&w.c, STR("../../x"), &found), NOT_FOUND);
	world_close(&w);
}

static void test_repo__record_of_another_writer(void **state)
{
	struct world w;
	struct repo r, found;
	struct str raw;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	/* A field that a newer version knows survives the mark of deletion, which then is seen. */
	raw = repo_encode(&r, w.a);
	raw = arena_printf(w.a, "%.*s\xa2\x1f\x03new", STR_ARG(raw));
	assert_ok(kv_set(w.kv, STR("graveler"), STR("repos/repo1"), raw, &w.err));
	kv_fault_arm(w.kv, KV_CALL_DELETE, 1, ERR_IO, false);
	assert_rc(repo_delete(&w.c, STR("repo1")), IO);
	assert_ok(kv_get(w.kv, KV_BLOCK, STR("graveler"), STR("repos/repo1"), w.a, &raw, &w.err));
	assert_true(str_ends(raw, STR("\xa2\x1f\x03new")));
	assert_rc(repo_get(&w.c, STR("repo1"), &found), NOT_FOUND);
	assert_rc(repo_create(&w.c, &one, &found), EXISTS);
	assert_ok(repo_delete(&w.c, STR("repo1")));
	world_close(&w);
}

/* Branches. */

static void test_branch__create(void **state)
{
	struct world w;
	struct repo r;
	struct branch m, b;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(branch_get(&w.c, &r, STR("main"), &m));
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
	assert_ok(branch_get(&w.c, &r, STR("dev"), &b));
	assert_str(b.commit_id, m.commit_id);
	assert_true(!str_eq(b.staging_token, m.staging_token));
	assert_int_equal(b.sealed_n, 0);
	assert_rc(branch_create(&w.c, &r, STR("dev"), STR_NONE), EXISTS);
	assert_rc(branch_create(&w.c, &r, STR("x/y"), STR_NONE), INVALID);
	assert_rc(branch_create(&w.c, &r, STR("x"), STR("nosuch")), NOT_FOUND);
	assert_ok(branch_create(&w.c, &r, STR("by-commit"), m.commit_id));
	assert_ok(branch_create(&w.c, &r, STR("by-name"), STR("dev")));
	assert_rc(branch_get(&w.c, &r, STR("no/such"), &b), NOT_FOUND);
	assert_ok(kv_set(w.kv, r.partition, STR("tags/v1"), STR("\x0a\x02v1"), &w.err));
	assert_rc(branch_create(&w.c, &r, STR("v1"), STR_NONE), EXISTS);
	r.read_only = true;
	assert_rc(branch_create(&w.c, &r, STR("ro"), STR_NONE), ReadOnlyRepository);
	assert_rc(branch_delete(&w.c, &r, STR("dev")), ReadOnlyRepository);
	world_close(&w);
}

static void test_branch__delete(void **state)
{
	struct world w;
	struct repo r;
	struct branch b;
	struct str value;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_rc(branch_delete(&w.c, &r, STR("main")), INVALID);
	assert_rc(branch_delete(&w.c, &r, STR("dev")), NOT_FOUND);
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
	world_seal(&w.c, &r, STR("dev"));
	assert_ok(branch_get(&w.c, &r, STR("dev"), &b));
	assert_ok(branch_delete(&w.c, &r, STR("dev")));
	assert_rc(branch_get(&w.c, &r, STR("dev"), &b), NOT_FOUND);
	assert_int_equal(world_keys(&w, STR("cleanup-tokens")), 2);
	assert_ok(kv_get(w.kv, KV_BLOCK, STR("cleanup-tokens"), b.staging_token, w.a, &value, NULL));
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
	world_close(&w);
}

/* No token of a branch that can still be found is ever handed to the clean-up. */
static void test_branch__delete_stopped(void **state)
{
	for (int after = 0; after < 2; after++) {
		for (uint64_t nth = 1; nth < 8; nth++) {
			struct world w;
			struct repo r;
			struct branch b;

			world_open(&w, GUARDED);
			r = world_repo(&w);
			assert_ok(branch_create(&w.c, &r, STR("dev"), STR_NONE));
			kv_fault_arm(w.kv, KV_CALL_WRITES, nth, ERR_UNKNOWN_OUTCOME, after);
			IGNORE_RC(branch_delete(&w.c, &r, STR("dev")));
			kv_fault_arm(w.kv, KV_CALL_WRITES, 0, ERR_IO, false);
			if (rc_ok(branch_get(&w.c, &r, STR("dev"), &b)))
				assert_int_equal(world_keys(&w, STR("cleanup-tokens")), 0);
			world_close(&w);
		}
	}
}

static void test_branch__list(void **state)
{
	struct world w;
	struct repo r;
	struct branch *list, b;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (unsigned i = 0; i < 9; i++)
		assert_ok(branch_create(&w.c, &r, arena_printf(w.a, "b%u", i), STR_NONE));
	assert_ok(branch_get(&w.c, &r, STR("b4"), &b));
	b.hidden = true;
	assert_ok(kv_set(w.kv, r.partition, STR("branches/b4"), branch_encode(&b, w.a), &w.err));
	assert_ok(branch_list(&w.c, &r, STR("b"), STR("b2"), 3, false, &list, &n, &more));
	assert_int_equal(n, 3);
	assert_true(more);
	assert_str(list[0].id, STR("b3"));
	assert_str(list[1].id, STR("b5"));
	assert_ok(branch_list(&w.c, &r, STR("b"), STR_NONE, 9, true, &list, &n, &more));
	assert_int_equal(n, 9);
	assert_false(more);
	assert_ok(branch_list(&w.c, &r, STR(""), STR("b8"), 9, true, &list, &n, &more));
	assert_int_equal(n, 1);
	assert_str(list[0].id, STR("main"));
	assert_ok(branch_list(&w.c, &r, STR("zz"), STR_NONE, 9, true, &list, &n, &more));
	assert_int_equal(n, 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo__create),
		cmocka_unit_test(test_repo__refused),
		cmocka_unit_test(test_repo__names_claimed_by_another),
		cmocka_unit_test(test_repo__names_taken_meanwhile),
		cmocka_unit_test(test_repo__list),
		cmocka_unit_test(test_repo__delete),
		cmocka_unit_test(test_repo__create_stopped_in_kv),
		cmocka_unit_test(test_repo__create_stopped_in_store),
		cmocka_unit_test(test_repo__delete_stopped),
		cmocka_unit_test(test_repo__cache),
		cmocka_unit_test(test_repo__record_of_another_writer),
		cmocka_unit_test(test_branch__create),
		cmocka_unit_test(test_branch__delete),
		cmocka_unit_test(test_branch__delete_stopped),
		cmocka_unit_test(test_branch__list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
