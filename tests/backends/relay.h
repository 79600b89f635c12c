/* Between a store and its service: passes bytes on, and breaks off, delays or swallows them when
 * told. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct relay {
	unsigned port; /* of its own */
	/* To be set at any time. */
	_Atomic unsigned delay_us; /* before each piece of at most 16 KiB is passed on */
	_Atomic bool deaf;	   /* takes connections and what comes, and answers nothing */
	/* private */
	_Atomic unsigned to, open;
	pthread_mutex_t lock; /* of the cuts */
	uint64_t cut_up, cut_down, left_up, left_down;
	unsigned cuts;
	_Atomic bool stopping;
	int fd;
	pthread_t thread;
};

void relay_start(struct relay *r, unsigned to_port);
/* From now on, after so many bytes of requests, or of answers, whichever comes first, the
 * connection that carries the next one is reset; then, counting anew, another, `cuts` in all.
 * UINT64_MAX: not in that direction. */
void relay_cut(struct relay *r, uint64_t up, uint64_t down, unsigned cuts);
/* As started. */
void relay_clear(struct relay *r);
void relay_stop(struct relay *r);
