/* What fake-gcs-server lacks of Google Cloud Storage, in front of it: the token endpoint of service
 * accounts (/token, RFC 7523), bearer tokens that end, signed addresses that are verified,
 * resumable uploads that know what they have, a 404 of composing what isn't there. And faults. One
 * request a connection. Include after cmocka.h. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { GATE_TOKENS = 256, GATE_SESSIONS = 64 };

struct gcs_gate {
	unsigned port;
	_Atomic unsigned to; /* fake-gcs-server's port */
	_Atomic unsigned
	    life_ms; /* of tokens given from now on; they say so in seconds, one at least */
	_Atomic unsigned halves; /* of so many chunks to come only half is kept */
	/* Counters. */
	_Atomic unsigned given, turned_away, requests, chunks, repeated;
	/* private */
	pthread_mutex_t lock;
	struct gate_token {
		char text[32];
		int64_t ends_ms;
	} tokens[GATE_TOKENS];
	struct gate_session {
		char id[80];
		uint64_t kept;
		char *answer; /* after its end */
	} sessions[GATE_SESSIONS];
	unsigned sessions_n;
	unsigned fail_nth;
	bool fail_after, failing, dead;
	_Atomic bool stopping;
	_Atomic unsigned open;
	int fd;
	pthread_t thread;
};

void gcs_gate_start(struct gcs_gate *g, unsigned to_port);
void gcs_gate_stop(struct gcs_gate *g);
/* All tokens given so far are refused from now on. */
void gcs_gate_revoke(struct gcs_gate *g);
/* The nth write from now (1 is the next) breaks off, before or after it was done, and so does
 * everything that follows, until nth is 0. */
void gcs_gate_fail(struct gcs_gate *g, unsigned nth, bool after);
/* Whether it came to that. */
bool gcs_gate_failed(struct gcs_gate *g);
/* A service account's key file; wrong: of a key that nobody knows. Memory of the caller's. */
char *gcs_gate_account(unsigned token_port, bool wrong);
/* Of the account's key: RS256. */
bool gcs_gate_verify(struct str data, struct str signature);
