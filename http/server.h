/* The HTTP/1.1 server: sockets and TLS below, requests and streaming bodies above.
 *
 * An own connection layer: of libh2o only the event loop is used, nothing of its accept path and no
 * HTTP/2. Above this header nobody sees h2o.
 *
 * A request belongs to one loop. Its handler runs there once the head is parsed and must answer
 * exactly once, then or later, through one of http_respond*, also when the connection is gone.
 * Everything is for that loop's thread, except that a worker may read the head (immutable) and use the
 * arena while the request is referenced and handed to it.
 *
 * When a request has ended (answered, or lost and then answered in vain), the server writes one line of
 * the log, component "http", "request": method, path (without the query, which may hold secrets), status
 * (499 when the connection went before the answer), bytes_in, bytes_out, ms, peer, request_id and, when
 * known, operation, user, error.
 *
 * Lifetimes: the head and the arena live as long as the struct is referenced, the connection may be
 * gone before (http_req_gone). Responding to a request that is gone is allowed and does nothing (a
 * given fd or body is closed).
 */
#pragma once

#include "base/arena.h"
#include "base/body.h"
#include "http/header.h"
#include "http/loop.h"

struct http_req;
struct http_server;

/* Limits and time-outs; zero means the default given here. */
struct http_limits {
	size_t head_bytes;       /* 32 KiB: request line and headers */
	unsigned headers;        /* 100 */
	unsigned head_ms;        /* 30,000: from the first byte to the end of the head */
	unsigned idle_ms;        /* 60,000: between requests, before the first byte */
	unsigned body_ms;        /* 60,000: without any byte of a body that is being waited for */
	unsigned write_ms;       /* 60,000: without progress of a response */
	unsigned linger_ms;      /* 5,000: draining after an early answer */
	unsigned tls_ms;         /* 10,000: handshake */
	size_t connections;      /* 10,000 in all; past it accepting pauses, and who has waited the
				  * longest for a request, a second at least, is closed. Fewer where the limit
				  * of open files doesn't allow two descriptors for each */
};

struct http_options {
	struct str listen;       /* "host:port", ":port", "[::1]:port"; port 0: any */
	unsigned loops;          /* 0: one a core */
	struct http_limits limits;
	struct str tls_cert_file, tls_key_file; /* STR_NONE: plain */
	/* On the loop, for each request. The handler owns one reference until it has answered. */
	void (*handler)(struct http_req *r, void *ud);
	void *ud;
	struct str server_name;  /* the Server header; STR_NONE: none */
};

/* Binds, loads certificates, starts the loops. CONFIG with the address or file and the reason. */
rc http_server_start(const struct http_options *o, struct http_server **ret, struct err *reterr);
/* The port that was bound. Any thread. */
unsigned http_server_port(const struct http_server *s);
/* Reads certificate and key again; new handshakes use them. On failure the old ones stay. Any thread. */
rc http_server_reload_tls(struct http_server *s, struct err *reterr);
/* Stops accepting, lets requests under way finish (keep-alive ends with each), at most grace_ms, then
 * closes what is left, joins the loops and frees. Not from a loop. */
void http_server_stop(struct http_server *s, unsigned grace_ms);
unsigned http_server_loops(const struct http_server *s);
struct loop *http_server_loop(struct http_server *s, unsigned i);

/* The head. Repeated headers stay separate entries, in order, names in lower case, values trimmed. */
struct str http_req_method(const struct http_req *r);
struct str http_req_target(const struct http_req *r); /* as sent: path and query, nothing decoded */
size_t http_req_headers(const struct http_req *r, const struct http_header **ret);
/* The first of that name (lower case), or STR_NONE. */
struct str http_req_header(const struct http_req *r, const char *name);
bool http_req_tls(const struct http_req *r);
struct str http_req_peer(const struct http_req *r); /* the peer's address without port */
struct str http_req_id(const struct http_req *r);   /* 16 hex digits, unique; in logs and responses */
struct arena *http_req_arena(struct http_req *r);
struct loop *http_req_loop(struct http_req *r);
int64_t http_req_start_us(const struct http_req *r); /* mono_us() of the first byte */

/* The body as sent, without transfer coding (chunk framing is checked and removed). Pinned to the
 * loop; the same each time. The first pull or arm sends "100 Continue" if the client waits for it: so
 * authenticate and authorize before. Length -1: chunked. Fails with IncompleteBody when the connection
 * is lost or the framing is wrong, with RequestTimeout when nothing comes for body_ms. Valid as long
 * as the request; answering ends it: what wasn't pulled until then is gone (a body that is the
 * source of http_respond_body excepted). */
struct body *http_req_body(struct http_req *r);

/* References: loop only. A handler that hands the request to a worker keeps one meanwhile. The
 * reference that a handler starts with is given back by its answer. */
struct http_req *http_req_ref(struct http_req *r);
void http_req_unref(struct http_req *r);
/* The connection is gone: nobody will see an answer. */
bool http_req_gone(const struct http_req *r);
/* The same, and the kernel is asked: while nobody reads a body, a client's leaving is not seen otherwise. */
bool http_req_left(const struct http_req *r);
/* fn(ud) once, on the loop, from a fresh stack, if the connection goes (or has gone) before the request
 * was answered; so that work can be cancelled. One registration at a time; fn NULL or an answer removes
 * it (the body of an answer is told by its close). A client that ends its side while its request is
 * being worked on counts as gone. */
void http_req_on_gone(struct http_req *r, void (*fn)(void *ud), void *ud);

/* Answers. Headers and the body of http_respond need to live during the call only; Date, Server,
 * Connection, Content-Length are the server's job, and for HEAD the body is left out while its length
 * is told. A status of 204 or 304 has no body and no length. Control characters in a header's value
 * become spaces. */
void http_respond(struct http_req *r, int status, const struct http_header *h, size_t n,
		  struct str body);
/* HEAD and 304: the length of what is not sent (-1: none is told). */
void http_respond_head(struct http_req *r, int status, const struct http_header *h, size_t n,
		       int64_t length);
/* [offset, offset + length) of fd, which becomes the server's: sendfile on plain sockets, reads on TLS;
 * cold pages are read ahead on a worker of `cold` (may be NULL: then on the loop). */
void http_respond_file(struct http_req *r, int status, const struct http_header *h, size_t n, int fd,
		       uint64_t offset, uint64_t length, struct work_pool *cold);
/* A body pulled on the loop, paced by the client; length -1: chunked (HTTP/1.0: until close). Takes the
 * body over and closes it. A worker may be using the request's arena meanwhile, if the request is
 * referenced for it. A body that fails half-way ends the connection, so that the client can tell. */
void http_respond_body(struct http_req *r, int status, const struct http_header *h, size_t n,
		       struct body *body, int64_t length);
/* For the access log: what was done and by whom (copied). */
void http_req_log(struct http_req *r, struct str operation, struct str user, struct str error_code);
