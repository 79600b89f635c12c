/* A real server on a loopback port, handlers for every kind of answer, and a client of raw sockets. */
#pragma once

#include "tests/http/check.h"

#include "base/buf.h"
#include "http/server.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct rig {
	struct http_server *server;
	struct work_pool *pool;
	int file;             /* what /file answers from */
	uint64_t file_bytes;
	atomic_uint gone;     /* calls of on_gone */
	atomic_uint started;  /* requests that reached the handler */
	atomic_uint freed;    /* arenas of requests freed */
	atomic_bool release;  /* /hold answers */
};

/* Paths: /hello · /bytes?N (from memory) · /file?offset,length · /echo (the body as answer) ·
 * /sink (counts the body, answers "N") · /worker (by way of a thread) · /deny (403, body unread) ·
 * /hold (until released or gone) · /doze (the loop stands still until released) · /drip?N (N bytes, one a millisecond) · /fail?n,failing (n
 * bytes of an announced 1,000,000 then a failure) · /long · /short · /status?N · /dirty (a header
 * with a line break) · /headers (answers with what it got). */
/* Limits that aren't given are the server's, but for those that are shorter than a test's patience. */
void rig_start(struct rig *g, struct http_limits limits);
void rig_start_one_loop(struct rig *g, struct http_limits limits);
void rig_start_tls(struct rig *g, struct http_limits limits, const char *cert, const char *key);
void rig_stop(struct rig *g);
/* A file of n bytes, each rig_byte of its offset. */
void rig_make_file(struct rig *g, uint64_t n);
static inline char rig_byte(uint64_t at)
{
	return (char)((at * 2654435761u >> 13) & 0xff);
}
/* Until *what is at least n, or fails after a minute. */
void rig_await(atomic_uint *what, unsigned n);
/* Any handler. */
void rig_handle(struct http_req *r, void *ud);

struct client {
	int fd;
	SSL *ssl;
	char *in; /* received, not used: [at, n) */
	size_t at, n, cap;
};

struct answer {
	int status;
	char head[8192]; /* NUL-terminated, status line and headers */
	struct buf body;
};

void client_open(struct client *c, struct rig *g);
void client_open_rcvbuf(struct client *c, struct rig *g, int bytes);
/* The handshake's success. */
bool client_tls(struct client *c, SSL_CTX *ctx);
void client_close(struct client *c);
/* So that the server is told by a reset. */
void client_abort(struct client *c);
void client_send(struct client *c, struct str s);
void client_send_c(struct client *c, const char *s);
/* As many bytes as the server takes; false once it takes no more. */
bool client_try_send(struct client *c, struct str s);
/* As recv(2), without EINTR; what the functions below have read ahead isn't in it. */
ssize_t client_recv(struct client *c, void *dst, size_t n, int flags);
/* The next answer (1xx, too); its body by length, chunks or until close. `head` for HEAD. */
void client_answer(struct client *c, struct answer *a, bool head);
/* Status and body of the next answer. */
void client_expect(struct client *c, int status, const char *body);
/* The server has ended its side, and nothing else came. */
void client_expect_eof(struct client *c);
/* Ended or reset, whatever came before. */
void client_expect_end(struct client *c);
/* Nothing comes for ms. */
void client_expect_silence(struct client *c, int ms);
void answer_free(struct answer *a);
/* The header's value, "" when missing; in static memory. */
const char *answer_header(struct answer *a, const char *name);

unsigned open_descriptors(void);
