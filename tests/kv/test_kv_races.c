/* What every driver does when many call at once. */
#include "tests/kv/conformance.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static const struct str P = STR("p");

struct crew {
	struct kv_fixture *f;
	void (*work)(struct crew *c, int me);
	int n;
	pthread_barrier_t barrier;
	atomic_int tally;
	void *ud;
};

struct member {
	struct crew *crew;
	int me;
	pthread_t thread;
};

static void *member_run(void *arg)
{
	struct member *m = arg;

	m->crew->work(m->crew, m->me);
	return NULL;
}

/* Runs work(c, 0 .. n-1) on a thread each and waits for all. */
static void crew_run(struct crew *c)
{
	struct member members[64];

	CHECK(c->n <= 64);
	pthread_barrier_init(&c->barrier, NULL, (unsigned)c->n);
	for (int i = 0; i < c->n; i++) {
		members[i] = (struct member){.crew = c, .me = i};
		CHECK(pthread_create(&members[i].thread, NULL, member_run, &members[i]) == 0);
	}
	for (int i = 0; i < c->n; i++)
		pthread_join(members[i].thread, NULL);
	pthread_barrier_destroy(&c->barrier);
}

static struct str text(char *to, const char *fmt, int a, int b)
{
	return str_make(to, (size_t)snprintf(to, 64, fmt, a, b));
}

#define CHECK_OK(call) CHECK(rc_ok(call))

static void create_once(struct crew *c, int me)
{
	char key[64], value[64];

	for (int round = 0; round < 20; round++) {
		rc r;

		pthread_barrier_wait(&c->barrier);
		r = kv_set_if(c->f->kv, P, text(key, "k%d", round, 0),
			      text(value, "%d", me, 0), KV_IF_ABSENT, STR_NONE, NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE));
		if (rc_ok(r))
			atomic_fetch_add(&c->tally, 1);
	}
}

static void test_kv__one_creates(void **state)
{
	struct crew c = {.f = *state, .work = create_once, .n = 16};

	crew_run(&c);
	assert_int_equal(c.tally, 20);
}

enum { INCREMENTS = 25 };

static void increment(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	char next[64];

	for (int done = 0; done < INCREMENTS;) {
		struct arena *a = arena_new();
		struct str v;
		uint64_t n;
		rc r;

		CHECK_OK(kv_get(kv, KV_BLOCK, P, STR("count"), a, &v, NULL));
		CHECK(str_to_u64(v, &n));
		r = kv_set_if(kv, P, STR("count"), text(next, "%d", (int)n + 1, 0), KV_IF_VALUE, v,
			      NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE));
		done += rc_ok(r);
		arena_free(a);
	}
}

static void test_kv__counter(void **state)
{
	struct kv_fixture *f = *state;
	struct crew c = {.f = f, .work = increment, .n = 8};
	char want[64];

	assert_ok(kv_text_set(f, "p", "count", "0"), f);
	crew_run(&c);
	text(want, "%d", 8 * INCREMENTS, 0);
	assert_string_equal(kv_text_get(f, "p", "count"), want);
}

/* One compares and sets, one writes in another way, at once, to the same key. In whatever order they
 * come, the other's change is what remains: either it came first and the comparison fails, or last.
 * A comparison that isn't atomic against it would bury it now and then. */
enum other { SET, DELETE, GUARDED, MANY, OTHERS };

static int rounds(const struct crew *c)
{
	return c->f->row->slow ? 120 : 1000;
}

/* The second one's guard never holds. */
static rc write_two(struct kv *kv, struct str key)
{
	struct kv_write w[2];

	for (int i = 0; i < 2; i++)
		w[i] = (struct kv_write){
			.partition = P,
			.key = i ? STR("never") : key,
			.value = STR("other"),
			.has_guard = true,
			.guard_partition = P,
			.guard_key = STR("guard"),
			.guard_value = i ? STR("off") : STR("on"),
		};
	kv_write_many(kv, w, 2);
	CHECK(rc_is(w[1].result, PREDICATE));
	return w[0].result;
}

static rc write_other(struct kv *kv, enum other how, struct str key)
{
	if (how == SET)
		return kv_set(kv, P, key, STR("other"), NULL);
	if (how == DELETE)
		return kv_delete(kv, P, key, NULL);
	if (how == GUARDED)
		return kv_set_guarded(kv, P, key, STR("other"), P, STR("guard"), STR("on"), NULL);
	return write_two(kv, key);
}

static void compare_against_others(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	enum other how = me / 2;
	char key[64];

	for (int round = 0; round < rounds(c); round++) {
		struct str k = text(key, "k%d-%d", how, round);
		rc r;

		if (me % 2)
			CHECK_OK(kv_set(kv, P, k, STR("old"), NULL));
		pthread_barrier_wait(&c->barrier);
		if (me % 2) {
			r = kv_set_if(kv, P, k, STR("compared"), KV_IF_VALUE, STR("old"), NULL);
			CHECK(rc_ok(r) || rc_is(r, PREDICATE));
			atomic_fetch_add(&c->tally, rc_ok(r));
		} else {
			CHECK_OK(write_other(kv, how, k));
		}
	}
}

static void test_kv__set_if_against_other_writes(void **state)
{
	struct kv_fixture *f = *state;
	struct crew c = {.f = f, .work = compare_against_others, .n = 2 * OTHERS};
	char key[64];

	if (!kv_has_guarded(f->kv))
		c.n = 2 * GUARDED;
	assert_ok(kv_text_set(f, "p", "guard", "on"), f);
	crew_run(&c);
	for (int how = 0; how < c.n / 2; how++)
		for (int round = 0; round < rounds(&c); round++) {
			const char *v = kv_text_get(f, "p", text(key, "k%d-%d", how, round).p);

			if (how == DELETE)
				assert_null(v);
			else
				assert_string_equal(v, "other");
		}
}

/* The branch in small. Writers stage under the token that the branch record names; the sealer changes
 * the record, then lists what was staged under the old token. Nothing may come after that list, and
 * every acknowledged one is on it. */
enum { SEALS = 25, WRITERS = 8, ENOUGH = 500 };

struct branch {
	atomic_int staged[SEALS + 1]; /* acknowledged, by token */
	int listed[SEALS];
	atomic_bool stop;
};

static int count_entries(struct kv *kv, struct str partition)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end = false;
	int n = -1;

	CHECK_OK(kv_scan(kv, partition, STR_NONE, 0, &it, NULL));
	while (!end) {
		CHECK_OK(kv_iter_next(it, &e, &end, NULL));
		n++;
	}
	return n;
}

/* Locks aren't fair: on few cores the one that seals may not come to its turn among so many that write, and what it
 * has to count grows the while. */
static void give_way(struct branch *b, uint64_t t)
{
	if (atomic_load(&b->staged[t]) > ENOUGH)
		usleep(1000);
	else
		sched_yield();
}

static void stage(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	struct branch *b = c->ud;
	char key[64];

	for (int i = 0; !atomic_load(&b->stop); i++) {
		struct arena *a = arena_new();
		struct str token;
		uint64_t t;
		rc r;

		CHECK_OK(kv_get(kv, KV_BLOCK, P, STR("branch"), a, &token, NULL));
		CHECK(str_to_u64(token, &t));
		r = kv_set_guarded(kv, token, text(key, "%d/%d", me, i), STR("entry"), P,
				   STR("branch"), token, NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE));
		if (rc_ok(r))
			atomic_fetch_add(&b->staged[t], 1);
		arena_free(a);
		give_way(b, t);
	}
}

enum { BATCH = 5 };

static void stage_many(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	struct branch *b = c->ud;
	char keys[BATCH][64];

	for (int i = 0; !atomic_load(&b->stop); i++) {
		struct arena *a = arena_new();
		struct kv_write w[BATCH];
		struct str token;
		uint64_t t;

		CHECK_OK(kv_get(kv, KV_BLOCK, P, STR("branch"), a, &token, NULL));
		CHECK(str_to_u64(token, &t));
		for (int k = 0; k < BATCH; k++)
			w[k] = (struct kv_write){
				.partition = token,
				.key = text(keys[k], "%d/%d", me, i * BATCH + k),
				.value = STR("entry"),
				.has_guard = true,
				.guard_partition = P,
				.guard_key = STR("branch"),
				.guard_value = token,
			};
		kv_write_many(kv, w, BATCH);
		for (int k = 0; k < BATCH; k++) {
			CHECK(w[k].result.code == w[0].result.code);
			CHECK(rc_ok(w[k].result) || rc_is(w[k].result, PREDICATE));
		}
		if (rc_ok(w[0].result))
			atomic_fetch_add(&b->staged[t], BATCH);
		arena_free(a);
		give_way(b, t);
	}
}

static void seal(struct crew *c)
{
	struct kv *kv = c->f->kv;
	struct branch *b = c->ud;
	char old[64], new[64];

	for (int t = 0; t < SEALS; t++) {
		while (atomic_load(&b->staged[t]) < WRITERS)
			sched_yield();
		CHECK_OK(kv_set_if(kv, P, STR("branch"), text(new, "%d", t + 1, 0), KV_IF_VALUE,
				   text(old, "%d", t, 0), NULL));
		b->listed[t] = count_entries(kv, str_c(old));
	}
	atomic_store(&b->stop, true);
}

static void stage_or_seal(struct crew *c, int me)
{
	if (me && me % 2)
		stage(c, me);
	else if (me)
		stage_many(c, me);
	else
		seal(c);
}

static void test_kv__nothing_is_staged_after_the_seal(void **state)
{
	struct kv_fixture *f = *state;
	struct branch b = {0};
	struct crew c = {.f = f, .work = stage_or_seal, .n = 1 + WRITERS, .ud = &b};
	char token[64];

	if (!kv_has_guarded(f->kv))
		return; /* the next test is for those */
	assert_ok(kv_text_set(f, "p", "branch", "0"), f);
	crew_run(&c);
	for (int t = 0; t < SEALS; t++) {
		assert_int_equal(b.listed[t], b.staged[t]);
		assert_int_equal(count_entries(f->kv, text(token, "%d", t, 0)), b.listed[t]);
	}
}

/* The same without guards: who wrote, and then still finds the token in the branch record, has been seen by the
 * list that is made after the record was changed. */
enum { KEYS = 4096 };

struct plain_branch {
	struct branch b;
	bool acknowledged[SEALS + 1][WRITERS + 1][KEYS], listed[SEALS][WRITERS + 1][KEYS];
};

static void stage_plainly(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	struct plain_branch *b = c->ud;
	char key[64];

	for (int i = 0; !atomic_load(&b->b.stop); i++) {
		struct arena *a = arena_new();
		struct kv_read again = {.partition = P, .key = STR("branch"), .a = a};
		struct str token;
		struct kv_write w = {.key = text(key, "%d/%d", me, i % KEYS),
				     .value = STR("entry")};
		uint64_t t;

		CHECK_OK(kv_get(kv, KV_BLOCK, P, STR("branch"), a, &token, NULL));
		CHECK(str_to_u64(token, &t));
		w.partition = token;
		kv_write_then_read(kv, &w, 1, &again, 1);
		CHECK_OK(w.result);
		CHECK_OK(again.result);
		if (str_eq(again.value, token)) {
			b->acknowledged[t][me][i % KEYS] = true;
			atomic_fetch_add(&b->b.staged[t], 1);
		}
		arena_free(a);
	}
}

static void list_entries(struct kv *kv, struct plain_branch *b, int t)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	char token[64];
	bool end = false;

	CHECK_OK(kv_scan(kv, text(token, "%d", t, 0), STR_NONE, 0, &it, NULL));
	for (;;) {
		struct str i, me;
		uint64_t me_n, i_n;

		CHECK_OK(kv_iter_next(it, &e, &end, NULL));
		if (end)
			return;
		me = str_cut(e.key, '/', &i);
		CHECK(str_to_u64(me, &me_n) && str_to_u64(i, &i_n));
		b->listed[t][me_n][i_n] = true;
	}
}

static void stage_plainly_or_seal(struct crew *c, int me)
{
	struct plain_branch *b = c->ud;
	char old[64], new[64];

	if (me) {
		stage_plainly(c, me);
		return;
	}
	for (int t = 0; t < SEALS; t++) {
		while (atomic_load(&b->b.staged[t]) < WRITERS)
			sched_yield();
		CHECK_OK(kv_set_if(c->f->kv, P, STR("branch"), text(new, "%d", t + 1, 0),
				   KV_IF_VALUE, text(old, "%d", t, 0), NULL));
		list_entries(c->f->kv, b, t);
	}
	atomic_store(&b->b.stop, true);
}

static void test_kv__what_is_confirmed_is_seen_by_the_seal(void **state)
{
	struct kv_fixture *f = *state;
	struct plain_branch *b = calloc(1, sizeof(*b));
	struct crew c = {.f = f, .work = stage_plainly_or_seal, .n = 1 + WRITERS, .ud = b};

	assert_ok(kv_text_set(f, "p", "branch", "0"), f);
	crew_run(&c);
	for (int t = 0; t < SEALS; t++)
		for (int me = 1; me <= WRITERS; me++)
			for (int i = 0; i < KEYS; i++)
				assert_false(b->acknowledged[t][me][i] && !b->listed[t][me][i]);
	free(b);
}

/* One key, everybody, round after round: one wins each. */
static void take_the_round(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	char old[64], new[64];

	for (int round = 0; round < (c->f->row->slow ? 10 : 50); round++) {
		rc r;

		pthread_barrier_wait(&c->barrier);
		r = kv_set_if(kv, P, STR("race"), text(new, "%d", round + 1, 0), KV_IF_VALUE,
			      text(old, "%d", round, 0), NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE));
		atomic_fetch_add(&c->tally, rc_ok(r));
	}
}

static void test_kv__one_of_64_wins(void **state)
{
	struct kv_fixture *f = *state;
	struct crew c = {.f = f, .work = take_the_round, .n = 64};

	assert_ok(kv_text_set(f, "p", "race", "0"), f);
	crew_run(&c);
	assert_int_equal(c.tally, f->row->slow ? 10 : 50);
}

/* Writers and scanners in one partition: a scan stays sorted and sees what was there before. */
static void write_or_scan(struct crew *c, int me)
{
	struct kv *kv = c->f->kv;
	char key[64], last[64];

	for (int i = 0; i < (c->f->row->slow ? 40 : 400); i++) {
		CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
		struct kv_entry e;
		size_t last_n = 0;
		bool end = false;
		int fixed = 0;

		if (me % 2) {
			CHECK_OK(kv_set(kv, P, text(key, "%04d-%d", i, me), STR("v"), NULL));
			CHECK_OK(kv_delete(kv, P, text(key, "%04d-%d", i / 2, me), NULL));
			continue;
		}
		CHECK_OK(kv_scan(kv, P, STR_NONE, 0, &it, NULL));
		for (;;) {
			CHECK_OK(kv_iter_next(it, &e, &end, NULL));
			if (end)
				break;
			CHECK(str_cmp(str_make(last, last_n), e.key) < 0);
			CHECK(e.key.n < sizeof(last));
			memcpy(last, e.key.p, e.key.n);
			last_n = e.key.n;
			fixed += str_starts(e.key, STR("fixed"));
		}
		CHECK(fixed == 10);
	}
}

static void test_kv__scans_beside_writes(void **state)
{
	struct kv_fixture *f = *state;
	struct crew c = {.f = f, .work = write_or_scan, .n = 6};
	char key[64];

	for (int i = 0; i < 10; i++)
		assert_ok(kv_set(f->kv, P, text(key, "fixed%d", i, 0), STR("v"), &f->err), f);
	crew_run(&c);
}

/* "t" follows "b", step by step, with much between them. */
struct follower {
	struct kv *kv;
	atomic_bool stop;
	atomic_int steps;
};

static void *follow(void *arg)
{
	struct follower *l = arg;

	for (int i = 1; !atomic_load(&l->stop); i++) {
		char digits[64];
		struct str value = text(digits, "%d", i, 0);

		CHECK_OK(kv_set(l->kv, P, STR("b"), value, NULL));
		CHECK_OK(kv_set(l->kv, P, STR("t"), value, NULL));
		atomic_fetch_add(&l->steps, 1);
	}
	return NULL;
}

static int step_at(struct kv_fixture *f, struct kv_iter *it, const char *key)
{
	struct kv_entry e;
	uint64_t n = 0;
	bool end;

	assert_ok(kv_iter_seek(it, str_c(key), &f->err), f);
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(!end && str_eq(e.key, str_c(key)) && str_to_u64(e.value, &n));
	return (int)n;
}

static void test_kv__moment_while_writing(void **state)
{
	const struct str prefixes[KV_MOMENT_PREFIXES] = {STR("b"), STR("t")};
	struct kv_fixture *f = *state;
	struct follower l = {.kv = f->kv};
	int scans = 0, before = 0;
	pthread_t thread;
	char key[64];

	for (int i = 0; i < (f->row->moment_max ? f->row->moment_max - 2 : 500); i++)
		assert_ok(kv_set(f->kv, P, text(key, "b%d", i, 0), STR("between"), &f->err), f);
	assert_int_equal(pthread_create(&thread, NULL, follow, &l), 0);
	while (atomic_load(&l.steps) < 1)
		sched_yield();
	for (; scans < 30 || atomic_load(&l.steps) < 30; scans++) {
		CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
		int b, t;

		assert_ok(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), f);
		b = step_at(f, it, "b");
		t = step_at(f, it, "t");
		assert_in_range(b - t, 0, 1);
		assert_true(b >= before);
		before = b;
	}
	atomic_store(&l.stop, true);
	pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_kv__##name, kv_setup, kv_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(one_creates),
		TEST(counter),
		TEST(set_if_against_other_writes),
		TEST(nothing_is_staged_after_the_seal),
		TEST(what_is_confirmed_is_seen_by_the_seal),
		TEST(one_of_64_wins),
		TEST(scans_beside_writes),
		TEST(moment_while_writing),
	};

	return kv_run_rows(tests, sizeof(tests) / sizeof(tests[0]));
}
