/* RFC 2047 words, in header values that hold more than ASCII.
 *
 * What doesn't have the form of an encoded word is ordinary text. What has it must be right:
 * UTF-8, US-ASCII or ISO-8859-1, well encoded, and UTF-8 after decoding.
 */
#include "base/encode.h"

enum {
	WORD_MAX = 75, /* section 2 */
};

#define WORD_BEGIN "=?UTF-8?Q?"
#define WORD_END "?="

/* What stands for itself in a word, wherever the word is (section 5, rule 3). */
static bool q_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

static bool needs_encoding(struct str s)
{
	if (s.n && (s.p[0] == ' ' || s.p[s.n - 1] == ' '))
		return true;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return true;
	/* Would be decoded into something else. */
	return str_find(s, STR("=?")) < s.n;
}

/* Bytes of the UTF-8 character at i, which no word may split. */
static size_t char_bytes(struct str s, size_t i)
{
	size_t n = 1;

	while (n < 4 && i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80)
		n++;
	return n;
}

static size_t q_char(char *to, const char *p, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	char *at = to;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == ' ') {
			*at++ = '_';
		} else if (q_plain(c)) {
			*at++ = (char)c;
		} else {
			*at++ = '=';
			*at++ = hex[c >> 4];
			*at++ = hex[c & 15];
		}
	}
	return (size_t)(at - to);
}

struct str rfc2047_encode(struct arena *a, struct str s)
{
	size_t room = WORD_MAX - sizeof(WORD_BEGIN WORD_END) + 1, in_word = 0;
	char *out, *to;

	if (!needs_encoding(s))
		return s;
	/* A word holds at least five characters of four bytes. */
	to = out = arena_alloc(a, s.n * 3 + (s.n / 5 + 1) * (WORD_MAX - room + 1) + 1);
	to = mempcpy(to, WORD_BEGIN, sizeof(WORD_BEGIN) - 1);
	for (size_t i = 0; i < s.n;) {
		char enc[12];
		size_t len = char_bytes(s, i), n = q_char(enc, s.p + i, len);

		if (in_word + n > room) {
			to = mempcpy(to, WORD_END " " WORD_BEGIN, sizeof(WORD_END " " WORD_BEGIN) - 1);
			in_word = 0;
		}
		to = mempcpy(to, enc, n);
		in_word += n;
		i += len;
	}
	to = mempcpy(to, WORD_END, sizeof(WORD_END) - 1);
	*to = 0;
	return str_make(out, (size_t)(to - out));
}

struct word {
	struct str charset, text;
	char encoding; /* 'q' or 'b' */
	size_t len;    /* of the whole word */
};

/* Is there an encoded word at the start of s? */
static bool word_at(struct str s, struct word *ret)
{
	struct str rest, lang, enc;

	if (!str_starts(s, STR("=?")))
		return false;
	ret->charset = str_cut(str_skip(s, 2), '?', &rest);
	enc = str_cut(rest, '?', &rest);
	ret->text = str_cut(rest, '?', &rest);
	if (enc.n != 1 || rest.n == 0 || rest.p[0] != '=' || ret->charset.n == 0)
		return false;
	ret->encoding = (char)(enc.p[0] | 0x20);
	if (ret->encoding != 'q' && ret->encoding != 'b')
		return false;
	if (str_index(ret->text, ' ') < ret->text.n || str_index(ret->charset, ' ') < ret->charset.n)
		return false;
	ret->charset = str_cut(ret->charset, '*', &lang); /* RFC 2231 section 5 */
	ret->len = (size_t)(rest.p + 1 - s.p);
	return true;
}

static bool q_decode(struct arena *a, struct str text, struct str *ret)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		struct str byte;

		if (text.p[i] != '=') {
			out[n++] = text.p[i] == '_' ? ' ' : text.p[i];
			continue;
		}
		if (text.n - i < 3 || !hex_decode(a, str_make(text.p + i + 1, 2), &byte))
			return false;
		out[n++] = byte.p[0];
		i += 2;
	}
	*ret = str_make(out, n);
	return true;
}

static struct str latin1_to_utf8(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n * 2 + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x80) {
			*to++ = (char)(0xc0 | c >> 6);
			c = (unsigned char)(0x80 | (c & 0x3f));
		}
		*to++ = (char)c;
	}
	return str_make(out, (size_t)(to - out));
}

static bool word_decode(struct arena *a, const struct word *w, struct str *ret)
{
	if (w->encoding == 'q' ? !q_decode(a, w->text, ret) : !base64_decode(a, w->text, ret))
		return false;
	if (str_eq_nocase(w->charset, STR("UTF-8")) || str_eq_nocase(w->charset, STR("US-ASCII")))
		return true;
	if (!str_eq_nocase(w->charset, STR("ISO-8859-1")))
		return false;
	*ret = latin1_to_utf8(a, *ret);
	return true;
}

/* Bytes of white space before the next encoded word; 0 when something else follows. */
static size_t gap_to_word(struct str s)
{
	struct word next;
	size_t n = 0;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r' || s.p[n] == '\n'))
		n++;
	return n && word_at(str_skip(s, n), &next) ? n : 0;
}

bool rfc2047_decode(struct arena *a, struct str s, struct str *ret)
{
	char *out;
	size_t n = 0;

	if (str_find(s, STR("=?")) == s.n) {
		*ret = s;
		return true;
	}
	out = arena_alloc(a, s.n * 2 + 1); /* twice: Latin-1 */
	while (s.n) {
		struct word w;
		struct str piece;

		if (!word_at(s, &w)) {
			out[n++] = s.p[0];
			s = str_skip(s, 1);
			continue;
		}
		if (!word_decode(a, &w, &piece))
			return false;
		if (piece.n)
			memcpy(out + n, piece.p, piece.n);
		n += piece.n;
		s = str_skip(s, w.len);
		s = str_skip(s, gap_to_word(s));
	}
	out[n] = 0;
	*ret = str_make(out, n);
	return str_is_utf8(*ret);
}
