/* A request's way past admission (base/admission.h) and to its first worker.
 *
 *   http_admit_enter --IN--> the dispatcher goes on
 *                   \-WAIT-> later told(): ADMIT_IN, ADMIT_REFUSED (too late, or the server stops), ADMIT_GONE
 *                    \-----> ADMIT_REFUSED: 503 SlowDown with Retry-After, before anything was spent on it
 *
 * What has a place but no worker yet is still new: if it waits longer than is allowed, or its client goes, it
 * isn't begun (http_admit_submit, http_admit_begin, http_admit_done). From its first worker on it is begun:
 * its further steps go ahead of what is new and are never given up for having waited.
 *
 * On the request's loop, but http_admit_begin and http_admit_late.
 */
#pragma once

#include "base/admission.h"
#include "http/server.h"

/* What dispatchers share. */
struct http_admission {
	struct admission *a; /* NULL: everything is admitted */
	unsigned wait_ms;    /* from the head's routing to the first worker; 0: as long as it takes */
};

enum admit { ADMIT_IN, ADMIT_WAIT, ADMIT_REFUSED, ADMIT_GONE };

/* Embedded in the dispatcher's request, zero-initialised. Private. */
struct http_admit {
	struct ticket ticket;
	struct loop_timer patience;
	struct http_admission by;
	struct http_req *http;
	enum admission_class class;
	bool begun, asked, late;
	struct work *work;
	void (*told)(struct http_admit *x, enum admit answer);
};

/* ahead: it goes on with what was begun by an earlier request (a part, the end of an upload). After WAIT told()
 * comes once. */
enum admit http_admit_enter(struct http_admit *x, const struct http_admission *by, struct http_req *http,
			    enum admission_class c, bool ahead,
			    void (*told)(struct http_admit *x, enum admit answer));
/* It is going to wait for others who change the same thing, not for a worker: that isn't the server's being
 * overloaded, so it may take up to a minute. */
void http_admit_in_line(struct http_admit *x);
/* As work_submit. While it is new and queued, a client that goes cancels it. */
bool http_admit_submit(struct http_admit *x, struct work_pool *pool, struct work *w);
/* On the worker, first: false: too late, nothing is begun. */
bool http_admit_begin(struct http_admit *x);
/* Back on the loop. False: it was cancelled in the queue. */
bool http_admit_done(struct http_admit *x);
/* Its result is known, or it was refused. Gives its place back, if it has one. */
void http_admit_leave(struct http_admit *x);
/* Of a 503's Retry-After. */
unsigned http_admit_retry_s(struct http_admit *x);
