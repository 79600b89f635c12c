/* Time. Monotonic for time-outs, UTC for everything people see; no locale, no local zone. */
#pragma once

#include <time.h>

#include "base/arena.h"

struct timestamp {
	int64_t s; /* since 1970 */
	int32_t ns;
};

int64_t mono_ms(void);
int64_t mono_us(void);
struct timestamp wall_now(void);
/* The instant so many ms from now, as pthread_cond_timedwait wants it (of the clock of its condition). */
struct timespec clock_in_ms(clockid_t clock, int64_t ms);
/* A signal may end it early. */
void sleep_us(int64_t us);

/* "Sat, 21 Nov 2026 04:49:37 GMT"; out holds 30 bytes with the NUL. */
void time_http(int64_t s, char out[30]);
/* The three forms of RFC 9110 section 5.6.7. */
bool time_parse_http(struct str t, int64_t *ret_s);
/* "2026-11-21T04:49:37.000Z", S3's XML form; out holds 25 bytes. */
void time_iso_ms(struct timestamp t, char out[25]);
/* "20261121T044937Z"; out holds 17 bytes. */
void time_amz(int64_t s, char out[17]);
/* Exactly that form. */
bool time_parse_amz(struct str t, int64_t *ret_s);
/* RFC 3339, any offset, up to nanoseconds. */
bool time_parse_rfc3339(struct str t, struct timestamp *ret);
