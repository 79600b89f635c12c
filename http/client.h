/* The HTTP client: libcurl on an event loop, one client a loop; what adapters of remote stores are made of.
 *
 * Everything is for the loop's own thread. No callback comes from inside a function of this header.
 *
 * A call streams both ways with bounded memory: its request body is pulled from the caller's body as the
 * peer takes it, its answer is a body that holds at most two blocks and stops the peer when nobody pulls.
 * Connections are kept and used again. Redirects are not followed: a signature is for one address.
 */
#pragma once

#include "base/arena.h"
#include "base/body.h"
#include "http/loop.h"
#include "http/server.h"

struct http_client;

struct http_client *http_client_new(struct loop *l);
/* No call may be open. */
void http_client_free(struct http_client *c);

struct http_call {
	struct str method, url; /* the URL is sent as it is: encoded, unnormalised */
	const struct http_header *headers;
	size_t headers_n;
	/* NULL: none. Its length -1: chunked. Stays the caller's, who closes it before http_call_close. */
	struct body *body;
	struct str ca_file;  /* STR_NONE: the system's */
	unsigned connect_ms; /* 0: 10,000 */
	unsigned stall_s;    /* without any byte in either direction; 0: 60 */
	struct arena *a;     /* the answer's head is put there */
	/* Once: the answer's head is there, or the call has failed (result). */
	void (*answered)(struct http_call *call);

	/* out */
	rc result;             /* IO: no connection, broken off, timed out; a failed body's own error */
	struct err err;
	int status;
	struct http_header *got_headers; /* names in lower case */
	size_t got_headers_n;
	struct body *got;      /* the answer's bytes; BODY_FAIL when it breaks off. Needs no close */

	/* private */
	struct http_transfer *transfer;
};

void http_call_start(struct http_client *c, struct http_call *call);
/* Ends the call in whatever state, frees what it holds; no callback comes after. Once for each start. */
void http_call_close(struct http_call *call);
/* The first header of that name (lower case), or STR_NONE. */
struct str http_call_header(const struct http_call *call, const char *name);
