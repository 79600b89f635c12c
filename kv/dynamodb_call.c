/* Requests: signing, sending, what an answer means, and when one is sent again.
 *
 * A request that changes something goes as a body that libcurl can't rewind (HTTP_SENT), so that it
 * is never sent twice behind our back: a kept connection that turns out to be dead may have carried
 * the first one. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "kv/dynamodb.h"
#include "sigv4/sigv4.h"

#define TARGET "DynamoDB_20120810."
/* Kinds of our own. */
#define NO_KEYS "NoCredentials"
#define NO_PLACE "NoConnection"
#define CONTENT_TYPE STR("application/x-amz-json-1.0")

enum {
	PAUSE_FIRST_US = 50000,
	PAUSE_MAX_US = 2000000,
	ATTEMPTS_A_CALL = 3, /* that have no answer */
	HEADERS = 8,
};

bool ddb_is(const struct ddb_call *c, const char *kind)
{
	return strcmp(c->kind, kind) == 0;
}

static void tell(struct ddb_call *c, enum ddb_fate fate, const char *why)
{
	c->fate = fate;
	snprintf(c->why, sizeof(c->why), "%.*s", (int)sizeof(c->why) - 1, why);
}

/* Connections. */

static bool take_slot(struct dynamodb *d)
{
	struct timespec until;
	bool had;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += d->wait_ms / 1000;
	until.tv_nsec += d->wait_ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
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

/* Answers. */

/* A damaged answer is none. */
static bool crc_good(const struct http_answer *w)
{
	struct str told = http_answer_header(w, "x-amz-crc32");
	uint64_t want;
	uint8_t got[4];

	if (!told.n || !str_to_u64(told, &want))
		return true;
	digest_of(DIGEST_CRC32, w->body, got);
	return want ==
	       ((uint64_t)got[0] << 24 | (uint64_t)got[1] << 16 | (uint64_t)got[2] << 8 | got[3]);
}

static bool among(const struct ddb_call *c, const char *const *names)
{
	for (; *names; names++)
		if (ddb_is(c, *names))
			return true;
	return false;
}

static const char *const throttles[] = {"ProvisionedThroughputExceededException",
					"ThrottlingException",
					"Throttling",
					"RequestLimitExceeded",
					"TransactionConflictException",
					"TransactionInProgressException",
					"LimitExceededException",
					"ReplicatedWriteConflictException",
					NULL};

static const char *const keys_refused[] = {"UnrecognizedClientException",
					   "InvalidSignatureException",
					   "ExpiredTokenException",
					   "ExpiredToken",
					   "InvalidClientTokenId",
					   "MissingAuthenticationTokenException",
					   "MissingAuthenticationToken",
					   "IncompleteSignatureException",
					   "IncompleteSignature",
					   "NotAuthorized",
					   NULL};

static void read_exception(struct ddb_call *c, const struct http_answer *w)
{
	struct json *doc = NULL;
	struct str kind, message;

	IGNORE_RC(json_parse(c->a, w->body, &doc, NULL)); /* a proxy's page: the status decides */
	kind = json_str(json_member(doc, "__type"));
	if (str_index(kind, '#') < kind.n)
		kind = str_skip(kind, str_index(kind, '#') + 1);
	message = json_str(json_member(doc, "message"));
	if (!message.p)
		message = json_str(json_member(doc, "Message"));
	snprintf(c->kind, sizeof(c->kind), STR_FMT, STR_ARG(str_head(kind, sizeof(c->kind) - 1)));
	snprintf(c->why, sizeof(c->why), "status %d %s: " STR_FMT, w->status, c->kind,
		 STR_ARG(str_head(message, 110)));
}

static void judge(struct ddb_call *c, const struct http_answer *w)
{
	if (!crc_good(w)) {
		tell(c, DDB_LOST, "the answer's bytes don't match its x-amz-crc32");
		return;
	}
	if (w->status == 200) {
		if (rc_ok(json_parse(c->a, w->body, &c->doc, NULL)))
			c->fate = DDB_DONE;
		else
			tell(c, DDB_LOST, "the answer is no JSON");
		return;
	}
	read_exception(c, w);
	if (ddb_is(c, "ConditionalCheckFailedException"))
		c->fate = DDB_CONDITION;
	else if (w->status == 429 || among(c, throttles))
		c->fate = DDB_THROTTLED;
	else if (w->status >= 400 && w->status < 500)
		c->fate = DDB_REFUSED;
	else
		c->fate = DDB_LOST;
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
		tell(c, DDB_REFUSED, e.msg);
		snprintf(c->kind, sizeof(c->kind), NO_KEYS);
		return;
	}
	r = exchange(d, c, s, &w, &e);
	if (rc_ok(r))
		judge(c, &w);
	else
		tell(c, rc_is(r, ServiceUnavailable) ? DDB_UNSENT : DDB_LOST, e.msg);
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
	nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
				     .tv_nsec = (long)(us % 1000000) * 1000},
		  NULL);
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
		if (c->fate == DDB_REFUSED && !renewed && among(c, keys_refused) &&
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
		tell(c, DDB_THROTTLED,
		     "all connections are in use (database.dynamodb.max_connections)");
		snprintf(c->kind, sizeof(c->kind), NO_PLACE);
		return;
	}
	run_in_slot(d, c);
	give_slot(d);
}

/* What it means. */

static rc throttled(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (ddb_is(c, NO_PLACE))
		return err_set(reterr, ERR_SlowDown, "%s, table \"" STR_FMT "\": %s; try again",
			       c->operation, STR_ARG(d->table), c->why);
	return err_set(reterr, ERR_SlowDown,
		       "%s, table \"" STR_FMT
		       "\": DynamoDB refuses more for now (%s): raise the table's capacity or "
		       "make it on-demand, or try again",
		       c->operation, STR_ARG(d->table), c->kind[0] ? c->kind : "status 429");
}

static rc refused(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (ddb_is(c, NO_KEYS))
		return err_set(reterr, ERR_ServiceUnavailable, "%s, table \"" STR_FMT "\": %s",
			       c->operation, STR_ARG(d->table), c->why);
	if (among(c, keys_refused) || ddb_is(c, "AccessDeniedException"))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": DynamoDB refuses the credentials (%s): check the keys, their "
			       "policy and this machine's clock",
			       c->operation, STR_ARG(d->table), c->why);
	if (ddb_is(c, "ResourceNotFoundException"))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": it isn't there any more: restore it, or start the server anew",
			       c->operation, STR_ARG(d->table));
	return err_set(reterr, ERR_IO, "%s, table \"" STR_FMT "\": DynamoDB refused: %s",
		       c->operation, STR_ARG(d->table), c->why);
}

rc ddb_result(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (c->fate == DDB_DONE)
		return RC_OK;
	if (c->fate == DDB_CONDITION)
		return err_default(reterr, ERR_PREDICATE);
	log_event(LOG_WARN, "kv", "a request to DynamoDB failed", F_CSTR("operation", c->operation),
		  F_STR("table", d->table), F_CSTR("reason", c->why));
	switch (c->fate) {
	case DDB_THROTTLED:
		return throttled(d, c, reterr);
	case DDB_REFUSED:
		return refused(d, c, reterr);
	case DDB_LOST:
		if (!c->reads)
			return err_set(reterr, ERR_UNKNOWN_OUTCOME,
				       "%s, table \"" STR_FMT
				       "\": %s, and whether the change took place isn't known",
				       c->operation, STR_ARG(d->table), c->why);
		[[fallthrough]];
	default:
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": DynamoDB can't be reached at the moment (%s); try again",
			       c->operation, STR_ARG(d->table), c->why);
	}
}
