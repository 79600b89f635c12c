/* Between the driver and DynamoDB: passes requests on, and answers some of them itself, as a test
 * says. */
#pragma once

#include "kv/kv.h"
#include "tests/http/fake.h"

struct ddb_proxy;

/* Any thread. True: w is the answer; false: the request is passed on. */
typedef bool ddb_proxy_fn(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
			  struct fake_answer *w);

/* What a test changes while requests come is atomic. */
struct ddb_proxy {
	struct fake fake; /* first */
	int to_port;
	struct http_pool *http;
	ddb_proxy_fn *_Atomic answer; /* NULL: all are passed on */
	void *ud;
	_Atomic unsigned left; /* for the test's own counting down */
	/* Requests so far: all, and of the operation that is watched. */
	const char *_Atomic watched;
	_Atomic unsigned n, watched_n;
	_Atomic int under_way, most_under_way;
};

void ddb_proxy_start(struct ddb_proxy *p, int to_port);
void ddb_proxy_stop(struct ddb_proxy *p);
/* Asks the service. */
void ddb_proxy_forward(struct ddb_proxy *p, const struct fake_request *q, struct str body,
		       struct fake_answer *w);
/* An exception's answer. */
void ddb_proxy_refuse(const struct fake_request *q, int status, const char *kind,
		      struct fake_answer *w);
