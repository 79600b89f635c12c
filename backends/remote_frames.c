/* Frames. A frame's end goes with the next one's beginning, so that a frame costs two sends. */
#include "backends/remote_frames.h"

#include <assert.h>
#include <stdio.h>

#include "base/encode.h"

enum { LINE = 128 };

static uint64_t frame_at(const struct remote_frames *f)
{
	return f->size - f->at < REMOTE_FRAME ? f->size - f->at : REMOTE_FRAME;
}

static size_t head_bytes(uint64_t frame)
{
	return (size_t)snprintf(NULL, 0, "%llx\r\n", (unsigned long long)frame);
}

void remote_frames_init(struct remote_frames *f, struct arena *a, uint64_t size)
{
	*f = (struct remote_frames){.size = size, .sum = digest_set_new(a, 1u << DIGEST_CRC32C)};
}

uint64_t remote_frames_length(uint64_t size)
{
	uint64_t frames = size / REMOTE_FRAME, rest = size % REMOTE_FRAME;
	/* name, colon, four bytes in base64 */
	uint64_t end = STR("0\r\n" REMOTE_FRAMES_TRAILER ":\r\n\r\n").n + 8;

	return size + frames * (head_bytes(REMOTE_FRAME) + 2) + (rest ? head_bytes(rest) + 2 : 0) + end;
}

static rc head(struct remote_frames *f, struct http_exchange *x, struct err *reterr)
{
	char line[LINE];
	int n = snprintf(line, sizeof(line), "%s%llx\r\n", f->at ? "\r\n" : "",
			 (unsigned long long)frame_at(f));

	return http_send(x, line, (size_t)n, reterr);
}

rc remote_frames_send(struct remote_frames *f, struct http_exchange *x, const void *data, size_t n,
		      struct err *reterr)
{
	const char *p = data;

	assert(n <= f->size - f->at);
	digest_set_update(f->sum, p, n);
	while (n) {
		uint64_t in = f->at % REMOTE_FRAME;
		size_t k = n < REMOTE_FRAME - in ? n : (size_t)(REMOTE_FRAME - in);

		if (!in)
			TRY(head(f, x, reterr));
		TRY(http_send(x, p, k, reterr));
		f->at += k;
		p += k;
		n -= k;
	}
	return RC_OK;
}

rc remote_frames_end(struct remote_frames *f, struct http_exchange *x, struct err *reterr)
{
	char line[LINE];
	struct arena *a;
	int n;

	assert(f->at == f->size);
	a = arena_new();
	n = snprintf(line, sizeof(line), "%s0\r\n" REMOTE_FRAMES_TRAILER ":" STR_FMT "\r\n\r\n",
		     f->size ? "\r\n" : "",
		     STR_ARG(base64_encode(a, digest_set_value(f->sum, DIGEST_CRC32C))));
	arena_free(a);
	return http_send(x, line, (size_t)n, reterr);
}
