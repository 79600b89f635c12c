#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct row {
	const char *name, *s3, *text;
	int status;
};

static const struct row rows[ERR_COUNT] = {
	[ERR_NONE] = {"NONE", "", "", 200},
#define X(id, http, s3code, message) [ERR_##id] = {#id, s3code, message, http},
#include "base/err.def"
#undef X
};

static const struct row *row(enum err_code code)
{
	assert(code < ERR_COUNT);
	return &rows[code];
}

int err_status(enum err_code code)
{
	return row(code)->status;
}

const char *err_s3_code(enum err_code code)
{
	return row(code)->s3;
}

const char *err_text(enum err_code code)
{
	return row(code)->text;
}

const char *err_name(enum err_code code)
{
	return row(code)->name;
}

rc err_set(struct err *reterr, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	assert(code != ERR_NONE);
	if (reterr) {
		reterr->code = code;
		va_start(ap, fmt);
		vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
		va_end(ap);
	}
	return (rc){code};
}

rc err_errno(struct err *reterr, enum err_code code, int errnum, const char *fmt, ...)
{
	char what[400], why[100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(reterr, code, "%s: %s", what, strerror_r(errnum, why, sizeof(why)));
}

rc err_default(struct err *reterr, enum err_code code)
{
	return err_set(reterr, code, "%s", err_text(code));
}

rc err_wrap(rc failed, struct err *reterr, const char *fmt, ...)
{
	struct err old;
	char context[256];
	va_list ap;

	if (!reterr)
		return failed;
	old = *reterr;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	snprintf(reterr->msg, sizeof(reterr->msg), "%s: %.*s", context,
		 (int)(sizeof(reterr->msg) - sizeof(context) - 3), old.msg);
	return failed;
}
