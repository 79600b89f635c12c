/* Text: a value that isn't plainly one word is quoted; in quotes, whatever could end the value, the
 * line or fool a terminal is escaped. JSON: the same, by JSON's own rules. */
#include "base/log_line.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
	TAIL = 32, /* kept for closing quotes, the mark of a cut and the end */
};

struct line {
	char *p;
	size_t n;
	bool cut;
};

static void add(struct line *l, struct str s)
{
	if (l->n + s.n > LOG_LINE_MAX - TAIL) {
		l->cut = true;
		return;
	}
	memcpy(l->p + l->n, s.p, s.n);
	l->n += s.n;
}

/* Into the tail: small constants, a few times a line. */
static void add_last(struct line *l, struct str s)
{
	memcpy(l->p + l->n, s.p, s.n);
	l->n += s.n;
}

static void add_c(struct line *l, char c)
{
	add(l, str_make(&c, 1));
}

/* Characters that end lines, turn the writing's direction or can't be seen: C1 controls, U+200B to
 * U+200F, U+2028 to U+202E, U+2060 to U+2069, U+FEFF. */
static bool deceptive(const unsigned char *p, size_t len)
{
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len != 3)
		return false;
	if (p[0] == 0xe2 && p[1] == 0x80)
		return (p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae);
	if (p[0] == 0xe2 && p[1] == 0x81)
		return p[2] >= 0xa0 && p[2] <= 0xa9;
	return p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf;
}

static unsigned code_point(const unsigned char *p, size_t len)
{
	return len == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
			: (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
}

/* How the character at the start of s is written inside quotes, in both forms. *ret_len: its bytes. */
static struct str escaped(struct str s, enum log_format format, char buf[8], size_t *ret_len)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len = str_utf8_len(s);
	int n;

	*ret_len = len ? len : 1;
	if (len > 1 && !deceptive(p, len))
		return str_head(s, len);
	if (len > 1)
		n = snprintf(buf, 8, "\\u%04x", code_point(p, len));
	else if (len == 0 && format == LOG_TEXT)
		n = snprintf(buf, 8, "\\x%02x", p[0]);
	else if (len == 0)
		n = snprintf(buf, 8, "\\ufffd");
	else if (*p == '"' || *p == '\\')
		n = snprintf(buf, 8, "\\%c", *p);
	else if (*p == '\n')
		n = snprintf(buf, 8, "\\n");
	else if (*p < ' ' || *p == 0x7f)
		n = snprintf(buf, 8, "\\u%04x", *p);
	else
		return str_head(s, 1);
	return str_make(buf, (size_t)n);
}

static void add_quoted(struct line *l, enum log_format format, struct str s)
{
	add_c(l, '"');
	if (l->cut)
		return;
	while (s.n && !l->cut) {
		char buf[8];
		size_t len;

		add(l, escaped(s, format, buf, &len));
		s = str_skip(s, len);
	}
	add_last(l, STR("\""));
}

/* Needs no quotes: printable ASCII and harmless UTF-8, without what separates. */
static bool plain(struct str s, bool spaces)
{
	for (size_t i = 0; i < s.n;) {
		size_t len = str_utf8_len(str_skip(s, i));
		unsigned char c = (unsigned char)s.p[i];

		if (len == 0 || c == '"' || c == '\\' || c == '=' || c == 0x7f || c < ' ' ||
		    (c == ' ' && !spaces) || deceptive((const unsigned char *)s.p + i, len))
			return false;
		i += len;
	}
	return s.n > 0;
}

static void add_text_value(struct line *l, struct str s, bool spaces)
{
	if (plain(s, spaces) && l->n + s.n <= LOG_LINE_MAX - TAIL)
		add(l, s);
	else
		add_quoted(l, LOG_TEXT, s);
}

static void add_number(struct line *l, const struct log_field *f, enum log_format format)
{
	char buf[32];
	int n;

	if (f->type == LOG_INT)
		n = snprintf(buf, sizeof(buf), "%" PRId64, f->i);
	else if (format == LOG_JSON && !isfinite(f->f))
		n = snprintf(buf, sizeof(buf), "null");
	else
		n = snprintf(buf, sizeof(buf), "%.9g", f->f);
	add(l, str_make(buf, (size_t)n));
}

static void add_field(struct line *l, const struct log_field *f, enum log_format format)
{
	size_t before = l->n;

	add_c(l, format == LOG_JSON ? ',' : ' ');
	if (format == LOG_JSON)
		add_quoted(l, LOG_JSON, str_c(f->key));
	else
		add_text_value(l, str_c(f->key), false);
	add_c(l, format == LOG_JSON ? ':' : '=');
	if (l->cut) {
		l->n = before;
		return;
	}
	if (f->type != LOG_STR)
		add_number(l, f, format);
	else if (format == LOG_JSON)
		add_quoted(l, LOG_JSON, f->s);
	else
		add_text_value(l, f->s, false);
	/* A cut string is still closed; a key without any value goes. */
	if (l->cut && l->p[l->n - 1] != '"')
		l->n = before;
}

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};

static void add_head_json(struct line *l, const char *time, enum log_level level,
			  const char *component, const char *msg)
{
	add(l, STR("{\"time\":\""));
	add(l, str_c(time));
	add(l, STR("\",\"level\":\""));
	add(l, str_c(level_names[level]));
	add(l, STR("\",\"component\":"));
	add_quoted(l, LOG_JSON, str_c(component));
	add(l, STR(",\"msg\":"));
	add_quoted(l, LOG_JSON, str_c(msg));
}

static void add_head_text(struct line *l, const char *time, enum log_level level,
			  const char *component, const char *msg)
{
	static const char *const upper[] = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR"};

	add(l, str_c(time));
	add_c(l, ' ');
	add(l, str_c(upper[level]));
	add_c(l, ' ');
	add_text_value(l, str_c(component), false);
	add_c(l, ' ');
	add_text_value(l, str_c(msg), true);
}

size_t log_line(char out[LOG_LINE_MAX], enum log_format format, struct timestamp now, enum log_level l,
		const char *component, const char *msg, const struct log_field *fields, size_t n)
{
	struct line line = {.p = out};
	char time[25];

	time_iso_ms(now, time);
	if (format == LOG_JSON)
		add_head_json(&line, time, l, component, msg);
	else
		add_head_text(&line, time, l, component, msg);
	for (size_t i = 0; i < n && !line.cut; i++)
		add_field(&line, &fields[i], format);
	if (line.cut)
		add_last(&line, format == LOG_JSON ? STR(",\"cut\":true") : STR(" cut=true"));
	add_last(&line, format == LOG_JSON ? STR("}\n") : STR("\n"));
	return line.n;
}
