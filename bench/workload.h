/* Which requests an operation is made of, and whether what came back is success. */
#pragma once

#include "bench/request.h"
#include "bench/response.h"
#include "bench/trailer.h"

struct workload {
	const struct bench_options *o;
	struct arena *a;
	struct str pattern; /* bodies are this again and again */
	struct str payload_hash, part_hash, last_part_hash; /* for --signed */
	struct str checksum_name, checksum; /* of a PUT in its head; STR_NONE: none */
	struct trailer_body trailer;
	struct str document; /* of TAG */
	uint64_t parts;
	uint64_t begun;
	int64_t end_us; /* of beginning operations; 0: none */
};

/* One under way; belongs to a connection. */
struct operation {
	uint64_t number;
	unsigned lane;	 /* its connection */
	bool has_branch; /* commit: the lane's was made */
	unsigned step; /* multipart: 0 begins, 1..parts are parts, then it is completed */
	char upload_id[512];
	struct buf xml; /* of the completion */
	char key[32];
};

/* PREPARED: a step whose time doesn't count. */
enum outcome { OUTCOME_DONE, OUTCOME_STEP, OUTCOME_PREPARED, OUTCOME_FAILED };

rc workload_init(struct workload *w, const struct bench_options *o, struct arena *a,
		 struct err *reterr);
void operation_init(struct operation *op);
void operation_deinit(struct operation *op);
/* The next operation; false: there are no more. */
bool workload_begin(struct workload *w, struct operation *op);
/* The request of its step. Strings live in `a`; the body is ret_body repeated up to body_size. */
struct request workload_request(const struct workload *w, struct operation *op, struct arena *a,
				struct str *ret_body);
enum outcome workload_response(const struct workload *w, struct operation *op,
			       const struct response *r);
/* Bytes of objects that one operation moves. */
uint64_t workload_bytes(const struct workload *w);
