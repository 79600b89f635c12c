/* A body as aws-chunked with a checksum in its trailer, as SDKs send it (unsigned, over TLS). */
#pragma once

#include "bench/request.h"

struct trailer_body {
	struct str chunks; /* whole chunks; repeated up to chunks_size, then tail */
	uint64_t chunks_size;
	struct str tail; /* the last chunk, the end, the trailer */
	struct str name; /* of the trailer's header */
};

/* Of `size` bytes of the pattern again and again, in chunks of 64 KiB. */
struct trailer_body trailer_body_new(enum digest_kind k, struct str pattern, uint64_t size,
				     struct arena *a);
