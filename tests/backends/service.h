/* A real service that a test starts on a free loopback port, in a folder of its own, and ends by
 * its process id; it ends with the test, too, should that crash. */
#pragma once

#include <sys/types.h>

#include "base/str.h"

struct backend;

enum { SERVICE_ARGS = 24 };

struct service {
	char dir[64]; /* its data; the caller may put things there before it starts */
	unsigned port;
	const char *ready; /* a path that is answered, with whatever status, once it serves */
	/* Fills argv and env (both NULL-terminated; strings by service_text) for the port. */
	void (*command)(struct service *v, char **argv, char **env);
	/* Optional, for services that keep in memory what they said they have: until it is on disk. */
	void (*settle)(struct backend *b, struct str space);
	/* private */
	pid_t pid;
	char *texts[64];
	unsigned texts_n;
};

/* A folder; asserts that the program is there, with what brings it. */
void service_init(struct service *v, const char *program);
/* Waits until it serves. */
void service_start(struct service *v);
/* At once, without any good-bye; service_start starts it again on the same port and data. */
void service_kill(struct service *v);
/* Frozen and thawed: it is there and does nothing. */
void service_freeze(struct service *v, bool frozen);
/* Ends it and removes its folder. */
void service_free(struct service *v);
/* printf into memory of the service's. */
char *service_text(struct service *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first two of its environment: a home of its own, and the PATH. */
void service_env(struct service *v, char **env);
/* A file below the source's build/, as the tools bring it there. */
char *service_program(struct service *v, const char *below_build);
