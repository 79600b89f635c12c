#include "bench/request.h"

#include <assert.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

static struct str path_of(const struct bench_options *o, struct str key, struct arena *a)
{
	struct str parts[] = {STR("/"), o->bucket, STR("/"), key};

	return uri_encode(a, arena_join(a, parts, key.p ? 4 : 2), true);
}

void request_header(struct request *r, struct str name, struct str value)
{
	assert(r->headers_n < REQUEST_HEADERS);
	r->headers[r->headers_n++] = (struct sigv4_header){name, value};
}

/* Nothing to sign. */
static void rest_head(const struct bench_options *o, const struct request *r, struct arena *a,
		      struct buf *to)
{
	struct str pair = arena_join(a, (struct str[]){o->access_key, STR(":"), o->secret}, 3);

	buf_printf(to, "%s /api/v1" STR_FMT " HTTP/1.1\r\nhost: " STR_FMT "\r\n", r->method,
		   STR_ARG(r->rest), STR_ARG(o->host));
	if (o->token.n)
		buf_printf(to, "authorization: Bearer " STR_FMT "\r\n", STR_ARG(o->token));
	else
		buf_printf(to, "authorization: Basic " STR_FMT "\r\n", STR_ARG(base64_encode(a, pair)));
	if (r->tail.n)
		buf_printf(to, "content-type: application/json\r\ncontent-length: %zu\r\n", r->tail.n);
	buf_add(to, STR("\r\n"));
}

static void s3_head(const struct bench_options *o, const struct request *r, struct arena *a,
		  struct buf *to)
{
	struct sigv4_credentials credentials = {o->access_key, o->secret, STR_NONE};
	int64_t now_s = wall_now().s;
	char date[17];
	struct sigv4_header headers[3 + REQUEST_HEADERS] = {
		{STR("host"), o->host},
		{STR("x-amz-content-sha256"), r->payload_hash},
		{STR("x-amz-date"), {date, 16}},
	};
	struct sigv4_request sign = {
		.method = str_c(r->method),
		.path = path_of(o, r->key, a),
		.query = r->query.p ? r->query : STR(""),
		.headers = headers,
		.headers_n = 3 + r->headers_n,
	};
	struct str authorization;

	for (size_t i = 0; i < r->headers_n; i++)
		headers[3 + i] = r->headers[i];
	time_amz(now_s, date);
	authorization = sigv4_sign_header(&sign, &credentials, o->region, STR("s3"), now_s,
					  r->payload_hash, a);
	buf_printf(to, "%s " STR_FMT "%s" STR_FMT " HTTP/1.1\r\n", r->method, STR_ARG(sign.path),
		   r->query.p ? "?" : "", STR_ARG(sign.query));
	for (size_t i = 0; i < sign.headers_n; i++)
		buf_printf(to, STR_FMT ": " STR_FMT "\r\n", STR_ARG(headers[i].name),
			   STR_ARG(headers[i].value));
	buf_printf(to, "authorization: " STR_FMT "\r\n", STR_ARG(authorization));
	if (r->body_size || r->tail.n || r->method[0] == 'P')
		buf_printf(to, "content-length: %llu\r\n",
			   (unsigned long long)(r->body_size + r->tail.n));
	buf_add(to, STR("\r\n"));
}

void request_head(const struct bench_options *o, const struct request *r, struct arena *a,
		  struct buf *to)
{
	if (r->rest.p)
		rest_head(o, r, a, to);
	else
		s3_head(o, r, a, to);
}

struct str request_digest(enum digest_kind k, struct str pattern, uint64_t size, struct arena *a)
{
	struct digest_set *s = digest_set_new(a, 1u << k);

	while (size) {
		size_t n = size < pattern.n ? (size_t)size : pattern.n;

		digest_set_update(s, pattern.p, n);
		size -= n;
	}
	return digest_set_value(s, k);
}

struct str request_payload_hash(struct str pattern, uint64_t size, struct arena *a)
{
	return hex_encode(a, request_digest(DIGEST_SHA256, pattern, size, a));
}
