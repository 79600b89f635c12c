/* What is PostgreSQL's own: the table, the pool's bounds, time-outs, isolation levels, restarts, pages. */
#include "tests/kv/conformance.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "tests/kv/pg_cluster.h"

static const struct str P = STR("p"), K = STR("k");

struct fixture {
	struct kv_postgres_options o;
	struct kv *kv;
	struct arena *a;
	PGconn *sql; /* beside it */
	struct err err;
	char table[32], uri[256];
};

static unsigned tables;

/* `more`: of the connection string. */
static rc open_with(struct fixture *f, const char *more)
{
	char end[128];

	snprintf(end, sizeof(end), "&lakefskv_table=%s%s", f->table, more);
	f->o.connection_string = str_c(pg_cluster_uri(pg_cluster_shared(), 0, end, f->uri));
	return kv_postgres_open(&f->o, &f->kv, &f->err);
}

static void must_open(struct fixture *f, const char *more)
{
	if (!rc_ok(open_with(f, more)))
		fail_msg("%s", f->err.msg);
}

/* With times that are shorter than a machine may stand still. */
static void open_hasty(struct fixture *f)
{
	int64_t end = mono_ms() + 60000;

	while (!rc_ok(open_with(f, "")))
		if (mono_ms() >= end)
			fail_msg("%s", f->err.msg);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char uri[256];

	f->a = arena_new();
	f->o.max_idle_connections = 25;
	snprintf(f->table, sizeof(f->table), "own%u", tables++);
	f->sql = PQconnectdb(pg_cluster_uri(pg_cluster_shared(), 0, "", uri));
	assert_int_equal(PQstatus(f->sql), CONNECTION_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kv_free(f->kv);
	PQfinish(f->sql);
	arena_free(f->a);
	free(f);
	return 0;
}

/* %s is the table. The first value, if any. */
static const char *sql(struct fixture *f, const char *fmt)
{
	char text[2048];
	const char *ret = "";
	PGresult *r;

	snprintf(text, sizeof(text), fmt, f->table, f->table);
	r = PQexec(f->sql, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", text, PQerrorMessage(f->sql));
	if (PQntuples(r))
		ret = arena_cstr(f->a, str_c(PQgetvalue(r, 0, 0)));
	PQclear(r);
	return ret;
}

static rc set(struct fixture *f, const char *key, const char *value)
{
	return kv_set(f->kv, P, str_c(key), str_c(value), &f->err);
}

static rc get(struct fixture *f, const char *key, struct str *ret)
{
	return kv_get(f->kv, KV_BLOCK, P, str_c(key), f->a, ret, &f->err);
}

static void assert_value(struct fixture *f, const char *key, const char *want)
{
	struct str v;

	assert_ok(get(f, key, &v), f);
	assert_true(str_eq(v, str_c(want)));
}

/* The table. */

static void test_postgres__makes_lakefs_columns(void **state)
{
	struct fixture *f = *state;

	must_open(f, "");
	assert_ok(kv_set(f->kv, STR("p\0\xff"), STR("k/\x01"), STR("\0v"), &f->err), f);
	assert_string_equal(sql(f, "SELECT encode(partition_key, 'hex') || encode(key, 'hex') || "
				   "encode(value, 'hex') FROM %s"),
			    "7000ff"
			    "6b2f01"
			    "0076");
	assert_string_equal(sql(f, "SELECT string_agg(column_name || ' ' || data_type || ' ' || "
				   "is_nullable, ', ' ORDER BY ordinal_position) FROM "
				   "information_schema.columns WHERE table_name = '%s'"),
			    "partition_key bytea NO, key bytea NO, value bytea NO");
	sql(f, "INSERT INTO %s VALUES ('q', 'by hand', 'seen')");
	kv_free(f->kv);
	must_open(f, "");
	assert_rc(get(f, "by hand", &(struct str){0}), NOT_FOUND);
	assert_ok(kv_get(f->kv, KV_BLOCK, STR("q"), STR("by hand"), f->a, &(struct str){0}, &f->err),
		  f);
}

static void test_postgres__takes_a_partitioned_table(void **state)
{
	struct fixture *f = *state;
	struct kv_write w[] = {{.partition = P, .key = K, .value = STR("v")},
			       {.partition = STR("other"), .key = K, .value = STR("v2")}};

	sql(f, "CREATE TABLE %s (partition_key BYTEA NOT NULL, key BYTEA NOT NULL, value BYTEA NOT NULL, "
	       "PRIMARY KEY (partition_key, key)) PARTITION BY HASH (partition_key)");
	for (int i = 0; i < 5; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "CREATE TABLE %%s_%d PARTITION OF %%s FOR VALUES WITH (MODULUS 5, REMAINDER %d)",
			 i, i);
		sql(f, text);
	}
	must_open(f, "");
	kv_write_many(f->kv, w, 2);
	assert_ok(w[0].result, f);
	assert_ok(w[1].result, f);
	assert_ok(kv_set_if(f->kv, P, K, STR("v3"), KV_IF_VALUE, STR("v"), &f->err), f);
	assert_rc(kv_set_if(f->kv, P, K, STR("v3"), KV_IF_ABSENT, STR_NONE, &f->err), PREDICATE);
	assert_value(f, "k", "v3");
}

static void refused(struct fixture *f, const char *more, const char *word)
{
	assert_rc(open_with(f, more), CONFIG);
	if (!strstr(f->err.msg, word))
		fail_msg("no \"%s\" in: %s", word, f->err.msg);
	assert_null(strstr(f->err.msg, "nobody-may-see-me"));
	f->kv = NULL;
}

static void test_postgres__refuses_other_tables(void **state)
{
	struct fixture *f = *state;

	sql(f, "CREATE TABLE %s (a int)");
	refused(f, "", "isn't lakeFS's or sluice's");
	sql(f, "DROP TABLE %s; CREATE TABLE %s (partition_key text, key bytea, value bytea)");
	refused(f, "", "isn't lakeFS's or sluice's");
	sql(f, "DROP TABLE %s; CREATE TABLE %s (partition_key bytea, key bytea, value bytea)");
	refused(f, "", "isn't lakeFS's or sluice's"); /* no key */
	assert_string_equal(sql(f, "SELECT count(*) FROM %s"), "0");
}

static void test_postgres__refuses_what_it_may_not_write(void **state)
{
	struct fixture *f = *state;

	sql(f, "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'guest') THEN CREATE ROLE "
	       "guest LOGIN; END IF; END $$");
	refused(f, "&user=guest", "CREATE"); /* no table, and it may not make one */
	must_open(f, "");
	kv_free(f->kv);
	refused(f, "&user=guest", "SELECT, INSERT");
}

static void test_postgres__refuses_bad_addresses(void **state)
{
	struct fixture *f = *state;

	refused(f, "&dbname=none", "does not exist");
	f->o.connect_ms = 300;
	refused(f, "&port=1", "can't be opened");
	refused(f, "&port=nobody-may-see-me", "no connection string");
	refused(f, "&host=nobody-may-see-me%40x", "no connection string");
	f->o.connection_string = STR("postgres://u:nobody-may-see-me%zz@h/d");
	assert_rc(kv_postgres_open(&f->o, &f->kv, &f->err), CONFIG);
	assert_null(strstr(f->err.msg, "nobody-may"));
	f->o.connection_string = STR("host='nobody-may-see-me");
	assert_rc(kv_postgres_open(&f->o, &f->kv, &f->err), CONFIG);
	assert_null(strstr(f->err.msg, "nobody-may"));
	f->kv = NULL;
}

static void *open_beside(void *arg)
{
	struct fixture *f = arg;

	CHECK(rc_ok(open_with(f, "")));
	return NULL;
}

static void test_postgres__many_make_the_table_at_once(void **state)
{
	struct fixture *f = *state;
	struct fixture others[8];
	pthread_t threads[8];

	for (int i = 0; i < 8; i++) {
		others[i] = *f;
		CHECK(pthread_create(&threads[i], NULL, open_beside, &others[i]) == 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		kv_free(others[i].kv);
	}
	assert_string_equal(sql(f, "SELECT count(*) FROM %s"), "0");
}

static void test_postgres__finds_or_makes_none(void **state)
{
	struct fixture *f = *state;

	f->o.existing = true;
	assert_rc(open_with(f, ""), NOT_FOUND);
	assert_string_equal(sql(f, "SELECT count(*) FROM pg_tables WHERE tablename = '%s'"), "0");
	f->o.existing = false;
	must_open(f, "");
	kv_free(f->kv);
	f->o.existing = true;
	must_open(f, "");
}

/* The pool. */

static const char *sessions(struct fixture *f)
{
	return sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice-%s'");
}

static void open_named(struct fixture *f)
{
	char name[64];

	snprintf(name, sizeof(name), "&application_name=sluice-%s", f->table);
	must_open(f, name);
}

static void wait_for_sessions(struct fixture *f, const char *n)
{
	int64_t end = mono_ms() + 60000;

	while (strcmp(sessions(f), n) != 0)
		assert_true(mono_ms() < end);
}

struct task {
	struct fixture *f;
	pthread_t thread;
	const char *key;
	rc r;
};

static void *set_one(void *arg)
{
	struct task *t = arg;

	t->r = kv_set(t->f->kv, P, str_c(t->key), STR("new"), NULL);
	return NULL;
}

static void begin(struct task *t, struct fixture *f, const char *key)
{
	*t = (struct task){.f = f, .key = key};
	CHECK(pthread_create(&t->thread, NULL, set_one, t) == 0);
}

static void lock_row(struct fixture *f)
{
	assert_ok(set(f, "locked", "old"), f);
	sql(f, "BEGIN");
	sql(f, "SELECT 1 FROM %s WHERE key = 'locked' FOR UPDATE");
}

static int count_blocked(PGconn *c)
{
	PGresult *r = PQexec(c, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
	int n = PQntuples(r);

	CHECK(PQresultStatus(r) == PGRES_TUPLES_OK);
	PQclear(r);
	return n;
}

/* At least so many; none: exactly. */
static void wait_for_blocked(struct fixture *f, int n)
{
	char uri[256];
	PGconn *c = PQconnectdb(pg_cluster_uri(pg_cluster_shared(), 0, "", uri));
	int64_t end = mono_ms() + 60000;

	while (n ? count_blocked(c) < n : count_blocked(c) > 0)
		CHECK(mono_ms() < end);
	PQfinish(c);
}

static void test_postgres__a_full_pool_says_so(void **state)
{
	struct fixture *f = *state;
	struct task t[2];

	f->o.max_open_connections = 2;
	f->o.wait_ms = 200;
	open_named(f);
	lock_row(f);
	begin(&t[0], f, "locked");
	begin(&t[1], f, "locked");
	wait_for_blocked(f, 2);
	assert_rc(set(f, "free", "v"), SlowDown);
	assert_non_null(strstr(f->err.msg, "max_open_connections"));
	assert_rc(get(f, "free", &(struct str){0}), SlowDown);
	sql(f, "COMMIT");
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i].thread, NULL);
		assert_true(rc_ok(t[i].r));
	}
	assert_string_equal(sessions(f), "2");
	assert_rc(get(f, "free", &(struct str){0}), NOT_FOUND);
	assert_value(f, "locked", "new");
}

static void test_postgres__who_waits_is_served(void **state)
{
	struct fixture *f = *state;
	struct task t[40];
	char keys[40][16];

	f->o.max_open_connections = 3;
	open_named(f);
	lock_row(f);
	for (int i = 0; i < 40; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		begin(&t[i], f, i < 3 ? "locked" : keys[i]);
	}
	wait_for_blocked(f, 1);
	sql(f, "COMMIT");
	for (int i = 0; i < 40; i++) {
		pthread_join(t[i].thread, NULL);
		assert_true(rc_ok(t[i].r));
	}
	assert_true(atoi(sessions(f)) <= 3);
}

static void test_postgres__idle_connections_are_few(void **state)
{
	struct fixture *f = *state;
	struct task t[8];

	f->o.max_idle_connections = 2;
	open_named(f);
	lock_row(f);
	for (int i = 0; i < 8; i++)
		begin(&t[i], f, "locked");
	wait_for_blocked(f, 8);
	sql(f, "COMMIT");
	for (int i = 0; i < 8; i++)
		pthread_join(t[i].thread, NULL);
	wait_for_sessions(f, "2");
}

static void test_postgres__old_connections_are_replaced(void **state)
{
	struct fixture *f = *state;
	const char *first;
	int64_t end = mono_ms() + 60000;

	f->o.connection_max_lifetime_ms = 50;
	open_named(f);
	assert_ok(set(f, "k", "v"), f);
	first = sql(f, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'sluice-%s'");
	do {
		assert_true(mono_ms() < end);
		assert_value(f, "k", "v");
	} while (strcmp(first, sql(f, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = "
				      "'sluice-%s'")) == 0);
}

static void test_postgres__metrics(void **state)
{
	struct fixture *f = *state;
	struct metric *idle, *used;

	f->o.metrics = true;
	must_open(f, "");
	assert_ok(set(f, "k", "v"), f);
	idle = metric_get(METRIC_GAUGE, "kv_postgres_connections", "Connections to PostgreSQL.",
			  "state=\"idle\"");
	used = metric_get(METRIC_GAUGE, "kv_postgres_connections", "Connections to PostgreSQL.",
			  "state=\"used\"");
	assert_int_equal(metric_value(idle), 1);
	assert_int_equal(metric_value(used), 0);
}

/* Time. */

static void test_postgres__a_statement_that_waits_is_cancelled(void **state)
{
	struct fixture *f = *state;
	int64_t since = 0;
	rc r = RC_OK;

	must_open(f, "");
	lock_row(f);
	kv_free(f->kv);
	f->kv = NULL;
	f->o.call_ms = 1000;
	open_hasty(f);
	/* The server gave up first: it is sure that nothing was written. A machine that stands still may bring us
	 * before it. */
	for (int i = 0; i < 20; i++) {
		since = mono_ms();
		r = set(f, "locked", "new");
		if (!rc_is(r, UNKNOWN_OUTCOME))
			break;
	}
	assert_rc(r, ServiceUnavailable);
	assert_in_range(mono_ms() - since, 500, 60000);
	wait_for_blocked(f, 0);
	sql(f, "COMMIT");
	kv_free(f->kv);
	f->o.call_ms = 0;
	must_open(f, "");
	assert_value(f, "locked", "old");
}

/* Isolation: clashes are retried, whatever the administrator has set. */

enum { INCREMENTS = 20, THREADS = 8 };

static void *count_up(void *arg)
{
	struct fixture *f = arg;
	char next[32];

	for (int done = 0; done < INCREMENTS;) {
		struct arena *a = arena_new();
		struct str v;
		uint64_t n;
		rc r;

		CHECK(rc_ok(kv_get(f->kv, KV_BLOCK, P, K, a, &v, NULL)) && str_to_u64(v, &n));
		snprintf(next, sizeof(next), "%d", (int)n + 1);
		r = kv_set_if(f->kv, P, K, str_c(next), KV_IF_VALUE, v, NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE));
		done += rc_ok(r);
		arena_free(a);
	}
	return NULL;
}

static void *write_in_disorder(void *arg)
{
	struct fixture *f = arg;
	static atomic_int turn;
	char keys[16][16];

	for (int i = 0; i < INCREMENTS; i++) {
		int me = atomic_fetch_add(&turn, 1);
		struct kv_write w[16];

		for (int k = 0; k < 16; k++) {
			snprintf(keys[k], sizeof(keys[k]), "k%d", (k * 7 + me) % 16);
			w[k] = (struct kv_write){.partition = P,
						 .key = str_c(keys[k]),
						 .value = STR("v"),
						 .remove = (k + me) % 4 == 0};
		}
		kv_write_many(f->kv, w, 16);
		for (int k = 0; k < 16; k++)
			CHECK(rc_ok(w[k].result));
	}
	return NULL;
}

static void run_threads(struct fixture *f, void *(*fn)(void *))
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, fn, f) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void test_postgres__isolation_levels(void **state)
{
	static const char *const levels[] = {"", "&default_transaction_isolation=repeatable%20read",
					     "&default_transaction_isolation=serializable"};
	struct fixture *f = *state;
	char want[16];

	for (int i = 0; i < 3; i++) {
		kv_free(f->kv);
		must_open(f, levels[i]);
		assert_ok(set(f, "k", "0"), f);
		run_threads(f, count_up);
		snprintf(want, sizeof(want), "%d", THREADS * INCREMENTS);
		assert_value(f, "k", want);
		run_threads(f, write_in_disorder);
	}
}

/* A service that restarts: calls fail in words, or wait; nothing acknowledged is lost. */

struct walker {
	struct fixture *f;
	atomic_int acknowledged;
	atomic_bool stop;
};

static void *write_on(void *arg)
{
	struct walker *w = arg;
	char value[32];

	for (int n = 1; !atomic_load(&w->stop); n++) {
		rc r;

		snprintf(value, sizeof(value), "%d", n);
		r = kv_set(w->f->kv, P, STR("walk"), str_c(value), NULL);
		CHECK(rc_ok(r) || rc_is(r, UNKNOWN_OUTCOME) || rc_is(r, ServiceUnavailable));
		if (rc_ok(r))
			atomic_store(&w->acknowledged, n);
	}
	return NULL;
}

static void *read_on(void *arg)
{
	struct walker *w = arg;

	while (!atomic_load(&w->stop)) {
		struct arena *a = arena_new();
		int least = atomic_load(&w->acknowledged);
		struct str v;
		uint64_t n;
		rc r = kv_get(w->f->kv, KV_BLOCK, P, STR("walk"), a, &v, NULL);

		CHECK(rc_ok(r) || rc_is(r, ServiceUnavailable));
		if (rc_ok(r))
			CHECK(str_to_u64(v, &n) && (int)n >= least);
		arena_free(a);
	}
	return NULL;
}

static void wait_for_more(struct walker *w)
{
	int from = atomic_load(&w->acknowledged);
	int64_t end = mono_ms() + 120000;

	while (atomic_load(&w->acknowledged) < from + 20) {
		CHECK(mono_ms() < end);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static void test_postgres__restarts(void **state)
{
	struct fixture *f = *state;
	struct walker w = {.f = f};
	pthread_t threads[4];

	must_open(f, "");
	assert_ok(set(f, "walk", "0"), f);
	PQfinish(f->sql);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, i ? read_on : write_on, &w) == 0);
	for (int i = 0; i < 3; i++) {
		wait_for_more(&w);
		pg_cluster_stop(pg_cluster_shared());
		pg_cluster_start(pg_cluster_shared());
	}
	wait_for_more(&w);
	atomic_store(&w.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	f->sql = NULL;
}

static void test_postgres__is_away_for_long(void **state)
{
	struct fixture *f = *state;
	int64_t since, end;

	f->o.connect_ms = 300;
	open_hasty(f);
	assert_ok(set(f, "k", "v"), f); /* on the connection that there is */
	PQfinish(f->sql);
	f->sql = NULL;
	pg_cluster_stop(pg_cluster_shared());
	since = mono_ms();
	assert_rc(set(f, "k", "w"), ServiceUnavailable);
	assert_rc(get(f, "k", &(struct str){0}), ServiceUnavailable);
	assert_in_range(mono_ms() - since, 0, 60000);
	assert_null(strstr(f->err.msg, "127.0.0.1"));
	pg_cluster_start(pg_cluster_shared());
	end = mono_ms() + 60000;
	while (rc_is(get(f, "k", &(struct str){0}), ServiceUnavailable))
		assert_true(mono_ms() < end);
	assert_value(f, "k", "v");
}

/* Pages. */

static void fill(struct fixture *f, const char *prefix, int n, size_t size)
{
	char *value = calloc(1, size + 1), key[32];

	memset(value, 'v', size);
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%s%05d", prefix, i);
		assert_ok(kv_set(f->kv, P, str_c(key), str_make(value, size), &f->err), f);
	}
	free(value);
}

static int count(struct fixture *f, size_t batch, size_t size)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end = false;
	char key[32];
	int n = 0;

	assert_ok(kv_scan(f->kv, P, STR_NONE, batch, &it, &f->err), f);
	for (;; n++) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		if (end)
			return n;
		snprintf(key, sizeof(key), "%05d", n);
		assert_true(str_eq(e.key, str_c(key)));
		assert_int_equal(e.value.n, size);
	}
}

static void test_postgres__pages_of_all_sizes(void **state)
{
	static const size_t pages[] = {1, 2, 7, 99, 100, 101, 1000};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		kv_free(f->kv);
		f->o.scan_page_size = pages[i];
		must_open(f, "");
		if (i == 0)
			fill(f, "", 203, 10);
		assert_int_equal(count(f, 0, 10), 203);
		assert_int_equal(count(f, 1, 10), 203);
		assert_int_equal(count(f, 202, 10), 203);
		assert_int_equal(count(f, 203, 10), 203);
		assert_int_equal(count(f, 5000, 10), 203);
	}
}

static void test_postgres__big_values_make_small_pages(void **state)
{
	struct fixture *f = *state;

	must_open(f, "");
	fill(f, "", 40, 1 << 20);
	assert_int_equal(count(f, 0, 1 << 20), 40);
	assert_int_equal(count(f, 1000, 1 << 20), 40);
}

/* As many as there is memory for, and no more. */
static void test_postgres__too_much_for_a_moment(void **state)
{
	const struct str prefixes[KV_MOMENT_PREFIXES] = {STR("a"), STR("b")};
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	const size_t mib = 1 << 20, all = KV_MOMENT_BYTES / mib;
	struct fixture *f = *state;
	struct kv_entry e;
	bool end = false;

	must_open(f, "");
	fill(f, "a", (int)all / 2, mib);
	fill(f, "b", (int)all / 2 - 1, mib);
	assert_ok(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), f);
	for (size_t n = 0; n < all; n++) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_true(end == (n == all - 1) && (end || e.value.n == mib));
	}
	kv_iter_close(it);
	it = NULL;
	fill(f, "b", (int)all / 2, mib);
	assert_rc(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), UNSUPPORTED);
	assert_non_null(strstr(f->err.msg, "64 MiB"));
	/* The connection that was left in the middle of it is no trouble to the next call. */
	assert_ok(kv_delete(f->kv, P, STR("a00000"), &f->err), f);
	assert_ok(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), f);
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(!end && str_eq(e.key, STR("a00001")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_postgres__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(makes_lakefs_columns),
		TEST(takes_a_partitioned_table),
		TEST(refuses_other_tables),
		TEST(refuses_what_it_may_not_write),
		TEST(refuses_bad_addresses),
		TEST(many_make_the_table_at_once),
		TEST(finds_or_makes_none),
		TEST(a_full_pool_says_so),
		TEST(who_waits_is_served),
		TEST(idle_connections_are_few),
		TEST(old_connections_are_replaced),
		TEST(metrics),
		TEST(a_statement_that_waits_is_cancelled),
		TEST(isolation_levels),
		TEST(pages_of_all_sizes),
		TEST(big_values_make_small_pages),
		TEST(too_much_for_a_moment),
		TEST(restarts),
		TEST(is_away_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
