/* Results and errors.
 *
 * Every function that can fail returns an rc: a struct, so that it can neither be dropped nor
 * mistaken for a number. The story of a failure goes to the last parameter, `struct err *reterr`,
 * which belongs to the request or work item (it crosses threads with it) and is written on failure
 * only, by the first place that knows; callers may put context in front with err_wrap.
 * A message says what was being done, on what, and what the reader can do. It holds no secret.
 */
#pragma once

#include "base/str.h"

enum err_code {
	ERR_NONE,
#define X(name, status, s3, text) ERR_##name,
#include "base/err.def"
#undef X
	ERR_COUNT
};

typedef struct [[nodiscard]] rc {
	enum err_code code;
} rc;

/* fields: what S3's errors say besides code and message (<ArgumentName> ...), as "name\0value\0" pairs. */
struct err {
	enum err_code code;
	unsigned fields_n;
	char msg[512], fields[1024];
};

#define RC_OK ((rc){ERR_NONE})
#define RC(name) ((rc){ERR_##name})
#define rc_ok(r) ((r).code == ERR_NONE)
#define rc_is(r, name) ((r).code == ERR_##name)
#define TRY(call)                                                                                  \
	do {                                                                                       \
		rc try_ = (call);                                                                  \
		if (try_.code)                                                                     \
			return try_;                                                               \
	} while (0)
/* Where failure is of no consequence; say why beside it. */
#define IGNORE_RC(call)                                                                            \
	do {                                                                                       \
		rc ignored_ = (call);                                                              \
		(void)ignored_;                                                                    \
	} while (0)

/* Sets code and message (reterr may be NULL) and returns the code as an rc. */
rc err_set(struct err *reterr, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* err_set plus ": " and strerror(errnum). */
rc err_errno(struct err *reterr, enum err_code code, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The code's default message from the table. */
rc err_default(struct err *reterr, enum err_code code);
/* Adds a field to the error that was just set, and returns `failed` as it is. One that is empty or that
 * finds no room is left out; bytes that an XML document can't have become '?'. */
rc err_field(rc failed, struct err *reterr, const char *name, struct str value);
rc err_field_u64(rc failed, struct err *reterr, const char *name, uint64_t value);
/* InvalidArgument with the fields ArgumentName and ArgumentValue. */
rc err_argument(struct err *reterr, const char *name, struct str value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Walks the fields: *at begins as 0. */
bool err_next_field(const struct err *e, unsigned *at, struct str *ret_name, struct str *ret_value);
/* Puts "context: " before the message already there, and returns `failed` as it is. */
rc err_wrap(rc failed, struct err *reterr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The table's columns. */
int err_status(enum err_code code);
const char *err_s3_code(enum err_code code);
const char *err_text(enum err_code code);
/* The enum's own name ("NoSuchKey"), for logs. */
const char *err_name(enum err_code code);

/* CLEANUP(f) T *x: f(&x) when x leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
