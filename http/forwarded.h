/* Who sent a request that came through proxies. */
#pragma once

#include "http/server.h"

/* The nearest address that is not a trusted proxy's: only what a trusted one wrote in X-Forwarded-For counts.
 * trusted: addresses and networks ("10.0.0.0/8"). Lives as long as the request. */
struct str http_source(struct http_req *r, const struct str *trusted, size_t n);
