/* Requests: signing, sending, and when one is sent again.
 *
 * A request that changes something goes as a body that libcurl can't rewind (HTTP_SENT), so that it
 * is never sent twice behind our back: a kept connection that turns out to be dead may have carried
 * the first one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "kv/dynamodb.h"
#include "sigv4/sigv4.h"

#define TARGET "DynamoDB_20120810."
#define CONTENT_TYPE STR("application/x-amz-json-1.0")

enum {
	PAUSE_FIRST_US = 50000,
	PAUSE_MAX_US = 2000000,
	ATTEMPTS_A_CALL = 3, /* that have no answer */
	HEADERS = 8,
};

/* Connections. */

static bool take_slot(struct dynamodb *d)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, d->wait_ms);
	bool had;

	pthread_mutex_lock(&d->slots.lock);
	while (d->slots.free == 0 &&
	       pthread_cond_timedwait(&d->slots.freed, &d->slots.lock, &until) == 0)
		;
	had = d->slots.free > 0;
	d->slots.free -= had;
	pthread_mutex_unlock(&d->slots.lock);
	return had;
}

static void give_slot(struct dynamodb *d)
{
	pthread_mutex_lock(&d->slots.lock);
	d->slots.free++;
	pthread_cond_signal(&d->slots.freed);
	pthread_mutex_unlock(&d->slots.lock);
}

/* Signing. */

struct signed_call {
	struct http_header headers[HEADERS];
	size_t n;
	struct str access_key;
};

static void add(struct signed_call *s, struct str name, struct str value)
{
	s->headers[s->n++] = (struct http_header){name, value};
}

static rc sign(struct dynamodb *d, struct ddb_call *c, struct signed_call *s, struct err *reterr)
{
	struct sigv4_header signing[HEADERS];
	struct sigv4_request q = {.method = STR("POST"), .path = d->path, .query = STR("")};
	int64_t now = wall_now().s;
	struct aws_keys keys;
	uint8_t hash[32];
	char date[17];

	TRY(aws_credentials_get(d->keys, c->a, &keys, reterr));
	s->access_key = keys.access_key;
	time_amz(now, date);
	digest_of(DIGEST_SHA256, c->body, hash);
	add(s, STR("content-type"), CONTENT_TYPE);
	add(s, STR("host"), d->host);
	add(s, STR("x-amz-date"), arena_dup(c->a, str_make(date, 16)));
	if (keys.token.n)
		add(s, STR("x-amz-security-token"), keys.token);
	add(s, STR("x-amz-target"), arena_printf(c->a, TARGET "%s", c->operation));
	for (size_t i = 0; i < s->n; i++)
		signing[i] = (struct sigv4_header){s->headers[i].name, s->headers[i].value};
	q.headers = signing;
	q.headers_n = s->n;
	add(s, STR("authorization"),
	    sigv4_sign_header(&q,
			      &(struct sigv4_credentials){keys.access_key, keys.secret, keys.token},
			      d->region, STR("dynamodb"), now,
			      hex_encode(c->a, str_make(hash, sizeof(hash))), c->a));
	return RC_OK;
}

/* One attempt. */

static rc read_body(struct http_exchange *x, struct arena *a, struct http_answer *w,
		    struct err *reterr)
{
	struct buf b = BUF_INIT(DDB_BODY_MAX);
	size_t had = 1;
	rc r = RC_OK;

	while (rc_ok(r) && had) {
		size_t room =
		    w->length > 0 && (uint64_t)w->length > b.n ? (size_t)w->length - b.n : 4096;
		char *to;

		room = room > DDB_BODY_MAX ? DDB_BODY_MAX : room;
		to = buf_reserve(&b, room);
		if (!to) {
			r = err_set(reterr, ERR_IO, "the answer has more than %d bytes",
				    DDB_BODY_MAX);
			break;
		}
		r = http_read(x, to, room, &had, reterr);
		b.n += had;
		if (had < room || (w->length >= 0 && b.n == (size_t)w->length))
			break;
	}
	w->body = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return r;
}

static rc exchange(struct dynamodb *d, struct ddb_call *c, const struct signed_call *s,
		   struct http_answer *w, struct err *reterr)
{
	struct http_request q = {
	    .method = STR("POST"),
	    .url = d->url,
	    .headers = s->headers,
	    .headers_n = s->n,
	    .answer_ms = (unsigned)(d->call_ms / ATTEMPTS_A_CALL),
	};
	struct http_exchange *x;
	rc r;

	if (c->reads) {
		q.body = HTTP_BYTES;
		q.bytes = c->body;
		return http_ask(d->http, &q, DDB_BODY_MAX, c->a, w, reterr);
	}
	q.body = HTTP_SENT;
	q.length = (int64_t)c->body.n;
	x = http_open(d->http, &q);
	r = http_send(x, c->body.p, c->body.n, reterr);
	if (rc_ok(r))
		r = http_answer(x, c->a, w, reterr);
	if (rc_ok(r))
		r = read_body(x, c->a, w, reterr);
	http_close(x);
	return r;
}

static void count(const struct ddb_call *c)
{
	static const char *const names[] = {"GetItem",	     "PutItem",	   "DeleteItem",
					    "Query",	     "Scan",	   "BatchWriteItem",
					    "DescribeTable", "CreateTable"};
	static struct metric *slots[sizeof(names) / sizeof(names[0])][2];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], c->operation) == 0)
			metric_outcome(slots[i], "kv_dynamodb_requests_total",
				       "Requests to DynamoDB, each attempt.", names[i],
				       c->fate != DDB_DONE && c->fate != DDB_CONDITION);
}

static void attempt_uncounted(struct dynamodb *d, struct ddb_call *c, struct signed_call *s)
{
	struct http_answer w = {0};
	struct err e = {0};
	rc r;

	c->kind[0] = c->why[0] = 0;
	*s = (struct signed_call){0};
	r = sign(d, c, s, &e);
	if (!rc_ok(r)) {
		ddb_tell(c, DDB_REFUSED, e.msg);
		snprintf(c->kind, sizeof(c->kind), DDB_NO_KEYS);
		return;
	}
	r = exchange(d, c, s, &w, &e);
	if (rc_ok(r))
		ddb_judge(c, &w);
	else
		ddb_tell(c, rc_is(r, ServiceUnavailable) ? DDB_UNSENT : DDB_LOST, e.msg);
}

static void attempt(struct dynamodb *d, struct ddb_call *c, struct signed_call *s)
{
	attempt_uncounted(d, c, s);
	count(c);
}

void ddb_pause(unsigned n)
{
	uint64_t most = PAUSE_FIRST_US, us;

	for (unsigned i = 1; i < n && most < PAUSE_MAX_US; i++)
		most *= 2;
	rand_bytes(&us, sizeof(us));
	us %= (most < PAUSE_MAX_US ? most : PAUSE_MAX_US) + 1;
	sleep_us((int64_t)us);
}

static bool again(const struct ddb_call *c)
{
	return c->fate == DDB_THROTTLED || c->fate == DDB_UNSENT ||
	       (c->fate == DDB_LOST && c->reads);
}

static void run_in_slot(struct dynamodb *d, struct ddb_call *c)
{
	unsigned most = c->tries ? c->tries : d->max_attempts;
	int64_t until = mono_ms() + d->call_ms;
	struct signed_call s;
	bool renewed = false;

	for (unsigned n = 1;; n++) {
		attempt(d, c, &s);
		/* Temporary keys may have ended before their time. */
		if (c->fate == DDB_REFUSED && !renewed && ddb_keys_refused(c) &&
		    aws_credentials_refused(d->keys, s.access_key)) {
			renewed = true;
			continue;
		}
		if (!again(c) || n == most || mono_ms() >= until)
			return;
		ddb_pause(n);
	}
}

void ddb_run(struct dynamodb *d, struct ddb_call *c)
{
	c->doc = NULL;
	if (!take_slot(d)) {
		ddb_tell(c, DDB_THROTTLED,
			 "all connections are in use (database.dynamodb.max_connections)");
		snprintf(c->kind, sizeof(c->kind), DDB_NO_PLACE);
		return;
	}
	run_in_slot(d, c);
	give_slot(d);
}
