/* The framing of "Transfer-Encoding: chunked" (RFC 9112, section 7.1), pure and strict.
 *
 * The decoder sees framing only. When a chunk's data begin it stops; the caller takes d->left bytes
 * from wherever they are and reports them with chunked_took. Extensions and trailers are checked for
 * form, skipped, and bounded.
 */
#pragma once

#include "base/str.h"

enum chunked_state {
	CHUNKED_PARTIAL, /* all that was given is used up, more framing is to come */
	CHUNKED_DATA,    /* d->left bytes of data come next, at least 1 */
	CHUNKED_END,     /* what follows isn't the body's */
	CHUNKED_BAD,
};

/* Zero-initialised at the begin of a body. */
struct chunked {
	uint64_t left;
	enum chunked_step {
		CHUNKED_SIZE,
		CHUNKED_EXTENSION,
		CHUNKED_SIZE_LF,
		CHUNKED_IN_DATA,
		CHUNKED_DATA_CR,
		CHUNKED_DATA_LF,
		CHUNKED_TRAILER_START,
		CHUNKED_TRAILER,
		CHUNKED_TRAILER_LF,
		CHUNKED_LAST_LF,
		CHUNKED_ENDED,
		CHUNKED_BROKEN,
	} step;
	unsigned digits;
	unsigned skipped; /* bytes of the extension at hand, or of all trailers */
	uint64_t data, extensions; /* bytes so far */
};

/* All extensions together may have FREE bytes and EACH for each byte of data so far: tiny chunks with
 * long extensions would cost much work for few bytes of a body. */
enum {
	CHUNKED_MAX_EXTENSION = 1024,
	CHUNKED_FREE_EXTENSIONS = 16 * 1024,
	CHUNKED_EACH_EXTENSIONS = 8,
	CHUNKED_MAX_TRAILERS = 8192,
};

/* Reads framing from `in`, *ret_used bytes of it. Not while data are to come. */
enum chunked_state chunked_frame(struct chunked *d, struct str in, size_t *ret_used);
/* n bytes of data have been taken, at most d->left. */
void chunked_took(struct chunked *d, uint64_t n);
