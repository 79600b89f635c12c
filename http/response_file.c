/* Files as answers: sendfile on plain sockets, reads on TLS and for small ones.
 *
 * Neither may wait for a disk on the loop: before each window the page cache is probed, and a worker
 * brings what is missing. Pages that go again between the two cost the loop a wait, no more. */
#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
	WINDOW = BURST,
	PROBE_STEP = 128 * 1024, /* what the kernel reads ahead at least, once it does */
	BUSY_MS = 5,             /* until a full pool is asked again */
};

static bool in_memory(int fd, uint64_t at)
{
	char byte;
	struct iovec iov = {&byte, 1};

	/* File systems that can't tell are read as if they could. */
	return preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static bool window_in_memory(int fd, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += PROBE_STEP)
		if (!in_memory(fd, at))
			return false;
	return in_memory(fd, to - 1);
}

static uint64_t window_end(const struct response *resp)
{
	uint64_t left = (uint64_t)resp->left;

	return resp->offset + (left < WINDOW ? left : WINDOW);
}

static void read_ahead_run(struct work *w)
{
	struct response *resp = CONTAINER_OF(w, struct response, read_ahead);
	uint64_t at = resp->offset, end = window_end(resp);
	char *junk = malloc(PROBE_STEP);

	if (!junk)
		abort();
	while (at < end && !work_cancelled(w)) {
		uint64_t left = end - at;
		ssize_t n = pread(resp->fd, junk, left < PROBE_STEP ? left : PROBE_STEP, (off_t)at);

		/* Errors and a file that has become shorter show when it is sent. */
		if (n <= 0)
			break;
		at += (uint64_t)n;
	}
	free(junk);
}

static void read_ahead_done(struct work *w)
{
	struct response *resp = CONTAINER_OF(w, struct response, read_ahead);
	struct http_req *r = CONTAINER_OF(resp, struct http_req, resp);

	resp->reading_ahead = false;
	if (r->conn) {
		resp->warm = window_end(resp);
		response_pump(r->conn);
	} else {
		response_file_close(resp);
	}
	http_req_unref(r);
}

static void on_retry(struct loop_timer *t)
{
	struct response *resp = CONTAINER_OF(t, struct response, retry);

	response_pump(CONTAINER_OF(resp, struct http_req, resp)->conn);
}

static enum response_step start_read_ahead(struct http_req *r)
{
	struct response *resp = &r->resp;

	resp->read_ahead = (struct work){
		.run = read_ahead_run,
		.done = read_ahead_done,
		.home = loop_mailbox(r->sl->loop),
		.begun = true,
	};
	if (work_submit(resp->cold, &resp->read_ahead)) {
		resp->reading_ahead = true;
		http_req_ref(r);
	} else {
		loop_timer_set(r->sl->loop, &resp->retry, BUSY_MS, on_retry);
	}
	return RESPONSE_WAITING;
}

void response_file_close(struct response *resp)
{
	if (resp->fd < 0)
		return;
	if (resp->reading_ahead) {
		work_cancel(&resp->read_ahead); /* read_ahead_done closes */
		return;
	}
	close(resp->fd);
	resp->fd = -1;
}

static void sent(struct http_req *r, size_t n)
{
	r->resp.offset += n;
	r->resp.left -= (int64_t)n;
	r->bytes_out += n;
}

static size_t most(const struct response *resp, size_t max)
{
	uint64_t warm = resp->warm - resp->offset;

	return warm < max ? (size_t)warm : max;
}

static enum response_step send_file(struct http_req *r, size_t *burst)
{
	struct response *resp = &r->resp;
	off_t at = (off_t)resp->offset;
	ssize_t n;

	do
		n = sendfile(r->conn->stream.fd, resp->fd, &at, most(resp, BURST - *burst));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? RESPONSE_BLOCKED : RESPONSE_FAIL;
	if (n == 0)
		return RESPONSE_FAIL; /* the file is shorter than was said */
	*burst += (size_t)n;
	sent(r, (size_t)n);
	return RESPONSE_DATA;
}

static enum response_step read_block(struct http_req *r)
{
	struct response *resp = &r->resp;
	struct conn *c = r->conn;
	ssize_t n;

	if (!resp->block)
		resp->block = block_take(&r->sl->outputs);
	do
		n = pread(resp->fd, resp->block, most(resp, OUTPUT_BLOCK), (off_t)resp->offset);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return RESPONSE_FAIL;
	c->out[c->out_n++] = (struct iovec){resp->block, (size_t)n};
	sent(r, (size_t)n);
	return RESPONSE_DATA;
}

enum response_step response_file_next(struct http_req *r, size_t *burst)
{
	struct response *resp = &r->resp;

	if (resp->left == 0)
		return RESPONSE_DONE;
	if (resp->reading_ahead || loop_timer_set_p(&resp->retry))
		return RESPONSE_WAITING;
	if (resp->offset >= resp->warm) {
		uint64_t end = window_end(resp);

		if (resp->cold && !window_in_memory(resp->fd, resp->offset, end))
			return start_read_ahead(r);
		resp->warm = end;
	}
	/* A small file costs fewer packets and calls when it is written with the head. */
	if (r->conn->stream.ssl || resp->left <= OUTPUT_BLOCK)
		return read_block(r);
	return send_file(r, burst);
}
