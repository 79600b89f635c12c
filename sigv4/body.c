/* The aws-chunked stage: framing off, signatures checked, trailers kept.
 *
 *   chunk    size-in-hex [";chunk-signature=" 64 hex] CRLF data CRLF
 *   last     "0" [";chunk-signature=" 64 hex] CRLF {trailer} ["x-amz-trailer-signature:" hex CRLF] CRLF
 *   trailer  name ":" value CRLF
 *
 * What differs in the wild and is accepted: minio-go ends a trailer with LF and then puts an empty
 * line before the trailer signature, or a second one at the end; an unsigned chunk may have an extension.
 *
 *   HEAD -> DATA -> DATA_END -> HEAD ... HEAD (size 0) -> TRAILERS -> TAIL -> ENDED
 * and from each of them to FAILED. Lines are collected in a small buffer; data goes from below straight
 * to the reader once the buffer is empty.
 */
#include "sigv4/dechunk.h"

#include <assert.h>
#include <stdio.h>

#include "base/encode.h"

enum { CHUNK_HEAD_MAX = 1024, BLANK_LINES_MAX = 4, OVERRUN_MAX = 64 * 1024 };

static void scratch_drop(struct dechunk *d)
{
	arena_free(d->scratch);
	d->scratch = NULL;
	d->hash = NULL;
}

static void dechunk_forget(struct dechunk *d)
{
	scratch_drop(d);
	explicit_bzero(d->s.signing_key, sizeof(d->s.signing_key));
}

struct arena *dechunk_scratch(struct dechunk *d)
{
	if (!d->scratch)
		d->scratch = arena_new();
	return d->scratch;
}

void dechunk_hash(struct dechunk *d, struct str bytes)
{
	if (!is_signed(d))
		return;
	if (!d->hash)
		d->hash = digest_set_new(dechunk_scratch(d), 1u << DIGEST_SHA256);
	digest_set_update(d->hash, bytes.p, bytes.n);
}

static struct str hash_hex(struct dechunk *d)
{
	dechunk_hash(d, STR(""));
	return hex_encode(dechunk_scratch(d), digest_set_value(d->hash, DIGEST_SHA256));
}

bool dechunk_signature_ok(struct dechunk *d, signature_fn *fn, struct str given)
{
	struct str want = fn(d->s.signing_key, d->s.amz_date, d->s.scope,
			     str_make(d->previous, 64), hash_hex(d), dechunk_scratch(d));
	bool ok = const_time_eq(want, given);

	memcpy(d->previous, want.p, 64);
	scratch_drop(d);
	return ok;
}

static rc chunk_verify(struct dechunk *d, struct err *reterr)
{
	if (!is_signed(d) || dechunk_signature_ok(d, chunk_signature, str_make(d->chunk_signature, 64)))
		return RC_OK;
	return err_set(reterr, ERR_SignatureDoesNotMatch,
		       "The signature of a chunk of the body does not match what was received, "
		       "%llu bytes before the end.",
		       (unsigned long long)d->decoded_left);
}

rc bad_framing(struct err *reterr, const char *text)
{
	rc failed = err_set(reterr, ERR_IncompleteBody, "The request body terminated unexpectedly");

	return err_field(failed, reterr, "Detail", str_c(text));
}

static rc bad_length(struct err *reterr, const char *how)
{
	char text[96];

	snprintf(text, sizeof(text), "The body has %s bytes than x-amz-decoded-content-length says.",
		 how);
	return err_field(err_default(reterr, ERR_IncompleteBody), reterr, "Detail", str_c(text));
}

static rc chunk_size_check(struct dechunk *d, uint64_t size, struct err *reterr)
{
	rc failed;

	if (size && d->chunks_n && d->last_chunk < d->least_chunk) {
		failed = err_default(reterr, ERR_InvalidChunkSize);
		failed = err_field_u64(failed, reterr, "Chunk", d->chunks_n);
		return err_field_u64(failed, reterr, "BadChunkSize", d->last_chunk);
	}
	d->last_chunk = size;
	d->chunks_n++;
	return RC_OK;
}

/* A chunk that goes beyond what was announced is read to its end, unless that is far, for what is wrong
 * may be its size; the bytes behind are dropped. */
static rc chunk_begin(struct dechunk *d, struct err *reterr)
{
	if (d->chunk_left > d->decoded_left) {
		d->over = d->chunk_left - d->decoded_left;
		d->overran = true;
		if (d->over > OVERRUN_MAX)
			return bad_length(reterr, "more");
		d->chunk_left = d->decoded_left;
	}
	d->state = d->chunk_left ? DATA : OVER;
	return RC_OK;
}

static bool size_parse(struct str hex, uint64_t *ret)
{
	uint64_t v = 0;

	if (hex.n == 0 || hex.n > 16)
		return false;
	for (size_t i = 0; i < hex.n; i++) {
		char digit[3] = {'%', '0', hex.p[i]};
		int value = percent_value(str_make(digit, 3));

		if (value < 0)
			return false;
		v = v << 4 | (uint64_t)value;
	}
	*ret = v;
	return true;
}

static rc chunk_head_parse(struct dechunk *d, struct str line, struct err *reterr)
{
	struct str extension, size = str_cut(line, ';', &extension);
	const struct str name = STR("chunk-signature=");

	if (!size_parse(size, &d->chunk_left))
		return bad_framing(reterr, "A chunk does not begin with its size in hex.");
	if (is_signed(d)) {
		if (!str_starts(extension, name) || extension.n != name.n + 64)
			return bad_framing(reterr, "A chunk has no chunk-signature of 64 digits.");
		memcpy(d->chunk_signature, extension.p + name.n, 64);
	}
	TRY(chunk_size_check(d, d->chunk_left, reterr));
	if (d->chunk_left)
		return chunk_begin(d, reterr);
	if (d->overran || d->decoded_left)
		return bad_length(reterr, d->overran ? "more" : "fewer");
	d->state = TRAILERS;
	return chunk_verify(d, reterr);
}

/* After the end: nothing but an empty line more, which minio-go sends. */
static rc tail_line(struct dechunk *d, struct str line, struct err *reterr)
{
	if (str_eq(line, STR("\r")) && ++d->blank_lines <= BLANK_LINES_MAX)
		return RC_OK;
	return bad_framing(reterr, "There is something after the body's end.");
}

static rc line_parse(struct dechunk *d, struct str line, struct err *reterr)
{
	if (d->state == TRAILERS)
		return trailer_line(d, line, reterr);
	if (d->state == TAIL)
		return tail_line(d, line, reterr);
	if (!str_ends(line, STR("\r")) || line.n > CHUNK_HEAD_MAX)
		return bad_framing(reterr, "A line is too long or ends without CR LF.");
	line.n--;
	if (d->state == HEAD)
		return chunk_head_parse(d, line, reterr);
	assert(d->state == DATA_END);
	if (line.n)
		return bad_framing(reterr, "A chunk is longer than its size.");
	d->state = HEAD;
	return chunk_verify(d, reterr);
}

/* Where the body of below ended. */
static rc ended(struct dechunk *d, struct err *reterr)
{
	if (d->state != TAIL || d->from != d->to)
		return err_set(reterr, ERR_IncompleteBody,
			       "The request body terminated unexpectedly");
	TRY(trailers_check(d, reterr));
	if (d->s.payload == SIGV4_CHUNKED_TRAILER && !d->trailers_verified)
		return bad_framing(reterr, "The trailers have no signature.");
	dechunk_forget(d);
	d->state = ENDED;
	return RC_OK;
}

/* Longest line that the state may have, so that nobody waits for the end of one that is too long. */
static size_t line_max(const struct dechunk *d)
{
	switch (d->state) {
	case HEAD:
		return CHUNK_HEAD_MAX;
	case DATA_END:
	case TAIL:
		return 2;
	default:
		return DECHUNK_LINE_MAX;
	}
}

static rc line_missing(const struct dechunk *d, struct err *reterr)
{
	if (d->to - d->from < line_max(d))
		return RC_OK;
	if (d->state == TRAILERS)
		return bad_trailer(reterr, "A line is too long:",
				   str_make(d->buffer + d->from, 32));
	return bad_framing(reterr, d->state == HEAD ? "A chunk's header is too long."
				   : d->state == TAIL ? "There is something after the body's end."
						      : "A chunk is longer than its size.");
}

static enum body_state fill(struct dechunk *d, struct err *reterr)
{
	enum body_state below;
	size_t n = 0;

	memmove(d->buffer, d->buffer + d->from, d->to - d->from);
	d->to -= d->from;
	d->from = 0;
	below = body_pull(d->body.below, d->buffer + d->to, sizeof(d->buffer) - d->to, &n, reterr);
	if (below == BODY_MORE)
		d->to += n;
	return below;
}

/* One line, or what has come of it. */
static enum body_state line_step(struct dechunk *d, rc *ret_rc, struct err *reterr)
{
	struct str have = str_make(d->buffer + d->from, d->to - d->from);
	size_t n = str_index(have, '\n');
	enum body_state below;

	if (n < have.n) {
		d->from += n + 1;
		*ret_rc = line_parse(d, str_head(have, n), reterr);
		return BODY_MORE;
	}
	*ret_rc = line_missing(d, reterr);
	if (!rc_ok(*ret_rc))
		return BODY_MORE;
	below = fill(d, reterr);
	if (below == BODY_END)
		*ret_rc = ended(d, reterr);
	return below;
}

static enum body_state data_step(struct dechunk *d, char *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	size_t n = d->to - d->from;
	enum body_state below;

	cap = cap < d->chunk_left ? cap : (size_t)d->chunk_left;
	if (n) {
		n = n < cap ? n : cap;
		memcpy(dst, d->buffer + d->from, n);
		d->from += n;
	} else {
		below = body_pull(d->body.below, dst, cap, &n, reterr);
		if (below != BODY_MORE)
			return below;
	}
	dechunk_hash(d, str_make(dst, n));
	d->chunk_left -= n;
	d->decoded_left -= n;
	if (d->chunk_left == 0)
		d->state = d->over ? OVER : DATA_END;
	*ret_n = n;
	return BODY_MORE;
}

static enum body_state over_step(struct dechunk *d, rc *ret_rc, struct err *reterr)
{
	size_t n = d->to - d->from;
	enum body_state below;

	if (n == 0) {
		below = fill(d, reterr);
		if (below == BODY_END)
			*ret_rc = ended(d, reterr);
		return below;
	}
	n = n < d->over ? n : (size_t)d->over;
	dechunk_hash(d, str_make(d->buffer + d->from, n));
	d->from += n;
	d->over -= n;
	if (d->over == 0)
		d->state = DATA_END;
	return BODY_MORE;
}

static enum body_state fail(struct dechunk *d, struct err *reterr)
{
	dechunk_forget(d);
	d->state = FAILED;
	if (reterr)
		*reterr = d->failure;
	return BODY_FAIL;
}

static enum body_state dechunk_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				    struct err *reterr)
{
	struct dechunk *d = (struct dechunk *)b;
	struct err *failure = &d->failure;

	assert(d->magic == DECHUNK_MAGIC && cap > 0);
	while (d->state != ENDED) {
		bool data = d->state == DATA;
		enum body_state got = BODY_MORE;
		rc result = RC_OK;

		if (d->state == FAILED)
			return fail(d, reterr);
		if (data)
			got = data_step(d, dst, cap, ret_n, failure);
		else if (d->state == OVER)
			got = over_step(d, &result, failure);
		else
			got = line_step(d, &result, failure);
		if (data && got == BODY_END)
			result = ended(d, failure);
		if (got == BODY_FAIL || !rc_ok(result))
			return fail(d, reterr);
		if (got == BODY_WAIT || (data && got == BODY_MORE))
			return got;
	}
	return BODY_END;
}

static void dechunk_release(void *arg)
{
	dechunk_forget(arg);
}

static void dechunk_close(struct body *b)
{
	dechunk_release(b);
}

static const struct body_ops dechunk_ops = {
	.name = "aws-chunked",
	.pull = dechunk_pull,
	.close = dechunk_close,
};

void sigv4_body_least_chunk(struct body *b, uint64_t bytes)
{
	((struct dechunk *)b)->least_chunk = bytes;
}

struct body *sigv4_body_new(const struct sigv4 *s, struct arena *a, struct body *below,
			    uint64_t decoded_length, struct str trailer_names)
{
	struct dechunk *d = ARENA_NEW(a, struct dechunk);

	assert(s->payload >= SIGV4_CHUNKED);
	assert(s->payload == SIGV4_CHUNKED_UNSIGNED_TRAILER || s->signature.n == 64);
	body_init(&d->body, &dechunk_ops, below,
		  decoded_length <= INT64_MAX ? (int64_t)decoded_length : -1);
	d->magic = DECHUNK_MAGIC;
	d->state = HEAD;
	d->s = *s;
	d->arena = a;
	d->announced = trailer_names;
	d->decoded_left = decoded_length;
	if (s->payload != SIGV4_CHUNKED_UNSIGNED_TRAILER)
		memcpy(d->previous, s->signature.p, 64);
	arena_defer(a, dechunk_release, d);
	return &d->body;
}
