/* A PostgreSQL of the test's own: in a new folder, on a port of loopback that was free, gone with the
 * test. initdb refuses root, so root becomes the user postgres for it. */
#pragma once

#include <sys/types.h>

struct pg_cluster {
	char folder[64];
	int port;
	pid_t pid; /* 0: stopped */
};

/* Ends the test when it can't be had. */
void pg_cluster_new(struct pg_cluster *c);
/* As a service that is restarted, or a machine that fails: connections break, what was committed stays. */
void pg_cluster_stop(struct pg_cluster *c);
void pg_cluster_start(struct pg_cluster *c);
void pg_cluster_remove(struct pg_cluster *c);
/* A connection string with `more` behind it ("" or "&name=value"), for another port than its own, or 0. In a
 * buffer of the caller. */
const char *pg_cluster_uri(const struct pg_cluster *c, int port, const char *more, char to[256]);
/* The one of this program, started at the first call and removed when the program ends. */
struct pg_cluster *pg_cluster_shared(void);
