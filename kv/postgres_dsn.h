/* What database.postgres.connection_string says: a libpq connection string or URI, and what lakeFS's
 * driver (pgx) reads from it besides.
 *
 *   lakefskv_table=NAME   the table's name, "kv" without it
 *   pool_*, *_cache_capacity, default_query_exec_mode   pgx's own: read over
 *   anything else that libpq doesn't know   a parameter of the session, as with pgx
 *
 * No error has any part of the string in it: it may hold a password. */
#pragma once

#include "base/err.h"

enum { PG_DSN_MAX = 64 };

struct pg_dsn {
	/* For PQconnectStartParams; both end with NULL. */
	const char *keywords[PG_DSN_MAX + 1], *values[PG_DSN_MAX + 1];
	size_t n;
	const char *table; /* as SQL writes it, in quotes */
	/* How the session's own parameters are passed (as "options"): a pooler between may refuse them. */
	size_t options_at; /* of values; its place never changes */
	const char *options_plain; /* without those that are only ours: what to try then */
};

/* All of it lives in the arena. statement_ms: the session's statement_timeout, unless the string has one.
 * CONFIG. */
struct arena;
rc pg_dsn_parse(struct str text, unsigned statement_ms, struct arena *a, struct pg_dsn *ret,
		struct err *reterr);
