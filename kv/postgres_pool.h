/* Connections to PostgreSQL, a bounded number of them, and who waits for one.
 *
 * Any thread. Whoever waits is served in the order of coming, and no longer than wait_ms. */
#pragma once

#include "kv/postgres_session.h"

struct pg_pool;

struct pg_pool_options {
	struct pg_dsn dsn; /* what it points to must outlive the pool */
	unsigned max_open, max_idle;
	int64_t lifetime_ms; /* 0: for ever */
	int64_t wait_ms, connect_ms;
	bool metrics;
};

struct pg_pool *pg_pool_new(const struct pg_pool_options *o);
/* All connections must have been given back. */
void pg_pool_free(struct pg_pool *p);
/* SlowDown: all are in use. ServiceUnavailable: the server can't be reached, has no room, or refuses us; why (160
 * bytes) has libpq's words then, for operators. */
rc pg_pool_take(struct pg_pool *p, int64_t deadline_ms, struct pg_session **ret, char *why,
		struct err *reterr);
/* One that is broken, too old, or too many is closed. */
void pg_pool_give(struct pg_pool *p, struct pg_session *c);
