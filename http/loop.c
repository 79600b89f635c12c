#include "http/loop_priv.h"

#include "base/clock.h"
#include "http/timers.h"

#include <assert.h>
#include <errno.h>
#include <h2o/socket.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LONGEST_WAIT_MS = 60 * 1000 };

struct loop {
	struct mailbox mailbox; /* first: a mailbox is cast back to its loop */
	struct {
		h2o_evloop_t *ev;
		struct timers timers;
		struct loop_fd wake;
		bool quit;
	} on_loop;
	_Atomic(struct mail *) posted; /* newest first */
	/* Posters between taking this up and letting it go may still write to wake_fd. */
	atomic_uint posting;
	atomic_bool closed;
	int wake_fd;
	unsigned index;
	pthread_t thread;
	bool started;
	void (*enter)(void *ud);
	void *ud;
};

static _Thread_local struct loop *current;

struct loop *loop_current(void)
{
	return current;
}

struct mailbox *loop_mailbox(struct loop *l)
{
	return &l->mailbox;
}

unsigned loop_index(const struct loop *l)
{
	return l->index;
}

/* Only the mail that finds the box empty wakes the loop: a burst costs one write. */
static void post(struct mailbox *mb, struct mail *m)
{
	struct loop *l = (struct loop *)mb;
	struct mail *top;

	atomic_fetch_add(&l->posting, 1);
	if (!atomic_load(&l->closed)) {
		top = atomic_load(&l->posted);
		do
			m->next = top;
		while (!atomic_compare_exchange_weak(&l->posted, &top, m));
		if (!top) {
			ssize_t n = write(l->wake_fd, &(uint64_t){1}, 8);

			assert(n == 8 || errno == EAGAIN);
		}
	}
	atomic_fetch_sub(&l->posting, 1);
}

static void deliver_all(struct loop *l)
{
	struct mail *m = atomic_exchange(&l->posted, NULL), *oldest = NULL;

	while (m) {
		struct mail *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	while (oldest) {
		m = oldest;
		oldest = m->next;
		m->deliver(m);
	}
}

static void on_wake(struct loop_fd *w)
{
	uint64_t count;
	ssize_t n = read(w->fd, &count, sizeof(count));

	(void)n; /* EAGAIN: woken for nothing */
	deliver_all(CONTAINER_OF(w, struct loop, on_loop.wake));
}

rc loop_new(unsigned index, struct loop **ret, struct err *reterr)
{
	static const struct mailbox_ops ops = {.post = post};
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct loop *l;

	if (fd < 0)
		return err_errno(reterr, ERR_IO, errno, "making the event loop %u", index);
	l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->mailbox.ops = &ops;
	l->index = index;
	l->wake_fd = fd;
	l->on_loop.wake.readable = on_wake;
	timers_init(&l->on_loop.timers, (uint64_t)mono_ms());
	*ret = l;
	return RC_OK;
}

static void run(struct loop *l)
{
	while (!l->on_loop.quit) {
		uint64_t now = (uint64_t)mono_ms();
		unsigned ms = timers_wait(&l->on_loop.timers, now, LONGEST_WAIT_MS);

		/* EINTR (a debugger, a continued process) is no reason to end. */
		if (h2o_evloop_run(l->on_loop.ev, (int32_t)ms) != 0 && errno != EINTR)
			abort();
		/* By the clock of before: what came until a time-out is looked at before it fires, also when this
		 * thread was busy or its machine stood still meanwhile. */
		timers_run(&l->on_loop.timers, now);
	}
}

/* Mail that is posted from now on is dropped; what was posted before is delivered. */
static void shut(struct loop *l)
{
	atomic_store(&l->closed, true);
	while (atomic_load(&l->posting))
		sched_yield();
	deliver_all(l);
	loop_fd_close(&l->on_loop.wake);
	h2o_evloop_destroy(l->on_loop.ev);
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	char name[16];

	snprintf(name, sizeof(name), "loop-%u", l->index);
	pthread_setname_np(pthread_self(), name);
	current = l;
	thread_is_loop(true);
	/* h2o keeps thread-local state for sockets: everything of it is made and ended here. */
	l->on_loop.ev = h2o_evloop_create();
	loop_fd_open(l, &l->on_loop.wake, l->wake_fd);
	loop_fd_watch(&l->on_loop.wake, true);
	l->enter(l->ud);
	run(l);
	shut(l);
	return NULL;
}

rc loop_start(struct loop *l, void (*enter)(void *ud), void *ud, struct err *reterr)
{
	sigset_t all, old;
	int e;

	l->enter = enter;
	l->ud = ud;
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&l->thread, NULL, loop_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e)
		return err_errno(reterr, ERR_IO, e, "starting the event loop %u", l->index);
	l->started = true;
	return RC_OK;
}

void loop_quit(struct loop *l)
{
	assert(current == l);
	l->on_loop.quit = true;
}

void loop_join(struct loop *l)
{
	assert(current == NULL);
	if (l->started)
		pthread_join(l->thread, NULL);
}

void loop_free(struct loop *l)
{
	if (!l->started)
		close(l->wake_fd);
	free(l);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, unsigned ms,
		    void (*fire)(struct loop_timer *))
{
	assert(current == l);
	loop_timer_cancel(t);
	t->fire = fire;
	t->loop = l;
	/* The clock is cut to whole milliseconds: the one that has begun doesn't count. */
	timers_add(&l->on_loop.timers, t, ms ? (uint64_t)mono_ms() + ms + 1 : 0);
}

void loop_timer_cancel(struct loop_timer *t)
{
	if (t->next)
		timers_remove(&t->loop->on_loop.timers, t);
}

bool loop_timer_set_p(const struct loop_timer *t)
{
	return t->next != NULL;
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
	struct loop_fd *w = sock->data;

	(void)err; /* h2o doesn't read: an error shows in the read to come */
	w->readable(w);
}

static void on_writable(h2o_socket_t *sock, const char *err)
{
	struct loop_fd *w = sock->data;

	(void)err;
	w->awaiting = false;
	w->writable(w);
}

void loop_fd_open(struct loop *l, struct loop_fd *w, int fd)
{
	h2o_socket_t *sock = h2o_evloop_socket_create(l->on_loop.ev, fd, H2O_SOCKET_FLAG_DONT_READ);

	sock->data = w;
	w->sock = sock;
	w->fd = fd;
	w->reading = w->awaiting = false;
}

void loop_fd_watch(struct loop_fd *w, bool on)
{
	if (w->reading == on)
		return;
	w->reading = on;
	if (on)
		h2o_socket_read_start(w->sock, on_readable);
	else
		h2o_socket_read_stop(w->sock);
}

void loop_fd_await_writable(struct loop_fd *w)
{
	if (w->awaiting)
		return;
	w->awaiting = true;
	h2o_socket_notify_write(w->sock, on_writable);
}

void loop_fd_close(struct loop_fd *w)
{
	if (!w->sock)
		return;
	h2o_socket_close(w->sock);
	w->sock = NULL;
	w->fd = -1;
}
