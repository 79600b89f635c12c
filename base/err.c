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
		reterr->fields_n = 0;
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

static char shown(char c, bool utf8)
{
	bool control = ((unsigned char)c < ' ' && c != '\n') || c == 0x7f;

	return control || (!utf8 && (unsigned char)c > '~') ? '?' : c;
}

rc err_field(rc failed, struct err *reterr, const char *name, struct str value)
{
	size_t name_n = strlen(name) + 1;
	bool utf8 = str_is_utf8(value);
	char *to;

	if (!reterr || !value.n ||
	    name_n + value.n + 1 > sizeof(reterr->fields) - reterr->fields_n)
		return failed;
	to = reterr->fields + reterr->fields_n;
	memcpy(to, name, name_n);
	to += name_n;
	for (size_t i = 0; i < value.n; i++)
		to[i] = shown(value.p[i], utf8);
	to[value.n] = 0;
	reterr->fields_n += (unsigned)(name_n + value.n + 1);
	return failed;
}

rc err_field_u64(rc failed, struct err *reterr, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return err_field(failed, reterr, name, str_c(text));
}

rc err_argument(struct err *reterr, const char *name, struct str value, const char *fmt, ...)
{
	char text[sizeof(reterr->msg)];
	va_list ap;
	rc failed;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	failed = err_set(reterr, ERR_InvalidArgument, "%s", text);
	failed = err_field(failed, reterr, "ArgumentName", str_c(name));
	return err_field(failed, reterr, "ArgumentValue", value);
}

bool err_next_field(const struct err *e, unsigned *at, struct str *ret_name, struct str *ret_value)
{
	if (*at >= e->fields_n)
		return false;
	*ret_name = str_c(e->fields + *at);
	*ret_value = str_c(ret_name->p + ret_name->n + 1);
	*at += (unsigned)(ret_name->n + ret_value->n + 2);
	return true;
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
