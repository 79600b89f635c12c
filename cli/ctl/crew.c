#include "cli/ctl/crew.h"

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE = 512, STACK_BYTES = 512 * 1024 };

struct crew {
	void (*run)(void *ud, void *item);
	void *ud;
	unsigned threads;
	pthread_t *thread;
	pthread_mutex_t lock;
	pthread_cond_t room, work;
	void *queue[QUEUE];
	size_t first, n;
	bool over;
};

static void *take(struct crew *c)
{
	void *item = NULL;

	pthread_mutex_lock(&c->lock);
	while (!c->n && !c->over)
		pthread_cond_wait(&c->work, &c->lock);
	if (c->n) {
		item = c->queue[c->first];
		c->first = (c->first + 1) % QUEUE;
		c->n--;
		pthread_cond_signal(&c->room);
	}
	pthread_mutex_unlock(&c->lock);
	return item;
}

static void *work(void *arg)
{
	struct crew *c = arg;
	void *item;

	while ((item = take(c)))
		c->run(c->ud, item);
	return NULL;
}

struct crew *crew_new(unsigned threads, void (*run)(void *ud, void *item), void *ud)
{
	struct crew *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;

	if (!c || !(c->thread = calloc(threads, sizeof(*c->thread))))
		abort();
	c->run = run;
	c->ud = ud;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->room, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (c->threads < threads && pthread_create(&c->thread[c->threads], &attr, work, c) == 0)
		c->threads++;
	pthread_attr_destroy(&attr);
	if (!c->threads)
		abort();
	return c;
}

void crew_add(struct crew *c, void *item)
{
	pthread_mutex_lock(&c->lock);
	while (c->n == QUEUE)
		pthread_cond_wait(&c->room, &c->lock);
	c->queue[(c->first + c->n++) % QUEUE] = item;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

void crew_end(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	c->over = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->threads; i++)
		pthread_join(c->thread[i], NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->room);
	pthread_cond_destroy(&c->work);
	free(c->thread);
	free(c);
}
