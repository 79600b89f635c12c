/* What cmocka lacks for slices. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(got, want)                                                                      \
	do {                                                                                       \
		struct str got_ = (got), want_ = (want);                                           \
		if (!str_eq(got_, want_))                                                          \
			fail_msg("got \"" STR_FMT "\", not \"" STR_FMT "\"", STR_ARG(got_),        \
				 STR_ARG(want_));                                                  \
	} while (0)
#define assert_cstr(got, want) assert_str(got, str_c(want))
