/* An answer's body from its connection into a pipe, by splice(2). libcurl has read ahead: what it holds is
 * written first; from then on the socket is ours alone, and libcurl is not driven any more. It closes the connection
 * when the exchange ends, since it believes that the body hasn't come. */
#include "http/client_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/work.h"

/* libcurl's sockets. */

static curl_socket_t on_open(void *ud, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct link *l = ud;
	int s = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

	for (unsigned i = 0; s >= 0 && i < LINK_SOCKETS; i++)
		if (l->sockets[i] < 0) {
			l->sockets[i] = s;
			break;
		}
	return s < 0 ? CURL_SOCKET_BAD : s;
}

static int on_close(void *ud, curl_socket_t s)
{
	struct link *l = ud;

	for (unsigned i = 0; i < LINK_SOCKETS; i++)
		if (l->sockets[i] == s)
			l->sockets[i] = -1;
	return close(s);
}

static int on_connected(void *ud, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	((struct link *)ud)->local_port = local_port;
	return CURL_PREREQFUNC_OK;
}

void http_link_watch(struct link *l)
{
	l->local_port = 0;
	curl_easy_setopt(l->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(l->easy, CURLOPT_OPENSOCKETDATA, l);
	curl_easy_setopt(l->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(l->easy, CURLOPT_CLOSESOCKETDATA, l);
	curl_easy_setopt(l->easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(l->easy, CURLOPT_PREREQDATA, l);
}

static int port_of(int socket)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t n = sizeof(a);

	if (socket < 0 || getsockname(socket, &a.any, &n) != 0)
		return -1;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

int http_link_socket(const struct link *l)
{
	for (unsigned i = 0; i < LINK_SOCKETS; i++)
		if (l->local_port > 0 && port_of(l->sockets[i]) == l->local_port)
			return l->sockets[i];
	return -1;
}

/* The body. */

size_t http_splice_keep(struct http_exchange *x, const char *p, size_t n)
{
	char *joined = malloc(x->spill_n + n);

	if (!joined)
		abort();
	if (x->spill_n)
		memcpy(joined, x->spill + x->spill_at, x->spill_n);
	memcpy(joined + x->spill_n, p, n);
	free(x->spill);
	x->spill = joined;
	x->spill_at = 0;
	x->spill_n += n;
	x->came += (int64_t)n;
	return n;
}

bool http_can_splice(const struct http_exchange *x)
{
	return !x->early && (x->over || x->taken || http_link_socket(x->link) >= 0) && (x->status == 200 || x->status == 206) && x->length >= 0 &&
	       str_starts(x->q.url, STR("http://")) && !str_eq(x->q.method, STR("HEAD"));
}

static rc broke_off(const struct http_exchange *x, const char *why, struct err *reterr)
{
	return err_set(reterr, ERR_IO, STR_FMT " " STR_FMT ": %s with %lld of %lld bytes to come",
		       STR_ARG(x->q.method), STR_ARG(http_exchange_peer(x)), why, (long long)x->to_come,
		       (long long)x->length);
}

static rc take(struct http_exchange *x, struct err *reterr)
{
	x->taken = true;
	if (x->paused_in) {
		x->paused_in = false;
		http_exchange_resume(x); /* calls back with all that was held, before it returns */
	}
	x->to_come = x->length - x->came;
	x->socket = x->over ? -1 : http_link_socket(x->link);
	if (x->socket < 0 && x->to_come)
		return broke_off(x, "the connection ended", reterr);
	return RC_OK;
}

/* Until the socket has something to read, or an end. */
static rc await(struct http_exchange *x, struct err *reterr)
{
	struct pollfd p = {.fd = x->socket, .events = POLLIN};
	int64_t since = mono_ms();

	while (poll(&p, 1, HTTP_SLICE_MS) <= 0) {
		if (atomic_load(&x->pool->stopped))
			return err_default(reterr, ERR_CANCELLED);
		if (mono_ms() - since > x->pool->o.stall_ms)
			return http_stalled(x, x->pool->o.stall_ms, reterr);
	}
	return RC_OK;
}

static bool readable(int socket)
{
	struct pollfd p = {.fd = socket, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

/* What is there now. *ret_n 0: nothing; *ret_full: because of the pipe. */
static rc some(struct http_exchange *x, int pipe, size_t n, size_t *ret_n, bool *ret_full, struct err *reterr)
{
	bool spilled = x->spill_n > 0;
	ssize_t k;

	*ret_n = 0;
	if (spilled)
		k = write(pipe, x->spill + x->spill_at, n < x->spill_n ? n : x->spill_n);
	else
		k = splice(x->socket, NULL, pipe, NULL, (int64_t)n < x->to_come ? n : (size_t)x->to_come,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (k < 0 && errno == EINTR)
		return RC_OK;
	if (k < 0 && errno == EAGAIN) {
		*ret_full = spilled || readable(x->socket);
		return RC_OK;
	}
	if (k <= 0)
		return broke_off(x, k ? strerror(errno) : "the connection ended", reterr);
	if (spilled) {
		x->spill_at += (size_t)k;
		x->spill_n -= (size_t)k;
	} else {
		x->to_come -= k;
	}
	*ret_n = (size_t)k;
	return RC_OK;
}

rc http_splice(struct http_exchange *x, int pipe, size_t n, size_t *ret_n, struct err *reterr)
{
	bool full = false;

	assert(!on_loop() && n > 0 && http_can_splice(x));
	*ret_n = 0;
	if (!x->taken)
		TRY(take(x, reterr));
	/* The pipe was empty: it can't be full as long as nothing is in it. */
	while (!(full && *ret_n) && *ret_n < n && (x->spill_n || x->to_come)) {
		size_t k;

		TRY(some(x, pipe, n - *ret_n, &k, &full, reterr));
		*ret_n += k;
		if (!k && !full)
			TRY(await(x, reterr));
	}
	return RC_OK;
}
