/* Connections that break in the middle of a call, after each number of bytes in either direction: reads go
 * through, and a write says OK only when it is there, and UNKNOWN_OUTCOME when it may be. */
#include "tests/kv/conformance.h"

#include <libpq-fe.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/kv/cutter.h"
#include "tests/kv/pg_cluster.h"

static const struct str P = STR("p"), K = STR("k");

enum { MOST_BYTES = 4000 };

static struct cutter *cutter;
static struct kv *kv;     /* through the cutter */
static struct kv *direct; /* beside it */
static struct arena *arena;
static unsigned table;
static PGconn *observer;

static struct kv *open_kv(int port, int64_t call_ms)
{
	struct kv_postgres_options o = {
		.max_open_connections = 2, .max_idle_connections = 2, .call_ms = call_ms};
	char more[64], uri[256];
	struct kv *ret = NULL;
	struct err e = {0};

	snprintf(more, sizeof(more), "&lakefskv_table=cut%u", table);
	o.connection_string = str_c(pg_cluster_uri(pg_cluster_shared(), port, more, uri));
	if (!rc_ok(kv_postgres_open(&o, &ret, &e)))
		fail_msg("%s", e.msg);
	return ret;
}

static int setup_for(int64_t call_ms)
{
	char uri[256];

	table++;
	arena = arena_new();
	cutter = cutter_new(pg_cluster_shared()->port);
	direct = open_kv(0, 0);
	kv = open_kv(cutter_port(cutter), call_ms);
	observer = PQconnectdb(pg_cluster_uri(pg_cluster_shared(), 0, "", uri));
	assert_int_equal(PQstatus(observer), CONNECTION_OK);
	return 0;
}

static int setup(void **state)
{
	return setup_for(0);
}

static int setup_hasty(void **state)
{
	return setup_for(800);
}

static int teardown(void **state)
{
	PQfinish(observer);
	kv_free(kv);
	kv_free(direct);
	cutter_free(cutter);
	arena_free(arena);
	return 0;
}

static const char *value_of(const char *key)
{
	struct str v;
	rc r = kv_get(direct, KV_BLOCK, P, str_c(key), arena, &v, NULL);

	if (rc_is(r, NOT_FOUND))
		return NULL;
	assert_true(rc_ok(r));
	return arena_cstr(arena, v);
}

/* A session whose client was cut off may still be carrying out what it was told. */
static void wait_for_orphans(void)
{
	int64_t end = mono_ms() + 60000;
	uint64_t n = 0;

	do {
		PGresult *r = PQexec(observer, "SELECT count(*) FROM pg_stat_activity WHERE "
					       "backend_type = 'client backend' AND "
					       "pid <> pg_backend_pid()");

		assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
		assert_true(str_to_u64(str_c(PQgetvalue(r, 0, 0)), &n));
		PQclear(r);
		assert_true(mono_ms() < end);
	} while (n > 1 + cutter_live(cutter)); /* `direct` has one */
}

static void prepare(const char *key, const char *value)
{
	assert_true(rc_ok(value ? kv_set(direct, P, str_c(key), str_c(value), NULL)
				: kv_delete(direct, P, str_c(key), NULL)));
}

static bool is(const char *got, const char *want)
{
	return got && want ? strcmp(got, want) == 0 : got == want;
}

/* The calls. Each begins with k = before, and leaves k = after if it is carried out. */

struct call {
	const char *name, *before, *after;
	rc (*make)(struct err *e);
};

static rc call_set(struct err *e)
{
	return kv_set(kv, P, K, STR("new"), e);
}

static rc call_create(struct err *e)
{
	return kv_set_if(kv, P, K, STR("new"), KV_IF_ABSENT, STR_NONE, e);
}

static rc call_replace(struct err *e)
{
	return kv_set_if(kv, P, K, STR("new"), KV_IF_PRESENT, STR_NONE, e);
}

static rc call_swap(struct err *e)
{
	return kv_set_if(kv, P, K, STR("new"), KV_IF_VALUE, STR("old"), e);
}

static rc call_delete(struct err *e)
{
	return kv_delete(kv, P, K, e);
}

/* Its read must go through whatever becomes of the write, and come after it. */
static rc call_write_then_read(struct err *e)
{
	struct kv_write w = {.partition = P, .key = K, .value = STR("new"), .err = e};
	struct kv_read r = {.partition = P, .key = K, .a = arena};

	kv_write_then_read(kv, &w, 1, &r, 1);
	assert_true(rc_ok(r.result));
	assert_true(str_eq(r.value, STR("new")) ||
		    (str_eq(r.value, STR("old")) && rc_is(w.result, UNKNOWN_OUTCOME)));
	return w.result;
}

/* Two sets in one statement, deletions in one transaction: each group has one fate. */
static rc call_write_many(struct err *e)
{
	struct kv_write w[] = {
		{.partition = P, .key = K, .value = STR("new"), .err = e},
		{.partition = P, .key = STR("k2"), .value = STR("new")},
		{.partition = P, .key = STR("gone"), .remove = true},
		{.partition = P, .key = STR("gone2"), .remove = true},
	};

	for (int i = 0; i < 4; i++)
		prepare(i == 0 ? "k" : i == 1 ? "k2" : i == 2 ? "gone" : "gone2", "old");
	kv_write_many(kv, w, 4);
	wait_for_orphans();
	assert_int_equal(w[0].result.code, w[1].result.code);
	assert_int_equal(w[2].result.code, w[3].result.code);
	assert_true(is(value_of("k"), value_of("k2")));
	assert_true(is(value_of("gone"), value_of("gone2")));
	assert_true(rc_ok(w[2].result) ? !value_of("gone") : rc_is(w[2].result, UNKNOWN_OUTCOME));
	return w[0].result;
}

static rc call_get(struct err *e)
{
	struct str v;
	rc r = kv_get(kv, KV_BLOCK, P, K, arena, &v, e);

	if (rc_ok(r))
		assert_true(str_eq(v, STR("old")));
	return r;
}

static rc call_get_nothing(struct err *e)
{
	struct str v;
	rc r = kv_get(kv, KV_BLOCK, P, STR("none"), arena, &v, e);

	return rc_is(r, NOT_FOUND) ? RC_OK : rc_ok(r) ? RC(CORRUPT) : r;
}

static rc call_scan(struct err *e)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry entry;
	bool end;

	TRY(kv_scan(kv, P, K, 0, &it, e));
	TRY(kv_iter_next(it, &entry, &end, e));
	assert_true(!end && str_eq(entry.key, K) && str_eq(entry.value, STR("old")));
	return RC_OK;
}

static const struct call calls[] = {
	{"set", "old", "new", call_set},
	{"set_if absent", NULL, "new", call_create},
	{"set_if present", "old", "new", call_replace},
	{"set_if value", "old", "new", call_swap},
	{"delete", "old", NULL, call_delete},
	{"write_then_read", "old", "new", call_write_then_read},
	{"write_many", "old", "new", call_write_many},
	{"get", "old", "old", call_get},
	{"get nothing", "old", "old", call_get_nothing},
	{"scan", "old", "old", call_scan},
};

struct outcome {
	int done, unknown_new, unknown_old;
};

static void judge(const struct call *c, rc r, const struct err *e, uint64_t bytes, struct outcome *o)
{
	const char *now = value_of("k");
	bool changed = is(now, c->after), reads = is(c->before, c->after);

	if (rc_ok(r)) {
		if (!changed)
			fail_msg("%s, cut after %d bytes: OK, and not there", c->name, (int)bytes);
		o->done++;
		return;
	}
	if (reads || !rc_is(r, UNKNOWN_OUTCOME))
		fail_msg("%s, cut after %d bytes: %s: %s", c->name, (int)bytes, err_name(r.code), e->msg);
	assert_int_equal(e->code, ERR_UNKNOWN_OUTCOME);
	assert_null(strstr(e->msg, "nobody-may-see-me"));
	assert_true(changed || is(now, c->before));
	o->unknown_new += changed;
	o->unknown_old += !changed;
}

/* Some call makes sure that there is a connection, which isn't cut. */
static void warm_up(void)
{
	struct str v;
	rc r = kv_get(kv, KV_BLOCK, P, STR("none"), arena, &v, NULL);

	assert_rc(r, NOT_FOUND);
}

static void sweep(const struct call *c, enum cutter_way way)
{
	struct outcome o = {0};
	uint64_t bytes;

	/* Every byte of the head, where messages are short, then every third. */
	for (bytes = 0; bytes < MOST_BYTES; bytes += bytes < 40 ? 1 : 3) {
		struct arena_mark mark = arena_mark(arena);
		struct err e = {0};
		rc r;

		prepare("k", c->before);
		warm_up();
		cutter_arm(cutter, way, bytes, false);
		r = c->make(&e);
		if (!cutter_disarm(cutter)) {
			assert_true(rc_ok(r));
			break;
		}
		wait_for_orphans();
		judge(c, r, &e, bytes, &o);
		arena_rewind(arena, mark);
	}
	print_message("%s, %s, up to %d bytes: OK %d, unknown and there %d, unknown and not there %d\n",
		      c->name, way == CUTTER_TO_SERVER ? "to the server" : "to the client",
		      (int)bytes, o.done, o.unknown_new, o.unknown_old);
	assert_in_range(bytes, 30, MOST_BYTES - 1);
	if (is(c->before, c->after))
		assert_true(o.done > 30 && o.unknown_old + o.unknown_new == 0);
	else if (way == CUTTER_TO_SERVER)
		assert_true(o.unknown_old > 30);
	else
		assert_true(o.unknown_new > 10 && o.unknown_old == 0);
}

static void test_cut__sweep(void **state)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (int way = 0; way < 2; way++)
			sweep(&calls[i], (enum cutter_way)way);
}

/* While idle: nobody notices. */
static void test_cut__idle_connections(void **state)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t before;
		struct err e = {0};
		rc r;

		prepare("k", calls[i].before);
		warm_up();
		before = cutter_connections(cutter);
		cutter_drop_all(cutter);
		/* The close has to arrive; until then it is a cut in the middle. */
		nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
		r = calls[i].make(&e);
		assert_true(rc_ok(r) || rc_is(r, UNKNOWN_OUTCOME));
		if (rc_ok(r))
			assert_true(is(value_of("k"), calls[i].after));
		warm_up();
		assert_true(cutter_connections(cutter) > before);
	}
}

/* Silence instead of an end: the call ends at its deadline. */
static void test_cut__silence(void **state)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (int way = 0; way < 2; way++) {
			struct err e = {0};
			int64_t since = mono_ms();
			rc r;

			if (calls[i].make == call_write_then_read)
				continue; /* its read would have no time left */
			prepare("k", calls[i].before);
			warm_up();
			cutter_arm(cutter, (enum cutter_way)way, 20, true);
			r = calls[i].make(&e);
			assert_true(cutter_disarm(cutter));
			assert_in_range(mono_ms() - since, 500, 60000);
			if (is(calls[i].before, calls[i].after))
				assert_rc(r, ServiceUnavailable);
			else
				assert_rc(r, UNKNOWN_OUTCOME);
		}
	warm_up();
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(test_cut__##name, with, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(sweep, setup),
		TEST(idle_connections, setup),
		TEST(silence, setup_hasty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
