/* Carrying statements out: retries, and what a fate means. */
#include "kv/postgres.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

enum {
	TRIES = 12,
	PAUSE_FIRST_US = 1000,
	PAUSE_MAX_US = 200000,
};

static bool again(const struct pg_group *g)
{
	return g->fate == PG_CLASHED || g->fate == PG_UNSENT || (g->fate == PG_LOST && g->reads);
}

/* How many are to be run (again). Reads behind a write that is repeated are stale. */
static size_t prepare(struct pg_group *g, size_t n)
{
	bool rewritten = false;
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (!again(&g[i]) && !(rewritten && g[i].reads))
			continue;
		rewritten |= !g[i].reads;
		pg_group_reset(&g[i]);
		left++;
	}
	return left;
}

static bool clashed(const struct pg_group *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (g[i].fate == PG_CLASHED)
			return true;
	return false;
}

/* Longer each time, half of it by chance, so that those who clashed don't meet again. */
static void pause_after(unsigned attempt)
{
	uint64_t us = PAUSE_FIRST_US;
	uint32_t chance;

	for (unsigned i = 0; i < attempt && us < PAUSE_MAX_US; i++)
		us *= 2;
	rand_bytes(&chance, sizeof(chance));
	us = us / 2 + chance % (us / 2);
	nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

static void give_up(struct pg_group *g, size_t n, const char *why)
{
	for (size_t i = 0; i < n; i++) {
		if (g[i].fate != PG_PENDING)
			continue;
		g[i].fate = PG_UNSENT;
		memcpy(g[i].why, why, sizeof(g[i].why));
	}
}

rc pg_run(struct postgres *p, struct pg_group *g, size_t n, struct err *reterr)
{
	int64_t deadline_ms = mono_ms() + p->call_ms;
	struct pg_session *c;
	char why[160];

	for (unsigned attempt = 0;; attempt++) {
		rc r = pg_pool_take(p->pool, deadline_ms, &c, why, reterr);

		if (!rc_ok(r)) {
			give_up(g, n, why);
			return attempt == 0 ? r : RC_OK;
		}
		pg_session_run(c, g, n, deadline_ms);
		pg_pool_give(p->pool, c);
		if (attempt + 1 == TRIES || mono_ms() >= deadline_ms)
			return RC_OK;
		if (clashed(g, n))
			pause_after(attempt);
		if (prepare(g, n) == 0)
			return RC_OK;
	}
}

static rc refused(const struct pg_group *g, const char *doing, struct err *reterr)
{
	/* 53: no resources; 55: locked; 57: cancelled, shut down; 25006: it only reads. */
	bool passing = strncmp(g->state, "53", 2) == 0 || strncmp(g->state, "55", 2) == 0 ||
		       strncmp(g->state, "57", 2) == 0 || strcmp(g->state, "25006") == 0;

	if (passing)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the database refused for the moment (SQLSTATE %s); try again", g->state);
	return err_set(reterr, ERR_IO, "%s the database: %s (SQLSTATE %s)", doing, g->why, g->state);
}

rc pg_group_result(const struct pg_group *g, const char *doing, struct err *reterr)
{
	if (g->fate == PG_DONE)
		return RC_OK;
	log_event(g->fate == PG_CLASHED ? LOG_DEBUG : LOG_WARN, "kv", "a statement failed",
		  F_CSTR("doing", doing), F_CSTR("reason", g->why), F_CSTR("sqlstate", g->state));
	switch (g->fate) {
	case PG_REFUSED:
		return refused(g, doing, reterr);
	case PG_CLASHED:
		return err_set(reterr, ERR_SlowDown,
			       "others keep changing the same records of the database; try again");
	case PG_LOST:
		if (!g->reads)
			return err_set(reterr, ERR_UNKNOWN_OUTCOME,
				       "%s the database: %s, and whether the change took place isn't "
				       "known",
				       doing, g->why);
		[[fallthrough]];
	default:
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the database can't be reached at the moment; try again");
	}
}

rc pg_run_one(struct postgres *p, struct pg_statement *s, bool reads, struct err *reterr)
{
	struct pg_group g = {.s = s, .n = 1, .reads = reads};

	TRY(pg_run(p, &g, 1, reterr));
	return pg_group_result(&g, reads ? "reading from" : "writing to", reterr);
}

uint64_t pg_affected(const PGresult *r)
{
	uint64_t n = 0;

	return str_to_u64(str_c(PQcmdTuples((PGresult *)r)), &n) ? n : 0;
}

struct str pg_value(const PGresult *r, int row, int column)
{
	return str_make(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
}
