/* Tasks of the server that take long: followed with a line on a terminal, cancelled when this program is stopped. */
#pragma once

#include "cli/ctl/ctl.h"

struct task {
	const char *noun;	    /* "backup" */
	struct str path, id;	    /* GET and DELETE of path, with task_id added */
	const char *when_cancelled; /* what its end leaves, for people */
	/* How far it is, on stderr, without an end of line. */
	void (*show)(struct ctl *c, const struct answer *w);
};

/* Asks until the task is done or has failed, however long; its document has "error" then. False: c->fault; after a
 * signal that is what became of cancelling it. --no-progress: without a line. */
bool task_follow(struct ctl *c, const struct task *t, struct answer *ret);
