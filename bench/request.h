/* Signed S3 requests as bytes. */
#pragma once

#include "bench/bench.h"

struct request {
	const char *method;
	struct str key;	  /* STR_NONE: the bucket itself */
	struct str query; /* encoded and in order, STR_NONE: none */
	uint64_t body_size;
	struct str payload_hash; /* hex, or "UNSIGNED-PAYLOAD" */
};

/* Appends the head. */
void request_head(const struct bench_options *o, const struct request *r, struct arena *a,
		  struct buf *to);
/* The SHA-256, in hex, of `size` bytes of the pattern again and again. */
struct str request_payload_hash(struct str pattern, uint64_t size, struct arena *a);
