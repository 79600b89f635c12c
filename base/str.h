/* Byte slices: a pointer and a length, by value, never relying on a NUL.
 *
 * A str borrows: it owns nothing and lives as long as the memory it points into.
 * An absent value is {NULL, 0} (STR_NONE); an empty one has a non-NULL pointer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf's "%.*s". Values from outside are bounded long before INT_MAX. */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""
#define STR_FMT "%.*s"

static inline struct str str_make(const void *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

/* The slice of a C string; STR_NONE for NULL. */
static inline struct str str_c(const char *c)
{
	return c ? (struct str){c, strlen(c)} : STR_NONE;
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* s without its first n bytes (n at most s.n). */
static inline struct str str_skip(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

/* The first n bytes of s (all of it when shorter). */
static inline struct str str_head(struct str s, size_t n)
{
	return (struct str){s.p, n < s.n ? n : s.n};
}

/* Bytewise order, a prefix before what it begins: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
/* Equality ignoring the case of ASCII letters only. */
bool str_eq_nocase(struct str a, struct str b);
/* Index of the first byte c, or s.n. */
size_t str_index(struct str s, char c);
/* Index of the first occurrence of needle, or s.n. */
size_t str_find(struct str s, struct str needle);
/* Splits at the first byte c: returns what is before it, leaves what follows in *rest.
 * Without c: returns all of it and *rest becomes STR_NONE. */
struct str str_cut(struct str s, char c, struct str *rest);
/* s without leading and trailing spaces and tabs. */
struct str str_trim(struct str s);
struct str str_unquote(struct str s); /* without the double quotes around it, where there are both */
/* Decimal digits only, no sign, no space, nothing after; false on overflow or any other byte. */
bool str_to_u64(struct str s, uint64_t *ret);
bool str_is_utf8(struct str s);
/* Bytes of the well-formed UTF-8 character that s begins with; 0 when it doesn't. */
size_t str_utf8_len(struct str s);
