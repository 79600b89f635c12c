/* sluice-bench: a load generator for any S3 server, and for lakeFS's REST API. One thread, one epoll, kept-alive connections
 * each with one request under way; signatures cost a cached key and two hashes, bodies of answers
 * are dropped in the kernel, so that the client takes little of a machine that it shares.
 *
 *   options -> workload (which request is next) -> request (signed bytes) -> conn (socket)
 *           -> response (parser) -> workload (is the operation done?) -> report
 */
#pragma once

#include <netinet/in.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

enum bench_op {
	BENCH_PUT,
	BENCH_GET,
	BENCH_HEAD,
	BENCH_LIST,
	BENCH_DELETE,
	BENCH_MULTIPART,
	BENCH_COPY,
	BENCH_PART_COPY, /* a multipart upload whose parts are ranges of an object */
	BENCH_TAG,
	/* lakeFS's REST API */
	BENCH_STAT,
	BENCH_LS,     /* a page of objects/ls */
	BENCH_COMMIT, /* of one changed object */
	BENCH_OPS
};

struct bench_options {
	enum bench_op op;
	struct sockaddr_in address;
	struct str host; /* as given: host:port */
	struct str bucket, prefix, region, access_key, secret;
	uint64_t size, part_size;
	unsigned connections;
	/* Ends after count operations or `seconds`; 0: no such end. */
	uint64_t count;
	double seconds;
	uint64_t keys; /* how many keys there are to choose from, k0 on */
	uint64_t first;  /* the first of them */
	unsigned max_keys; /* LIST */
	struct str token;  /* REST: a login's; STR_NONE: HTTP Basic */
	struct str source; /* BUCKET/PREFIX of what is copied */
	enum digest_kind checksum; /* of a PUT; DIGEST_KINDS: none */
	bool signed_payload, json;
	bool trailer;	/* the checksum comes behind the body, which goes as aws-chunked */
	bool if_absent; /* If-None-Match: * */
	long pid; /* the server's; 0: not known */
	int64_t timeout_ms;
};

extern const char *const bench_op_names[BENCH_OPS];

/* INVALID with what to do. Strings live in the arena. */
rc bench_options_parse(int argc, char **argv, struct arena *a, struct bench_options *ret,
		       struct err *reterr);
void bench_usage(void);
