/* A request of the REST API's without a connection: its head is enough for what only reads it. */
#pragma once

#include "api/rest.h"
#include "fuzz/fuzz.h"
#include "http/conn.h"
#include "kv/kv.h"

struct request {
	struct arena *a;
	struct http_req http;
	struct kv *kv;
	struct auth *auth;
	struct api *x;
	struct api_req r;
};

static inline void request_open(struct request *q)
{
	*q = (struct request){.a = arena_new()};
	q->kv = kv_mem_new();
	q->auth = auth_new(&(struct auth_options){.kv = q->kv, .encrypt_secret = STR("secret")});
	q->x = api_new(&(struct api_options){.auth = q->auth, .signing_secret = STR("secret")});
	q->r = (struct api_req){.x = q->x, .http = &q->http, .a = q->a};
}

static inline void request_close(struct request *q)
{
	api_free(q->x);
	auth_free(q->auth);
	kv_free(q->kv);
	arena_free(q->a);
}

/* False: no head of a request. */
static inline bool request_parse(struct request *q, struct str in)
{
	struct http_scan scan = {0};
	const char *why = NULL;

	return in.n && http_scan(&scan, in) == HTTP_SCAN_WHOLE &&
	       http_head_parse(arena_cstr(q->a, str_head(in, scan.at)), scan.at, scan.lines, 100, q->a,
			       &q->http.head, &why) == 0;
}

/* What is refused is the client's mistake, or not to be had here; it is told, in text that JSON can hold. */
static inline void refusal_check(const struct request *q, rc refused)
{
	int status = api_status(refused.code);

	MUST(q->r.err.code == refused.code && q->r.err.msg[0]);
	MUST((status >= 400 && status < 500) || status == 501);
}
