/* Bytes to and from one accepted socket, plain or TLS, never blocking.
 *
 * TLS is OpenSSL on the descriptor itself, not h2o's: so both kinds read straight into the caller's
 * buffer and nothing is buffered without bound.
 */
#pragma once

#include "base/str.h"

#include <openssl/ssl.h>
#include <sys/uio.h>

struct stream {
	int fd;   /* borrowed */
	SSL *ssl; /* NULL: plain */
};

/* Instead of a count of bytes. */
enum {
	STREAM_EOF = 0,   /* reading: the peer sends no more */
	STREAM_AGAIN = -1,
	STREAM_FAIL = -2, /* the connection is of no use any more */
};

ssize_t stream_read(struct stream *s, void *dst, size_t cap);
/* At least one byte; `more` says that the caller goes on at once, so that packets may wait for it. After
 * AGAIN the same bytes come again first (their address may have changed). */
ssize_t stream_write(struct stream *s, const struct iovec *iov, unsigned n, bool more);
/* Bytes that have been received already but that the descriptor won't report. */
bool stream_pending(const struct stream *s);
/* Tells the peer that nothing more will come. Best effort. */
void stream_end(struct stream *s);

enum stream_tls { STREAM_TLS_DONE, STREAM_TLS_WANT_READ, STREAM_TLS_WANT_WRITE, STREAM_TLS_FAIL };
enum stream_tls stream_handshake(struct stream *s);
