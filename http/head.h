/* The head of a request: found, checked and taken apart, strictly (RFC 9112), without sockets or h2o.
 *
 * What two parsers could read differently is refused: bare LF, folded lines, space before a colon,
 * control bytes, both lengths, differing lengths, unknown transfer codings, several Hosts.
 */
#pragma once

#include "base/arena.h"
#include "http/server.h"

/* Where the search for the end of a head stands; zero-initialised for each head. */
struct http_scan {
	size_t at;      /* bytes looked at */
	unsigned lines; /* complete ones, the request line and the empty one included */
};

enum http_scan_result { HTTP_SCAN_PARTIAL, HTTP_SCAN_WHOLE, HTTP_SCAN_BAD };

/* in: all bytes of the head so far; only new ones are looked at. WHOLE: s->at is the head's length,
 * empty line included. BAD: a line doesn't end in CRLF, or the first byte can't begin a request. */
enum http_scan_result http_scan(struct http_scan *s, struct str in);

struct http_head {
	struct str method, target;
	struct http_header *headers;
	size_t headers_n;
	int64_t length; /* of the body; -1: chunked; 0: none */
	bool http10;
	bool keep_alive;
	bool expect_continue;
};

/* text: n bytes that http_scan found whole, NUL-free or not; kept by *ret and changed in place. lines:
 * what the scan counted. 0, or the status to refuse with and in *ret_why the reason. */
int http_head_parse(char *text, size_t n, unsigned lines, unsigned max_headers, struct arena *a,
		    struct http_head *ret, const char **ret_why);
