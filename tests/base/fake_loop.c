#include "fake_loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

struct fake_loop {
	struct mailbox mailbox;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct mail *first, **last;
	bool stopping;
	pthread_t thread;
};

static void post(struct mailbox *mb, struct mail *m)
{
	struct fake_loop *l = (struct fake_loop *)mb;

	pthread_mutex_lock(&l->mutex);
	m->next = NULL;
	*l->last = m;
	l->last = &m->next;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->mutex);
}

static const struct mailbox_ops ops = {.post = post};

static struct mail *next(struct fake_loop *l)
{
	struct mail *m;

	pthread_mutex_lock(&l->mutex);
	while (!l->first && !l->stopping)
		pthread_cond_wait(&l->wake, &l->mutex);
	m = l->first;
	if (m && !(l->first = m->next))
		l->last = &l->first;
	pthread_mutex_unlock(&l->mutex);
	return m;
}

static void *run(void *arg)
{
	struct mail *m;

	thread_is_loop(true);
	while ((m = next(arg)))
		m->deliver(m);
	return NULL;
}

struct fake_loop *fake_loop_new(void)
{
	struct fake_loop *l = calloc(1, sizeof(*l));

	l->mailbox.ops = &ops;
	l->last = &l->first;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->wake, NULL);
	pthread_create(&l->thread, NULL, run, l);
	return l;
}

void fake_loop_free(struct fake_loop *l)
{
	pthread_mutex_lock(&l->mutex);
	l->stopping = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->mutex);
	pthread_join(l->thread, NULL);
	pthread_mutex_destroy(&l->mutex);
	pthread_cond_destroy(&l->wake);
	free(l);
}

struct mailbox *fake_loop_mailbox(struct fake_loop *l)
{
	return &l->mailbox;
}

struct call {
	struct mail mail;
	void (*fn)(void *ud);
	void *ud;
	sem_t done;
};

static void deliver_call(struct mail *m)
{
	struct call *c = (struct call *)m;

	c->fn(c->ud);
	sem_post(&c->done);
}

void fake_loop_call(struct fake_loop *l, void (*fn)(void *ud), void *ud)
{
	struct call c = {.mail.deliver = deliver_call, .fn = fn, .ud = ud};

	sem_init(&c.done, 0, 0);
	post(&l->mailbox, &c.mail);
	while (sem_wait(&c.done))
		;
	sem_destroy(&c.done);
}
