/* What is DynamoDB's own: the table, its limits, pages, partitions in the order of a hash,
 * connections, restarts. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "kv/drivers.h"
#include "kv/dynamodb.h"
#include "tests/kv/conformance.h"
#include "tests/kv/ddb_proxy.h"
#include "tests/kv/ddb_service.h"

static const struct str P = STR("p"), K = STR("k");

static struct arena *arena;
static struct err err;
static char table[32];

static int setup(void **state)
{
	static unsigned n;

	snprintf(table, sizeof(table), "own-%u", n++);
	arena = arena_new();
	err = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static struct kv_dynamodb_options options(int port)
{
	return ddb_service_options(ddb_service_shared(), arena, port, table);
}

static struct kv *open_with(const struct kv_dynamodb_options *o)
{
	struct kv *kv = NULL;

	if (!rc_ok(kv_dynamodb_open(o, &kv, &err)))
		fail_msg("%s", err.msg);
	return kv;
}

static struct kv *open_plain(void)
{
	struct kv_dynamodb_options o = options(0);

	return open_with(&o);
}

static struct str repeated(char c, size_t n)
{
	return str_make(memset(arena_alloc(arena, n), c, n), n);
}

static void assert_told(const char *words)
{
	if (!strstr(err.msg, words))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, words);
	assert_null(strstr(err.msg, "nobody-may-see-me"));
}

static void set(struct kv *kv, struct str partition, struct str key, struct str value)
{
	if (!rc_ok(kv_set(kv, partition, key, value, &err)))
		fail_msg("%s", err.msg);
}

static struct str get(struct kv *kv, struct str key)
{
	struct str v = STR_NONE;
	rc r = kv_get(kv, KV_BLOCK, P, key, arena, &v, &err);

	if (!rc_ok(r) && !rc_is(r, NOT_FOUND))
		fail_msg("%s", err.msg);
	return v;
}

/* A request of the test's own. */
static void ask(struct kv *kv, struct ddb_call *c, const char *operation, struct str body)
{
	*c = (struct ddb_call){
	    .operation = operation, .body = body, .a = arena, .reads = true, .tries = 3};
	ddb_run((struct dynamodb *)kv, c);
}

/* The table. */

static void test_dynamodb__makes_its_table(void **state)
{
	struct kv_dynamodb_options o = options(0);
	struct kv *kv = NULL, *again;
	struct ddb_call c;
	struct json *t;

	o.existing = true;
	assert_rc(kv_dynamodb_open(&o, &kv, &err), NOT_FOUND);
	assert_told(table);
	assert_rc(kv_dynamodb_open(&o, &kv, &err), NOT_FOUND); /* and it made none */
	o.existing = false;
	kv = open_with(&o);
	set(kv, P, K, STR("v"));
	ask(kv, &c, "DescribeTable", arena_printf(arena, "{\"TableName\":\"%s\"}", table));
	assert_int_equal(c.fate, DDB_DONE);
	t = json_member(c.doc, "Table");
	assert_true(
	    str_eq(json_str(json_member(json_member(t, "BillingModeSummary"), "BillingMode")),
		   STR("PAY_PER_REQUEST")));
	/* What lakeFS reads. */
	ask(kv, &c, "GetItem",
	    arena_printf(arena,
			 "{\"TableName\":\"%s\",\"Key\":{\"PartitionKey\":{\"B\":\"cA==\"},"
			 "\"ItemKey\":{\"B\":\"aw==\"}}}",
			 table));
	assert_true(
	    str_eq(json_str(json_member(json_member(json_member(c.doc, "Item"), "ItemValue"), "B")),
		   STR("dg==")));
	o.existing = true;
	again = open_with(&o);
	assert_true(str_eq(get(again, K), STR("v")));
	kv_free(again);
	kv_free(kv);
}

static void *open_at_once(void *arg)
{
	struct kv_dynamodb_options o = *(struct kv_dynamodb_options *)arg;
	struct kv *kv = NULL;
	struct err e;
	rc r = kv_dynamodb_open(&o, &kv, &e);

	if (!rc_ok(r))
		fprintf(stderr, "%s\n", e.msg);
	CHECK(rc_ok(r));
	return kv;
}

static void test_dynamodb__made_by_several_at_once(void **state)
{
	enum { N = 6 };
	struct kv_dynamodb_options o = options(0);
	pthread_t threads[N];
	void *kvs[N];

	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_at_once, &o), 0);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], &kvs[i]);
	set(kvs[0], P, K, STR("shared"));
	for (int i = 0; i < N; i++) {
		assert_true(str_eq(get(kvs[i], K), STR("shared")));
		kv_free(kvs[i]);
	}
}

static void test_dynamodb__refuses_other_tables(void **state)
{
	struct kv *any = open_plain(), *kv = NULL;
	struct kv_dynamodb_options o = options(0);
	struct ddb_call c;

	ask(any, &c, "CreateTable",
	    arena_printf(arena,
			 "{\"TableName\":\"other-%s\",\"BillingMode\":\"PAY_PER_REQUEST\","
			 "\"AttributeDefinitions\":[{"
			 "\"AttributeName\":\"PartitionKey\",\"AttributeType\":\"S\"},{"
			 "\"AttributeName\":\"ItemKey\","
			 "\"AttributeType\":\"B\"}],\"KeySchema\":[{\"AttributeName\":"
			 "\"PartitionKey\",\"KeyType\":"
			 "\"HASH\"},{\"AttributeName\":\"ItemKey\",\"KeyType\":\"RANGE\"}]}",
			 table));
	assert_int_equal(c.fate, DDB_DONE);
	o.table_name = arena_printf(arena, "other-%s", table);
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	assert_told("is no KV");
	assert_told("database.dynamodb.table_name");
	kv_free(any);
}

static void test_dynamodb__configuration(void **state)
{
	struct kv *kv = NULL;
	struct kv_options all = {.type = STR("dynamodb"), .dynamodb = options(0)};
	struct kv_dynamodb_options o = options(0);

	o.endpoint = STR("localhost:8000");
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	assert_told("database.dynamodb.endpoint");
	o = options(0);
	o.table_name = STR("a b");
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	assert_told("database.dynamodb.table_name");
	o = options(0);
	o.secret = STR_NONE;
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	/* Nobody is there. */
	o = options(1);
	o.max_attempts = 2;
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	assert_told("can't be opened at http://127.0.0.1:1/");
	/* Region and endpoint from elsewhere. */
	o = options(0);
	o.region = o.endpoint = STR_NONE;
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_ENDPOINT_URL_DYNAMODB");
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	assert_rc(kv_dynamodb_open(&o, &kv, &err), CONFIG);
	assert_told("database.dynamodb.aws_region");
	setenv("AWS_ENDPOINT_URL_DYNAMODB", options(0).endpoint.p, 1);
	kv = open_with(&o);
	unsetenv("AWS_ENDPOINT_URL_DYNAMODB");
	kv_free(kv);
	/* By the table of drivers. */
	assert_true(rc_ok(kv_open(&all, &kv, &err)));
	assert_false(kv->ops->sole_owner);
	assert_false(kv_has_guarded(kv));
	kv_free(kv);
	all.existing = true;
	all.dynamodb.table_name = STR("none-yet");
	assert_rc(kv_open(&all, &kv, &err), NOT_FOUND);
}

static void test_dynamodb__region_of_a_profile(void **state)
{
	struct kv_dynamodb_options o = options(0);
	char folder[64], path[96];
	struct kv *kv;
	FILE *f;

	scratch_new(folder);
	snprintf(path, sizeof(path), "%s/config", folder);
	f = fopen(path, "w");
	fputs("[default]\nregion = eu-west-9\n[profile it]\nregion = xx-north-3\naws_access_key_id "
	      "= one\n"
	      "aws_secret_access_key = two\n",
	      f);
	fclose(f);
	setenv("AWS_CONFIG_FILE", path, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	o.region = o.access_key = o.secret = STR_NONE;
	o.profile = STR("it");
	kv = open_with(&o);
	assert_true(str_eq(((struct dynamodb *)kv)->region, STR("xx-north-3")));
	kv_free(kv);
	setenv("AWS_REGION", "yy-east-1", 1);
	kv = open_with(&o);
	assert_true(str_eq(((struct dynamodb *)kv)->region, STR("yy-east-1")));
	kv_free(kv);
	unsetenv("AWS_REGION");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	scratch_remove(folder);
}

/* Limits. */

static size_t most_of(struct str partition, struct str key)
{
	return DDB_ITEM_MAX - partition.n - key.n -
	       strlen(DDB_PARTITION DDB_KEY DDB_VALUE DDB_WRITE) - DDB_MARK;
}

/* Our bound is the service's: a value of that size is taken, and one more would not be. */
static void test_dynamodb__values_at_the_bound(void **state)
{
	struct kv *kv = open_plain();
	size_t most = most_of(P, K);
	struct str big = repeated('v', most), more = repeated('w', most + 1);
	struct kv_write w[] = {{.partition = P, .key = STR("a"), .value = STR("small")},
			       {.partition = P, .key = K, .value = more, .err = &err},
			       {.partition = P, .key = STR("b"), .value = big}};
	uint8_t mark[DDB_MARK] = {0};
	struct ddb_body b;
	struct ddb_call c;

	set(kv, P, K, big);
	assert_true(str_eq(get(kv, K), big));
	assert_rc(kv_set(kv, P, K, more, &err), INVALID);
	assert_told("400 KB");
	assert_told(arena_printf(arena, "%zu are the most", most).p);
	assert_rc(kv_set_if(kv, P, K, more, KV_IF_PRESENT, STR_NONE, &err), INVALID);
	assert_rc(kv_set_if(kv, P, K, STR("x"), KV_IF_VALUE, more, &err), PREDICATE);
	assert_true(rc_ok(kv_set_if(kv, P, K, STR("x"), KV_IF_VALUE, big, &err)));
	kv_write_many(kv, w, 3);
	assert_true(rc_ok(w[0].result));
	assert_rc(w[1].result, INVALID);
	assert_told("400 KB");
	assert_true(rc_ok(w[2].result));
	assert_true(str_eq(get(kv, K), STR("x")));
	/* Past our check. */
	ddb_begin(&b, (struct dynamodb *)kv, arena, more.n);
	ddb_item(&b, P, K, more, mark);
	ask(kv, &c, "PutItem", ddb_end(&b));
	assert_int_equal(c.fate, DDB_REFUSED);
	assert_non_null(strstr(c.why, "size"));
	kv_free(kv);
}

static void test_dynamodb__keys_at_the_bound(void **state)
{
	struct kv *kv = open_plain();
	struct str p = repeated('\xff', DDB_PARTITION_MAX), key = repeated('\xff', DDB_KEY_MAX),
		   more = repeated('k', DDB_KEY_MAX + 1), v;
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	set(kv, p, key, STR("v"));
	assert_true(rc_ok(kv_get(kv, KV_BLOCK, p, key, arena, &v, &err)));
	assert_rc(kv_set(kv, P, more, STR("v"), &err), INVALID);
	assert_told("1024");
	assert_rc(kv_get(kv, KV_BLOCK, P, more, arena, &v, &err), INVALID);
	assert_rc(kv_delete(kv, P, more, &err), INVALID);
	/* A scan may begin beyond what a key can be. */
	set(kv, P, str_head(more, DDB_KEY_MAX), STR("before"));
	set(kv, P, STR("l"), STR("behind"));
	assert_true(rc_ok(kv_scan(kv, P, more, 0, &it, &err)));
	assert_true(rc_ok(kv_iter_next(it, &e, &end, &err)) && !end);
	assert_true(str_eq(e.key, STR("l")));
	kv_free(kv);
}

/* Pages. */

static void *write_beside(void *arg)
{
	struct kv *kv = arg;
	struct arena *a = arena_new();
	char big[20000];

	memset(big, 'n', sizeof(big));
	for (int i = 0; i < 60; i++) {
		struct str key = arena_printf(a, "%03d-new", i * 2);

		CHECK(rc_ok(kv_set(kv, P, key, str_make(big, sizeof(big)), NULL)));
		CHECK(rc_ok(kv_delete(kv, P, key, NULL)));
	}
	arena_free(a);
	return NULL;
}

/* DynamoDB ends a page at 1 MB: what was there all the time is in it once, in order. */
static void test_dynamodb__scans_while_others_write(void **state)
{
	enum { N = 120 };
	struct kv *kv = open_plain();
	struct str value = repeated('v', 30000);
	pthread_t writer;

	for (int i = 0; i < N; i++)
		set(kv, P, arena_printf(arena, "%03d", i), value);
	assert_int_equal(pthread_create(&writer, NULL, write_beside, kv), 0);
	for (int round = 0; round < 4; round++) {
		CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
		struct kv_entry e;
		bool end;
		int n = 0;

		assert_true(rc_ok(kv_scan(kv, P, STR_NONE, 1000, &it, &err)));
		for (;;) {
			assert_true(rc_ok(kv_iter_next(it, &e, &end, &err)));
			if (end)
				break;
			if (e.key.n == 3) {
				assert_true(str_eq(e.key, arena_printf(arena, "%03d", n)));
				assert_true(str_eq(e.value, value));
				n++;
			}
		}
		assert_int_equal(n, N);
	}
	pthread_join(writer, NULL);
	kv_free(kv);
}

static void assert_partitions(struct kv *kv, int from, int to)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	assert_true(rc_ok(kv_partitions(kv, arena_printf(arena, "part%03d", from), &it, &err)));
	for (int i = from; i < to; i++) {
		if (!rc_ok(kv_iter_next(it, &e, &end, &err)))
			fail_msg("%s", err.msg);
		assert_false(end);
		assert_true(str_eq(e.key, arena_printf(arena, "part%03d", i)));
	}
	assert_true(rc_ok(kv_iter_next(it, &e, &end, &err)));
	assert_true(end);
	assert_true(rc_ok(kv_iter_next(it, &e, &end, &err)));
	assert_true(end);
}

static void test_dynamodb__partitions(void **state)
{
	enum { N = 100 };
	struct ddb_proxy proxy;
	struct kv_dynamodb_options o;
	struct str big = repeated('v', 300000);
	struct kv *kv;

	ddb_proxy_start(&proxy, ddb_service_shared()->port);
	o = options((int)proxy.fake.port);
	kv = open_with(&o);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++)
			set(kv, arena_printf(arena, "part%03d", i * 37 % N),
			    arena_printf(arena, "k%d", k), STR("v"));
	/* One that takes many pages: it is left after the first or second of them. */
	for (int k = 0; k < 30; k++)
		set(kv, STR("part050"), arena_printf(arena, "big%d", k), big);
	proxy.watched = "Scan";
	assert_partitions(kv, 0, N);
	print_message("%u requests for %d partitions, 9 MB in one of them\n", proxy.watched_n, N);
	assert_in_range(proxy.watched_n, 1, 4);
	/* Memory for a few names only: more scans. */
	((struct dynamodb *)kv)->names_bytes = 1000;
	proxy.watched_n = 0;
	assert_partitions(kv, 0, N);
	assert_in_range(proxy.watched_n, 5, 60);
	assert_partitions(kv, 73, N);
	kv_free(kv);
	ddb_proxy_stop(&proxy);
}

/* Connections. */

static void *read_much(void *arg)
{
	struct kv *kv = arg;
	struct arena *a = arena_new();
	struct str v;

	for (int i = 0; i < 5; i++)
		CHECK(rc_is(kv_get(kv, KV_BLOCK, P, K, a, &v, NULL), NOT_FOUND));
	arena_free(a);
	return NULL;
}

static void test_dynamodb__so_many_connections(void **state)
{
	enum { N = 12 };
	struct ddb_proxy proxy;
	struct kv_dynamodb_options o;
	pthread_t threads[N];
	struct kv *kv;

	ddb_proxy_start(&proxy, ddb_service_shared()->port);
	o = options((int)proxy.fake.port);
	o.max_connections = 3;
	kv = open_with(&o);
	proxy.most_under_way = 0;
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_much, kv), 0);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(proxy.most_under_way, 1, 3);
	kv_free(kv);
	ddb_proxy_stop(&proxy);
}

static void *hold_one(void *arg)
{
	struct str v;
	struct arena *a = arena_new();

	IGNORE_RC(kv_get(arg, KV_BLOCK, P, K, a, &v, NULL));
	arena_free(a);
	return NULL;
}

static atomic_bool held;

static bool hold_back(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		      struct fake_answer *w)
{
	while (held)
		usleep(1000);
	return false;
}

static void test_dynamodb__waits_for_a_connection_so_long(void **state)
{
	struct ddb_proxy proxy;
	struct kv_dynamodb_options o;
	pthread_t holder;
	struct kv *kv;

	ddb_proxy_start(&proxy, ddb_service_shared()->port);
	o = options((int)proxy.fake.port);
	o.max_connections = 1;
	o.wait_ms = 100;
	kv = open_with(&o);
	proxy.n = 0;
	held = true;
	proxy.answer = hold_back;
	assert_int_equal(pthread_create(&holder, NULL, hold_one, kv), 0);
	while (proxy.n == 0)
		usleep(1000);
	assert_rc(kv_set(kv, P, K, STR("v"), &err), SlowDown);
	assert_told("database.dynamodb.max_connections");
	held = false;
	pthread_join(holder, NULL);
	proxy.answer = NULL;
	assert_int_equal(get(kv, K).n, 0);
	kv_free(kv);
	ddb_proxy_stop(&proxy);
}

static bool ill(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		struct fake_answer *w)
{
	ddb_proxy_refuse(q, 500, "InternalServerError", w);
	return true;
}

static void wait_for_health(int64_t want)
{
	struct metric *m = metric_get(METRIC_GAUGE, "kv_dynamodb_healthy", "", NULL);
	int64_t end = mono_ms() + 60000;

	while (metric_value(m) != want) {
		assert_true(mono_ms() < end);
		usleep(10000);
	}
}

static void test_dynamodb__health(void **state)
{
	struct ddb_proxy proxy;
	struct kv_dynamodb_options o;
	struct kv *kv;

	ddb_proxy_start(&proxy, ddb_service_shared()->port);
	o = options((int)proxy.fake.port);
	o.health_check_ms = 50;
	kv = open_with(&o);
	wait_for_health(1);
	proxy.answer = ill;
	wait_for_health(0);
	proxy.answer = NULL;
	wait_for_health(1);
	kv_free(kv);
	ddb_proxy_stop(&proxy);
}

static void test_dynamodb__service_restarts(void **state)
{
	struct ddb_service service;
	struct kv_dynamodb_options o;
	struct str v;
	struct kv *kv;

	ddb_service_new(&service, false);
	o = ddb_service_options(&service, arena, 0, table);
	o.max_attempts = 2;
	kv = open_with(&o);
	set(kv, P, K, STR("before"));
	ddb_service_stop(&service);
	assert_rc(kv_get(kv, KV_BLOCK, P, K, arena, &v, &err), ServiceUnavailable);
	assert_told("can't be reached");
	assert_rc(kv_set(kv, P, K, STR("lost"), &err), ServiceUnavailable);
	ddb_service_start(&service);
	assert_true(str_eq(get(kv, K), STR("before")));
	assert_true(rc_ok(kv_set_if(kv, P, K, STR("after"), KV_IF_VALUE, STR("before"), &err)));
	assert_true(str_eq(get(kv, K), STR("after")));
	kv_free(kv);
	ddb_service_remove(&service);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_dynamodb__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(makes_its_table),
	    TEST(made_by_several_at_once),
	    TEST(refuses_other_tables),
	    TEST(configuration),
	    TEST(region_of_a_profile),
	    TEST(values_at_the_bound),
	    TEST(keys_at_the_bound),
	    TEST(scans_while_others_write),
	    TEST(partitions),
	    TEST(so_many_connections),
	    TEST(waits_for_a_connection_so_long),
	    TEST(health),
	    TEST(service_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
