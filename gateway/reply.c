/* Answers, in S3's form. */
#include "base/log.h"
#include "base/metrics.h"
#include "gateway/s3.h"
#include "versions/usage.h"

void s3_add_header(struct s3_req *r, const char *name, struct str value)
{
	if (r->out_n == r->out_cap) {
		size_t cap = r->out_cap ? 2 * r->out_cap : 24;
		struct http_header *more = arena_alloc(r->a, cap * sizeof(*more));

		if (r->out_n)
			memcpy(more, r->out, r->out_n * sizeof(*more));
		r->out = more;
		r->out_cap = cap;
	}
	r->out[r->out_n++] = (struct http_header){str_c(name), value};
}

struct str s3_quoted(struct s3_req *r, struct str etag)
{
	return arena_join(r->a, (struct str[]){STR("\""), etag, STR("\"")}, 3);
}

static bool is_head(struct s3_req *r)
{
	return str_eq(http_req_method(r->http), STR("HEAD"));
}

static void standard_headers(struct s3_req *r)
{
	s3_add_header(r, "x-amz-request-id", http_req_id(r->http));
	s3_add_header(r, "x-amz-id-2", http_req_id(r->http));
}

void s3_reply_xml(struct s3_req *r, int status)
{
	if (r->xml.overflow) {
		s3_settle(r, err_set(&r->err, ERR_IO, "the answer's XML is larger than %zu bytes",
				     r->xml.max));
		s3_reply_error(r);
		return;
	}
	if (s3_late_settle(r)) {
		s3_late_finish(r);
		return;
	}
	standard_headers(r);
	s3_add_header(r, "content-type", STR("application/xml"));
	if (is_head(r))
		http_respond_head(r->http, status, r->out, r->out_n, (int64_t)r->xml.n);
	else
		http_respond(r->http, status, r->out, r->out_n, buf_str(&r->xml));
}

void s3_reply_empty(struct s3_req *r, int status)
{
	standard_headers(r);
	http_respond(r->http, status, r->out, r->out_n, STR(""));
}

/* Failures of ours: the operator's log gets the story, the client no inside of the house. */
static bool is_internal(enum err_code code)
{
	return err_status(code) == 500;
}

static void log_internal(struct s3_req *r)
{
	if (r->err.code == ERR_CANCELLED)
		return;
	log_event(LOG_ERROR, "gateway", r->err.msg, F_CSTR("operation", r->op ? r->op->name : ""),
		  F_CSTR("error", err_name(r->err.code)), F_STR("repository", r->at.repo),
		  F_STR("key", r->at.key), F_STR("request_id", http_req_id(r->http)));
}

/* The error's own fields, and which of those that each error has are among them. */
static void write_fields(struct s3_req *r, bool *ret_key, bool *ret_bucket)
{
	struct str name, value;
	unsigned at = 0;

	while (err_next_field(&r->err, &at, &name, &value)) {
		xw_elem(&r->xml, name.p, value);
		*ret_key |= str_eq(name, STR("Key"));
		*ret_bucket |= str_eq(name, STR("BucketName"));
	}
}

/* S3's words alone, and what a longer story has behind them; in lakeFS's addresses the whole, as there. */
static struct str message(struct s3_req *r, struct str *ret_detail)
{
	struct str words = str_c(err_text(r->err.code)), msg = str_c(r->err.msg);
	size_t n = words.n - str_ends(words, STR("."));

	*ret_detail = STR_NONE;
	if (is_internal(r->err.code))
		return str_c(err_text(ERR_InternalError));
	if (!n || !str_starts(msg, str_head(words, n)) || !str_starts(str_skip(msg, n), STR(": ")) ||
	    (!r->at.ref_bucket && r->err.code != ERR_InvalidBucketName))
		return msg;
	*ret_detail = str_skip(msg, n + 2);
	return words;
}

static void write_error(struct s3_req *r)
{
	struct str key = r->at.key;
	bool key_said = false, bucket_said = false;
	struct str detail;

	buf_reset(&r->xml);
	xw_decl(&r->xml);
	xw_open(&r->xml, "Error");
	xw_elem(&r->xml, "Code", str_c(err_s3_code(r->err.code)));
	xw_elem(&r->xml, "Message", message(r, &detail));
	if (detail.n)
		xw_elem(&r->xml, "Detail", detail);
	write_fields(r, &key_said, &bucket_said);
	if (!key_said && key.n && str_is_utf8(key))
		xw_elem(&r->xml, "Key", key);
	if (!bucket_said && r->at.bucket.n && str_is_utf8(r->at.bucket))
		xw_elem(&r->xml, "BucketName", r->at.bucket);
	xw_elem(&r->xml, "Resource",
		str_is_utf8(r->at.raw_path) ? r->at.raw_path : STR("/"));
	xw_elem(&r->xml, "RequestId", http_req_id(r->http));
	xw_elem(&r->xml, "HostId", http_req_id(r->http));
	xw_close(&r->xml, "Error");
}

static void retry_after(struct s3_req *r, int status)
{
	struct str name, value;
	unsigned at = 0;

	if (status == 503)
		s3_add_header(r, "retry-after",
			      arena_printf(r->a, "%u", http_admit_retry_s(&r->admit)));
	while (status == 429 && err_next_field(&r->err, &at, &name, &value))
		if (str_eq(name, STR("RetryAfterSeconds")))
			s3_add_header(r, "retry-after", value);
}

void s3_reply_error(struct s3_req *r)
{
	int status = err_status(r->err.code);

	if (s3_late_settle(r)) {
		write_error(r);
		s3_late_finish(r);
		return;
	}
	retry_after(r, status);
	standard_headers(r);
	if (is_head(r) || status == 304) {
		http_respond_head(r->http, status, r->out, r->out_n, status == 304 ? -1 : 0);
		return;
	}
	write_error(r);
	s3_add_header(r, "content-type", STR("application/xml"));
	http_respond(r->http, status, r->out, r->out_n, buf_str(&r->xml));
}

static void count(struct s3_req *r)
{
	static struct metric *by_op[S3_OPS][2];

	if (r->op)
		metric_outcome(by_op[r->op->id], "s3_requests_total",
			       "S3 requests by operation and outcome", r->op->name,
			       r->err.code != ERR_NONE);
}

void s3_settle(struct s3_req *r, rc result)
{
	if (rc_ok(result)) {
		r->err.code = ERR_NONE;
	} else if (r->err.code != result.code) {
		IGNORE_RC(err_default(&r->err, result.code)); /* it returns what it sets */
	}
	if (r->err.code && is_internal(r->err.code))
		log_internal(r);
}

void s3_done(struct s3_req *r, rc result)
{
	struct auth_user *user = r->user;

	s3_settle(r, result);
	http_req_log(r->http, r->op ? str_c(r->op->name) : STR_NONE,
		     r->user ? auth_user_name(r->user) : STR_NONE,
		     r->err.code ? str_c(err_s3_code(r->err.code)) : STR_NONE);
	count(r);
	if (user)
		usage_count(r->g->o.versions);
	if (r->up)
		body_close(r->up->head);
	http_admit_leave(&r->admit);
	if (r->err.code)
		s3_reply_error(r);
	else
		r->op->handlers->reply(r);
	/* Answered: the request and its arena may be gone now. */
	auth_user_unref(user);
}
