/* What the files of client.h share. */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/client.h"

enum {
	HTTP_SLICE_MS = 250, /* how soon a stopped pool is noticed */
	LINK_SOCKETS = 8,    /* more than an attempt at IPv6 and IPv4 at once leaves open */
};

struct link {
	struct link *next;
	CURLM *multi;
	CURL *easy;
	int sockets[LINK_SOCKETS]; /* that libcurl has open; -1 */
	int local_port;            /* of the exchange's connection */
};

struct http_pool {
	struct http_pool_options o;
	struct arena *a;
	CURLSH *share;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
	atomic_bool stopped;
	atomic_uint open;
	struct {
		pthread_mutex_t lock;
		struct link *free;
		unsigned n;
	} locked;
};

struct http_exchange {
	struct http_pool *pool;
	struct link *link;
	struct arena *a;
	struct http_request q;
	struct curl_slist *headers;
	/* out: what http_send brought and libcurl hasn't taken */
	const char *out;
	size_t out_n;
	bool out_over, paused_out;
	/* in: where http_read wants it; what didn't fit */
	char *dst;
	size_t dst_n, spill_at, spill_n;
	char *spill;
	bool paused_in;
	int64_t length; /* of the answer's body, where it is told and nothing encodes it; -1 */
	int64_t came;   /* of it, from libcurl */
	/* The connection was taken from libcurl (client_splice.c): */
	bool taken;
	int socket;
	int64_t to_come;
	/* the head */
	struct http_header *got;
	size_t got_n, head_bytes;
	int status;
	bool early; /* the head came before the body had been sent */
	/* ends */
	bool over;
	CURLcode code;
	int64_t moved_ms; /* when a byte last moved */
	char error[CURL_ERROR_SIZE];
};

/* What is told of an exchange that broke off. */
struct str http_exchange_peer(const struct http_exchange *x);
rc http_stalled(struct http_exchange *x, unsigned stall_ms, struct err *reterr);
/* The exchange's connection, which libcurl tells only of those that are over; -1. */
int http_link_socket(const struct link *l);
void http_link_watch(struct link *l);
/* libcurl may go on with what it was made to wait with. */
void http_exchange_resume(struct http_exchange *x);
/* libcurl's bytes of a connection that is being taken from it; all are kept in the spill. */
size_t http_splice_keep(struct http_exchange *x, const char *p, size_t n);
