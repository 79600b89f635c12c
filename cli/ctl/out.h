/* What people and scripts read: lakectl's forms. On a terminal (or with LAKECTL_INTERACTIVE=true) tables and
 * colours, elsewhere tabs; -o json prints the API's documents, indented, and nothing else on stdout.
 * All of it goes through stdio, so that it may be mixed with printf. */
#pragma once

#include "cli/ctl/ctl.h"

enum { OUT_COLUMNS = 8 };
enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BRIGHT_RED, COLOUR_BRIGHT_YELLOW };

/* Text in colour, where there are colours. */
void out_coloured(const struct ctl *c, enum colour colour, struct str text);
/* Unless there shall be documents only. */
void out_line(const struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct table {
	const char *headers[OUT_COLUMNS];
	size_t columns;
	unsigned numbers; /* bits: columns that stand to the right */
	struct buf cells; /* of rows whole: each cell ends with a NUL; owned */
	size_t rows;
};
void table_init(struct table *t, const char *const *headers, size_t columns);
void table_add(struct table *t, struct str cell);
/* Prints it and what follows a list (the way to its next page, an empty line), and frees it. page: the
 * answer's document with its pagination, NULL without one; amount: what was asked for. */
void table_end(const struct ctl *c, struct table *t, const struct json *page, int64_t amount);
/* "for more results run with ...", where a terminal's reader wants it. */
void out_more(const struct ctl *c, const struct json *page, int64_t amount);

/* A document, indented by two; text that is none as it is. */
void out_document(struct str json);
/* "2026-11-21 04:39:15 +0000 UTC" */
struct str out_date(struct arena *a, int64_t seconds);
/* "14 B", "1.4 kB": powers of 1000. */
struct str out_size(struct arena *a, int64_t bytes);
/* A moment in RFC 3339 as lakectl shows it; as it is when it is none. */
struct str out_moment(struct arena *a, struct str t);
/* On stderr: the message, and the status or "Error executing command." below. */
void out_fault(const struct ctl *c, const struct fault *f);
