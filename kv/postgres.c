/* The KV in a table of PostgreSQL: lakeFS's own, kv(partition_key, key, value), all bytea.
 *
 * Each call is one statement, so one transaction: nothing is begun that somebody else would have to end,
 * and nothing is kept in a session (a pooler may stand between).
 *
 * Conditions are in the statement: a set_if is an UPDATE that names the value it replaces, or an INSERT that
 * does nothing on a conflict, and the number of rows that it changed is the answer. It is right under every
 * isolation level: under READ COMMITTED the row is looked at again once its lock is had, under
 * stricter ones such a statement fails and is repeated.
 *
 * Guards. There is no guarded set here, though a statement could lock the guard's row and write. Many
 * who share one row's lock make PostgreSQL keep lists of them (MultiXacts): measured with 64 writers on
 * one branch and a synced log, one list for each write, of 34 members on the average, and a tenth fewer
 * writes a second than what is done instead: write_then_read, the write and the guard's read behind it in
 * one flight. Advisory locks are no better, and CockroachDB has none. docs/kv-drivers.md has the figures.
 *
 * Failure. A write that was handed over and not answered is UNKNOWN_OUTCOME and never sent again: the first
 * one may be carried out still, long after the second. Reads are sent again. */
#include "kv/postgres.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	OPEN_DEFAULT = 25,
	PAGE_DEFAULT = 1000,
	PAGE_MAX = 10000,
	CALL_MS = 30 * 1000,
	WAIT_MS = 10 * 1000,
};

static rc pg_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		 struct arena *a, struct str *ret_value, struct err *reterr)
{
	struct postgres *p = (struct postgres *)kv;
	struct pg_statement s = {.sql = p->sql.get, .n = 2, .params = {partition, key}};
	rc r = pg_run_one(p, &s, true, reterr);

	if (rc_ok(r) && PQntuples(s.result) == 0)
		r = err_default(reterr, ERR_NOT_FOUND);
	else if (rc_ok(r))
		*ret_value = arena_dup(a, pg_value(s.result, 0, 0));
	PQclear(s.result);
	return r;
}

static rc pg_set(struct kv *kv, struct str partition, struct str key, struct str value,
		 struct err *reterr)
{
	struct postgres *p = (struct postgres *)kv;
	struct pg_statement s = {.sql = p->sql.set, .n = 3, .params = {partition, key, value}};
	rc r = pg_run_one(p, &s, false, reterr);

	PQclear(s.result);
	return r;
}

static rc pg_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		    enum kv_cond cond, struct str current, struct err *reterr)
{
	struct postgres *p = (struct postgres *)kv;
	struct pg_statement s = {
		.sql = cond == KV_IF_ABSENT    ? p->sql.create
		       : cond == KV_IF_PRESENT ? p->sql.replace
					       : p->sql.swap,
		.n = cond == KV_IF_VALUE ? 4 : 3,
		.params = {partition, key, value, current},
	};
	rc r = pg_run_one(p, &s, false, reterr);

	if (rc_ok(r) && pg_affected(s.result) == 0)
		r = err_default(reterr, ERR_PREDICATE);
	PQclear(s.result);
	return r;
}

static rc pg_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	struct postgres *p = (struct postgres *)kv;
	struct pg_statement s = {.sql = p->sql.remove, .n = 2, .params = {partition, key}};
	rc r = pg_run_one(p, &s, false, reterr);

	PQclear(s.result);
	return r;
}

static void postgres_free(struct postgres *p)
{
	if (p->pool)
		pg_pool_free(p->pool);
	arena_free(p->a);
	free(p);
}

static void pg_free(struct kv *kv)
{
	postgres_free((struct postgres *)kv);
}

static const struct kv_ops ops = {
	.name = "postgres",
	.get = pg_get,
	.set = pg_set,
	.set_if = pg_set_if,
	.delete = pg_delete,
	.scan = pg_scan,
	.scan_moment = pg_scan_moment,
	.free = pg_free,
	.partitions = pg_partitions,
	.write_many = pg_write_many,
	.write_then_read = pg_write_then_read,
};

static int64_t or_default(int64_t given, int64_t otherwise)
{
	return given > 0 ? given : otherwise;
}

static rc open_table(struct postgres *p, const struct kv_postgres_options *o, struct err *reterr)
{
	struct pg_pool_options pool = {
		.max_open = (unsigned)or_default(o->max_open_connections, OPEN_DEFAULT),
		.max_idle = o->max_idle_connections,
		.lifetime_ms = o->connection_max_lifetime_ms,
		.wait_ms = or_default(o->wait_ms, WAIT_MS),
		.connect_ms = or_default(o->connect_ms, WAIT_MS),
		.metrics = o->metrics,
	};

	/* The server gives up first, so that what didn't take place is known not to have. */
	TRY(pg_dsn_parse(o->connection_string, (unsigned)(p->call_ms / 4 * 3), p->a, &pool.dsn,
			 reterr));
	pg_schema_sql(p, pool.dsn.table);
	p->pool = pg_pool_new(&pool);
	return pg_schema_open(p, o->existing, reterr);
}

rc kv_postgres_open(const struct kv_postgres_options *o, struct kv **ret, struct err *reterr)
{
	struct postgres *p = calloc(1, sizeof(*p));
	int64_t page = or_default((int64_t)o->scan_page_size, PAGE_DEFAULT);
	rc r;

	if (!p)
		abort();
	p->kv.ops = &ops;
	p->a = arena_new();
	p->scan_page = (size_t)(page < PAGE_MAX ? page : PAGE_MAX);
	p->call_ms = or_default(o->call_ms, CALL_MS);
	r = open_table(p, o, reterr);
	if (rc_ok(r))
		*ret = &p->kv;
	else
		postgres_free(p);
	return r;
}
