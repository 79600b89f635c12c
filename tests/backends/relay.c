#include "tests/backends/relay.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 16 * 1024 };

struct pipe {
	struct relay *r;
	int near, far;
	bool cut;
};

static int dial(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Cut: by a reset, so that nothing of what is under way arrives later. */
static void end(int fd, bool cut)
{
	const struct linger hard = {.l_onoff = 1};

	if (fd < 0)
		return;
	if (cut)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* How many of the n bytes may pass; fewer, and the connection is to be cut. */
static size_t allowed(struct relay *r, bool up, size_t n)
{
	uint64_t *left = up ? &r->left_up : &r->left_down;
	size_t may = n;

	pthread_mutex_lock(&r->lock);
	if (r->cuts && n > *left) {
		may = (size_t)*left;
		r->cuts--;
		r->left_up = r->cut_up;
		r->left_down = r->cut_down;
	} else if (r->cuts && *left != UINT64_MAX) {
		*left -= n;
	}
	pthread_mutex_unlock(&r->lock);
	return may;
}

/* One piece; false at an end, or where it is to be cut. */
static bool pass(struct pipe *c, int from, int to)
{
	char piece[PIECE];
	ssize_t n = recv(from, piece, sizeof(piece), 0);
	size_t may;

	if (n <= 0)
		return false;
	if (c->r->delay_us)
		usleep(c->r->delay_us);
	if (c->r->deaf)
		return true;
	may = allowed(c->r, from == c->near, (size_t)n);
	c->cut = may < (size_t)n;
	return send_all(to, piece, may) && !c->cut;
}

static void *run_pipe(void *ud)
{
	struct pipe *c = ud;
	struct relay *r = c->r;
	bool going = c->far >= 0;

	while (going && !r->stopping) {
		struct pollfd p[] = {{.fd = c->near, .events = POLLIN},
				     {.fd = c->far, .events = POLLIN}};

		if (poll(p, 2, 50) < 0)
			break;
		if (p[0].revents)
			going = pass(c, c->near, c->far);
		if (going && p[1].revents)
			going = pass(c, c->far, c->near);
	}
	end(c->near, c->cut || c->far < 0);
	end(c->far, c->cut);
	free(c);
	atomic_fetch_sub(&r->open, 1);
	return NULL;
}

static void take(struct relay *r, int fd)
{
	struct pipe *c = calloc(1, sizeof(*c));
	pthread_t t;

	assert(c);
	*c = (struct pipe){.r = r, .near = fd, .far = dial(r->to)};
	atomic_fetch_add(&r->open, 1);
	if (pthread_create(&t, NULL, run_pipe, c) != 0)
		abort();
	pthread_detach(t);
}

static void *run(void *ud)
{
	struct relay *r = ud;

	while (!r->stopping) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		int fd;

		if (poll(&p, 1, 50) == 1 && (fd = accept(r->fd, NULL, NULL)) >= 0)
			take(r, fd);
	}
	return NULL;
}

void relay_cut(struct relay *r, uint64_t up, uint64_t down, unsigned cuts)
{
	pthread_mutex_lock(&r->lock);
	r->cut_up = r->left_up = up;
	r->cut_down = r->left_down = down;
	r->cuts = cuts;
	pthread_mutex_unlock(&r->lock);
}

void relay_clear(struct relay *r)
{
	relay_cut(r, UINT64_MAX, UINT64_MAX, 0);
	r->delay_us = 0;
	r->deaf = false;
}

void relay_start(struct relay *r, unsigned to_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	*r = (struct relay){0};
	pthread_mutex_init(&r->lock, NULL);
	relay_clear(r);
	r->to = to_port;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(r->fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(r->fd, 64) != 0 ||
	    getsockname(r->fd, (struct sockaddr *)&a, &n) != 0 ||
	    pthread_create(&r->thread, NULL, run, r) != 0)
		abort();
	r->port = ntohs(a.sin_port);
}

void relay_stop(struct relay *r)
{
	r->stopping = true;
	pthread_join(r->thread, NULL);
	close(r->fd);
	while (r->open)
		usleep(1000);
	pthread_mutex_destroy(&r->lock);
}
