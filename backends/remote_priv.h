/* What the files of remote.h share. */
#pragma once

#include "backends/remote.h"

struct remote_attempts {
	struct remote *r;
	unsigned n; /* made again */
	int64_t until_ms;
};
void remote_attempts_init(struct remote_attempts *t, struct remote *r);
/* Pauses; false when there have been enough. */
bool remote_attempt_again(struct remote_attempts *t, const struct remote_call *c, const char *why);
/* The adapter's sign, and what its failure is to callers. */
rc remote_sign(struct remote *r, struct remote_call *c, struct err *reterr);
void remote_fill(const struct remote_call *c, struct http_request *q);
/* failed, or UNKNOWN_OUTCOME if something may have been done that can't be repeated. */
rc remote_outcome(struct remote *r, const struct remote_call *c, rc failed, bool maybe, struct err *reterr);

/* Signs, sends (no body) and waits for the head; above 299 it fails with what the service said. w->status 0:
 * no answer came. */
rc remote_open(struct remote *r, struct remote_call *c, struct http_exchange **ret, struct http_answer *w,
	       struct err *reterr);
/* What an answer of 300 and more says. */
rc remote_told(struct remote *r, const struct remote_call *c, struct http_exchange *x,
	       struct http_answer *w, struct err *reterr);
bool remote_worth_another(rc failed, int status, bool repeatable);

void remote_writer_ops(struct backend_blocking_ops *ops);
void remote_reader_ops(struct backend_blocking_ops *ops);
