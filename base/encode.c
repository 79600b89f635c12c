#include "base/encode.h"

#include <assert.h>

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";
static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

struct str hex_encode(struct arena *a, struct str bytes)
{
	char *out, *to;

	assert(bytes.n <= SIZE_MAX / 4);
	to = out = arena_alloc(a, bytes.n * 2 + 1);
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		*to++ = hex_lower[c >> 4];
		*to++ = hex_lower[c & 15];
	}
	*to = 0;
	return str_make(out, bytes.n * 2);
}

bool hex_decode(struct arena *a, struct str hex, struct str *ret)
{
	char *out;

	if (hex.n % 2)
		return false;
	out = arena_alloc(a, hex.n / 2 + 1);
	for (size_t i = 0; i < hex.n; i += 2) {
		int hi = hex_digit(hex.p[i]), lo = hex_digit(hex.p[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i / 2] = (char)(hi << 4 | lo);
	}
	out[hex.n / 2] = 0;
	*ret = str_make(out, hex.n / 2);
	return true;
}

/* The last one or two bytes; pad 0 leaves the padding out. Returns past the end. */
static char *base64_tail(const unsigned char *p, size_t n, const char *alphabet, char pad, char *to)
{
	unsigned v = (unsigned)p[0] << 16 | (n == 2 ? (unsigned)p[1] << 8 : 0);

	*to++ = alphabet[v >> 18];
	*to++ = alphabet[v >> 12 & 63];
	if (n == 2)
		*to++ = alphabet[v >> 6 & 63];
	else if (pad)
		*to++ = pad;
	if (pad)
		*to++ = pad;
	return to;
}

static struct str base64_with(struct arena *a, struct str bytes, const char *alphabet, char pad)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t n = bytes.n;
	char *out, *to;

	assert(n <= SIZE_MAX / 4);
	to = out = arena_alloc(a, (n + 2) / 3 * 4 + 1);
	for (; n >= 3; n -= 3, p += 3) {
		unsigned v = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];

		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = alphabet[v >> 6 & 63];
		*to++ = alphabet[v & 63];
	}
	if (n)
		to = base64_tail(p, n, alphabet, pad, to);
	*to = 0;
	return str_make(out, (size_t)(to - out));
}

struct str base64_encode(struct arena *a, struct str bytes)
{
	return base64_with(a, bytes, base64_std, '=');
}

struct str base64url_encode(struct arena *a, struct str bytes)
{
	return base64_with(a, bytes, base64_url, 0);
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One text for each value: bits that padding leaves over must be zero (RFC 4648 section 3.5). */
bool base64_decode(struct arena *a, struct str text, struct str *ret)
{
	size_t pad = 0, n = 0;
	uint32_t v = 0;
	char *out;

	if (text.n % 4)
		return false;
	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	out = arena_alloc(a, text.n / 4 * 3 + 1);
	for (size_t i = 0; i < text.n; i++) {
		int d = i < text.n - pad ? base64_digit(text.p[i]) : 0;

		if (d < 0)
			return false;
		v = (i % 4 ? v << 6 : 0) | (uint32_t)d;
		if (i % 4 != 3)
			continue;
		out[n++] = (char)(v >> 16);
		out[n++] = (char)(v >> 8);
		out[n++] = (char)v;
	}
	if (pad && v & (pad == 1 ? 0xffu : 0xffffu))
		return false;
	n -= pad;
	out[n] = 0;
	*ret = str_make(out, n);
	return true;
}

bool base64url_decode(struct arena *a, struct str text, struct str *ret)
{
	size_t n = (text.n + 3) / 4 * 4;
	char *std;

	if (text.n % 4 == 1)
		return false;
	std = arena_alloc(a, n + 1);
	memset(std, '=', n);
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '+' || c == '/' || c == '=')
			return false;
		std[i] = c == '-' ? '+' : c == '_' ? '/' : c;
	}
	return base64_decode(a, str_make(std, n), ret);
}

static bool uri_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

struct str uri_encode(struct arena *a, struct str s, bool keep_slash)
{
	size_t n = 0;
	char *out, *to;

	assert(s.n <= SIZE_MAX / 4);
	for (size_t i = 0; i < s.n; i++)
		n += uri_plain(s.p[i]) || (keep_slash && s.p[i] == '/') ? 1 : 3;
	to = out = arena_alloc(a, n + 1);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (uri_plain(s.p[i]) || (keep_slash && c == '/')) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = hex_upper[c >> 4];
		*to++ = hex_upper[c & 15];
	}
	*to = 0;
	return str_make(out, n);
}

bool uri_decode(struct arena *a, struct str s, bool plus_is_space, struct str *ret)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1;
			int lo = s.n - i > 2 ? hex_digit(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = 0;
	*ret = str_make(out, n);
	return true;
}

struct str lower_case(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
	return str_make(p, s.n);
}
