/* Private to http/: connections, requests and what they share on one loop.
 *
 *            accept
 *              |
 *   HANDSHAKE -+-> IDLE -> HEAD -> REQUEST -+-> DRAIN -> IDLE
 *    (TLS)          ^                       |     rest of a small body, then the next request
 *                   +-----------------------+-> IDLE
 *                                           +-> LINGER -> CLOSED
 *                                                 half closed; reading until the client has seen it
 *
 * Any state -> CLOSED. A closed connection has no descriptor any more but stays in memory until the
 * loop's next turn (conn_bury), so that code further up the stack may still look at it: whoever calls
 * something that may close looks at the state afterwards. Only conn_bury tells the request that its
 * connection is gone, so that no handler is called from inside its own calls.
 */
#pragma once

#include "base/metrics.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/loop_priv.h"
#include "http/server.h"
#include "http/stream.h"

#include <stdatomic.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

enum {
	INPUT_BLOCK = 4096,         /* most heads fit */
	OUTPUT_BLOCK = 64 * 1024,
	SCRATCH = 64 * 1024,
	BURST = 1024 * 1024,        /* bytes one connection writes before others have their turn */
	DRAIN_MAX = 64 * 1024,      /* unread rest of a body for which a connection is kept */
	LINGER_MAX = 64 * 1024 * 1024,
};

/* Blocks of one size, kept for reuse on one loop. */
struct blocks {
	void *free;
	size_t size;
	unsigned kept, max;
};
void *block_take(struct blocks *b);
void block_give(struct blocks *b, void *p);
void blocks_deinit(struct blocks *b);

/* What one loop has of the server. */
struct server_loop {
	struct http_server *server;
	struct loop *loop;
	unsigned index;
	struct loop_fd listener;
	int listen_fd;              /* until the loop runs, then the listener's */
	struct loop_timer resume;   /* accepting again */
	struct conn *conns;
	/* Those without a request, the longest first: each waits for a whole head. */
	struct conn *first_waiting, *last_waiting;
	size_t conns_n, requests_n; /* requests: those in memory */
	bool stopping, abandoned;
	struct mail stop;
	struct loop_timer grace;
	struct blocks inputs, outputs;
	char *scratch;
	uint64_t ids;
	int64_t date_s;
	char date[30];
	int64_t complained_ms;      /* of a lack of descriptors or of places */
};

struct server_metrics {
	struct metric *requests[6]; /* by the status's first digit */
	struct metric *seconds, *connections, *evicted, *bytes_in, *bytes_out;
};

struct http_server {
	struct http_limits limits;
	void (*handler)(struct http_req *r, void *ud);
	void *ud;
	char *server_name, *cert_file, *key_file; /* NULL: none */
	struct server_metrics metrics;
	uint64_t id_key;
	unsigned grace_ms;
	unsigned port;
	_Atomic size_t connections;
	pthread_mutex_t tls_lock;
	struct {
		SSL_CTX *tls; /* NULL: plain */
	} locked;
	unsigned loops_n;
	struct server_loop *loops;
};

/* A row of bytes received and not used yet. */
struct input {
	char *p;
	size_t at, n, cap;
};

enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,
	CONN_HEAD,
	CONN_REQUEST,
	CONN_DRAIN,
	CONN_LINGER,
	CONN_CLOSED,
};

struct conn {
	struct server_loop *sl;
	struct conn *next, **link;
	struct conn *wait_next, *wait_prev;
	bool waits;        /* among the loop's waiting ones */
	int64_t since_ms;  /* when that began */
	struct loop_fd fd;
	struct stream stream;
	enum conn_state state;
	bool parsing;  /* the input's loop is further up the stack: it goes on */
	bool peer_eof;
	struct input in;
	struct http_scan scan;
	int64_t start_us;
	struct http_req *req;
	struct iovec out[3]; /* to be written: rest of 100 Continue, head, data */
	unsigned out_n;
	uint64_t drain;      /* DRAIN: bytes of the body to come; LINGER: bytes still taken */
	struct loop_timer reading, writing, later;
	char peer[INET6_ADDRSTRLEN];
	uint8_t peer_n;
};

/* The request's body as a source. */
struct request_body {
	struct body body;
	uint64_t left; /* of a body with a length */
	struct chunked chunked;
	bool expect, closed;
	enum { REQUEST_BODY_OPEN, REQUEST_BODY_ENDED, REQUEST_BODY_FAILED } state;
	enum err_code failure;
	const char *why;
	body_ready_fn *ready; /* armed */
	void *ready_ud;
	struct loop_timer fire;
};

enum response_source { RESPONSE_NONE, RESPONSE_FILE, RESPONSE_BODY };

struct response {
	enum response_source source;
	bool begun;       /* the head is under way */
	bool keep;        /* the connection */
	bool chunked, ended;
	int64_t left;     /* of the source; -1: unknown */
	char *block;
	size_t filled;
	char *spill;      /* what http_respond couldn't send at once; the head before a body */
	struct body *body;
	bool armed;
	/* file */
	int fd;
	uint64_t offset;
	uint64_t warm;    /* up to this offset pages were found, or brought, in memory */
	struct work_pool *cold;
	struct work read_ahead;
	bool reading_ahead;
	struct loop_timer retry;
};

struct http_req {
	struct server_loop *sl;
	struct conn *conn; /* NULL when the answer is complete or the connection buried */
	struct arena *arena;
	unsigned refs;
	bool tls, answered, gone, logged;
	struct http_head head;
	struct request_body body;
	struct response resp;
	int64_t start_us;
	uint64_t bytes_in, bytes_out;
	int status;
	struct str operation, user, error;
	void (*gone_fn)(void *ud);
	void *gone_ud;
	struct loop_timer gone_timer;
	char id[17];
	char peer[INET6_ADDRSTRLEN];
	uint8_t peer_n;
};

/* listener.c */
/* Binds n sockets to the same address and port. */
rc listen_all(struct str address, unsigned n, int *fds, unsigned *ret_port, struct err *reterr);
void listener_start(struct server_loop *sl);
void listener_stop(struct server_loop *sl);
/* A connection has ended: room for another. */
void listener_room(struct server_loop *sl);

/* conn.c */
/* Takes fd over; tls (counted for the callee) or NULL. */
void conn_new(struct server_loop *sl, int fd, SSL_CTX *tls, const struct sockaddr_storage *peer);
void conn_close(struct conn *c);
/* Closes the one that has waited the longest for a request, if that is a second or more: whoever only holds
 * a place makes room for who has something to ask. */
bool conn_evict(struct server_loop *sl);
/* The answer has been written. */
void conn_answered(struct conn *c);
/* Nothing more is expected from the client: so its leaving shows. */
void conn_watch(struct conn *c);
/* Until the socket is readable, or for body_ms. */
void conn_await_body(struct conn *c);
/* Up to cap bytes: from the input, then from the socket. As stream_read. */
ssize_t conn_take(struct conn *c, void *dst, size_t cap);

/* input.c */
/* Room for at least one byte behind what is there; false when `max` bytes are. */
bool input_room(struct input *in, struct blocks *blocks, size_t max);
struct str input_str(const struct input *in);
void input_drop(struct input *in, size_t n);
/* Gives the memory back when nothing is in it, or (all) anyway. */
void input_trim(struct input *in, struct blocks *blocks, bool all);

/* request.c */
/* One reference, which is the connection's. */
struct http_req *request_new(struct conn *c);
/* The connection has no more to do with it: lost, or the answer is complete. Gives its reference back. */
void request_detach(struct http_req *r);
/* Once answered and detached: log and metrics. */
void request_finish(struct http_req *r);

/* request_body.c */
void request_body_start(struct http_req *r);
/* What is armed is called back soon. */
void request_body_fail(struct http_req *r, enum err_code code, const char *why);
/* The socket has something, or an end. */
void request_body_readable(struct http_req *r);
void request_body_timeout(struct http_req *r);
/* Takes what is there of the rest, up to DRAIN_MAX: so that an unread little doesn't cost the
 * connection. */
void request_body_settle(struct http_req *r);

/* response.c */
/* Writes what is to be written, as far as it goes. */
void response_pump(struct conn *c);
void response_refuse(struct conn *c, int status, const char *why);
void response_release(struct http_req *r);

enum response_step { RESPONSE_DATA, RESPONSE_BLOCKED, RESPONSE_WAITING, RESPONSE_DONE, RESPONSE_FAIL };
/* response_file.c */
enum response_step response_file_next(struct http_req *r, size_t *burst);
void response_file_close(struct response *resp);
/* response_body.c */
enum response_step response_body_next(struct http_req *r, size_t *burst);
/* Its halves, for the head's sake: DATA when something, or the end, is to be pushed. */
enum response_step response_body_fetch(struct http_req *r);
void response_body_push(struct http_req *r);

/* response_head.c */
const char *status_reason(int status);
/* length -1: none is told. */
struct str response_head(struct http_req *r, const struct http_header *h, size_t n, int64_t length);

/* server.c */
/* A connection or a request has gone: perhaps the last of a loop that is to stop. */
void server_loop_ended(struct server_loop *sl);
