#include "kv/postgres_session.h"

#include <libpq-fe.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* In one line, without what follows it. */
static void first_line(char why[160], const char *text)
{
	size_t n = 0;

	while (n < 159 && text[n] && text[n] != '\n') {
		why[n] = text[n];
		n++;
	}
	why[n] = 0;
}

/* False: the deadline came first. */
static bool wait_for(PGconn *pg, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = events};

	for (;;) {
		int64_t left = deadline_ms - mono_ms();
		/* What has come in time counts, also when this thread stood still until it was over. */
		int n = poll(&p, 1, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left);

		if (n > 0 || (n < 0 && errno != EINTR))
			return true; /* libpq finds out what is wrong */
		if (left <= 0)
			return false;
	}
}

/* Connecting. */

static bool connected(PGconn *pg, int64_t deadline_ms, bool *ret_late)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (PQstatus(pg) != CONNECTION_BAD) {
		if (!wait_for(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms)) {
			*ret_late = true;
			return false;
		}
		next = PQconnectPoll(pg);
		if (next == PGRES_POLLING_OK)
			return true;
		if (next == PGRES_POLLING_FAILED)
			return false;
	}
	return false;
}

/* libpq keeps no SQLSTATE of a failed connection: words are all there is, and a server in another
 * language is taken for one that may recover. */
static enum pg_connect verdict(const char *text)
{
	static const char *const never[] = {
		"password authentication failed", "no password supplied", "does not exist",
		"no pg_hba.conf entry",		  "certificate verify failed",
		"authentication failed",	  "does not support SSL",
		"invalid sslmode",		  "could not translate host name",
		"root certificate file",	  "server certificate for",
	};

	if (strstr(text, "unsupported startup parameter"))
		return PG_NO_OPTIONS;
	if (strstr(text, "No such file or directory"))
		return PG_LATER; /* the socket of a server that isn't up */
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (strstr(text, never[i]))
			return PG_NEVER;
	return PG_LATER;
}

static void hold_tongue(void *arg, const PGresult *notice)
{
}

enum pg_connect pg_session_open(const struct pg_dsn *d, bool plain_options, int64_t deadline_ms,
			     struct pg_session **ret, char why[160])
{
	const char *values[PG_DSN_MAX + 1];
	enum pg_connect v = PG_LATER;
	bool late = false;
	PGconn *pg;

	*ret = NULL;
	memcpy(values, d->values, sizeof(values));
	if (plain_options)
		values[d->options_at] = d->options_plain;
	pg = PQconnectStartParams(d->keywords, values, 0);
	if (!pg)
		abort();
	if (connected(pg, deadline_ms, &late) && PQsetnonblocking(pg, 1) == 0 &&
	    PQenterPipelineMode(pg)) {
		PQsetNoticeReceiver(pg, hold_tongue, NULL);
		*ret = calloc(1, sizeof(**ret));
		if (!*ret)
			abort();
		(*ret)->pg = pg;
		(*ret)->born_ms = mono_ms();
		return PG_CONNECTED;
	}
	if (late)
		first_line(why, "no answer in time");
	else {
		v = verdict(PQerrorMessage(pg));
		first_line(why, PQerrorMessage(pg));
	}
	PQfinish(pg);
	return v;
}

void pg_session_close(struct pg_session *c)
{
	PQfinish(c->pg);
	free(c);
}

bool pg_session_alive(struct pg_session *c)
{
	struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

	/* To be read is the server's last words, or its end; that it was only a notice is too rare to look. */
	return PQstatus(c->pg) == CONNECTION_OK && poll(&p, 1, 0) == 0;
}

/* Sending. */

static bool send_statement(struct pg_session *c, const struct pg_statement *s)
{
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];

	for (int i = 0; i < s->n; i++) {
		values[i] = s->params[i].p ? s->params[i].p : "";
		lengths[i] = (int)s->params[i].n;
		formats[i] = 1;
	}
	return PQsendQueryParams(c->pg, s->sql, s->n, NULL, values, lengths, formats, 1);
}

static void fail(struct pg_group *g, enum pg_fate fate, const char *why)
{
	g->fate = fate;
	first_line(g->why, why);
}

/* Until its Sync has been handed over, a group can't have taken place: the server undoes what it has
 * begun when the connection ends. */
static bool send_group(struct pg_session *c, struct pg_group *g)
{
	bool sent = true;

	for (size_t i = 0; i < g->n && sent; i++)
		sent = send_statement(c, &g->s[i]);
	if (sent && PQpipelineSync(c->pg))
		return true;
	c->broken = true;
	fail(g, PG_UNSENT, PQerrorMessage(c->pg));
	return false;
}

/* Receiving. */

/* The next result, or NULL between two statements. False: the connection is lost, or it is too late. */
static bool next_result(struct pg_session *c, int64_t deadline_ms, PGresult **ret)
{
	int unsent = PQflush(c->pg);

	while (PQisBusy(c->pg)) {
		short events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;

		if (PQsocket(c->pg) < 0 || !wait_for(c->pg, events, deadline_ms))
			return false;
		if (!PQconsumeInput(c->pg)) {
			/* What had come before the end counts still. */
			if (PQisBusy(c->pg))
				return false;
			break;
		}
		if (unsent > 0)
			unsent = PQflush(c->pg);
	}
	*ret = PQgetResult(c->pg);
	return true;
}

/* The classes of SQLSTATE: PostgreSQL's documentation, appendix A. */
static enum pg_fate fate_of(const PGresult *r)
{
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	if (!state || !severity || strcmp(severity, "ERROR") != 0)
		return PG_LOST; /* a session that ends says not what it had done */
	if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0)
		return PG_CLASHED;
	/* 40003: statement completion unknown (CockroachDB). 08: connection. XX: who knows. */
	if (strcmp(state, "40003") == 0 || strncmp(state, "08", 2) == 0 || strncmp(state, "XX", 2) == 0)
		return PG_LOST;
	return PG_REFUSED;
}

static void take_error(struct pg_session *c, struct pg_group *g, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (g->fate != PG_PENDING)
		return;
	fail(g, fate_of(r), text ? text : PQresultErrorMessage(r));
	if (state)
		snprintf(g->state, sizeof(g->state), "%s", state);
	/* A server that only reads was the first once: the next connection finds who is it now. */
	if (g->fate == PG_LOST || (state && strcmp(state, "25006") == 0))
		c->broken = true;
}

static bool deliver(struct pg_group *g, struct pg_statement *s, PGresult *r)
{
	bool more;

	if (!g->row) {
		PQclear(s->result);
		s->result = r;
		return true;
	}
	more = PQntuples(r) == 0 || g->row(g->ud, r);
	PQclear(r);
	if (!more)
		g->fate = PG_DONE;
	return more;
}

/* False: the connection is of no use any more. *at is the statement that results belong to. */
static bool take_result(struct pg_session *c, struct pg_group *g, size_t *at, PGresult *r)
{
	if (!r) {
		++*at;
		return true;
	}
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_SINGLE_TUPLE:
		if (*at < g->n)
			return deliver(g, &g->s[*at], r);
		break;
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		take_error(c, g, r);
	}
	PQclear(r);
	return !c->broken && PQstatus(c->pg) == CONNECTION_OK;
}

static bool receive_group(struct pg_session *c, struct pg_group *g, int64_t deadline_ms)
{
	PGresult *r;
	size_t at = 0, calls = 0;

	if (g->row) {
		PQsetSingleRowMode(c->pg);
		g->row(g->ud, NULL);
	}
	while (next_result(c, deadline_ms, &r)) {
		if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
			PQclear(r);
			if (g->fate == PG_PENDING)
				g->fate = PG_DONE;
			return true;
		}
		/* A dead connection answers NULL for ever. */
		calls = r ? 0 : calls + 1;
		if (calls > 2 || !take_result(c, g, &at, r))
			break;
	}
	c->broken = true;
	if (g->fate == PG_PENDING)
		fail(g, PG_LOST,
		     mono_ms() >= deadline_ms ? "no answer in time" : PQerrorMessage(c->pg));
	return false;
}

void pg_session_run(struct pg_session *c, struct pg_group *g, size_t n, int64_t deadline_ms)
{
	size_t sent = 0;
	bool well = true;

	while (sent < n && (g[sent].fate != PG_PENDING || send_group(c, &g[sent])))
		sent++;
	for (size_t i = sent + 1; i < n; i++)
		if (g[i].fate == PG_PENDING)
			fail(&g[i], PG_UNSENT, "the connection was lost");
	for (size_t i = 0; i < sent; i++) {
		if (g[i].fate != PG_PENDING)
			continue;
		if (well)
			well = receive_group(c, &g[i], deadline_ms);
		else
			fail(&g[i], PG_LOST, "the connection was lost");
	}
}

void pg_group_reset(struct pg_group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		PQclear(g->s[i].result);
		g->s[i].result = NULL;
	}
	g->fate = PG_PENDING;
	g->state[0] = g->why[0] = 0;
}
