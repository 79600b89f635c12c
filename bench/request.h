/* Signed S3 requests as bytes. */
#pragma once

#include "bench/bench.h"
#include "sigv4/sigv4.h"

enum { REQUEST_HEADERS = 6 };

struct request {
	const char *method;
	struct str rest; /* of the REST API: the target below /api/v1, encoded; STR_NONE: it is S3's */
	struct str key;	  /* STR_NONE: the bucket itself */
	struct str query; /* encoded and in order, STR_NONE: none */
	uint64_t body_size;
	struct str tail; /* of the body, behind those */
	struct str payload_hash; /* hex, or "UNSIGNED-PAYLOAD" */
	struct sigv4_header headers[REQUEST_HEADERS]; /* besides those that each has */
	size_t headers_n;
};

void request_header(struct request *r, struct str name, struct str value);

/* Appends the head. */
void request_head(const struct bench_options *o, const struct request *r, struct arena *a,
		  struct buf *to);
/* The digest of `size` bytes of the pattern again and again; raw. */
struct str request_digest(enum digest_kind k, struct str pattern, uint64_t size, struct arena *a);
/* Its SHA-256 in hex. */
struct str request_payload_hash(struct str pattern, uint64_t size, struct arena *a);
