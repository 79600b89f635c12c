/* aws-chunked bodies. Four bytes say the kind, the decoded length and the split; the rest is the body.
 * However a body is cut into pieces and pulled, it must end in the same way with the same bytes. */
#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "sigv4/sigv4.h"

struct pieces {
	struct body body;
	struct str left;
	size_t most;
	unsigned seed;
};

static enum body_state pieces_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct pieces *p = (struct pieces *)b;
	size_t n = 1 + (size_t)rand_r(&p->seed) % p->most;

	if (p->left.n == 0)
		return BODY_END;
	if (n % 7 == 1 && p->most > 1)
		return BODY_WAIT;
	n = n < cap ? n : cap;
	n = n < p->left.n ? n : p->left.n;
	memcpy(dst, p->left.p, n);
	p->left = str_skip(p->left, n);
	*ret_n = n;
	return BODY_MORE;
}

static void pieces_close(struct body *b)
{
}

static const struct body_ops pieces_ops = {
	.name = "pieces",
	.pull = pieces_pull,
	.close = pieces_close,
};

struct outcome {
	enum body_state end;
	enum err_code code;
	struct str bytes, trailer;
};

static struct outcome outcome_of(struct arena *a, enum sigv4_payload payload, struct str raw,
				 uint64_t length, size_t most, size_t cap)
{
	struct sigv4 s = {.form = SIGV4_HEADER, .payload = payload,
			  .amz_date = STR("20130524T000000Z"),
			  .scope = STR("20130524/us-east-1/s3/aws4_request"),
			  .signature = STR("4f232c4386841ef735655705268965c4"
					   "4a0e4690baa4adea153f7db9fa80a0a9")};
	struct pieces *p = ARENA_NEW(a, struct pieces);
	struct outcome o = {.bytes = {arena_alloc(a, raw.n + cap + 1), 0}};
	struct err e = {0};
	struct body *b;

	*p = (struct pieces){.left = raw, .most = most, .seed = (unsigned)most};
	body_init(&p->body, &pieces_ops, NULL, (int64_t)raw.n);
	memset(s.signing_key, 7, sizeof(s.signing_key));
	b = sigv4_body_new(&s, a, &p->body, length, STR("x-a, x-amz-checksum-crc32"));
	do {
		size_t n = 0;

		o.end = body_pull(b, (char *)o.bytes.p + o.bytes.n, cap, &n, &e);
		if (o.end == BODY_MORE)
			o.bytes.n += n;
		MUST(o.bytes.n <= raw.n && o.bytes.n <= length);
	} while (o.end == BODY_MORE || o.end == BODY_WAIT);
	o.code = o.end == BODY_FAIL ? e.code : ERR_NONE;
	o.trailer = sigv4_body_trailer(b, STR("x-a"));
	MUST(o.end != BODY_END || o.bytes.n == length);
	MUST(o.end != BODY_FAIL || (o.code != ERR_NONE && e.msg[0]));
	body_close(b);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str raw = str_make(data, size);
	enum sigv4_payload payload = SIGV4_CHUNKED + take_byte(&raw) % 3;
	uint64_t length = take_byte(&raw);
	size_t most = take_byte(&raw), cap = take_byte(&raw);
	struct outcome whole = outcome_of(a, payload, raw, length, raw.n + 1, raw.n + 1);
	struct outcome split = outcome_of(a, payload, raw, length, most + 1, cap + 1);

	MUST((whole.end == BODY_END) == (split.end == BODY_END));
	if (whole.end == BODY_END) {
		MUST(str_eq(whole.bytes, split.bytes));
		MUST(str_eq(whole.trailer, split.trailer));
	}
	arena_free(a);
	return 0;
}
