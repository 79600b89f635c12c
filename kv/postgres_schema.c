/* The table, and what is said to it. */
#include "kv/postgres.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTEA = 17, TRIES = 5, COLUMNS = 3 };

#define WHERE_KEY "WHERE partition_key = $1 AND key = $2"
#define INSERT_ONE "INSERT INTO %s (partition_key, key, value) VALUES ($1, $2, $3) "
#define OVERWRITE "ON CONFLICT (partition_key, key) DO UPDATE SET value = excluded.value"

/* From one name to the least above it, by the key's index, however many entries lie between. */
#define PARTITIONS(how)                                                                            \
	"WITH RECURSIVE p(name) AS ((SELECT partition_key FROM %1$s WHERE partition_key " how      \
	" $1 ORDER BY partition_key LIMIT 1) UNION ALL SELECT (SELECT k.partition_key FROM %1$s k " \
	"WHERE k.partition_key > p.name ORDER BY k.partition_key LIMIT 1) FROM p "                  \
	"WHERE p.name IS NOT NULL) "                                                               \
	"SELECT name, ''::bytea FROM p WHERE name IS NOT NULL LIMIT $2::bigint"

/* One statement sees one moment, under every isolation level. Each part of the key's index is read alone: between them
 * may lie a million other keys. */
#define BETWEEN(from, to) \
	"SELECT key, value FROM %1$s WHERE partition_key = $1 AND key >= " from " AND key < " to

static void put(char to[PG_SQL_MAX], const char *fmt, const char *table)
	__attribute__((format(printf, 2, 0)));

static void put(char to[PG_SQL_MAX], const char *fmt, const char *table)
{
	int n = snprintf(to, PG_SQL_MAX, fmt, table);

	if (n < 0 || n >= PG_SQL_MAX)
		to[0] = 0; /* refused by pg_schema_open */
}

void pg_schema_sql(struct postgres *p, const char *table)
{
	put(p->sql.get, "SELECT value FROM %s " WHERE_KEY, table);
	put(p->sql.set, INSERT_ONE OVERWRITE, table);
	put(p->sql.create, INSERT_ONE "ON CONFLICT (partition_key, key) DO NOTHING", table);
	put(p->sql.replace, "UPDATE %s SET value = $3 " WHERE_KEY, table);
	put(p->sql.swap, "UPDATE %s SET value = $3 " WHERE_KEY " AND value = $4", table);
	put(p->sql.remove, "DELETE FROM %s " WHERE_KEY, table);
	put(p->sql.set_many,
	    "INSERT INTO %s (partition_key, key, value) "
	    "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) " OVERWRITE,
	    table);
	put(p->sql.scan_from,
	    "SELECT key, value FROM %s WHERE partition_key = $1 AND key >= $2 ORDER BY key LIMIT $3::bigint",
	    table);
	put(p->sql.scan_after,
	    "SELECT key, value FROM %s WHERE partition_key = $1 AND key > $2 ORDER BY key LIMIT $3::bigint",
	    table);
	put(p->sql.scan_moment, BETWEEN("$2", "$3") " UNION ALL " BETWEEN("$4", "$5") " ORDER BY key", table);
	put(p->sql.partitions_from, PARTITIONS(">="), table);
	put(p->sql.partitions_after, PARTITIONS(">"), table);
	put(p->sql.look, "SELECT partition_key, key, value FROM %s LIMIT 0", table);
	put(p->sql.check,
	    "EXPLAIN INSERT INTO %s (partition_key, key, value) "
	    "VALUES ('x'::bytea, 'x'::bytea, 'x'::bytea) " OVERWRITE,
	    table);
	/* lakeFS cuts its own into a hundred hash partitions, which other engines haven't. */
	put(p->sql.make,
	    "CREATE TABLE IF NOT EXISTS %s (partition_key BYTEA NOT NULL, key BYTEA NOT NULL, "
	    "value BYTEA NOT NULL, PRIMARY KEY (partition_key, key))",
	    table);
}

static rc not_a_kv(const struct pg_group *g, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG,
		       "the database has a table of the KV's name (kv, or lakefskv_table of "
		       "database.postgres.connection_string) that isn't lakeFS's or sluice's%s%s: use "
		       "another database",
		       g->why[0] ? ": " : "", g->why);
}

static rc unusable(const struct pg_group *g, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG,
		       "the KV's table in PostgreSQL can't be used: %s (SQLSTATE %s). The user of "
		       "database.postgres.connection_string needs SELECT, INSERT, UPDATE and DELETE on it, and "
		       "CREATE in the schema where it isn't there yet",
		       g->why, g->state);
}

/* A failed first connection is a matter of configuration: the operator is at the keyboard. */
static rc run(struct postgres *p, struct pg_group *g, struct err *reterr)
{
	struct err e = {0};
	rc r = pg_run(p, g, 1, &e);

	if (!rc_ok(r))
		return err_set(reterr, ERR_CONFIG, "the KV in PostgreSQL can't be opened: %s",
			       g->why[0] ? g->why : e.msg);
	return RC_OK;
}

static bool is_state(const struct pg_group *g, const char *state)
{
	return g->fate == PG_REFUSED && strcmp(g->state, state) == 0;
}

static bool all_bytes(const PGresult *r)
{
	for (int i = 0; i < COLUMNS; i++)
		if (PQftype(r, i) != BYTEA)
			return false;
	return PQnfields(r) == COLUMNS;
}

static rc look(struct postgres *p, bool *ret_there, struct err *reterr)
{
	struct pg_statement s = {.sql = p->sql.look};
	struct pg_group g = {.s = &s, .n = 1, .reads = true};
	rc r = RC_OK;

	TRY(run(p, &g, reterr));
	*ret_there = g.fate == PG_DONE;
	if (is_state(&g, "42703") || (g.fate == PG_DONE && !all_bytes(s.result))) /* undefined column */
		r = not_a_kv(&g, reterr);
	else if (g.fate != PG_DONE && !is_state(&g, "42P01")) /* undefined table */
		r = unusable(&g, reterr);
	pg_group_reset(&g);
	return r;
}

/* That it has the key, and that we may write. Nothing is written. */
static rc check(struct postgres *p, struct err *reterr)
{
	struct pg_statement s = {.sql = p->sql.check};
	struct pg_group g = {.s = &s, .n = 1, .reads = true};
	rc r = RC_OK;

	TRY(run(p, &g, reterr));
	if (is_state(&g, "42P10")) /* no such constraint */
		r = not_a_kv(&g, reterr);
	else if (g.fate != PG_DONE)
		r = unusable(&g, reterr);
	pg_group_reset(&g);
	return r;
}

/* Another process may be at it, and then one of the two may fail in several ways: who looks again sees. */
static rc make(struct postgres *p, struct err *reterr)
{
	struct pg_statement s = {.sql = p->sql.make};
	struct pg_group g = {.s = &s, .n = 1};
	rc r;

	TRY(run(p, &g, reterr));
	r = is_state(&g, "42501") || is_state(&g, "25006") || is_state(&g, "3F000")
		    ? unusable(&g, reterr)
		    : RC_OK;
	pg_group_reset(&g);
	return r;
}

rc pg_schema_open(struct postgres *p, bool existing, struct err *reterr)
{
	bool there = false;

	if (!p->sql.set_many[0] || !p->sql.check[0] || !p->sql.partitions_from[0] || !p->sql.scan_moment[0])
		return err_set(reterr, ERR_CONFIG,
			       "database.postgres.connection_string: the name of the table is too long");
	for (int i = 0; i < TRIES; i++) {
		TRY(look(p, &there, reterr));
		if (there)
			return check(p, reterr);
		if (existing)
			return err_set(reterr, ERR_NOT_FOUND,
				       "database.postgres: there is no KV in this database; name the one "
				       "that has it");
		TRY(make(p, reterr));
	}
	return err_set(reterr, ERR_CONFIG, "the KV's table can't be made in PostgreSQL");
}
