/* A request of the gateway's without a connection: its head is enough for what only reads it. */
#pragma once

#include "fuzz/fuzz.h"
#include "gateway/s3.h"
#include "http/conn.h"

struct request {
	struct arena *a;
	struct http_req http;
	struct gateway_options o;
	struct gateway *g;
	struct s3_req r;
};

static inline void request_open(struct request *q)
{
	static const struct str domain = STR("s3.example.com");

	*q = (struct request){.a = arena_new()};
	q->o = (struct gateway_options){
		.domains = &domain, .domains_n = 1, .region = STR("us-east-1")};
	q->g = gateway_new(&q->o);
	q->r.g = q->g;
	q->r.http = &q->http;
	q->r.a = q->a;
	buf_init(&q->r.xml, 1 << 20);
}

static inline void request_close(struct request *q)
{
	buf_deinit(&q->r.xml);
	gateway_free(q->g);
	arena_free(q->a);
}

/* What is refused is the client's mistake, and told. */
static inline void refusal_check(const struct request *q, rc refused)
{
	int status = err_status(refused.code);

	MUST(q->r.err.code == refused.code);
	MUST(q->r.err.msg[0] || status == 304);
	MUST((status >= 400 && status < 500) || status == 304 || status == 501);
}

/* Of a copy. Without a path it is but a repository's branch, as who writes into a branch's bucket may name it. */
static inline void source_address_check(const struct request *q, const struct s3_address *at)
{
	MUST(at->repo.n || at->ref_bucket);
	MUST(at->path.n || (q->r.at.ref_bucket && !at->ref_bucket));
	MUST(str_is_utf8(at->path) && (!at->path.n || !memchr(at->path.p, 0, at->path.n)));
}

/* x-amz-copy-source says the same whenever it is read. */
static inline void source_check(struct request *q)
{
	struct s3_address first, second;
	rc got = s3_copy_source(&q->r, &first);

	if (!rc_ok(got)) {
		refusal_check(q, got);
		return;
	}
	MUST(rc_ok(s3_copy_source(&q->r, &second)));
	MUST(str_eq(first.repo, second.repo) && str_eq(first.ref, second.ref) &&
	     str_eq(first.path, second.path));
	source_address_check(q, &first);
}
