/* One small HTTP request from a command: blocking, the answer whole in memory. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct http_fetch {
	struct str method, url;
	struct str user, password; /* Basic; user STR_NONE: none */
	unsigned timeout_ms;
	size_t max; /* of the answer's body */
};

struct http_fetched {
	int status;
	struct str body; /* in the arena */
};

/* ServiceUnavailable: nobody answered, saying what libcurl says; the environment's proxies are not used. */
rc http_fetch(const struct http_fetch *q, struct arena *a, struct http_fetched *ret, struct err *reterr);
