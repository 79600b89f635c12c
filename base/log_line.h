/* One line of the log, from its parts: pure, bounded, safe against what values hold. */
#pragma once

#include "base/clock.h"
#include "base/log.h"

enum {
	LOG_LINE_MAX = 8192, /* with its newline; what is longer is cut and says so */
};

/* Returns the length; the last byte is '\n'. */
size_t log_line(char out[LOG_LINE_MAX], enum log_format format, struct timestamp now, enum log_level l,
		const char *component, const char *msg, const struct log_field *fields, size_t n);
