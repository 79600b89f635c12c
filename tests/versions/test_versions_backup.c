/* Backups: a copy that restores without the KV, only what is new, whole or not at all; and what verification finds. */
#include "tests/versions/rich_repo.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "versions/backup_priv.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/namespace.h"
#include "versions/object.h"
#include "versions/task_priv.h"

#define RICH STR("mem://rich")
#define COPY STR("mem://copy")

struct site {
	struct world w;
	struct repo r;
	_Atomic int64_t counts[TASK_COUNTS];
	struct fsck_kept *kept;
	struct refs_dump d;
};

static struct site *site_new(void)
{
	struct site *s = test_calloc(1, sizeof(*s));

	world_open_two(&s->w);
	s->r = rich_repo(&s->w);
	return s;
}

static void site_free(struct site *s)
{
	world_close(&s->w);
	test_free(s);
}

static rc back_up_as(struct site *s, const struct backup_request *q)
{
	s->kept = ARENA_NEW(s->w.a, struct fsck_kept);
	s->kept->a = s->w.a;
	return backup_run(&s->w.c, &s->r, q, NULL, s->counts, s->kept, &s->d);
}

static rc back_up(struct site *s, const char *store)
{
	return back_up_as(s, &(struct backup_request){
				     .storage_id = str_c(store), .storage_namespace = COPY, .verify = true});
}

static int64_t counted(const struct site *s, enum backup_count what)
{
	return atomic_load(&s->counts[what]);
}

static bool says(const struct site *s, const char *what)
{
	return strstr(s->w.err.msg, what) != NULL;
}

/* What is at the copy, restored in a world that knows nothing but the stores. */
static void assert_restores_as(struct site *s, const char *store, struct str before)
{
	struct repo again;

	world_lose_kv(&s->w);
	again = rich_restored(&s->w, "again", str_c(store), COPY);
	assert_str(rich_told(&s->w, &again), before);
	rich_put(&s->w, &again, "main", "after", STR("the restore"));
	rich_commit(&s->w, &again, "main", "life goes on");
}

static void round_trip(const char *store)
{
	struct site *s = site_new();
	struct str before = rich_told(&s->w, &s->r);
	int64_t objects;

	assert_ok(back_up(s, store));
	objects = counted(s, BACKUP_OBJECTS);
	assert_true(objects > 120);
	assert_int_equal(counted(s, BACKUP_NEW), objects + counted(s, BACKUP_TABLES));
	assert_int_equal(counted(s, BACKUP_SKIPPED) + counted(s, BACKUP_MISSING), 0);
	assert_int_equal(counted(s, BACKUP_EXTERNAL), 1);
	/* Nothing is new, then a little. */
	assert_ok(back_up(s, store));
	assert_int_equal(counted(s, BACKUP_NEW), 0);
	assert_int_equal(counted(s, BACKUP_OBJECTS), objects);
	rich_put(&s->w, &s->r, "main", "more", STR("and more"));
	rich_commit(&s->w, &s->r, "main", "more");
	before = rich_told(&s->w, &s->r);
	assert_ok(back_up(s, store));
	assert_int_equal(counted(s, BACKUP_OBJECTS), objects + 1);
	assert_in_range(counted(s, BACKUP_NEW), 1 + 2, 1 + 10); /* the body; a commit's tables, a dump's */
	assert_restores_as(s, store, before);
	site_free(s);
}

static void test_backup__round_trip_in_one_store(void **state)
{
	round_trip("");
}

static void test_backup__round_trip_to_another_store(void **state)
{
	round_trip("other");
}

static void test_backup__commits_what_is_staged(void **state)
{
	struct site *s = site_new();
	struct repo again;
	struct entry e;

	assert_ok(back_up_as(s, &(struct backup_request){.storage_id = STR("other"),
							 .storage_namespace = COPY,
							 .commit = true,
							 .committer = STR("me"),
							 .verify = true}));
	assert_int_equal(counted(s, BACKUP_COMMITTED), 1);
	world_lose_kv(&s->w);
	again = rich_restored(&s->w, "again", STR("other"), COPY);
	assert_ok(object_stat(&s->w.c, &again, STR("dev"), STR("staged"), &e));
	site_free(s);
}

static void test_backup__rules_of_collection(void **state)
{
	const struct object_ptr from = {.space = RICH, .key = STR("_lakefs/retention/gc/rules/config.json")},
				to = {.store_id = STR("other"), .space = COPY, .key = from.key};
	struct site *s = site_new();
	struct backend_stat st;
	char bytes[16];
	size_t n;

	assert_ok(back_up(s, "other"));
	assert_rc(backend_head_now(s->w.other, &to, s->w.a, &st, NULL), NOT_FOUND);
	assert_ok(backend_put_now(s->w.store, &from, NULL, body_mem_new(s->w.a, STR("\x08\x15")), s->w.a, &st, NULL));
	assert_ok(back_up(s, "other"));
	assert_ok(backend_read_now(s->w.other, &to, 0, bytes, sizeof(bytes), &n, NULL));
	assert_str(str_make(bytes, n), STR("\x08\x15"));
	/* of the same size, and then none */
	assert_ok(backend_put_now(s->w.store, &from, NULL, body_mem_new(s->w.a, STR("\x08\x16")), s->w.a, &st, NULL));
	assert_ok(back_up(s, "other"));
	assert_ok(backend_read_now(s->w.other, &to, 0, bytes, sizeof(bytes), &n, NULL));
	assert_str(str_make(bytes, n), STR("\x08\x16"));
	assert_ok(backend_remove_now(s->w.store, &from, NULL));
	assert_ok(back_up(s, "other"));
	assert_ok(backend_head_now(s->w.other, &to, s->w.a, &st, NULL));
	assert_int_equal(st.size, 0);
	site_free(s);
}

/* Whether the copy restores, by itself. */
static bool verified(struct site *s, const char *store, bool content, const char *thing)
{
	Pb__BackupVerifyInput in = PB__BACKUP_VERIFY_INPUT__INIT;
	_Atomic int64_t counts[TASK_COUNTS] = {0};
	struct task_run t = {.counts = counts};
	struct backup_verified v;
	struct task done = {0};

	in.storage_id = pb_bytes(str_c(store));
	in.storage_namespace = pb_bytes(COPY);
	in.content = content;
	t.input = pb_pack(&in.base, s->w.a);
	assert_ok(task_run_verify(&s->w.c, task_nowhere(), &t, &done.result));
	assert_ok(task_verify_result(&s->w.c, &done, &v));
	assert_int_equal(v.restorable, v.of.n == 0);
	for (size_t i = 0; thing && i < v.of.n; i++)
		if (str_find(v.of.findings[i].thing, str_c(thing)) < v.of.findings[i].thing.n)
			return v.restorable;
	if (thing)
		fail_msg("%s isn't among %zu findings", thing, v.of.n);
	return v.restorable;
}

/* Each call of a store or the KV fails once: what was there before restores, until the new one is whole. */
static void sweep(struct site *s, struct backend *fails, bool after)
{
	bool fired = true;

	for (unsigned nth = 1; fired; nth += nth < 25 ? 1 : 29) {
		rc done;

		assert_in_range(nth, 1, 20000);
		rich_put(&s->w, &s->r, "main", "changed", arena_printf(s->w.a, "body %u", nth));
		rich_commit(&s->w, &s->r, "main", "changed");
		backend_fault_arm(fails, BACKEND_CALL_ALL, nth, ERR_IO, after);
		done = back_up(s, "other");
		fired = backend_fault_fired(fails);
		/* What would have failed anyway fails as it would have: something that isn't there, after all. */
		assert_true(rc_is(done, IO) || (rc_ok(done) && (after || !fired)));
		backend_fault_arm(fails, BACKEND_CALL_ALL, 0, ERR_IO, false);
		if (nth % 3 == 0 || rc_ok(done))
			assert_true(verified(s, "other", true, NULL));
		if (!rc_ok(done) && nth % 5 == 0)
			assert_ok(back_up(s, "other"));
	}
}

static void test_backup__each_step_fails(void **state)
{
	struct site *s = site_new();

	assert_ok(back_up(s, "other"));
	sweep(s, s->w.other, false);
	sweep(s, s->w.other, true);
	sweep(s, s->w.store, false);
	assert_restores_as(s, "other", rich_told(&s->w, &s->r));
	site_free(s);
}

static void put(struct site *s, struct backend *b, const struct object_ptr *at, struct str bytes)
{
	struct backend_stat st;

	assert_ok(backend_put_now(b, at, NULL, body_mem_new(s->w.a, bytes), s->w.a, &st, NULL));
}

/* Of the source: named, and no new backup, unless that is asked for. */
static void test_backup__source_has_lost_something(void **state)
{
	const struct backup_request lenient = {
		.storage_id = STR("other"), .storage_namespace = COPY, .verify = true, .allow_missing = true};
	struct site *s = site_new();
	struct object_ptr gone = rich_at(&s->r, "main", "many/0003", &s->w),
			  other = rich_at(&s->r, "main", "many/0004", &s->w),
			  cut = rich_at(&s->r, "main", "many/0005", &s->w);
	char stories[1000] = "";

	assert_ok(backend_remove_now(s->w.store, &gone, NULL));
	put(s, s->w.store, &other, STR("body 5 of many")); /* as long, but another one */
	put(s, s->w.store, &cut, STR("body"));
	assert_rc(back_up(s, "other"), DumpNotWhole);
	assert_true(says(s, "isn't whole") && says(s, arena_cstr(s->w.a, gone.key)));
	assert_false(verified(s, "other", false, "manifest"));
	assert_int_equal(counted(s, BACKUP_MISSING), 3);
	for (size_t i = 0; i < s->kept->n; i++) {
		const struct fsck_finding *f = fsck_kept_of(&s->kept->list[i], 1, s->w.a);

		snprintf(stories + strlen(stories), sizeof(stories) - strlen(stories), STR_FMT "|" STR_FMT "|",
			 STR_ARG(f->story), STR_ARG(f->named_by));
	}
	assert_non_null(strstr(stories, "it isn't there"));
	assert_non_null(strstr(stories, "its MD5 isn't that of its ETag"));
	assert_non_null(strstr(stories, "it has 4 bytes, not 14"));
	assert_non_null(strstr(stories, "path many/0003"));
	assert_ok(back_up_as(s, &lenient));
	assert_int_equal(counted(s, BACKUP_MISSING), 3);
	assert_false(verified(s, "other", false, arena_cstr(s->w.a, gone.key)));
	put(s, s->w.store, &gone, STR("body 3 of many"));
	put(s, s->w.store, &other, STR("body 4 of many"));
	put(s, s->w.store, &cut, STR("body 5 of many"));
	assert_ok(back_up(s, "other"));
	assert_true(verified(s, "other", true, NULL));
	site_free(s);
}

static void test_backup__outside(void **state)
{
	struct site *s = site_new();

	assert_rc(back_up_as(s, &(struct backup_request){.storage_namespace = COPY, .refuse_external = true}), INVALID);
	assert_true(says(s, "outside") && says(s, "mem://elsewhere/x"));
	assert_false(verified(s, "", false, "manifest"));
	site_free(s);
}

static rc create(struct site *s, const char *name, struct str space, bool is_bare)
{
	const struct repo_create in = {.id = str_c(name), .storage_namespace = space, .bare = is_bare};
	struct repo r;

	return repo_create(&s->w.c, &in, &r);
}

static rc to_space(struct site *s, struct str space)
{
	return back_up_as(s, &(struct backup_request){.storage_namespace = space});
}

static void test_backup__targets(void **state)
{
	struct site *s = site_new();
	const struct object_ptr dummy = {.space = COPY, .key = STR("_lakefs/dummy")};
	struct repo first = s->r;
	struct backend_stat st;

	assert_rc(to_space(s, RICH), INVALID);
	assert_true(says(s, "repository rich is at mem://rich"));
	assert_rc(to_space(s, STR("mem://rich/")), INVALID);
	assert_rc(to_space(s, STR("mem://rich/within")), INVALID);
	assert_rc(to_space(s, STR("s3://bucket")), INVALID);
	assert_rc(to_space(s, STR("")), INVALID);
	assert_ok(to_space(s, STR("mem://rich2")));
	/* Somebody's who isn't known here. */
	put(s, s->w.store, &(struct object_ptr){.space = STR("mem://data"), .key = STR("_lakefs/dummy")}, STR("x"));
	assert_rc(to_space(s, STR("mem://data")), INVALID);
	assert_true(says(s, "already in use"));
	/* A backup takes the place from new repositories, and from other backups; not from a bare one. */
	assert_ok(to_space(s, COPY));
	assert_rc(create(s, "new", COPY, false), INVALID);
	assert_ok(create(s, "another", STR("mem://another"), false));
	assert_ok(repo_get(&s->w.c, STR("another"), &s->r));
	assert_rc(to_space(s, COPY), INVALID);
	assert_true(says(s, "holds a backup of repository rich"));
	/* Nor once its claim is dissolved. */
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
		struct kv_entry e;
		bool end = false, removed;

		assert_ok(kv_scan(s->w.kv, PARTITION_NAMESPACES, STR("\x01"), 0, &it, NULL));
		for (;;) {
			assert_ok(kv_iter_next(it, &e, &end, NULL));
			if (end)
				break;
			assert_ok(namespace_expire(&s->w.c, arena_dup(s->w.a, e.key), arena_dup(s->w.a, e.value),
						   wall_now().s + 2 * CLAIM_LIFE_MS / 1000, &removed));
		}
	}
	assert_ok(backend_head_now(s->w.store, &dummy, s->w.a, &st, NULL));
	assert_rc(create(s, "new", COPY, false), INVALID);
	assert_rc(to_space(s, COPY), INVALID);
	s->r = first;
	assert_ok(to_space(s, COPY));
	assert_ok(create(s, "bare", COPY, true));
	assert_rc(to_space(s, COPY), INVALID);
	assert_true(says(s, "repository bare is at mem://copy"));
	site_free(s);
}

/* Each kind of damage to the copy is found and named. */
static void test_backup__verify(void **state)
{
	struct site *s = site_new();
	struct object_ptr body = rich_at(&s->r, "main", "many/0009", &s->w),
			  manifest = {.store_id = STR("other"), .space = COPY, .key = STR("_lakefs/refs_manifest.json")},
			  table = manifest;
	char *bytes = arena_alloc(s->w.a, 1 << 20);
	size_t n;

	assert_false(verified(s, "other", false, "manifest"));
	assert_ok(back_up(s, "other"));
	world_lose_kv(&s->w);
	assert_true(verified(s, "other", false, NULL));
	assert_true(verified(s, "other", true, NULL));
	body.store_id = STR("other");
	body.space = COPY;
	put(s, s->w.other, &body, STR("body 8 of many"));
	assert_true(verified(s, "other", false, NULL)); /* as long */
	assert_false(verified(s, "other", true, arena_cstr(s->w.a, body.key)));
	put(s, s->w.other, &body, STR("body 9"));
	assert_false(verified(s, "other", false, arena_cstr(s->w.a, body.key)));
	put(s, s->w.other, &body, STR("body 9 of many and more"));
	assert_false(verified(s, "other", true, arena_cstr(s->w.a, body.key)));
	assert_ok(backend_remove_now(s->w.other, &body, NULL));
	assert_false(verified(s, "other", false, arena_cstr(s->w.a, body.key)));
	assert_false(verified(s, "other", true, arena_cstr(s->w.a, body.key)));
	put(s, s->w.other, &body, STR("body 9 of many"));
	assert_true(verified(s, "other", true, NULL));
	/* one flipped byte of a table */
	table.key = arena_printf(s->w.a, "_lakefs/" STR_FMT, STR_ARG(s->d.tags));
	assert_ok(backend_read_now(s->w.other, &table, 0, bytes, 1 << 20, &n, NULL));
	bytes[20] ^= 1;
	put(s, s->w.other, &table, str_make(bytes, n));
	assert_false(verified(s, "other", false, arena_cstr(s->w.a, s->d.tags)));
	bytes[20] ^= 1;
	put(s, s->w.other, &table, str_make(bytes, n));
	put(s, s->w.other, &manifest, STR("{}"));
	assert_false(verified(s, "other", false, "manifest"));
	site_free(s);
}

/* As a task: its counts can be asked for, it can be cancelled, and its result is kept. */
static struct task wait_done(struct site *s, const struct repo *r, enum task_kind kind, struct str id)
{
	struct task t = {0};

	for (unsigned i = 0; i < 6000 && !t.done; i++) {
		usleep(10000);
		assert_ok(task_get(&s->w.c, r, kind, id, &t));
	}
	assert_true(t.done);
	return t;
}

static sem_t go_on;

static void be_busy(struct work *w)
{
	while (sem_wait(&go_on))
		;
}

static void test_backup__tasks(void **state)
{
	const struct tasks_options quick = {.workers = 1, .max = 8, .poll_ms = 20};
	const struct backup_request q = {.storage_id = STR("other"), .storage_namespace = COPY, .verify = true},
				    bad = {.storage_namespace = RICH},
				    commit = {.storage_namespace = COPY, .commit = true};
	const struct backup_verify v = {.storage_id = STR("other"), .storage_namespace = COPY};
	struct site *s = site_new();
	struct backup_verified found;
	struct backup_result made;
	struct work busy = {.run = be_busy};
	struct str id, waits;
	struct task t;

	versions_start_tasks(s->w.v, &quick);
	assert_rc(task_submit_backup(&s->w.c, &s->r, &bad, &id), INVALID);
	s->r.read_only = true;
	assert_rc(task_submit_backup(&s->w.c, &s->r, &commit, &id), ReadOnlyRepository);
	s->r.read_only = false;
	assert_ok(task_submit_backup(&s->w.c, &s->r, &q, &id));
	t = wait_done(s, &s->r, TASK_BACKUP, id);
	assert_str(t.error, STR(""));
	assert_str(t.subject, COPY);
	assert_ok(task_backup_result(&s->w.c, &t, &made));
	assert_true(t.counts[BACKUP_NEW] > 120 && made.n == 0 && made.refs.commits.n == 64);
	assert_ok(task_submit_verify(&s->w.c, &v, &id));
	t = wait_done(s, task_nowhere(), TASK_VERIFY, id);
	assert_str(t.error, STR(""));
	assert_ok(task_verify_result(&s->w.c, &t, &found));
	assert_true(found.restorable && t.counts[DUMP_CHECK_BODIES] > 120);
	assert_str(found.of.refs.commits, made.refs.commits);
	/* One that waits for the only worker is cancelled at once. */
	sem_init(&go_on, 0, 0);
	assert_true(work_submit(s->w.v->tasks->pool, &busy));
	assert_ok(task_submit_backup(&s->w.c, &s->r, &q, &id));
	assert_ok(task_submit_backup(&s->w.c, &s->r, &q, &waits));
	assert_ok(task_cancel(&s->w.c, &s->r, TASK_BACKUP, waits));
	assert_ok(task_get(&s->w.c, &s->r, TASK_BACKUP, waits, &t));
	assert_true(t.done && t.cancelled);
	sem_post(&go_on);
	wait_done(s, &s->r, TASK_BACKUP, id);
	versions_end_tasks(s->w.v);
	site_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup__round_trip_in_one_store),
		cmocka_unit_test(test_backup__round_trip_to_another_store),
		cmocka_unit_test(test_backup__commits_what_is_staged),
		cmocka_unit_test(test_backup__rules_of_collection),
		cmocka_unit_test(test_backup__each_step_fails),
		cmocka_unit_test(test_backup__source_has_lost_something),
		cmocka_unit_test(test_backup__outside),
		cmocka_unit_test(test_backup__targets),
		cmocka_unit_test(test_backup__verify),
		cmocka_unit_test(test_backup__tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
