/* The HTTP client (libcurl): blocking, for workers and commands, never on a loop. What adapters of remote
 * stores, drivers of remote KVs and commands are made of.
 *
 * An exchange is one request and its answer, driven by whoever calls: one thread at a time, which may
 * be another each time. Between calls nothing moves, so a body that its consumer doesn't pull stops the
 * peer by TCP's own means and memory stays bounded: one buffer of libcurl's each way. Connections are
 * kept in the pool and used again. Redirects are not followed: a signature is for one address.
 *
 * Errors: ServiceUnavailable: nothing of the request was sent (no such host, refused, TLS), so that even
 * a write may be tried again. IO: it broke off or stalled after that, and the peer may have
 * acted. CANCELLED: the pool was stopped. Messages name the peer without the query.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "http/header.h"

struct http_pool;

struct http_pool_options {
	unsigned kept;       /* idle connections; 0: 64 */
	unsigned connect_ms; /* 0: 10,000 */
	unsigned stall_ms;   /* without a byte in either direction while a call waits; 0: 60,000 */
	struct str ca_file;  /* STR_NONE: the system's */
	bool insecure;       /* any certificate: tests only */
	bool proxies;        /* use those that the environment names (https_proxy, no_proxy) */
};

/* Any thread may use a pool. */
struct http_pool *http_pool_new(const struct http_pool_options *o);
/* No exchange may be open. */
void http_pool_free(struct http_pool *p);
/* Waits under way and to come end within a moment. */
void http_pool_stop(struct http_pool *p);

struct http_request {
	struct str method, url; /* the URL is sent as it is: encoded, unnormalised */
	const struct http_header *headers;
	size_t headers_n;
	/* The body: none, all of it (may be sent twice, should a kept connection turn out to be dead; must
	 * live until http_answer), or what http_send will bring. */
	enum { HTTP_NO_BODY, HTTP_BYTES, HTTP_SENT } body;
	struct str bytes;
	int64_t length;      /* of what will be sent; -1: chunked */
	unsigned answer_ms;  /* from the body's end to the answer's head; 0: the pool's stall_ms */
	bool fresh;          /* on a connection of its own, so that nothing is ever sent twice */
};

struct http_answer {
	int status;
	struct http_header *headers; /* names in lower case, values trimmed */
	size_t headers_n;
	int64_t length;              /* Content-Length, also of HEAD; -1 */
	struct str body;             /* http_ask only */
};

struct http_exchange;

/* Never fails: what is wrong shows at the first of the calls below. Copies method, URL and headers. */
struct http_exchange *http_open(struct http_pool *p, const struct http_request *q);
/* The next bytes of the body. Once the peer has answered early they go nowhere, without an error: the
 * answer says why. */
rc http_send(struct http_exchange *x, const void *p, size_t n, struct err *reterr);
/* Ends the body and waits for the answer's head, which goes to the arena. IO: among others, a success
 * that was answered before the body had been sent. Once. */
rc http_answer(struct http_exchange *x, struct arena *a, struct http_answer *ret, struct err *reterr);
/* The answer's bytes, as many as fit; fewer only at their end. */
rc http_read(struct http_exchange *x, void *dst, size_t n, size_t *ret_n, struct err *reterr);
/* The rest of the answer without the bytes passing through this process's memory: into a pipe that is
 * non-blocking and, when called, empty, as many of the next n as fit. At least one, fewer than n only where the
 * pipe is full or nothing more is to come. Where http_can_splice: after a success over plain HTTP whose
 * length was told; no http_read afterwards. Costs the connection: it isn't kept. */
bool http_can_splice(const struct http_exchange *x);
rc http_splice(struct http_exchange *x, int pipe, size_t n, size_t *ret_n, struct err *reterr);
/* In any state; also on loops. A connection whose answer was read to its end is kept. */
void http_close(struct http_exchange *x);

/* All of it; an answer's body above `max` bytes is an error (IO). */
rc http_ask(struct http_pool *p, const struct http_request *q, size_t max, struct arena *a,
	    struct http_answer *ret, struct err *reterr);

/* The first header of that name (lower case), or STR_NONE. */
struct str http_answer_header(const struct http_answer *w, const char *name);
