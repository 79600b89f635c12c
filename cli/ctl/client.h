/* The REST API from outside: addresses, credentials, tries, and answers' complaints. Any thread may ask. */
#pragma once

#include <sys/types.h>

#include "base/json.h"
#include "cli/ctl/settings.h"
#include "http/client.h"

struct client;

/* What went wrong, for people. */
struct fault {
	enum { FAULT_NONE, FAULT_OWN, FAULT_ANSWER, FAULT_REACH } kind;
	int status; /* of the answer */
	struct str text;
};

struct answer {
	int status;
	struct str etag, location;
	struct str body;
	struct json *doc; /* NULL when there is none */
};

/* False: no address (*ret_why says so). Lives in the arena. */
bool client_new(const struct settings *s, struct arena *a, struct client **ret, struct str *ret_why);
void client_free(struct client *c);
/* All that waits ends within a moment, all that comes fails at once. Safe in a signal's handler. */
void client_stop(struct client *c);
bool client_stopped(const struct client *c);
/* "http://host:8000", without /api/v1. */
struct str client_site(const struct client *c);

/* {} in fmt is the next piece, percent-encoded. */
struct str path_fill(struct arena *a, const char *fmt, const struct str *pieces, size_t n);
#define PATH(a, fmt, ...)                                                                                              \
	path_fill((a), (fmt), (const struct str[]){__VA_ARGS__},                                                       \
		  sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
/* Adds ?name=value or &name=value. */
struct str path_query(struct arena *a, struct str path, const char *name, struct str value);

struct call {
	const char *method;
	struct str path; /* below /api/v1 */
	struct str doc;	 /* a JSON body; STR_NONE: none */
	struct str if_match;
	bool raw; /* the answer's body is no JSON */
};

/* Asks, repeatedly where the server couldn't or was busy (settings.retries). False for whatever isn't 2xx:
 * *ret_fault, in `a` as is the answer. */
bool client_ask(struct client *c, struct arena *a, const struct call *q, struct answer *ret, struct fault *ret_fault);

/* Streams. */
struct client_stream {
	struct http_exchange *x;
	int64_t length; /* of a download; -1 unknown */
};

/* Opens the answer's body for http_read; the caller closes it (http_close). Retried as above. Where the server says that
 * the store has it, from there. */
bool client_open(struct client *c, struct arena *a, struct str path, struct client_stream *ret,
		 struct fault *ret_fault);
/* One attempt to send a body of `length` bytes (-1: chunked) that `more` brings: up to n bytes, 0 at the end, -1 a
 * failure with *ret_fault set. *ret_again: it failed before the server can have taken it, or the server was busy. */
struct upload {
	struct str path, content_type;
	int64_t length;
	ssize_t (*more)(void *ud, char *dst, size_t n, struct fault *ret_fault);
	void *ud;
};
bool client_upload(struct client *c, struct arena *a, const struct upload *u, struct answer *ret, bool *ret_again,
		   struct fault *ret_fault);
/* One attempt to put such a body to a presigned URL (u->path), without credentials of ours. azure: that is the store's
 * kind. *ret_etag: hex of the body's MD5, where the store tells it, else its ETag. */
bool client_put(struct client *c, struct arena *a, const struct upload *u, bool azure, struct str *ret_etag,
		bool *ret_again, struct fault *ret_fault);
/* Sleeps before the next attempt; false when there shall be none. *attempt begins as 0. */
bool client_wait(struct client *c, unsigned *attempt);
/* A fault that says what happened to an exchange. */
void client_fault(struct client *c, struct arena *a, const struct err *e, struct fault *ret);
/* "Not Found" */
const char *status_text(int status);
