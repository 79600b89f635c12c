#include "http/conn.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* The block: room for a chunk's size line, data, a spare byte, room for what ends a chunk and the body. */
enum {
	BEFORE = 20,
	AFTER = 8,
	DATA_ROOM = OUTPUT_BLOCK - BEFORE - AFTER - 1,
};

static void on_ready(void *ud)
{
	struct http_req *r = ud;

	r->resp.armed = false;
	response_pump(r->conn);
}

static enum response_step wait_for_body(struct http_req *r)
{
	struct response *resp = &r->resp;

	if (!resp->filled) {
		block_give(&r->sl->outputs, resp->block);
		resp->block = NULL;
	}
	resp->armed = true;
	body_arm(resp->body, on_ready, r);
	return RESPONSE_WAITING;
}

/* Room for what may come; at the announced end still one byte, to see whether more comes. */
static size_t room(const struct response *resp)
{
	size_t most = DATA_ROOM - resp->filled;

	if (resp->left == 0)
		return 1;
	return resp->left < 0 || (uint64_t)resp->left >= most ? most : (size_t)resp->left;
}

/* The end must be known before the last bytes go out: a body that fails at its end (a wrong digest)
 * must not look complete. So what is held of a known length is kept until then. */
static bool worth_sending(const struct response *resp)
{
	return resp->filled && resp->left != 0;
}

/* The client learns of it from the missing end alone; people from the log. */
static enum response_step failed(struct http_req *r, const struct err *err)
{
	if (!r->error.p)
		r->error = str_c(err_name(err->code));
	log_event(LOG_WARN, "http", "an answer's body failed", F_STR("request_id", http_req_id(r)),
		  F_CSTR("error", err_name(err->code)), F_CSTR("why", err->msg));
	return RESPONSE_FAIL;
}

static enum response_step wrong_length(struct http_req *r, const char *how)
{
	struct err err;

	IGNORE_RC(err_set(&err, ERR_InternalError, "it is %s than announced", how)); /* fills err */
	return failed(r, &err);
}

static enum response_step fill(struct http_req *r)
{
	struct response *resp = &r->resp;
	struct err err;

	while (resp->filled < DATA_ROOM || resp->left == 0) {
		size_t n = 0;
		char *to = resp->block + BEFORE + resp->filled;

		switch (body_pull(resp->body, to, room(resp), &n, &err)) {
		case BODY_MORE:
			if (resp->left == 0)
				return wrong_length(r, "longer");
			resp->filled += n;
			if (resp->left > 0)
				resp->left -= (int64_t)n;
			break;
		case BODY_END:
			resp->ended = true;
			return resp->left > 0 ? wrong_length(r, "shorter") : RESPONSE_DATA;
		case BODY_WAIT:
			return worth_sending(resp) ? RESPONSE_DATA : wait_for_body(r);
		case BODY_FAIL:
			return failed(r, &err);
		}
	}
	return RESPONSE_DATA;
}

static struct str framed(struct response *resp)
{
	char line[BEFORE], *from = resp->block + BEFORE, *to = from + resp->filled;
	int n;

	if (resp->chunked && resp->filled) {
		n = snprintf(line, sizeof(line), "%zx\r\n", resp->filled);
		from -= n;
		memcpy(from, line, (size_t)n);
		memcpy(to, "\r\n", 2);
		to += 2;
	}
	if (resp->chunked && resp->ended) {
		memcpy(to, "0\r\n\r\n", 5);
		to += 5;
	}
	return str_make(from, (size_t)(to - from));
}

enum response_step response_body_fetch(struct http_req *r)
{
	if (!r->resp.block)
		r->resp.block = block_take(&r->sl->outputs);
	return fill(r);
}

void response_body_push(struct http_req *r)
{
	struct conn *c = r->conn;
	struct str out = framed(&r->resp);

	r->bytes_out += r->resp.filled;
	r->resp.filled = 0;
	if (out.n)
		c->out[c->out_n++] = (struct iovec){(char *)out.p, out.n};
}

/* Past the rule that a body's end is known before its last bytes go out: what can be spliced comes from a
 * store, which knows how much it is. */
static enum response_step splice_some(struct http_req *r, size_t n, size_t *burst)
{
	struct response *resp = &r->resp;
	size_t most = BURST - *burst;
	ssize_t k;

	if ((uint64_t)resp->left < n)
		n = (size_t)resp->left;
	do
		k = body_splice(resp->body, r->conn->stream.fd, n < most ? n : most);
	while (k < 0 && errno == EINTR);
	if (k < 0 && errno == EAGAIN)
		return RESPONSE_BLOCKED;
	if (k <= 0)
		return RESPONSE_FAIL;
	*burst += (size_t)k;
	resp->left -= k;
	r->bytes_out += (size_t)k;
	return RESPONSE_DATA;
}

static size_t spliceable(const struct http_req *r)
{
	const struct response *resp = &r->resp;

	if (resp->filled || resp->left <= 0 || r->conn->stream.ssl)
		return 0;
	return body_spliceable(resp->body);
}

enum response_step response_body_next(struct http_req *r, size_t *burst)
{
	size_t at_hand;
	enum response_step step;

	if (r->resp.armed)
		return RESPONSE_WAITING;
	if (r->resp.ended)
		return RESPONSE_DONE;
	at_hand = spliceable(r);
	if (at_hand)
		return splice_some(r, at_hand, burst);
	step = response_body_fetch(r);
	if (step == RESPONSE_DATA)
		response_body_push(r);
	return step;
}
