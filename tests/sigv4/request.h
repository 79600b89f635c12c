/* Requests out of text, and a body that comes in pieces. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/arena.h"
#include "sigv4/sigv4.h"

#define AWS_KEY STR("AKIAIOSFODNN7EXAMPLE")
#define AWS_SECRET STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
enum { MAY_24_2013 = 1369353600 }; /* 20130524T000000Z, the day of S3's examples */

/* target: path and query. headers: "name: value\n" lines; names are taken as they are. */
struct sigv4_request request_of(struct arena *a, const char *method, const char *target,
				const char *headers);
struct sigv4_request request_of_str(struct arena *a, struct str method, struct str target,
				    struct str headers);
/* The same with one header more. */
struct sigv4_request request_with(struct arena *a, struct sigv4_request r, const char *name,
				  struct str value);

void assert_str(struct str got, const char *want);
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		rc ok_ = (call);                                                                   \
		if (!rc_ok(ok_))                                                                   \
			fail_msg("%s: %s", err_name(ok_.code), e.msg);                             \
	} while (0)
#define assert_code(call, name) assert_string_equal(err_name((call).code), #name)

/* Gives `bytes` in pieces of 1 to `most` bytes, with a BODY_WAIT now and then if `waits`. */
struct body *pieces_new(struct arena *a, struct str bytes, size_t most, bool waits, unsigned seed);
/* Pulls through pieces of up to cap bytes, waiting included; the bytes and how it ended. */
enum body_state pull_all(struct body *b, size_t cap, struct arena *a, struct str *ret,
			 struct err *reterr);
