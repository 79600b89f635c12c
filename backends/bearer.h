/* A bearer token that is renewed ahead of its end: five minutes before, or after three quarters of
 * a short life.
 *
 * Any thread. One caller asks for the next one while the others go on with the old one, or wait for
 * it where none is of use; how long that takes is bounded by the asking. A failure is told to
 * whoever comes within the next failed_ms without asking again, and costs nothing while the old
 * token lives: then again_ms pass first. */
#pragma once

#include <pthread.h>

#include "base/arena.h"
#include "base/err.h"

/* A token and its life, or why there is none. */
typedef rc bearer_ask_fn(void *ud, struct arena *a, struct str *ret, int64_t *ret_life_s,
			 struct err *reterr);

struct bearer {
	int64_t failed_ms, again_ms;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed;
		bool asking;
		char *token; /* NULL: none */
		int64_t renew_ms, end_ms;
		int64_t failed_until_ms; /* nobody asks before; failure says why */
		struct err failure;
	} locked;
};

void bearer_init(struct bearer *b, int64_t failed_ms, int64_t again_ms);
void bearer_deinit(struct bearer *b);
/* Blocking. */
rc bearer_get(struct bearer *b, bearer_ask_fn *ask, void *ud, struct arena *a, struct str *ret,
	      struct err *reterr);
/* It was refused: it isn't used again. False when it isn't the present one. */
bool bearer_forget(struct bearer *b, struct str token);
