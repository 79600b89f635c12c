#include "conf/load.h"

#include <stdarg.h>
#include <stdio.h>

#include "conf/value.h"

enum { MAX_TEXT = 1000 };

struct origin conf_origin(struct loader *l, unsigned line, struct str key)
{
	return (struct origin){.file = l->name, .line = line, .key = key};
}

static void add(struct loader *l, struct conf_finding f)
{
	struct conf_findings *all = l->findings;

	if (!all->v)
		all->v = arena_alloc(l->a, CONF_MAX_FINDINGS * sizeof(*all->v));
	if (!f.warning)
		l->errors++;
	if (all->n == CONF_MAX_FINDINGS)
		return;
	if (all->n == CONF_MAX_FINDINGS - 1)
		f = (struct conf_finding){
			.file = l->name,
			.text = STR("there are more findings; correct those above first"),
			.warning = l->errors == 0,
		};
	all->v[all->n++] = f;
}

static void vfinding(struct loader *l, bool warning, struct origin at, const char *fmt, va_list ap)
{
	char text[MAX_TEXT];

	vsnprintf(text, sizeof(text), fmt, ap);
	add(l, (struct conf_finding){
		       .file = arena_dup(l->a, at.file),
		       .line = at.line,
		       .key = conf_shown(at.key, l->a),
		       .text = arena_dup(l->a, str_c(text)),
		       .warning = warning,
	       });
}

void conf_error(struct loader *l, struct origin at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding(l, false, at, fmt, ap);
	va_end(ap);
}

void conf_warning(struct loader *l, struct origin at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding(l, true, at, fmt, ap);
	va_end(ap);
}

void conf_error_unknown(struct loader *l, struct origin at, struct str prefix, struct str path,
			bool store)
{
	struct str near = STR_NONE;

	if (l->findings->n < CONF_MAX_FINDINGS)
		near = conf_key_nearest(path, store);
	if (near.p)
		conf_error(l, at, "unknown key; did you mean " STR_FMT STR_FMT "?", STR_ARG(prefix),
			   STR_ARG(near));
	else
		conf_error(l, at, "unknown key; remove it, or look it up in the list that "
				  "`sluice config reference` prints");
}

struct str conf_finding_line(const struct conf_finding *f, struct arena *a)
{
	struct str line = f->line ? arena_printf(a, ":%u", f->line) : STR("");

	return arena_printf(a, STR_FMT STR_FMT ": " STR_FMT "%s%s" STR_FMT, STR_ARG(f->file),
			    STR_ARG(line), STR_ARG(f->key), f->key.n ? ": " : "",
			    f->warning ? "warning: " : "", STR_ARG(f->text));
}
