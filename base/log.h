/* Logs: one line an event, text or JSON, to stderr, stdout or files; thread-safe.
 *
 * text:  2026-11-21T04:49:37.123Z INFO  http request method=GET path=/a status=200 request_id=...
 * json:  {"time":"...","level":"info","component":"http","msg":"request","method":"GET",...}
 * Values are escaped: nothing a client sends can forge a line. Never a secret.
 */
#pragma once

#include "base/err.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* outputs: "-" is stderr ("=" stdout), anything else a file that is appended to; 1 to 8 of them.
 * Files are reopened by log_reopen (SIGHUP, logrotate) and rotated past max_mb (0: never) to path.1,
 * path.2 and so on, `keep` kept (0: none).
 *
 * On an event loop a line is only queued (a bounded queue; what doesn't fit is counted and told in a
 * line of its own) and a thread of the log writes it; elsewhere it is written before log_write
 * returns, after all that was queued before. Until log_setup: text from INFO up, to stderr. */
struct log_options {
	enum log_level level;
	enum log_format format;
	const struct str *outputs;
	size_t outputs_n;
	unsigned max_mb, keep;
};
rc log_setup(const struct log_options *o, struct err *reterr);
void log_reopen(void);
/* Writes what is queued. Also done at exit. Not on a loop. */
void log_flush(void);
bool log_enabled(enum log_level l);
bool log_level_parse(struct str s, enum log_level *ret);

struct log_field {
	const char *key;
	enum { LOG_STR, LOG_INT, LOG_FLOAT } type;
	union {
		struct str s;
		int64_t i;
		double f;
	};
};
#define F_STR(k, v) ((struct log_field){.key = (k), .type = LOG_STR, .s = (v)})
#define F_CSTR(k, v) ((struct log_field){.key = (k), .type = LOG_STR, .s = str_c(v)})
#define F_INT(k, v) ((struct log_field){.key = (k), .type = LOG_INT, .i = (v)})
#define F_FLOAT(k, v) ((struct log_field){.key = (k), .type = LOG_FLOAT, .f = (v)})

void log_write(enum log_level l, const char *component, const char *msg,
	       const struct log_field *fields, size_t n);
/* log_event(LOG_INFO, "http", "request", F_STR("method", m), F_INT("status", 200)); */
#define log_event(level, component, msg, ...)                                                      \
	do {                                                                                       \
		if (log_enabled(level)) {                                                          \
			const struct log_field lf_[] = {__VA_ARGS__};                              \
			log_write(level, component, msg, lf_, sizeof(lf_) / sizeof(lf_[0]));       \
		}                                                                                  \
	} while (0)
