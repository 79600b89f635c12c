#include "http/conn.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
	ACCEPTS_PER_TURN = 32,
	BACKLOG = 4096,
	FULL_MS = 20,      /* until another loop's connections may have ended */
	STARVED_MS = 100,  /* without descriptors or memory in the kernel */
	COMPLAIN_MS = 1000,
};

/* "host:port", ":port", "[::1]:port". */
static bool split_address(struct str address, char host[256], char port[6])
{
	size_t colon = address.n;
	struct str h, p;
	uint64_t number;

	while (colon && address.p[colon - 1] != ':')
		colon--;
	if (!colon)
		return false;
	h = str_head(address, colon - 1);
	p = str_skip(address, colon);
	if (h.n && h.p[0] == '[') {
		if (h.n < 3 || h.p[h.n - 1] != ']')
			return false;
		h = str_make(h.p + 1, h.n - 2);
	} else if (str_index(h, ':') < h.n) {
		return false;
	}
	if (h.n > 255 || p.n > 5 || !str_to_u64(p, &number) || number > 65535)
		return false;
	memcpy(host, h.p, h.n);
	host[h.n] = 0;
	memcpy(port, p.p, p.n);
	port[p.n] = 0;
	return true;
}

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Accepted sockets inherit the options. */
static int bound(const struct addrinfo *ai, bool share)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok;
	int e;

	if (fd < 0)
		return -1;
	ok = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
	     set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
	     set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
	     (!share || set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
	     (ai->ai_family != AF_INET6 || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
	     bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && (!share || listen(fd, BACKLOG) == 0);
	if (ok)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static void set_port(struct addrinfo *ai, in_port_t port)
{
	if (ai->ai_family == AF_INET6)
		((struct sockaddr_in6 *)ai->ai_addr)->sin6_port = port;
	else
		((struct sockaddr_in *)ai->ai_addr)->sin_port = port;
}

static in_port_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return 0;
	return sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					: ((struct sockaddr_in *)&sa)->sin_port;
}

/* All, or none and errno. */
static bool bind_all(struct addrinfo *ai, unsigned n, int *fds)
{
	/* SO_REUSEPORT would let a second server take half of the connections: try without first. */
	int fd = bound(ai, false);

	if (fd < 0)
		return false;
	close(fd);
	for (unsigned i = 0; i < n; i++) {
		fds[i] = bound(ai, true);
		if (fds[i] < 0) {
			int e = errno;

			while (i)
				close(fds[--i]);
			errno = e;
			return false;
		}
		set_port(ai, port_of(fds[i]));
	}
	return true;
}

/* A name with several addresses: IPv4 first, as clients on the same machine mostly expect; without a
 * host IPv6, which takes IPv4, too. */
static bool bind_any(struct addrinfo *list, bool anywhere, unsigned n, int *fds)
{
	const int order[2] = {anywhere ? AF_INET6 : AF_INET, anywhere ? AF_INET : AF_INET6};

	errno = EADDRNOTAVAIL;
	for (int i = 0; i < 2; i++)
		for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
			if (ai->ai_family != order[i])
				continue;
			if (bind_all(ai, n, fds))
				return true;
			if (errno == EADDRINUSE || errno == EACCES)
				return false;
		}
	return false;
}

rc listen_all(struct str address, unsigned n, int *fds, unsigned *ret_port, struct err *reterr)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	char host[256], port[6];
	int e, saved;
	bool ok;

	if (!split_address(address, host, port))
		return err_set(reterr, ERR_CONFIG,
			       "listen address \"" STR_FMT "\": write it as host:port or :port",
			       STR_ARG(address));
	e = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
	if (e)
		return err_set(reterr, ERR_CONFIG, "listen address \"" STR_FMT "\": %s",
			       STR_ARG(address), gai_strerror(e));
	ok = bind_any(list, !host[0], n, fds);
	saved = errno;
	freeaddrinfo(list);
	if (!ok)
		return err_errno(reterr, ERR_CONFIG, saved, "listening on \"" STR_FMT "\"",
				 STR_ARG(address));
	*ret_port = ntohs(port_of(fds[0]));
	return RC_OK;
}

static void resume(struct loop_timer *t)
{
	struct server_loop *sl = CONTAINER_OF(t, struct server_loop, resume);

	loop_fd_watch(&sl->listener, true);
}

/* Level-triggered: watching on would spin. */
static void pause_for(struct server_loop *sl, unsigned ms)
{
	loop_fd_watch(&sl->listener, false);
	loop_timer_set(sl->loop, &sl->resume, ms, resume);
}

static void complain(struct server_loop *sl, int e)
{
	int64_t now = mono_ms();
	char why[100];

	if (sl->complained_ms && now - sl->complained_ms < COMPLAIN_MS)
		return;
	sl->complained_ms = now;
	log_event(LOG_WARN, "http", "can't accept connections; trying again",
		  F_CSTR("error", strerror_r(e, why, sizeof(why))));
}

static void complain_full(struct server_loop *sl)
{
	int64_t now = mono_ms();

	if (sl->complained_ms && now - sl->complained_ms < COMPLAIN_MS)
		return;
	sl->complained_ms = now;
	log_event(LOG_WARN, "http",
		  "as many connections as are allowed: others wait, and those without a request are closed",
		  F_INT("connections", (int64_t)sl->server->limits.connections),
		  F_CSTR("remedy", "raise server.connections and the limit of open files"));
}

static SSL_CTX *tls_ref(struct http_server *s)
{
	SSL_CTX *ctx;

	pthread_mutex_lock(&s->tls_lock);
	ctx = s->locked.tls;
	if (ctx)
		SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&s->tls_lock);
	return ctx;
}

/* A place among the connections of all loops, given back by conn_close. */
static bool take_place(struct http_server *s)
{
	if (atomic_fetch_add(&s->connections, 1) < s->limits.connections)
		return true;
	atomic_fetch_sub(&s->connections, 1);
	return false;
}

static bool accept_one(struct server_loop *sl)
{
	struct http_server *s = sl->server;
	struct sockaddr_storage peer;
	socklen_t n = sizeof(peer);
	SSL_CTX *tls;
	int fd;

	if (!take_place(s)) {
		complain_full(sl);
		if (!conn_evict(sl) || !take_place(s)) {
			pause_for(sl, FULL_MS);
			return false;
		}
	}
	fd = accept4(sl->listener.fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		int e = errno;

		atomic_fetch_sub(&s->connections, 1);
		if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
			complain(sl, e);
			pause_for(sl, STARVED_MS);
		}
		return false; /* what is left (a client that is gone already) comes next turn */
	}
	tls = tls_ref(s);
	conn_new(sl, fd, tls, &peer);
	SSL_CTX_free(tls);
	return true;
}

static void on_acceptable(struct loop_fd *w)
{
	struct server_loop *sl = CONTAINER_OF(w, struct server_loop, listener);

	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(sl); i++)
		;
}

void listener_start(struct server_loop *sl)
{
	sl->listener.readable = on_acceptable;
	loop_fd_open(sl->loop, &sl->listener, sl->listen_fd);
	loop_fd_watch(&sl->listener, true);
}

void listener_stop(struct server_loop *sl)
{
	loop_timer_cancel(&sl->resume);
	loop_fd_close(&sl->listener);
}

void listener_room(struct server_loop *sl)
{
	if (!loop_timer_set_p(&sl->resume))
		return;
	loop_timer_cancel(&sl->resume);
	loop_fd_watch(&sl->listener, true);
}
