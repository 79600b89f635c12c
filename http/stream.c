#include "http/stream.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

/* One record's worth: short pieces are joined, so that a head and a small body are one record. */
enum { TLS_JOIN = 16384 };

static ssize_t plain_result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_AGAIN : STREAM_FAIL;
}

static ssize_t tls_result(SSL *ssl, int ret)
{
	switch (SSL_get_error(ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return STREAM_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_EOF;
	default:
		return STREAM_FAIL;
	}
}

static ssize_t tls_read(SSL *ssl, void *dst, size_t cap)
{
	size_t n;
	int ret;

	/* OpenSSL keeps errors for each thread: those of other connections must not be read here. */
	ERR_clear_error();
	ret = SSL_read_ex(ssl, dst, cap, &n);
	return ret == 1 ? (ssize_t)n : tls_result(ssl, ret);
}

ssize_t stream_read(struct stream *s, void *dst, size_t cap)
{
	ssize_t n;

	assert(cap > 0);
	if (s->ssl)
		return tls_read(s->ssl, dst, cap);
	do
		n = read(s->fd, dst, cap);
	while (n < 0 && errno == EINTR);
	return plain_result(n);
}

static ssize_t plain_write(int fd, const struct iovec *iov, unsigned n, bool more)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t sent;

	do
		sent = sendmsg(fd, &m, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (sent < 0 && errno == EINTR);
	return plain_result(sent);
}

/* What to write next: the first piece, or as many short ones as make a record. */
static struct str tls_piece(const struct iovec *iov, unsigned n, char *join)
{
	size_t joined = 0;

	if (n == 1 || iov[0].iov_len >= TLS_JOIN)
		return str_make(iov[0].iov_base, iov[0].iov_len);
	for (unsigned i = 0; i < n && joined < TLS_JOIN; i++) {
		size_t room = TLS_JOIN - joined;
		size_t len = iov[i].iov_len < room ? iov[i].iov_len : room;

		memcpy(join + joined, iov[i].iov_base, len);
		joined += len;
	}
	return str_make(join, joined);
}

static ssize_t tls_write(SSL *ssl, const struct iovec *iov, unsigned n)
{
	char join[TLS_JOIN];
	struct str piece = tls_piece(iov, n, join);
	size_t sent;
	ssize_t result;
	int ret;

	ERR_clear_error();
	ret = SSL_write_ex(ssl, piece.p, piece.n, &sent);
	if (ret == 1)
		return (ssize_t)sent;
	result = tls_result(ssl, ret);
	return result == STREAM_EOF ? STREAM_FAIL : result;
}

ssize_t stream_write(struct stream *s, const struct iovec *iov, unsigned n, bool more)
{
	if (s->ssl)
		return tls_write(s->ssl, iov, n);
	return plain_write(s->fd, iov, n, more);
}

bool stream_pending(const struct stream *s)
{
	return s->ssl && SSL_pending(s->ssl) > 0;
}

void stream_end(struct stream *s)
{
	if (s->ssl && SSL_is_init_finished(s->ssl)) {
		ERR_clear_error();
		SSL_shutdown(s->ssl);
	}
	shutdown(s->fd, SHUT_WR);
}

enum stream_tls stream_handshake(struct stream *s)
{
	int ret;

	ERR_clear_error();
	ret = SSL_accept(s->ssl);
	if (ret == 1)
		return STREAM_TLS_DONE;
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return STREAM_TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return STREAM_TLS_WANT_WRITE;
	default:
		return STREAM_TLS_FAIL;
	}
}
