#include "bench/response.h"

#include <assert.h>

enum { LINE_MAX_BYTES = 4096 };

void response_init(struct response *r)
{
	*r = (struct response){
		.head = BUF_INIT(RESPONSE_HEAD_MAX),
		.kept = BUF_INIT(RESPONSE_KEPT_MAX),
		.line = BUF_INIT(LINE_MAX_BYTES),
	};
}

void response_deinit(struct response *r)
{
	buf_deinit(&r->head);
	buf_deinit(&r->kept);
	buf_deinit(&r->line);
}

void response_reset(struct response *r, bool no_body)
{
	struct buf head = r->head, kept = r->kept, line = r->line;

	buf_reset(&head);
	buf_reset(&kept);
	buf_reset(&line);
	*r = (struct response){.no_body = no_body, .head = head, .kept = kept, .line = line};
}

static bool parse_status(struct response *r, struct str line)
{
	struct str rest;
	uint64_t status;

	if (!str_starts(line, STR("HTTP/1.")))
		return false;
	r->close = str_starts(line, STR("HTTP/1.0"));
	str_cut(line, ' ', &rest);
	if (!rest.p || !str_to_u64(str_head(rest, 3), &status))
		return false;
	r->status = (int)status;
	return true;
}

static bool parse_field(struct response *r, struct str line, bool *chunked, bool *has_length)
{
	struct str value, name = str_cut(line, ':', &value);

	if (!value.p)
		return false;
	value = str_trim(value);
	if (str_eq_nocase(name, STR("content-length"))) {
		*has_length = true;
		return str_to_u64(value, &r->left);
	}
	if (str_eq_nocase(name, STR("transfer-encoding")))
		*chunked = str_eq_nocase(value, STR("chunked"));
	else if (str_eq_nocase(name, STR("connection")))
		r->close = str_eq_nocase(value, STR("close"));
	else if (str_eq_nocase(name, STR("etag")))
		r->etag = value;
	return true;
}

static struct str next_line(struct str *text)
{
	struct str line = str_cut(*text, '\n', text);

	return line.n && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
}

static enum response_state body_state(const struct response *r, bool chunked, bool has_length)
{
	if (r->no_body || r->status == 204 || r->status == 304)
		return RESPONSE_DONE;
	if (chunked)
		return RESPONSE_CHUNK_SIZE;
	if (!has_length)
		return RESPONSE_BAD; /* up to the end of the connection: not from an S3 server */
	return r->left ? RESPONSE_IN_BODY : RESPONSE_DONE;
}

static enum response_state parse_head(struct response *r)
{
	struct str text = buf_str(&r->head), line = next_line(&text);
	bool chunked = false, has_length = false;

	if (!parse_status(r, line))
		return RESPONSE_BAD;
	while (text.p && (line = next_line(&text)).n)
		if (!parse_field(r, line, &chunked, &has_length))
			return RESPONSE_BAD;
	if (r->status / 100 == 1) {
		response_reset(r, r->no_body);
		return RESPONSE_IN_HEAD;
	}
	return body_state(r, chunked, has_length);
}

/* The head ends with an empty line, which may come in pieces. */
static size_t feed_head(struct response *r, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		struct buf *h = &r->head;

		if (!buf_add_c(h, bytes.p[i])) {
			r->state = RESPONSE_BAD;
			return i;
		}
		if (bytes.p[i] == '\n' && str_ends(buf_str(h), STR("\r\n\r\n"))) {
			r->state = parse_head(r);
			return i + 1;
		}
	}
	return bytes.n;
}

void response_dropped(struct response *r, uint64_t n)
{
	assert(n <= r->left);
	r->left -= n;
	r->body_bytes += n;
	if (!r->left)
		r->state = r->state == RESPONSE_IN_BODY ? RESPONSE_DONE : RESPONSE_CHUNK_END;
}

static size_t feed_data(struct response *r, struct str bytes)
{
	size_t n = bytes.n < r->left ? bytes.n : (size_t)r->left;

	buf_add(&r->kept, str_head(bytes, RESPONSE_KEPT_MAX - r->kept.n < n
						  ? RESPONSE_KEPT_MAX - r->kept.n
						  : n));
	response_dropped(r, n);
	return n;
}

static bool parse_chunk_size(struct str line, uint64_t *ret)
{
	struct str rest, digits = str_trim(str_cut(line, ';', &rest));

	*ret = 0;
	if (!digits.n || digits.n > 15)
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		const char *hex = "0123456789abcdef";
		const char *at = memchr(hex, digits.p[i] | (digits.p[i] >= 'A' ? 0x20 : 0), 16);

		if (!at)
			return false;
		*ret = *ret * 16 + (uint64_t)(at - hex);
	}
	return true;
}

static enum response_state after_line(struct response *r, struct str line)
{
	if (r->state == RESPONSE_CHUNK_END)
		return line.n ? RESPONSE_BAD : RESPONSE_CHUNK_SIZE;
	if (r->state == RESPONSE_TRAILER)
		return line.n ? RESPONSE_TRAILER : RESPONSE_DONE;
	if (!parse_chunk_size(line, &r->left))
		return RESPONSE_BAD;
	return r->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILER;
}

static size_t feed_line(struct response *r, struct str bytes)
{
	size_t n = str_index(bytes, '\n');
	struct str line;

	if (!buf_add(&r->line, str_head(bytes, n))) {
		r->state = RESPONSE_BAD;
		return n;
	}
	if (n == bytes.n)
		return n;
	line = buf_str(&r->line);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	r->state = after_line(r, line);
	buf_reset(&r->line);
	return n + 1;
}

size_t response_feed(struct response *r, struct str bytes)
{
	size_t all = bytes.n;

	while (bytes.n && r->state != RESPONSE_DONE && r->state != RESPONSE_BAD) {
		size_t n;

		if (r->state == RESPONSE_IN_HEAD)
			n = feed_head(r, bytes);
		else if (r->state == RESPONSE_IN_BODY || r->state == RESPONSE_CHUNK_DATA)
			n = feed_data(r, bytes);
		else
			n = feed_line(r, bytes);
		bytes = str_skip(bytes, n);
	}
	return all - bytes.n;
}

uint64_t response_droppable(const struct response *r)
{
	bool data = r->state == RESPONSE_IN_BODY || r->state == RESPONSE_CHUNK_DATA;

	return data && r->kept.n == RESPONSE_KEPT_MAX ? r->left : 0;
}
