/* One connection to PostgreSQL, and statements on it with a deadline: nothing here waits longer.
 *
 * Statements go in groups, all in one flight (libpq's pipeline mode). A group is one transaction, which
 * ends with the Sync behind it: so a group either took place whole, or not at all, or nobody knows.
 * Groups don't share a fate, and a later one sees what an earlier one changed. No state of the
 * session is used or left (no prepared statement, no SET), so that a pooler may give each transaction
 * another session.
 *
 * A connection belongs to one thread at a time. */
#pragma once

#include "base/err.h"
#include "kv/postgres_dsn.h"

/* libpq's own, as it declares them. */
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

enum { PG_PARAMS_MAX = 6, PG_SQL_MAX = 512 };

struct pg_session {
	PGconn *pg;
	int64_t born_ms;
	bool broken; /* to be closed, not given back */
	struct pg_session *next;
};

/* Parameters and results are binary. */
struct pg_statement {
	const char *sql;
	int n;
	struct str params[PG_PARAMS_MAX];
	/* The last result; the caller's to clear once the run is over, NULL without one. */
	PGresult *result;
};

enum pg_fate {
	PG_PENDING, /* not run yet */
	PG_DONE,
	PG_REFUSED, /* the server said no: nothing was done */
	PG_CLASHED, /* as PG_REFUSED, because of others at work: trying again may help */
	PG_UNSENT,  /* the connection was of no use: nothing was done */
	PG_LOST,    /* sent, and no answer: it may have been done */
};

struct pg_group {
	struct pg_statement *s;
	size_t n;
	bool reads; /* changes nothing: may be sent again whatever became of it */
	enum pg_fate fate;
	char state[6];	/* PG_REFUSED, PG_CLASHED: SQLSTATE */
	char why[160];	/* for the log; never has a parameter's bytes */
	/* Rows as they come, instead of a result at the end (the first group, of one statement); NULL for r: it
	 * begins, perhaps anew. False ends it well, and the connection with it. */
	bool (*row)(void *ud, const PGresult *r);
	void *ud;
};

/* What a failed attempt to connect is worth. */
enum pg_connect {
	PG_CONNECTED,
	PG_LATER, /* the server may come, or have room, in a moment */
	PG_NEVER, /* wrong address, user, password, database: trying again doesn't help */
	PG_NO_OPTIONS, /* a pooler refuses "options" */
};

/* Opens one; why gets what libpq says (no password). On anything but PG_CONNECTED *ret is NULL. */
enum pg_connect pg_session_open(const struct pg_dsn *d, bool plain_options, int64_t deadline_ms,
			     struct pg_session **ret, char why[160]);
void pg_session_close(struct pg_session *c);
/* Whether an idle connection still seems to be of use. */
bool pg_session_alive(struct pg_session *c);
/* Runs those of the groups that are PG_PENDING, in order, in one flight, and sets their fates. */
void pg_session_run(struct pg_session *c, struct pg_group *g, size_t n, int64_t deadline_ms);
/* Forgets results, makes the group PG_PENDING again. */
void pg_group_reset(struct pg_group *g);
