/* What the files of this folder share; nobody else includes it. */
#pragma once

#include "sigv4/sigv4.h"

/* A request names at most this many headers as signed. */
enum { SIGNED_HEADERS_MAX = 128 };

/* Text that grows in an arena. */
struct out {
	struct arena *a;
	char *p;
	size_t n, cap;
};

struct out out_new(struct arena *a, size_t cap);
/* Room for n more bytes; the writer then adds to n itself. */
char *out_room(struct out *o, size_t n);
void out_add(struct out *o, struct str s);
void out_add_c(struct out *o, char c);
static inline struct str out_str(const struct out *o)
{
	return str_make(o->p, o->n);
}

/* For messages: cut to what fits, other than printable ASCII as "?". Returns out. */
const char *printable(struct str s, char *out, size_t cap);

/* The value of the %XX that begins s, or -1. */
int percent_value(struct str s);

/* The one header of that name; STR_NONE when there is none. *ret_n (may be NULL): how many there are. */
struct str header_of(const struct sigv4_request *r, struct str name, size_t *ret_n);

/* S3 keeps "%2F" in a path apart from "/", other servers (and clients made for them) sign both as "/". */
enum slashes { SLASHES_AS_SENT, SLASHES_PLAIN };
struct str canonical_request(const struct sigv4_request *r, struct str signed_headers,
			     struct str payload_hash, bool query_form, enum slashes slashes,
			     struct arena *a);

/* sigv4_signing_key out of this thread's cache. */
void signing_key_cached(struct str access_key, struct str secret, struct str date,
			struct str region, struct str service, uint8_t out[32]);
enum { SECRET_MAX = 1024 };

/* "20261121/us-east-1/s3/aws4_request" */
struct str scope_of(struct str date, struct str region, struct str service, struct arena *a);
/* Lower-case hex, 64 digits. */
struct str hmac_hex(const uint8_t key[32], struct str text, struct arena *a);
struct str sha256_hex(struct str bytes, struct arena *a);
struct str trailer_signature(const uint8_t signing_key[32], struct str amz_date, struct str scope,
			     struct str previous, struct str hash_hex, struct arena *a);
struct str chunk_signature(const uint8_t signing_key[32], struct str amz_date, struct str scope,
			   struct str previous, struct str hash_hex, struct arena *a);

/* 3 to 128 printable characters that can't be mistaken for a separator. */
bool access_key_ok(struct str s);
/* "20261121T044937Z", or one of HTTP's dates, or one with "+0000" for "GMT". */
bool date_parse(struct str s, int64_t *ret_s);
/* x-amz-date or Date, and the skew. */
rc request_date_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a,
		      struct sigv4 *ret, struct err *reterr);
rc payload_parse(struct str text, struct sigv4 *ret, struct err *reterr);

rc v2_parse(const struct sigv4_request *r, struct str credentials, int64_t now_s, struct arena *a,
	    struct sigv4 *ret, struct err *reterr);
/* AWSAccessKeyId, Signature and Expires in the query; *ret_found false when it is no such link. */
rc v2_query_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a, struct sigv4 *ret,
		  bool *ret_found, struct err *reterr);
rc v2_verify(const struct sigv4 *s, const struct sigv4_request *r, struct str secret,
	     struct str bucket_path, struct arena *a, struct err *reterr);
