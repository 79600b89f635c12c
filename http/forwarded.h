/* Who sent a request that came through proxies. */
#pragma once

#include "http/server.h"

/* The nearest address that is not a trusted proxy's: only what a trusted one wrote in X-Forwarded-For counts, or,
 * where there is none of that, in X-Real-IP. What a proxy wrote that is no address is answered as it is: it is in
 * no network. trusted: addresses and networks ("10.0.0.0/8"). Lives as long as the request. */
struct str http_source(struct http_req *r, const struct str *trusted, size_t n);
/* The same of a head; pure. */
struct str http_source_of(struct str peer, const struct http_header *h, size_t n, const struct str *trusted,
			  size_t trusted_n, struct arena *a);
