/* Heads of S3 requests: where they lead, and that no two readers of an address see two addresses. */
#include "fuzz/s3_request.h"

static bool parse_head(struct request *q, struct str in)
{
	struct http_scan scan = {0};
	const char *why = NULL;

	return in.n && http_scan(&scan, in) == HTTP_SCAN_WHOLE &&
	       http_head_parse(arena_cstr(q->a, str_head(in, scan.at)), scan.at, scan.lines, 100, q->a,
			       &q->http.head, &why) == 0;
}

static bool holds_nul(struct str s)
{
	return s.n && memchr(s.p, 0, s.n);
}

static void address_check(struct request *q)
{
	const struct s3_address *at = &q->r.at;
	const struct s3_op *op = q->r.op;

	MUST(op && op->level == (!at->bucket.n ? LEVEL_SERVICE : !at->key.n ? LEVEL_BUCKET : LEVEL_OBJECT));
	MUST(str_eq(str_c(op->method), http_req_method(&q->http)));
	MUST(op->flags & OP_ABSENT || op->handlers);
	MUST(str_is_utf8(at->key) && !holds_nul(at->key) && !holds_nul(at->bucket));
	MUST(at->path.n <= 1024 && str_index(at->repo, '.') == at->repo.n);
	if (at->ref_bucket || str_index(at->key, '/') < at->key.n)
		MUST(str_eq(s3_key_of(&q->r, at, at->path), at->key));
	MUST(q->r.params_n <= S3_MAX_PARAMS);
	for (size_t i = 0; i < q->r.params_n; i++)
		MUST(str_is_utf8(q->r.params[i].key) && str_is_utf8(q->r.params[i].value));
	/* What turns a write into another one is there only where it was asked for. */
	MUST((op->id == S3_CopyObject || op->id == S3_UploadPartCopy) ==
	     (s3_header(&q->r, "x-amz-copy-source").p && str_eq(http_req_method(&q->http), STR("PUT")) &&
	      (op->id == S3_CopyObject || op->id == S3_UploadPartCopy)));
	MUST(op->id != S3_PutObject || !s3_header(&q->r, "x-amz-copy-source").p);
	MUST(op->id != S3_PutObject || !s3_param(&q->r, "uploadId"));
	MUST(op->id != S3_DeleteObject || (!s3_param(&q->r, "uploadId") && !s3_param(&q->r, "tagging")));
	MUST(op->id != S3_DeleteBucket || q->r.params_n == 0 || !s3_param(&q->r, "policy"));
}

static void queries_check(struct request *q)
{
	static const char *const numbers[] = {"max-keys", "max-parts", "max-uploads", "part-number-marker"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t n;
		rc got = s3_query_u64(&q->r, numbers[i], 1000, 1000, &n);

		if (rc_ok(got))
			MUST(n <= 1000);
		else
			refusal_check(q, got);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request q;
	rc routed;

	request_open(&q);
	if (parse_head(&q, str_make(data, size))) {
		routed = s3_route(&q.r);
		if (rc_ok(routed)) {
			address_check(&q);
			queries_check(&q);
			if (s3_header(&q.r, "x-amz-copy-source").p)
				source_check(&q);
		} else {
			refusal_check(&q, routed);
		}
	}
	request_close(&q);
	return 0;
}
