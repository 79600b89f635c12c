/* Connections that break in the middle of a call, after more and more bytes in either direction:
 * reads go through, a write says OK only when it is there, and says so whenever it is and can be
 * known by its mark. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/kv/conformance.h"
#include "tests/kv/cutter.h"
#include "tests/kv/ddb_service.h"

static const struct str P = STR("p"), K = STR("k");

enum { MOST_BYTES = 4000, HEAD = 6, STEP = 13 };

static struct cutter *cutter;
static struct kv *kv;	  /* through the cutter */
static struct kv *direct; /* beside it */
static struct arena *arena;
static char table[32];

static struct kv *open_kv(int port, int64_t call_ms)
{
	struct kv_dynamodb_options o =
	    ddb_service_options(ddb_service_shared(), arena, port, table);
	struct kv *ret = NULL;
	struct err e = {0};

	o.max_connections = 2;
	o.call_ms = call_ms;
	if (!rc_ok(kv_dynamodb_open(&o, &ret, &e)))
		fail_msg("%s", e.msg);
	return ret;
}

static int setup_for(int64_t call_ms)
{
	static unsigned n;

	snprintf(table, sizeof(table), "cut-%u", n++);
	arena = arena_new();
	cutter = cutter_new(ddb_service_shared()->port);
	direct = open_kv(0, 0);
	kv = open_kv(cutter_port(cutter), call_ms);
	return 0;
}

static int setup(void **state)
{
	return setup_for(0);
}

static int setup_hasty(void **state)
{
	return setup_for(3000);
}

static int teardown(void **state)
{
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

/* Each of a batch has its own fate. */
static rc call_write_many(struct err *e)
{
	struct kv_write w[] = {
	    {.partition = P, .key = K, .value = STR("new"), .err = e},
	    {.partition = P, .key = STR("k2"), .value = STR("new")},
	    {.partition = P, .key = STR("gone"), .remove = true},
	};

	prepare("k2", "old");
	prepare("gone", "old");
	kv_write_many(kv, w, 3);
	assert_true(rc_ok(w[1].result) ? is(value_of("k2"), "new")
				       : rc_is(w[1].result, UNKNOWN_OUTCOME));
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

static rc call_partitions(struct err *e)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry entry;
	bool end;

	TRY(kv_partitions(kv, STR_NONE, &it, e));
	TRY(kv_iter_next(it, &entry, &end, e));
	assert_true(!end && str_eq(entry.key, P));
	return RC_OK;
}

static const struct call calls[] = {
    {"set", "old", "new", call_set},
    {"set_if absent", NULL, "new", call_create},
    {"set_if present", "old", "new", call_replace},
    {"set_if value", "old", "new", call_swap},
    {"delete", "old", NULL, call_delete},
    {"write_many", "old", "new", call_write_many},
    {"get", "old", "old", call_get},
    {"get nothing", "old", "old", call_get_nothing},
    {"scan", "old", "old", call_scan},
    {"partitions", "old", "old", call_partitions},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

struct outcome {
	int done, unknown_new, unknown_old;
};

static bool reads(const struct call *c)
{
	return is(c->before, c->after);
}

static void judge(const struct call *c, rc r, const struct err *e, uint64_t bytes,
		  struct outcome *o)
{
	const char *now = value_of("k");
	bool changed = is(now, c->after);

	if (rc_ok(r)) {
		if (!changed)
			fail_msg("%s, cut after %d bytes: OK, and not there", c->name, (int)bytes);
		o->done++;
		return;
	}
	if (reads(c) || !rc_is(r, UNKNOWN_OUTCOME))
		fail_msg("%s, cut after %d bytes: %s: %s", c->name, (int)bytes, err_name(r.code),
			 e->msg);
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

static void assert_outcome(const struct call *c, enum cutter_way way, const struct outcome *o)
{
	if (reads(c))
		assert_true(o->done > 10 && o->unknown_old + o->unknown_new == 0);
	else if (way == CUTTER_TO_SERVER)
		assert_true(o->done == 0 && o->unknown_new == 0 && o->unknown_old > 10);
	else if (c->make == call_delete)
		assert_true(o->unknown_new > 5 && o->unknown_old == 0);
	else
		assert_true(o->done > 5 && o->unknown_new == 0 && o->unknown_old == 0);
}

static void sweep(const struct call *c, enum cutter_way way)
{
	struct outcome o = {0};
	uint64_t bytes;

	for (bytes = 0; bytes < MOST_BYTES; bytes += bytes < HEAD ? 1 : STEP) {
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
		judge(c, r, &e, bytes, &o);
		arena_rewind(arena, mark);
	}
	print_message(
	    "%s, %s, up to %d bytes: OK %d, unknown and there %d, unknown and not there %d\n",
	    c->name, way == CUTTER_TO_SERVER ? "to the server" : "to the client", (int)bytes,
	    o.done, o.unknown_new, o.unknown_old);
	assert_in_range(bytes, 100, MOST_BYTES - 1);
	assert_outcome(c, way, &o);
}

static void test_cut__sweep_to_the_server(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		sweep(&calls[i], CUTTER_TO_SERVER);
}

static void test_cut__sweep_to_the_client(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		sweep(&calls[i], CUTTER_TO_CLIENT);
}

/* While idle: nobody notices, or a write doesn't know. */
static void test_cut__idle_connections(void **state)
{
	for (size_t i = 0; i < CALLS; i++) {
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

/* Silence instead of an end: a read is asked for again, a write is looked for. */
static void test_cut__silence(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		for (int way = 0; way < 2; way++) {
			const struct call *c = &calls[i];
			struct err e = {0};
			rc r;

			prepare("k", c->before);
			warm_up();
			cutter_arm(cutter, (enum cutter_way)way, 20, true);
			r = c->make(&e);
			assert_true(cutter_disarm(cutter));
			if (reads(c) || (way == CUTTER_TO_CLIENT && c->make != call_delete))
				assert_true(rc_ok(r));
			else
				assert_rc(r, UNKNOWN_OUTCOME);
		}
	warm_up();
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(test_cut__##name, with, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(sweep_to_the_server, setup),
	    TEST(sweep_to_the_client, setup),
	    TEST(idle_connections, setup),
	    TEST(silence, setup_hasty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
