#include "auth/wildcard.h"

static bool continues(struct str s, size_t from, size_t n)
{
	if (s.n < n)
		return false;
	for (size_t i = from; i < n; i++)
		if (((uint8_t)s.p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* Bytes of the character that s (not empty) begins with. */
static size_t char_len(struct str s)
{
	uint8_t c = (uint8_t)s.p[0];
	size_t n = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;

	return continues(s, 1, n) ? n : 1;
}

static bool same(char pattern, char c)
{
	if (pattern == AUTH_LITERAL_STAR)
		return c == '*';
	if (pattern == AUTH_LITERAL_QUERY)
		return c == '?';
	return pattern == c;
}

/* Only the last star passed is ever tried again: what an earlier one could take, it can take. */
bool auth_wildcard(struct str pattern, struct str text)
{
	struct str after_star = STR_NONE, retry = STR_NONE;

	for (;;) {
		if (pattern.n && pattern.p[0] == '*') {
			pattern = after_star = str_skip(pattern, 1);
			if (!pattern.n)
				return true;
			retry = text;
		} else if (pattern.n && text.n && pattern.p[0] == '?') {
			pattern = str_skip(pattern, 1);
			text = str_skip(text, char_len(text));
		} else if (pattern.n && text.n && same(pattern.p[0], text.p[0])) {
			pattern = str_skip(pattern, 1);
			text = str_skip(text, 1);
		} else if (!pattern.n && !text.n) {
			return true;
		} else if (after_star.p && retry.n) {
			retry = text = str_skip(retry, char_len(retry));
			pattern = after_star;
		} else {
			return false;
		}
	}
}

/* What a last star took, it takes with anything behind it. */
bool auth_wildcard_covers(struct str pattern, struct str prefix)
{
	return pattern.n && pattern.p[pattern.n - 1] == '*' && auth_wildcard(pattern, prefix);
}

/* A star can take the rest of the prefix, and whatever the pattern still asks for can follow. */
bool auth_wildcard_touches(struct str pattern, struct str prefix)
{
	while (prefix.n) {
		if (pattern.n && pattern.p[0] == '*')
			return true;
		if (!pattern.n || (pattern.p[0] != '?' && !same(pattern.p[0], prefix.p[0])))
			return false;
		prefix = str_skip(prefix, pattern.p[0] == '?' ? char_len(prefix) : 1);
		pattern = str_skip(pattern, 1);
	}
	return true;
}
