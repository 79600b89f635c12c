/* A service made up by the test: each request goes to a handler, on a thread of its connection. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"

struct fake_request {
	struct arena *a;		/* lives until the answer is sent */
	struct str method, path, query; /* as on the wire */
	struct str head;		/* all header lines */
	struct str body;
};

struct fake_answer {
	int status;
	struct str
	    headers; /* "name: value\r\n" each, in the request's arena; Content-Length is added */
	struct str body;
	unsigned delay_ms;
	bool hang_up; /* nothing is answered */
};

struct fake {
	unsigned port;
	void *ud;
	/* May run on several threads at once. */
	void (*handle)(struct fake *f, const struct fake_request *q, struct fake_answer *w);
	_Atomic unsigned requests;
	/* private */
	int fd;
	pthread_t thread;
	_Atomic bool stopping;
	_Atomic unsigned open;
};

void fake_start(struct fake *f,
		void (*handle)(struct fake *, const struct fake_request *, struct fake_answer *));
void fake_stop(struct fake *f);
/* The header's value (name in any case), or STR_NONE. */
struct str fake_header(const struct fake_request *q, const char *name);
