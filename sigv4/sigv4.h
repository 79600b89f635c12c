/* AWS Signature Version 4, both ways, and the SigV2 header form that lakeFS still accepts.
 *
 * Pure: no sockets, no clock (time is passed in), nothing shared but a small cache of signing keys that
 * each thread has for itself. Safe from any thread. Steps follow "Signature Calculations
 * for the Authorization Header / Query Parameters / Chunked Upload" of the S3 API reference:
 * canonical request -> string to sign -> signing key -> signature.
 *
 * Verifying is in two calls, because the secret has to be looked up in between:
 *   sigv4_parse   finds which form the request uses, whose key it is, when it was signed;
 *   sigv4_verify  computes the signature with the secret and compares in constant time.
 * Then, for bodies in aws-chunked, sigv4_body is the stage that removes the framing, verifies each
 * chunk's signature and the trailer.
 */
#pragma once

#include "base/arena.h"
#include "base/body.h"
#include "base/err.h"

struct sigv4_header {
	struct str name, value; /* name in lower case, value trimmed; repeated names are separate, in order */
};

/* The same layout as http's header on purpose: the caller passes its array as it is. */
struct sigv4_request {
	struct str method;
	struct str path;  /* as on the wire: encoded, unnormalised, without query */
	struct str query; /* as on the wire, without '?' */
	const struct sigv4_header *headers;
	size_t headers_n;
	struct str service; /* what it must be signed for, when it is verified; STR_NONE: s3 */
};

/* SIGV2_QUERY: what boto3 and aws-cli v1 make of a presigned link for an endpoint of one's own. */
enum sigv4_form { SIGV4_NONE, SIGV4_HEADER, SIGV4_QUERY, SIGV2_HEADER, SIGV2_QUERY };

enum sigv4_payload {
	SIGV4_UNSIGNED,              /* UNSIGNED-PAYLOAD, or no header in the query form */
	SIGV4_SHA256,                /* hex digest of the whole body */
	SIGV4_CHUNKED,               /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	SIGV4_CHUNKED_TRAILER,       /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
	SIGV4_CHUNKED_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

struct sigv4 {
	enum sigv4_form form;
	enum sigv4_payload payload;
	/* The header's text; for SIGV4_SHA256 64 lower-case hex digits. Of another service than s3 STR_NONE: the
	 * caller puts the body's own hash there before sigv4_verify, whatever a header says. */
	struct str payload_hash;
	struct str access_key;
	struct str scope;        /* "20261121/us-east-1/s3/aws4_request" */
	struct str date, region, service; /* its parts; any region, the request's service */
	struct str amz_date;     /* "20261121T044937Z" */
	struct str signed_headers; /* in lower case */
	struct str signature;    /* as given */
	struct str token;        /* X-Amz-Security-Token, STR_NONE */
	int64_t signed_at_s;
	int64_t expires_s;       /* query form: seconds after signed_at_s, 1 to 604800 */
	struct str expires_text; /* SIGV2_QUERY: the signed Expires, seconds since 1970 */
	/* after sigv4_verify */
	uint8_t signing_key[32];
};

/* Signed requests are accepted this far from the clock (S3: 15 minutes), both ways. A presigned URL
 * may lie up to this far in the future and is good until signed_at + expires. */
enum { SIGV4_SKEW_S = 15 * 60, SIGV4_MAX_EXPIRES_S = 7 * 24 * 3600 };

/* form SIGV4_NONE (and RC_OK) when nothing of a signature is there. Errors as S3's:
 * AuthorizationHeaderMalformed, AuthorizationQueryParametersError, AccessDenied (no date, expired),
 * MalformedDate, RequestTimeTooSkewed, InvalidRequest (x-amz-content-sha256 missing; AWS4- with another
 * algorithm), InvalidArgument (x-amz-content-sha256 malformed; SigV2's header malformed; two mechanisms
 * at once). Host or an x-amz-* header not signed is AccessDenied (but x-amz-content-sha256, which the
 * signature covers anyway, and x-amz-cf-id, which CloudFront adds). */
rc sigv4_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a, struct sigv4 *ret,
	       struct err *reterr);
/* SignatureDoesNotMatch, with the remedy in the message but no secret; form must not be SIGV4_NONE. A
 * path with %2F may be signed with that or with "/". secret: at most 1 KiB. bucket_path:
 * what SigV2's canonical resource begins with in virtual-host style ("/bucket"), else "". */
rc sigv4_verify(struct sigv4 *s, const struct sigv4_request *r, struct str secret,
		struct str bucket_path, struct arena *a, struct err *reterr);

/* Steps, public for tests (and for explaining a mismatch). */
struct str sigv4_canonical_request(const struct sigv4_request *r, struct str signed_headers,
				   struct str payload_hash, bool query_form, struct arena *a);
struct str sigv4_string_to_sign(struct str amz_date, struct str scope, struct str canonical,
				struct arena *a);
void sigv4_signing_key(struct str secret, struct str date, struct str region, struct str service,
		       uint8_t out[32]);

/* The body stage for `s->payload` (which must be one of the CHUNKED kinds) over the raw body; s is
 * copied, what its strings point to must outlive the stage.
 * decoded_length: x-amz-decoded-content-length, enforced: fewer bytes are IncompleteBody, more too.
 * trailer_names: x-amz-trailer's value (comma list, any case); what it announces must come, once, and
 * nothing else.
 * Errors: SignatureDoesNotMatch, IncompleteBody (also bad framing, a chunk header over 1 KiB, an end before
 * the chunk of size 0, anything after the end, a signed trailer without its signature), MalformedTrailer
 * (also more than 16 KiB or 32 of them), InvalidChunkSize where sigv4_body_least_chunk asks for it.
 * A chunk's bytes are passed on before its signature is checked: nothing may become visible before
 * BODY_END. */
struct body *sigv4_body_new(const struct sigv4 *s, struct arena *a, struct body *below,
			    uint64_t decoded_length, struct str trailer_names);
/* Of all chunks but the last; S3 wants 8192. Without it any will do: AWS's SDK for JavaScript sends a chunk
 * for each piece that its stream yields, and lakeFS takes them. */
void sigv4_body_least_chunk(struct body *b, uint64_t bytes);
/* After BODY_END: the trailer's value by lower-case name, or STR_NONE. */
struct str sigv4_body_trailer(struct body *b, struct str name);

/* Signing outgoing requests: with the same steps. extra headers must be in r->headers already. */
struct sigv4_credentials {
	struct str access_key, secret, token; /* token STR_NONE */
};
/* Adds nothing by itself: answers the Authorization header's value; the caller has put host,
 * x-amz-date, x-amz-content-sha256 (and the token) into r->headers. All of them are signed. */
struct str sigv4_sign_header(const struct sigv4_request *r, const struct sigv4_credentials *c,
			     struct str region, struct str service, int64_t now_s,
			     struct str payload_hash, struct arena *a);
/* The query string (r->query's parameters included, then X-Amz-...) of a presigned URL. */
struct str sigv4_presign(const struct sigv4_request *r, const struct sigv4_credentials *c,
			 struct str region, struct str service, int64_t now_s, int64_t expires_s,
			 struct arena *a);
/* The next chunk's signature, for signed chunks going out (and for tests of the stage):
 * previous: the seed or last signature's 64 hex digits. */
struct str sigv4_chunk_signature(const uint8_t signing_key[32], struct str amz_date,
				 struct str scope, struct str previous, struct str chunk,
				 struct arena *a);
/* The signature after the last chunk, over the trailers as "name:value\n" each, in their order. */
struct str sigv4_trailer_signature(const uint8_t signing_key[32], struct str amz_date,
				   struct str scope, struct str previous, struct str trailers,
				   struct arena *a);
