/* What the rest of http/ needs of loops: making them, and file descriptors on them.
 *
 * loop.c alone includes h2o. Of h2o this uses the event loop and its sockets as mere watches: no byte
 * is read or written by h2o, so that buffers are the caller's and bounded.
 */
#pragma once

#include "http/loop.h"

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Makes the loop; its mailbox may be used at once. */
rc loop_new(unsigned index, struct loop **ret, struct err *reterr);
/* Starts its thread, which calls enter(ud) and then runs until loop_quit. */
rc loop_start(struct loop *l, void (*enter)(void *ud), void *ud, struct err *reterr);
/* On the loop: this turn is the last. */
void loop_quit(struct loop *l);
/* Not on a loop. */
void loop_join(struct loop *l);
/* After loop_join, or instead of loop_start. A loop to which somebody may still post is left alone
 * instead: it has dropped such mail since it ended. */
void loop_free(struct loop *l);

/* A watched descriptor, embedded; owns it from open to close. `readable` comes as long as there is
 * something to read and watching is on; `writable` once for each loop_fd_await_writable, sometimes too
 * early. Neither comes after loop_fd_close. */
struct loop_fd {
	void (*readable)(struct loop_fd *w);
	void (*writable)(struct loop_fd *w);
	void *sock;
	int fd;
	bool reading, awaiting;
};
void loop_fd_open(struct loop *l, struct loop_fd *w, int fd);
void loop_fd_watch(struct loop_fd *w, bool on);
void loop_fd_await_writable(struct loop_fd *w);
void loop_fd_close(struct loop_fd *w);
