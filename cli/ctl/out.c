#include "cli/ctl/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TABLE_MAX = 64 << 20, INDENT = 2 };

static const char *const codes[] = {
	[COLOUR_NONE] = "",	      [COLOUR_RED] = "\033[31m",	[COLOUR_GREEN] = "\033[32m",
	[COLOUR_YELLOW] = "\033[33m", [COLOUR_BRIGHT_RED] = "\033[91m", [COLOUR_BRIGHT_YELLOW] = "\033[93m",
};

static void put(FILE *to, struct str s)
{
	fwrite(s.p ? s.p : "", 1, s.n, to);
}

static void put_coloured(const struct ctl *c, FILE *to, enum colour colour, struct str text)
{
	bool coloured = c->interactive && colour != COLOUR_NONE;

	if (coloured)
		fputs(codes[colour], to);
	put(to, text);
	if (coloured)
		fputs("\033[0m", to);
}

void out_coloured(const struct ctl *c, enum colour colour, struct str text)
{
	put_coloured(c, stdout, colour, text);
}

void out_line(const struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* Tables. */

void table_init(struct table *t, const char *const *headers, size_t columns)
{
	*t = (struct table){.columns = columns};
	for (size_t i = 0; i < columns; i++)
		t->headers[i] = headers[i];
	buf_init(&t->cells, TABLE_MAX);
}

void table_add(struct table *t, struct str cell)
{
	size_t nul = str_index(cell, '\0');

	buf_add(&t->cells, str_head(cell, nul));
	buf_add_c(&t->cells, '\0');
	t->rows++; /* cells, until table_end */
}

/* Characters, not bytes. */
static size_t width(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static struct str next_cell(const struct table *t, size_t *at)
{
	struct str s = str_c(t->cells.p + *at);

	*at += s.n + 1;
	return s;
}

static void print_plain(const struct table *t)
{
	size_t at = 0;

	for (size_t row = 0; row < t->rows; row++)
		for (size_t i = 0; i < t->columns; i++) {
			put(stdout, next_cell(t, &at));
			putchar(i + 1 < t->columns ? '\t' : '\n');
		}
}

static void print_rule(const struct table *t, const size_t *widths)
{
	for (size_t i = 0; i < t->columns; i++) {
		putchar('+');
		for (size_t k = 0; k < widths[i] + 2; k++)
			putchar('-');
	}
	puts("+");
}

static void print_cell(struct str cell, size_t wide, bool right)
{
	int pad = (int)(wide - width(cell));

	printf("| %*s", right ? pad : 0, "");
	put(stdout, cell);
	printf("%*s ", right ? 0 : pad, "");
}

static void print_table(const struct table *t)
{
	size_t widths[OUT_COLUMNS], at = 0;

	for (size_t i = 0; i < t->columns; i++)
		widths[i] = width(str_c(t->headers[i]));
	for (size_t row = 0; row < t->rows; row++)
		for (size_t i = 0; i < t->columns; i++) {
			size_t n = width(next_cell(t, &at));

			widths[i] = n > widths[i] ? n : widths[i];
		}
	print_rule(t, widths);
	for (size_t i = 0; i < t->columns; i++)
		print_cell(str_c(t->headers[i]), widths[i], false);
	puts("|");
	print_rule(t, widths);
	at = 0;
	for (size_t row = 0; row < t->rows; row++) {
		for (size_t i = 0; i < t->columns; i++)
			print_cell(next_cell(t, &at), widths[i], t->numbers >> i & 1);
		puts("|");
	}
	print_rule(t, widths);
}

void out_more(const struct ctl *c, const struct json *page, int64_t amount)
{
	const struct json *p = json_member(page, "pagination");

	if (!c->interactive || !json_bool(json_member(p, "has_more")))
		return;
	fputs("for more results run with ", stdout);
	out_coloured(c, COLOUR_BRIGHT_YELLOW,
		     arena_printf(c->a, "--amount %lld --after \"" STR_FMT "\"", (long long)amount,
				  STR_ARG(json_str(json_member(p, "next_offset")))));
	putchar('\n');
}

void table_end(const struct ctl *c, struct table *t, const struct json *page, int64_t amount)
{
	t->rows /= t->columns;
	if (c->interactive)
		print_table(t);
	else
		print_plain(t);
	if (t->cells.overflow)
		fprintf(stderr, "%s: the list is too long to be shown whole: ask for it in pages, or with -o json\n",
			c->args->program);
	buf_deinit(&t->cells);
	out_more(c, page, amount);
	putchar('\n');
}

/* Documents. */

static void new_line(size_t depth)
{
	printf("\n%*s", (int)(depth * INDENT), "");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t string_end(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return i + 1 < s.n ? i + 1 : s.n;
}

static size_t after_spaces(struct str s, size_t i)
{
	while (i < s.n && is_space(s.p[i]))
		i++;
	return i;
}

void out_document(struct str json)
{
	size_t depth = 0;

	for (size_t i = after_spaces(json, 0); i < json.n; i = after_spaces(json, i)) {
		char ch = json.p[i];
		size_t next = i + 1;

		if (ch == '"') {
			next = string_end(json, i);
			put(stdout, str_make(json.p + i, next - i));
		} else if (ch == '{' || ch == '[') {
			putchar(ch);
			next = after_spaces(json, next);
			if (next < json.n && (json.p[next] == '}' || json.p[next] == ']'))
				putchar(json.p[next++]);
			else
				new_line(++depth);
		} else if (ch == '}' || ch == ']') {
			new_line(depth ? --depth : 0);
			putchar(ch);
		} else {
			putchar(ch);
			if (ch == ',')
				new_line(depth);
			else if (ch == ':')
				putchar(' ');
		}
		i = next;
	}
	putchar('\n');
}

/* Values. */

struct str out_date(struct arena *a, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm))
		return arena_printf(a, "%lld", (long long)seconds);
	return arena_dup(a, str_c(text));
}

struct str out_size(struct arena *a, int64_t bytes)
{
	static const char units[] = "kMGTPE";
	double n = (double)bytes / 1000;
	int i = 0;

	if (bytes < 1000)
		return arena_printf(a, "%lld B", (long long)bytes);
	for (; n >= 1000; i++)
		n /= 1000;
	return arena_printf(a, "%.1f %cB", n, units[i]);
}

struct str out_moment(struct arena *a, struct str t)
{
	struct str clock, day = str_cut(t, 'T', &clock);

	if (!clock.n || !str_ends(clock, STR("Z")))
		return t;
	return arena_printf(a, STR_FMT " " STR_FMT " +0000 UTC", STR_ARG(day), STR_ARG(str_head(clock, clock.n - 1)));
}

void out_fault(const struct ctl *c, const struct fault *f)
{
	fflush(stdout);
	put_coloured(c, stderr, COLOUR_BRIGHT_RED, f->text);
	fputc('\n', stderr);
	if (f->kind == FAULT_ANSWER)
		fprintf(stderr, "%d %s\n", f->status, status_text(f->status));
	else if (f->kind == FAULT_OWN)
		fputs("Error executing command.\n", stderr);
}
