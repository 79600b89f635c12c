#include "tests/backends/relay.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/loopback.h"

enum { PIECE = 16 * 1024 };

struct pipe {
	struct relay *r;
	int near, far;
	bool cut;
};

/* Cut: by a reset, so that nothing of what is under way arrives later. */
static void end(int fd, bool cut)
{
	if (fd < 0)
		return;
	if (cut)
		loopback_harden(fd);
	close(fd);
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
	return loopback_send(to, str_make(piece, may)) && !c->cut;
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
	*c = (struct pipe){.r = r, .near = fd, .far = loopback_dial(r->to)};
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
	*r = (struct relay){0};
	pthread_mutex_init(&r->lock, NULL);
	relay_clear(r);
	r->to = to_port;
	r->fd = loopback_listen(&r->port);
	if (pthread_create(&r->thread, NULL, run, r) != 0)
		abort();
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
