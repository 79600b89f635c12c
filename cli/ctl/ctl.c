#include "cli/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct str formatted(struct arena *a, const char *fmt, va_list ap)
{
	char text[4096];

	vsnprintf(text, sizeof(text), fmt, ap);
	return arena_dup(a, str_c(text));
}

bool ctl_fail(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	c->fault = (struct fault){FAULT_OWN, 0, formatted(c->a, fmt, ap)};
	va_end(ap);
	return false;
}

bool ctl_uri_of(struct ctl *c, enum uri_kind kind, struct str text, struct uri *ret)
{
	struct str why;

	return uri_want(kind, text, c->settings.base_uri, c->a, ret, &why) || ctl_fail(c, STR_FMT, STR_ARG(why));
}

bool ctl_uri(struct ctl *c, enum uri_kind kind, size_t i, struct uri *ret)
{
	return ctl_uri_of(c, kind, ctl_word(c, i), ret);
}

bool ctl_confirm(struct ctl *c, const char *fmt, ...)
{
	char answer[64] = "";
	va_list ap;

	if (args_bool(c->args, "yes"))
		return true;
	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("? [y/N] ", stderr);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin)) {
		fputc('\n', stderr);
		return false;
	}
	return answer[0] == 'y' || answer[0] == 'Y';
}

bool ctl_write_pairs(struct ctl *c, struct json_out *w, const char *key, const char *flag)
{
	size_t n;
	struct str *pairs = args_texts(c->args, flag, c->a, &n);

	if (!n)
		return true;
	jw_object(w, key);
	for (size_t i = 0; i < n; i++) {
		struct str value, name = str_cut(pairs[i], '=', &value);

		if (!value.p)
			return ctl_fail(c, "invalid key/value pair - should be separated by \"=\"");
		jw_str_of(w, name, value);
	}
	jw_end_object(w);
	return true;
}

bool ctl_read_text(struct ctl *c, struct str file, size_t max, struct str *ret)
{
	bool is_stdin = str_eq(file, STR("-")), bad;
	FILE *f = is_stdin ? stdin : fopen(arena_cstr(c->a, file), "re");
	char *text;
	size_t n;

	if (!f)
		return ctl_fail(c, "open " STR_FMT ": %s", STR_ARG(file),
				errno == ENOENT ? "no such file or directory" : strerror(errno));
	text = arena_alloc(c->a, max + 1);
	n = fread(text, 1, max + 1, f);
	bad = ferror(f);
	if (!is_stdin)
		fclose(f);
	if (bad || n > max)
		return ctl_fail(c, "read " STR_FMT ": %s", STR_ARG(file),
				bad ? strerror(errno) : "it is too large for what it should be");
	*ret = str_make(text, n);
	return true;
}

/* A fault outlives the arena of the page that brought it. */
static bool ask(struct ctl *c, struct arena *a, const struct call *q, struct answer *ret)
{
	if (client_ask(c->client, a, q, ret, &c->fault))
		return true;
	c->fault.text = arena_dup(c->a, c->fault.text);
	return false;
}

bool ctl_get(struct ctl *c, struct arena *a, struct str path, struct answer *ret)
{
	return ask(c, a, &(struct call){.method = "GET", .path = path}, ret);
}

bool ctl_send(struct ctl *c, struct arena *a, const char *method, struct str path, struct str doc, struct answer *ret)
{
	return ask(c, a, &(struct call){.method = method, .path = path, .doc = doc}, ret);
}
