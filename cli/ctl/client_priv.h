/* What client.c and client_stream.c share. */
#pragma once

#include <stdatomic.h>

#include "cli/ctl/client.h"

enum { CLIENT_HEADERS = 6, CLIENT_ANSWER_MS = 600000, CLIENT_TEXT_SHOWN = 2000 };

struct client {
	const struct settings *s;
	struct http_pool *pool;
	struct str site, api, auth;
	atomic_bool stopped;
};

/* Into h, which holds CLIENT_HEADERS; how many. */
size_t client_headers(const struct client *c, const struct call *q, struct http_header *h);
/* One line of the log. */
void client_told(const char *method, struct str url, int status, int64_t since);
/* Is it worth another try? */
bool client_busy(int status);
/* What an answer complains of. */
void client_answer_fault(struct arena *a, const struct answer *w, struct str site, struct fault *ret);
bool client_not_json(struct client *c, struct arena *a, struct fault *ret);
