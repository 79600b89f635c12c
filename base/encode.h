/* Text encodings. Outputs are in the arena; decoders are strict and return false on bad input. */
#pragma once

#include "base/arena.h"

struct str hex_encode(struct arena *a, struct str bytes); /* lower case */
bool hex_decode(struct arena *a, struct str hex, struct str *ret);
struct str base64_encode(struct arena *a, struct str bytes); /* padded, RFC 4648 section 4 */
bool base64_decode(struct arena *a, struct str text, struct str *ret);
struct str base64url_encode(struct arena *a, struct str bytes); /* section 5, unpadded */
bool base64url_decode(struct arena *a, struct str text, struct str *ret);

/* SigV4's UriEncode: all but A-Za-z0-9-._~ becomes %XX in upper case; '/' stays when keep_slash. */
struct str uri_encode(struct arena *a, struct str s, bool keep_slash);
/* %XX decoded; '+' stays (plus_is_space: becomes a space). False on a bad escape. */
bool uri_decode(struct arena *a, struct str s, bool plus_is_space, struct str *ret);
/* ASCII letters only. */
struct str lower_case(struct arena *a, struct str s);
/* RFC 2047: what S3 does with metadata values that are not ASCII (Q or B words, UTF-8). */
struct str rfc2047_encode(struct arena *a, struct str s);
bool rfc2047_decode(struct arena *a, struct str s, struct str *ret);
