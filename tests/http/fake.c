#include "tests/http/fake.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/loopback.h"

enum { REQUEST_MAX = 8 * 1024 * 1024 };

struct talk {
	struct fake *f;
	int fd;
};

struct str fake_header(const struct fake_request *q, const char *name)
{
	struct str rest = q->head;

	while (rest.p) {
		struct str line = str_cut(rest, '\n', &rest), value;

		if (str_eq_nocase(str_cut(line, ':', &value), str_c(name)) && value.p) {
			if (value.n && value.p[value.n - 1] == '\r')
				value.n--;
			return str_trim(value);
		}
	}
	return STR_NONE;
}

/* The request line and headers are whole when an empty line has come; then the body by its length.
 */
static bool whole(struct str got, struct fake_request *q)
{
	size_t end = str_find(got, STR("\r\n\r\n"));
	struct str line, rest;
	uint64_t length = 0;

	if (end == got.n)
		return false;
	line = str_cut(str_head(got, end), '\r', &rest);
	q->head = rest.p ? rest : STR("");
	q->method = str_cut(line, ' ', &rest);
	q->path = str_cut(str_cut(rest, ' ', &rest), '?', &q->query);
	str_to_u64(fake_header(q, "content-length"), &length);
	q->body = str_skip(got, end + 4);
	return q->body.n >= length;
}

static bool receive(struct talk *t, char *p, struct fake_request *q)
{
	size_t n = 0;

	while (!t->f->stopping && n < REQUEST_MAX) {
		struct pollfd w = {.fd = t->fd, .events = POLLIN};
		ssize_t k;

		if (poll(&w, 1, 50) != 1)
			continue;
		k = recv(t->fd, p + n, REQUEST_MAX - n, 0);
		if (k <= 0)
			return false;
		n += (size_t)k;
		if (whole(str_make(p, n), q))
			return true;
	}
	return false;
}

static void answer(struct talk *t, const struct fake_request *q, const struct fake_answer *w)
{
	struct str head = arena_printf(q->a,
				       "HTTP/1.1 %d Told\r\n" STR_FMT
				       "connection: close\r\ncontent-length: %zu\r\n\r\n",
				       w->status, STR_ARG(w->headers), w->body.n),
		   all = str_eq(q->method, STR("HEAD"))
			     ? head
			     : arena_join(q->a, (struct str[]){head, w->body}, 2);

	loopback_send(t->fd, all);
}

static void *talk(void *ud)
{
	struct talk *t = ud;
	struct fake *f = t->f;
	struct fake_request q = {.a = arena_new()};
	struct fake_answer w = {.status = 404, .body = STR("")};
	char *p = malloc(REQUEST_MAX);

	if (p && receive(t, p, &q)) {
		atomic_fetch_add(&f->requests, 1);
		f->handle(f, &q, &w);
		usleep(w.delay_ms * 1000);
		if (!w.hang_up)
			answer(t, &q, &w);
	}
	close(t->fd);
	free(p);
	arena_free(q.a);
	free(t);
	atomic_fetch_sub(&f->open, 1);
	return NULL;
}

static void *run(void *ud)
{
	struct fake *f = ud;

	while (!f->stopping) {
		struct pollfd p = {.fd = f->fd, .events = POLLIN};
		struct talk *t;
		pthread_t thread;
		int fd;

		if (poll(&p, 1, 50) != 1 || (fd = accept(f->fd, NULL, NULL)) < 0)
			continue;
		t = malloc(sizeof(*t));
		if (!t)
			abort();
		*t = (struct talk){f, fd};
		atomic_fetch_add(&f->open, 1);
		if (pthread_create(&thread, NULL, talk, t) != 0)
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

void fake_start(struct fake *f,
		void (*handle)(struct fake *, const struct fake_request *, struct fake_answer *))
{
	*f = (struct fake){.handle = handle, .ud = f->ud};
	f->fd = loopback_listen(&f->port);
	if (pthread_create(&f->thread, NULL, run, f) != 0)
		abort();
}

void fake_stop(struct fake *f)
{
	f->stopping = true;
	pthread_join(f->thread, NULL);
	while (f->open)
		usleep(1000);
	close(f->fd);
}
