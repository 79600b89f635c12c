#include "kv/postgres_pool.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
	RETRY_FIRST_MS = 20,
	RETRY_MAX_MS = 500,
	LOG_EVERY_MS = 5000,
};

/* Somebody who waits: for an idle connection, or leave to open one. */
struct waiter {
	struct waiter *next;
	pthread_cond_t served;
	struct pg_session *conn;
	bool done;
};

struct pg_pool {
	struct pg_pool_options o;
	pthread_mutex_t lock;
	atomic_bool plain_options;
	atomic_llong logged_ms;
	struct metric *used, *idle, *waits, *opened; /* NULL: not published */
	struct {
		struct pg_session *idle; /* the one given back last comes first */
		unsigned idle_n, open; /* open: with those being opened */
		struct waiter *first, *last;
	} locked;
};

static void publish_locked(struct pg_pool *p)
{
	if (!p->used)
		return;
	metric_set(p->used, p->locked.open - p->locked.idle_n);
	metric_set(p->idle, p->locked.idle_n);
}

static void define_metrics(struct pg_pool *p)
{
	const char *help = "Connections to PostgreSQL.";

	p->used = metric_get(METRIC_GAUGE, "kv_postgres_connections", help, "state=\"used\"");
	p->idle = metric_get(METRIC_GAUGE, "kv_postgres_connections", help, "state=\"idle\"");
	p->waits = metric_get(METRIC_HISTOGRAM, "kv_postgres_wait_seconds",
			      "Time of those who had to wait for a connection.", NULL);
	p->opened = metric_get(METRIC_COUNTER, "kv_postgres_connections_opened_total",
			       "Connections that were opened.", NULL);
}

struct pg_pool *pg_pool_new(const struct pg_pool_options *o)
{
	struct pg_pool *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->o = *o;
	atomic_store(&p->logged_ms, -LOG_EVERY_MS);
	if (pthread_mutex_init(&p->lock, NULL) != 0)
		abort();
	if (o->metrics)
		define_metrics(p);
	return p;
}

void pg_pool_free(struct pg_pool *p)
{
	while (p->locked.idle) {
		struct pg_session *c = p->locked.idle;

		p->locked.idle = c->next;
		pg_session_close(c);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct timespec at(int64_t mono)
{
	return (struct timespec){.tv_sec = mono / 1000, .tv_nsec = mono % 1000 * 1000000};
}

static void waiter_init(struct waiter *w)
{
	pthread_condattr_t attr;

	*w = (struct waiter){0};
	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&w->served, &attr) != 0)
		abort();
	pthread_condattr_destroy(&attr);
}

static void unlink_locked(struct pg_pool *p, struct waiter *w)
{
	struct waiter **link = &p->locked.first, *before = NULL;

	while (*link != w) {
		before = *link;
		link = &(*link)->next;
	}
	*link = w->next;
	if (p->locked.last == w)
		p->locked.last = before;
}

/* True when w was served: with a connection, or with leave to open one. */
static bool wait_locked(struct pg_pool *p, struct waiter *w, int64_t deadline_ms)
{
	struct timespec until = at(deadline_ms);

	if (p->locked.last)
		p->locked.last->next = w;
	else
		p->locked.first = w;
	p->locked.last = w;
	while (!w->done && mono_ms() < deadline_ms)
		pthread_cond_timedwait(&w->served, &p->lock, &until);
	if (!w->done)
		unlink_locked(p, w);
	return w->done;
}

/* The first who waits gets c, or, without it, leave to open one. */
static bool serve_locked(struct pg_pool *p, struct pg_session *c)
{
	struct waiter *w = p->locked.first;

	if (!w)
		return false;
	unlink_locked(p, w);
	w->conn = c;
	w->done = true;
	pthread_cond_signal(&w->served);
	return true;
}

/* A connection was closed, or couldn't be opened. */
static void give_place(struct pg_pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (!serve_locked(p, NULL))
		p->locked.open--;
	publish_locked(p);
	pthread_mutex_unlock(&p->lock);
}

/* An idle one, leave to open one (*ret is NULL), or false. */
static bool take_place(struct pg_pool *p, int64_t deadline_ms, struct pg_session **ret)
{
	int64_t since_us = mono_us();
	struct waiter w;
	bool served = true;

	pthread_mutex_lock(&p->lock);
	*ret = p->locked.idle;
	if (*ret) {
		p->locked.idle = (*ret)->next;
		p->locked.idle_n--;
	} else if (p->locked.open < p->o.max_open) {
		p->locked.open++;
	} else {
		waiter_init(&w);
		served = wait_locked(p, &w, deadline_ms);
		*ret = w.conn;
		pthread_cond_destroy(&w.served);
		if (p->waits)
			metric_observe_us(p->waits, mono_us() - since_us);
	}
	publish_locked(p);
	pthread_mutex_unlock(&p->lock);
	return served;
}

/* A tenth of it by chance, so that those which were opened together don't end together. */
static bool too_old(const struct pg_pool *p, const struct pg_session *c)
{
	int64_t most = p->o.lifetime_ms;

	if (!most)
		return false;
	return mono_ms() - c->born_ms > most - (int64_t)((uintptr_t)c / 64 % 10) * most / 100;
}

static void say_unreachable(struct pg_pool *p, const char *why)
{
	int64_t now = mono_ms(), last = atomic_load(&p->logged_ms);
	long long expected = last;

	if (now - last < LOG_EVERY_MS ||
	    !atomic_compare_exchange_strong(&p->logged_ms, &expected, now))
		return;
	log_event(LOG_WARN, "kv", "connecting to PostgreSQL fails", F_CSTR("reason", why));
}

static rc no_connection(enum pg_connect v, struct err *reterr)
{
	if (v == PG_NEVER)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the database refuses the connection; the log says why");
	return err_set(reterr, ERR_ServiceUnavailable,
		       "the database can't be reached at the moment; try again");
}

/* A server that is starting, or has no room at the moment, is asked again until the time is over. */
static rc open_one(struct pg_pool *p, int64_t deadline_ms, struct pg_session **ret, char *why,
		   struct err *reterr)
{
	int64_t pause = RETRY_FIRST_MS;

	for (;;) {
		bool plain = atomic_load(&p->plain_options);
		enum pg_connect v = pg_session_open(&p->o.dsn, plain, deadline_ms, ret, why);

		if (v == PG_CONNECTED) {
			if (p->opened)
				metric_add(p->opened, 1);
			return RC_OK;
		}
		if (v == PG_NO_OPTIONS && !plain) {
			atomic_store(&p->plain_options, true);
			continue;
		}
		say_unreachable(p, why);
		if (v != PG_LATER || mono_ms() + pause >= deadline_ms)
			return no_connection(v, reterr);
		sleep_us(pause * 1000);
		pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
	}
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

rc pg_pool_take(struct pg_pool *p, int64_t deadline_ms, struct pg_session **ret, char *why,
		struct err *reterr)
{
	rc r;

	why[0] = 0;
	if (!take_place(p, least(deadline_ms, mono_ms() + p->o.wait_ms), ret))
		return err_set(reterr, ERR_SlowDown,
			       "all %u connections to the database are in use; try again, or raise "
			       "database.postgres.max_open_connections",
			       p->o.max_open);
	if (*ret && !too_old(p, *ret) && pg_session_alive(*ret))
		return RC_OK;
	if (*ret)
		pg_session_close(*ret);
	r = open_one(p, least(deadline_ms, mono_ms() + p->o.connect_ms), ret, why, reterr);
	if (!rc_ok(r))
		give_place(p);
	return r;
}

/* False: it must be closed. */
static bool keep(struct pg_pool *p, struct pg_session *c)
{
	bool kept = true;

	pthread_mutex_lock(&p->lock);
	if (!serve_locked(p, c)) {
		kept = p->locked.idle_n < p->o.max_idle;
		if (kept) {
			c->next = p->locked.idle;
			p->locked.idle = c;
			p->locked.idle_n++;
		}
	}
	publish_locked(p);
	pthread_mutex_unlock(&p->lock);
	return kept;
}

void pg_pool_give(struct pg_pool *p, struct pg_session *c)
{
	if (!c->broken && PQstatus(c->pg) == CONNECTION_OK && !too_old(p, c) && keep(p, c))
		return;
	pg_session_close(c);
	give_place(p);
}
