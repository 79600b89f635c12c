#include "bench/trailer.h"

#include "base/encode.h"

enum { CHUNK = 64 << 10, CHUNKS_MAX = 32 << 20 };

static void add_chunk(struct buf *to, struct str bytes)
{
	buf_printf(to, "%zx\r\n", bytes.n);
	buf_add(to, bytes);
	buf_add(to, STR("\r\n"));
}

/* The pattern is a whole number of chunks. */
static struct str whole_chunks(struct str pattern, struct arena *a)
{
	struct buf out = BUF_INIT(CHUNKS_MAX);
	struct str result;

	for (size_t at = 0; at < pattern.n; at += CHUNK)
		add_chunk(&out, str_head(str_skip(pattern, at), CHUNK));
	result = arena_dup(a, buf_str(&out));
	buf_deinit(&out);
	return result;
}

struct trailer_body trailer_body_new(enum digest_kind k, struct str pattern, uint64_t size,
				     struct arena *a)
{
	struct str sum = base64_encode(a, request_digest(k, pattern, size, a));
	struct trailer_body t = {.chunks = whole_chunks(pattern, a)};
	size_t chunk_size = t.chunks.n / (pattern.n / CHUNK);
	struct buf tail = BUF_INIT(CHUNKS_MAX);

	t.chunks_size = size / CHUNK * chunk_size;
	t.name = arena_printf(a, "x-amz-checksum-%s", digest_name(k));
	if (size % CHUNK)
		add_chunk(&tail, str_head(str_skip(pattern, size / CHUNK * CHUNK % pattern.n),
					  size % CHUNK));
	buf_printf(&tail, "0\r\n" STR_FMT ":" STR_FMT "\r\n\r\n", STR_ARG(t.name), STR_ARG(sum));
	t.tail = arena_dup(a, buf_str(&tail));
	buf_deinit(&tail);
	return t;
}
