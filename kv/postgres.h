/* What the files of the PostgreSQL driver share: the driver, and how statements are carried out. */
#pragma once

#include "base/arena.h"
#include "kv/kv.h"
#include "kv/postgres_pool.h"

struct postgres {
	struct kv kv;
	struct arena *a; /* of what lives as long as it */
	struct pg_pool *pool;
	size_t scan_page;
	int64_t call_ms;
	struct {
		char get[PG_SQL_MAX], set[PG_SQL_MAX], create[PG_SQL_MAX], replace[PG_SQL_MAX],
			swap[PG_SQL_MAX], remove[PG_SQL_MAX], set_many[PG_SQL_MAX],
			scan_from[PG_SQL_MAX], scan_after[PG_SQL_MAX], partitions_from[PG_SQL_MAX],
			partitions_after[PG_SQL_MAX], scan_moment[PG_SQL_MAX];
		/* of the table itself */
		char look[PG_SQL_MAX], check[PG_SQL_MAX], make[PG_SQL_MAX];
	} sql;
};

/* Runs the groups, each until it has a fate that lasts: what clashed or wasn't sent is tried again, and
 * reads, whatever became of them. When a group that writes is run again, all that read after it are,
 * too. An error says that no connection could be had before anything was sent: no group has been run. */
rc pg_run(struct postgres *p, struct pg_group *g, size_t n, struct err *reterr);
/* A group's fate in the interface's words: RC_OK, and for what changes something UNKNOWN_OUTCOME. doing: "reading
 * from". */
rc pg_group_result(const struct pg_group *g, const char *doing, struct err *reterr);
/* One group of one statement: both steps. The caller clears s->result. */
rc pg_run_one(struct postgres *p, struct pg_statement *s, bool reads, struct err *reterr);

/* Rows that a finished statement changed. */
uint64_t pg_affected(const PGresult *r);
struct str pg_value(const PGresult *r, int row, int column);

/* The table: made when there is none (existing: NOT_FOUND then), CONFIG when it isn't a KV's. */
rc pg_schema_open(struct postgres *p, bool existing, struct err *reterr);
void pg_schema_sql(struct postgres *p, const char *table);

kv_scan_fn pg_scan;
kv_scan_moment_fn pg_scan_moment;
kv_partitions_fn pg_partitions;
kv_write_many_fn pg_write_many;
kv_write_then_read_fn pg_write_then_read;
