#include "tests/kv/cutter.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kv/conformance.h"
#include "tests/loopback.h"

enum { LINKS = 160, CHUNK = 1 << 16 };

struct link {
	int fd[2]; /* the client's, the server's; -1: free */
	bool hangs;
};

struct cutter {
	pthread_t thread;
	int listener, port, server_port, wake[2];
	pthread_mutex_t lock;
	struct {
		bool armed, hang, stop, drop_all;
		enum cutter_way way;
		uint64_t left, connections, live;
	} locked;
	struct link links[LINKS]; /* the thread's */
	char chunk[CHUNK];
};

static void hurry(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void count_live(struct cutter *c, int by)
{
	pthread_mutex_lock(&c->lock);
	c->locked.live += (uint64_t)by;
	c->locked.connections += by > 0;
	pthread_mutex_unlock(&c->lock);
}

static void close_link(struct cutter *c, struct link *l)
{
	if (l->fd[0] >= 0)
		count_live(c, -1);
	for (int i = 0; i < 2; i++) {
		if (l->fd[i] >= 0)
			close(l->fd[i]);
		l->fd[i] = -1;
	}
	l->hangs = false;
}

static void accept_one(struct cutter *c)
{
	struct link *l = c->links;

	while (l->fd[0] >= 0)
		CHECK(++l < c->links + LINKS);
	l->fd[0] = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	if (l->fd[0] < 0)
		return;
	count_live(c, 1);
	l->fd[1] = loopback_dial((unsigned)c->server_port);
	if (l->fd[1] < 0) {
		close_link(c, l);
		return;
	}
	hurry(l->fd[0]);
	hurry(l->fd[1]);
}

/* How many of n bytes may pass; *ret_cut: then it ends. */
static size_t allowance(struct cutter *c, enum cutter_way way, size_t n, bool *ret_cut, bool *ret_hang)
{
	pthread_mutex_lock(&c->lock);
	*ret_cut = c->locked.armed && c->locked.way == way && n >= c->locked.left;
	*ret_hang = c->locked.hang;
	if (*ret_cut) {
		n = c->locked.left;
		c->locked.armed = false;
	} else if (c->locked.armed && c->locked.way == way) {
		c->locked.left -= n;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void relay(struct cutter *c, struct link *l, enum cutter_way way)
{
	ssize_t n = recv(l->fd[way], c->chunk, CHUNK, 0);
	bool cut = false, hang = false, sent;
	size_t pass;

	if (n <= 0) {
		close_link(c, l);
		return;
	}
	pass = allowance(c, way, (size_t)n, &cut, &hang);
	sent = loopback_send(l->fd[!way], str_make(c->chunk, pass));
	if (cut && hang)
		l->hangs = true;
	else if (cut || !sent)
		close_link(c, l);
}

static bool read_orders(struct cutter *c)
{
	char byte[64];
	bool stop, drop;

	CHECK(read(c->wake[0], byte, sizeof(byte)) > 0);
	pthread_mutex_lock(&c->lock);
	stop = c->locked.stop;
	drop = c->locked.drop_all;
	c->locked.drop_all = false;
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; drop && i < LINKS; i++)
		close_link(c, &c->links[i]);
	return !stop;
}

static size_t list_fds(struct cutter *c, struct pollfd *p, int *owner)
{
	size_t n = 0;

	p[n++] = (struct pollfd){.fd = c->wake[0], .events = POLLIN};
	p[n++] = (struct pollfd){.fd = c->listener, .events = POLLIN};
	for (int i = 0; i < LINKS; i++)
		for (int k = 0; k < 2; k++) {
			if (c->links[i].fd[k] < 0 || c->links[i].hangs)
				continue;
			owner[n] = i * 2 + k;
			p[n++] = (struct pollfd){.fd = c->links[i].fd[k], .events = POLLIN};
		}
	return n;
}

static void *run(void *arg)
{
	struct pollfd p[2 + 2 * LINKS];
	int owner[2 + 2 * LINKS];
	struct cutter *c = arg;

	for (;;) {
		size_t n = list_fds(c, p, owner);

		CHECK(poll(p, n, -1) > 0);
		if (p[0].revents && !read_orders(c))
			return NULL;
		for (size_t i = 2; i < n; i++) {
			struct link *l = &c->links[owner[i] / 2];

			if (p[i].revents && l->fd[owner[i] % 2] == p[i].fd && !l->hangs)
				relay(c, l, (enum cutter_way)(owner[i] % 2));
		}
		if (p[1].revents)
			accept_one(c);
	}
}

struct cutter *cutter_new(int server_port)
{
	struct cutter *c = calloc(1, sizeof(*c));
	unsigned port;

	CHECK(c && pipe(c->wake) == 0 && pthread_mutex_init(&c->lock, NULL) == 0);
	c->server_port = server_port;
	c->listener = loopback_listen(&port);
	c->port = (int)port;
	for (size_t i = 0; i < LINKS; i++)
		c->links[i].fd[0] = c->links[i].fd[1] = -1;
	CHECK(pthread_create(&c->thread, NULL, run, c) == 0);
	return c;
}

static void wake(struct cutter *c)
{
	CHECK(write(c->wake[1], "x", 1) == 1);
}

void cutter_free(struct cutter *c)
{
	pthread_mutex_lock(&c->lock);
	c->locked.stop = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
	pthread_join(c->thread, NULL);
	for (size_t i = 0; i < LINKS; i++)
		close_link(c, &c->links[i]);
	close(c->listener);
	close(c->wake[0]);
	close(c->wake[1]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int cutter_port(const struct cutter *c)
{
	return c->port;
}

void cutter_arm(struct cutter *c, enum cutter_way way, uint64_t bytes, bool hang)
{
	pthread_mutex_lock(&c->lock);
	c->locked.armed = true;
	c->locked.way = way;
	c->locked.left = bytes;
	c->locked.hang = hang;
	pthread_mutex_unlock(&c->lock);
}

bool cutter_disarm(struct cutter *c)
{
	bool done;

	pthread_mutex_lock(&c->lock);
	done = !c->locked.armed;
	c->locked.armed = false;
	pthread_mutex_unlock(&c->lock);
	return done;
}

void cutter_drop_all(struct cutter *c)
{
	pthread_mutex_lock(&c->lock);
	c->locked.drop_all = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
}

uint64_t cutter_live(struct cutter *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->locked.live;
	pthread_mutex_unlock(&c->lock);
	return n;
}

uint64_t cutter_connections(struct cutter *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->locked.connections;
	pthread_mutex_unlock(&c->lock);
	return n;
}
