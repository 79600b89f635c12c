/* The whole server in this process, over a KV in memory and a store in memory or in a folder; users with
 * policies of their own, and a client that signs. What goes wrong in the client aborts, so that it may be
 * used on any thread. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "auth/auth.h"
#include "base/buf.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "versions/versions.h"

enum site_store { SITE_MEM, SITE_LOCAL };

/* Threads of the pools for metadata and for data, each, and of the one for what is heavy. */
enum { SITE_WORKERS = 3, SITE_HEAVY = 2 };

struct site_options {
	enum site_store store;
	const struct str *domains, *proxies;
	size_t domains_n, proxies_n;
	int64_t repo_cache_ms; /* 0: 5,000 */
	unsigned late_ms;      /* 0: 5,000 */
	size_t documents_max;  /* 0: 256 MiB */
	/* NULL: everything is admitted. */
	const struct admission_options *admission;
	unsigned admission_wait_ms;
	bool slow_kv;          /* behind kv_fault, which can make it slow */
	bool bare; /* a second store "bare", of which nobody knows where namespaces would be */
	bool second_store;     /* "second", in memory */
};

struct site {
	struct arena *a;
	struct kv *kv;
	struct registry *registry;
	struct work_pool *meta, *data, *heavy;
	struct admission *admission;
	struct versions *versions;
	struct auth *auth;
	struct gateway *gateway;
	struct api *api;
	struct http_server *server;
	char folder[64]; /* "" for a store in memory */
};

/* With the user "admin", who may do everything. */
void site_open(struct site *s, const struct site_options *o);
void site_close(struct site *s);
void site_add_repo(struct site *s, const char *name, bool read_only);
/* In the second store. */
void site_add_second_repo(struct site *s, const char *name);

struct site_statement {
	const char *effect, *action, *resource;
	const char *op, *field, *value; /* the condition; NULL: none */
};
/* The user's key id and secret are its name. */
void site_add_user(struct site *s, const char *name, const struct site_statement *st, size_t n);

enum { CALL_HEADERS = 40 };

struct call {
	const char *user;   /* NULL: admin; "": unsigned */
	bool basic;         /* HTTP Basic instead of a signature: to /api/v1, the REST API's */
	const char *method; /* NULL: GET */
	const char *target; /* as on the wire */
	const char *host;   /* NULL: localhost */
	struct str body;
	struct {
		const char *name, *value; /* name in lower case */
	} headers[CALL_HEADERS];
};

struct answer {
	int status;
	char head[16384];
	struct buf body;
};

/* *fd: a connection to use again, -1 for a new one. */
void site_call_on(struct site *s, int *fd, const struct call *c, struct answer *ret);
/* The same in steps; between them, until the answer's first bytes have that text. */
void site_send(struct site *s, int *fd, const struct call *c);
void site_await(int fd, const char *text);
void site_receive(int *fd, const struct call *c, struct answer *ret);
/* On a connection of its own. */
void site_call(struct site *s, const struct call *c, struct answer *ret);
/* Sends the head and `bytes` of the body, then goes away. */
void site_abandon(struct site *s, const struct call *c, size_t bytes);
void answer_free(struct answer *a);
/* The header's value (name in lower case), in `out`; "" when there is none. */
const char *answer_header(const struct answer *a, const char *name, char out[1024]);
/* The text of the first element of that name, in `out`. */
const char *answer_element(const struct answer *a, const char *name, char out[1024]);
bool answer_has(const struct answer *a, const char *text);

#define expect(s, status_, ...)                                                                    \
	site_expect((s), &(struct call){__VA_ARGS__}, (status_), NULL, __FILE__, __LINE__)
#define expect_error(s, status_, code_, ...)                                                       \
	site_expect((s), &(struct call){__VA_ARGS__}, (status_), (code_), __FILE__, __LINE__)
/* For the test's own thread. */
void site_expect(struct site *s, const struct call *c, int status, const char *code,
		 const char *file, int line);
