#include "base/clock.h"

#include <stdio.h>

enum {
	DAY = 86400,
};

/* The ends of what four-digit years can say. */
#define FIRST_SECOND (-62135596800) /* 0001-01-01 */
#define LAST_SECOND 253402300799    /* 9999-12-31 */

static const char day_names[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct civil {
	int year, month, day, hour, min, sec, wday; /* month and day from 1; wday 0 is Thursday */
};

int64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t mono_ms(void)
{
	return mono_us() / 1000;
}

struct timestamp wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct timestamp){.s = t.tv_sec, .ns = (int32_t)t.tv_nsec};
}

struct timespec clock_in_ms(clockid_t clock, int64_t ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

void sleep_us(int64_t us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Days since 1970-01-01 of a day of the Gregorian calendar. Years are counted from March, so that
 * the leap day is the last of its year; 719468 days lie between 0000-03-01 and 1970-01-01.
 * (gmtime_r and timegm take a lock for the zone's sake.) */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(const struct civil *c)
{
	return days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->min * 60 + c->sec;
}

static struct civil civil_of(int64_t s)
{
	int64_t days, z, era, of_era, y, of_year, m;
	int rest;

	s = s < FIRST_SECOND ? FIRST_SECOND : s > LAST_SECOND ? LAST_SECOND : s;
	days = (s >= 0 ? s : s - (DAY - 1)) / DAY;
	rest = (int)(s - days * DAY);
	z = days + 719468;
	era = z / 146097;
	of_era = z - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	return (struct civil){
		.year = (int)(y + era * 400 + (m >= 10)),
		.month = (int)(m < 10 ? m + 3 : m - 9),
		.day = (int)(of_year - (153 * m + 2) / 5 + 1),
		.hour = rest / 3600,
		.min = rest / 60 % 60,
		.sec = rest % 60,
		.wday = (int)((days % 7 + 7) % 7),
	};
}

static char *put(char *to, int v, int digits)
{
	for (int i = digits - 1; i >= 0; i--, v /= 10)
		to[i] = (char)('0' + v % 10);
	return to + digits;
}

static char *put_text(char *to, const char *s)
{
	return mempcpy(to, s, strlen(s));
}

static char *put_clock(char *to, const struct civil *c)
{
	to = put(to, c->hour, 2);
	*to++ = ':';
	to = put(to, c->min, 2);
	*to++ = ':';
	return put(to, c->sec, 2);
}

void time_http(int64_t s, char out[30])
{
	struct civil c = civil_of(s);
	char *to = put_text(out, day_names[c.wday]);

	to = put_text(to, ", ");
	to = put(to, c.day, 2);
	*to++ = ' ';
	to = put_text(to, month_names[c.month - 1]);
	*to++ = ' ';
	to = put(to, c.year, 4);
	*to++ = ' ';
	to = put_clock(to, &c);
	memcpy(to, " GMT", sizeof(" GMT"));
}

void time_iso_ms(struct timestamp t, char out[25])
{
	struct civil c = civil_of(t.s);
	char *to = put(out, c.year, 4);

	*to++ = '-';
	to = put(to, c.month, 2);
	*to++ = '-';
	to = put(to, c.day, 2);
	*to++ = 'T';
	to = put_clock(to, &c);
	*to++ = '.';
	to = put(to, t.ns / 1000000, 3);
	*to++ = 'Z';
	*to = 0;
}

void time_amz(int64_t s, char out[17])
{
	struct civil c = civil_of(s);
	char *to = put(put(put(out, c.year, 4), c.month, 2), c.day, 2);

	*to++ = 'T';
	to = put(put(put(to, c.hour, 2), c.min, 2), c.sec, 2);
	*to++ = 'Z';
	*to = 0;
}

/* Parsing: a cursor that remembers whether all was well. */
struct scan {
	struct str rest;
	bool bad;
};

static int scan_digits(struct scan *sc, size_t n)
{
	int v = 0;

	if (sc->bad || sc->rest.n < n) {
		sc->bad = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned char)sc->rest.p[i] - (unsigned)'0';

		if (d > 9)
			sc->bad = true;
		v = v * 10 + (int)d;
	}
	sc->rest = str_skip(sc->rest, n);
	return sc->bad ? 0 : v;
}

static void scan_text(struct scan *sc, struct str text)
{
	if (sc->bad || !str_starts(sc->rest, text))
		sc->bad = true;
	else
		sc->rest = str_skip(sc->rest, text.n);
}

/* The month's number, from 1. */
static int scan_month(struct scan *sc)
{
	for (int i = 0; !sc->bad && i < 12; i++) {
		if (!str_starts(sc->rest, str_c(month_names[i])))
			continue;
		sc->rest = str_skip(sc->rest, 3);
		return i + 1;
	}
	sc->bad = true;
	return 1;
}

static void scan_clock(struct scan *sc, struct civil *c)
{
	c->hour = scan_digits(sc, 2);
	scan_text(sc, STR(":"));
	c->min = scan_digits(sc, 2);
	scan_text(sc, STR(":"));
	c->sec = scan_digits(sc, 2);
}

static bool civil_ok(const struct civil *c)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

	if (c->year < 1 || c->month < 1 || c->month > 12 || c->day < 1)
		return false;
	if (c->day > days[c->month - 1] + (leap && c->month == 2))
		return false;
	return c->hour < 24 && c->min < 60 && c->sec <= 60; /* 60: a leap second */
}

static bool scan_done(const struct scan *sc, const struct civil *c, int64_t *ret_s)
{
	if (sc->bad || sc->rest.n || !civil_ok(c))
		return false;
	*ret_s = seconds_of(c);
	return true;
}

/* "Sat, 21 Nov 2026 04:49:37 GMT" */
static bool parse_imf(struct str t, int64_t *ret_s)
{
	struct scan sc = {.rest = str_skip(t, 5)};
	struct civil c = {0};

	c.day = scan_digits(&sc, 2);
	scan_text(&sc, STR(" "));
	c.month = scan_month(&sc);
	scan_text(&sc, STR(" "));
	c.year = scan_digits(&sc, 4);
	scan_text(&sc, STR(" "));
	scan_clock(&sc, &c);
	scan_text(&sc, STR(" GMT"));
	return scan_done(&sc, &c, ret_s);
}

/* "Saturday, 21-Nov-26 04:49:37 GMT"; a year that seems more than 50 years ahead is a past one. */
static bool parse_rfc850(struct str after_comma, int64_t *ret_s)
{
	struct scan sc = {.rest = after_comma};
	struct civil c = {0}, now = civil_of(wall_now().s);

	scan_text(&sc, STR(" "));
	c.day = scan_digits(&sc, 2);
	scan_text(&sc, STR("-"));
	c.month = scan_month(&sc);
	scan_text(&sc, STR("-"));
	c.year = now.year / 100 * 100 + scan_digits(&sc, 2);
	if (c.year > now.year + 50)
		c.year -= 100;
	scan_text(&sc, STR(" "));
	scan_clock(&sc, &c);
	scan_text(&sc, STR(" GMT"));
	return scan_done(&sc, &c, ret_s);
}

/* "Sat Nov 21 04:49:37 2026", the day with a leading space when it has one digit */
static bool parse_asctime(struct str t, int64_t *ret_s)
{
	struct scan sc = {.rest = str_skip(t, 4)};
	struct civil c = {0};

	c.month = scan_month(&sc);
	scan_text(&sc, STR(" "));
	if (str_starts(sc.rest, STR(" "))) {
		scan_text(&sc, STR(" "));
		c.day = scan_digits(&sc, 1);
	} else {
		c.day = scan_digits(&sc, 2);
	}
	scan_text(&sc, STR(" "));
	scan_clock(&sc, &c);
	scan_text(&sc, STR(" "));
	c.year = scan_digits(&sc, 4);
	return scan_done(&sc, &c, ret_s);
}

static bool known_day(struct str name)
{
	static const char *const long_names[7] = {"Thursday", "Friday", "Saturday", "Sunday",
						  "Monday", "Tuesday", "Wednesday"};

	for (int i = 0; i < 7; i++)
		if (str_eq(name, str_c(day_names[i])) || str_eq(name, str_c(long_names[i])))
			return true;
	return false;
}

bool time_parse_http(struct str t, int64_t *ret_s)
{
	size_t comma = str_index(t, ',');

	if (comma == t.n)
		return t.n > 4 && t.p[3] == ' ' && known_day(str_head(t, 3)) &&
		       parse_asctime(t, ret_s);
	if (!known_day(str_head(t, comma)))
		return false;
	if (comma == 3)
		return t.n > 5 && t.p[4] == ' ' && parse_imf(t, ret_s);
	return parse_rfc850(str_skip(t, comma + 1), ret_s);
}

bool time_parse_amz(struct str t, int64_t *ret_s)
{
	struct scan sc = {.rest = t};
	struct civil c = {0};

	c.year = scan_digits(&sc, 4);
	c.month = scan_digits(&sc, 2);
	c.day = scan_digits(&sc, 2);
	scan_text(&sc, STR("T"));
	c.hour = scan_digits(&sc, 2);
	c.min = scan_digits(&sc, 2);
	c.sec = scan_digits(&sc, 2);
	scan_text(&sc, STR("Z"));
	return scan_done(&sc, &c, ret_s);
}

static int32_t scan_fraction(struct scan *sc)
{
	int32_t ns = 0, unit = 100000000;
	size_t n = 0;

	if (!str_starts(sc->rest, STR(".")))
		return 0;
	scan_text(sc, STR("."));
	for (; n < sc->rest.n && sc->rest.p[n] >= '0' && sc->rest.p[n] <= '9'; n++, unit /= 10)
		ns += (sc->rest.p[n] - '0') * unit;
	if (n < 1 || n > 9)
		sc->bad = true;
	sc->rest = str_skip(sc->rest, n);
	return ns;
}

/* Seconds to the east of UTC. */
static int scan_offset(struct scan *sc)
{
	bool west = str_starts(sc->rest, STR("-"));
	int hour, min;

	if (str_starts(sc->rest, STR("Z")) || str_starts(sc->rest, STR("z"))) {
		sc->rest = str_skip(sc->rest, 1);
		return 0;
	}
	scan_text(sc, west ? STR("-") : STR("+"));
	hour = scan_digits(sc, 2);
	scan_text(sc, STR(":"));
	min = scan_digits(sc, 2);
	if (hour > 23 || min > 59)
		sc->bad = true;
	return (hour * 3600 + min * 60) * (west ? -1 : 1);
}

bool time_parse_rfc3339(struct str t, struct timestamp *ret)
{
	struct scan sc = {.rest = t};
	struct civil c = {0};
	int64_t s;
	int offset;

	c.year = scan_digits(&sc, 4);
	scan_text(&sc, STR("-"));
	c.month = scan_digits(&sc, 2);
	scan_text(&sc, STR("-"));
	c.day = scan_digits(&sc, 2);
	scan_text(&sc, str_starts(sc.rest, STR("t")) ? STR("t") : STR("T"));
	scan_clock(&sc, &c);
	ret->ns = scan_fraction(&sc);
	offset = scan_offset(&sc);
	if (!scan_done(&sc, &c, &s))
		return false;
	ret->s = s - offset;
	return true;
}
