/* A streamed body whose end can't be mistaken: S3's aws-chunked with a checksum behind it
 * (x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER), for services that store what came of a body that
 * broke off. Nothing is kept: each frame's size is known beforehand, and its bytes pass through. A caller's
 * thread at a time.
 *
 *	100000 CRLF (1 MiB) CRLF ... rest CRLF (rest) CRLF 0 CRLF x-amz-checksum-crc32c:... CRLF CRLF
 */
#pragma once

#include "base/digest.h"
#include "http/client.h"

enum { REMOTE_FRAME = 1024 * 1024 };

#define REMOTE_FRAMES_TRAILER "x-amz-checksum-crc32c"

struct remote_frames {
	uint64_t size, at;
	struct digest_set *sum; /* the arena's */
};

/* For an object of that size; again for another attempt. */
void remote_frames_init(struct remote_frames *f, struct arena *a, uint64_t size);
/* Of all of it on the wire. */
uint64_t remote_frames_length(uint64_t size);
/* The object's next bytes, in pieces of any size; with those before, no more than its size. */
rc remote_frames_send(struct remote_frames *f, struct http_exchange *x, const void *p, size_t n,
		      struct err *reterr);
/* After the last byte: what says that it was the last. */
rc remote_frames_end(struct remote_frames *f, struct http_exchange *x, struct err *reterr);
