/* TCP on loopback, for services, fakes and relays of tests. Any thread; what can't be had ends the
 * program. */
#pragma once

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

static inline struct sockaddr_in loopback_at(unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				    .sin_port = htons((uint16_t)port)};
}

/* shared: others may bind it, too, who say the same (as servers do), and one of them may listen. */
static inline int loopback_bind(bool shared, unsigned *ret_port)
{
	struct sockaddr_in a = loopback_at(0);
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = shared;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    bind(fd, (struct sockaddr *)&a, n) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* For a server that is to be told its port. It stays bound until this process ends, so that it is given to nobody
 * else meanwhile, however long the server takes, and between its lives. */
static inline unsigned loopback_free_port(void)
{
	unsigned port;

	loopback_bind(true, &port);
	return port;
}

static inline int loopback_listen(unsigned *ret_port)
{
	int fd = loopback_bind(false, ret_port);

	if (listen(fd, 128) != 0)
		abort();
	return fd;
}

/* -1: nobody is there. */
static inline int loopback_dial(unsigned port)
{
	struct sockaddr_in a = loopback_at(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* From now on, closing it is a reset. */
static inline void loopback_harden(int fd)
{
	const struct linger hard = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* False: the connection broke off. */
static inline bool loopback_send(int fd, struct str s)
{
	while (s.n) {
		ssize_t k = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		s = str_skip(s, (size_t)k);
	}
	return true;
}
