/* A small parser of HTTP/1.1 responses: status, framing (Content-Length, chunked), ETag, and the
 * beginning of the body. Fed with bytes as they come. */
#pragma once

#include "base/buf.h"

enum { RESPONSE_HEAD_MAX = 32 * 1024, RESPONSE_KEPT_MAX = 8 * 1024 };

enum response_state {
	RESPONSE_IN_HEAD,
	RESPONSE_IN_BODY,
	RESPONSE_CHUNK_SIZE,
	RESPONSE_CHUNK_DATA,
	RESPONSE_CHUNK_END,
	RESPONSE_TRAILER,
	RESPONSE_DONE,
	RESPONSE_BAD,
};

struct response {
	enum response_state state;
	bool no_body; /* of a HEAD request */
	int status;
	bool close;
	uint64_t left; /* of the body or the chunk */
	uint64_t body_bytes;
	struct str etag; /* in `head` */
	struct buf head;
	struct buf kept; /* the body's beginning */
	struct buf line;
};

void response_init(struct response *r);
void response_deinit(struct response *r);
/* Ready for the next one; keeps the memory. */
void response_reset(struct response *r, bool no_body);
/* Takes bytes until the response is complete or bad (see state); returns how many it took. */
size_t response_feed(struct response *r, struct str bytes);
/* Bytes of the body that may be dropped unseen now, being of no interest: then say how many were. */
uint64_t response_droppable(const struct response *r);
void response_dropped(struct response *r, uint64_t n);
