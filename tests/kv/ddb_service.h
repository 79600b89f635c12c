/* A DynamoDB Local of the test's own: on a port of loopback that was free, in a new folder, gone
 * with the test. */
#pragma once

#include <sys/types.h>

#include "kv/kv.h"

struct ddb_service {
	char folder[64];
	int port;
	bool in_memory; /* faster; a restart finds nothing */
	pid_t pid;	/* 0: stopped */
};

/* Ends the test when it can't be had. */
void ddb_service_new(struct ddb_service *s, bool in_memory);
/* At once, and again on the same port and data. */
void ddb_service_stop(struct ddb_service *s);
void ddb_service_start(struct ddb_service *s);
void ddb_service_remove(struct ddb_service *s);
/* The one of this program (in memory), started at the first call and removed when the program ends.
 */
struct ddb_service *ddb_service_shared(void);
/* Where it is, or where a proxy of it is (port 0: its own), with keys that it takes; a table of
 * this name. The strings live in the arena. */
struct kv_dynamodb_options ddb_service_options(const struct ddb_service *s, struct arena *a,
					       int port, const char *table);
