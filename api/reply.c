/* Answers. */
#include "api/rest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "versions/usage.h"

void api_add_header(struct api_req *r, const char *name, struct str value)
{
	if (r->out_n == r->out_cap) {
		size_t cap = r->out_cap ? 2 * r->out_cap : 16;
		struct http_header *more = arena_alloc(r->a, cap * sizeof(*more));

		if (r->out_n)
			memcpy(more, r->out, r->out_n * sizeof(*more));
		r->out = more;
		r->out_cap = cap;
	}
	r->out[r->out_n++] = (struct http_header){str_c(name), value};
}

static bool is_head(struct api_req *r)
{
	return str_eq(http_req_method(r->http), STR("HEAD"));
}

void api_add_request_id(struct api_req *r)
{
	struct str id = api_header(r, "x-request-id");

	api_add_header(r, "x-request-id", id.n && id.n <= 256 ? id : http_req_id(r->http));
}

void api_reply_text(struct api_req *r, int status, struct str text)
{
	api_add_request_id(r);
	api_add_header(r, "content-type", STR("text/plain; charset=utf-8"));
	api_add_header(r, "x-content-type-options", STR("nosniff"));
	http_respond(r->http, status, r->out, r->out_n, text);
}

void api_reply_empty(struct api_req *r, int status)
{
	api_add_request_id(r);
	http_respond(r->http, status, r->out, r->out_n, STR(""));
}

void api_reply_json(struct api_req *r, int status)
{
	api_add_request_id(r);
	api_add_header(r, "content-type", STR("application/json"));
	api_add_header(r, "x-content-type-options", STR("nosniff"));
	if (is_head(r)) {
		http_respond_head(r->http, status, r->out, r->out_n, -1);
		return;
	}
	buf_add_c(&r->json, '\n');
	http_respond(r->http, status, r->out, r->out_n, buf_str(&r->json));
}

static void retry_after(struct api_req *r, int status)
{
	struct str name, value;
	unsigned at = 0;

	if (status == 503)
		api_add_header(r, "retry-after",
			      arena_printf(r->a, "%u", http_admit_retry_s(&r->admit)));
	while (status == 429 && err_next_field(&r->err, &at, &name, &value))
		if (str_eq(name, STR("RetryAfterSeconds")))
			api_add_header(r, "retry-after", value);
}

static void reply_error(struct api_req *r)
{
	int status = api_status(r->err.code);

	if (status == 304) {
		api_reply_empty(r, status);
		return;
	}
	retry_after(r, status);
	if (r->sts) {
		api_sts_refuse(r);
		return;
	}
	buf_reset(&r->json);
	r->w.comma = false;
	jw_object(&r->w, NULL);
	jw_str(&r->w, "message", api_message(r, &r->err));
	jw_end_object(&r->w);
	api_reply_json(r, status);
}

static void reply(struct api_req *r)
{
	if (r->route->handlers->reply)
		r->route->handlers->reply(r);
	else if (r->json.n)
		api_reply_json(r, r->route->status);
	else
		api_reply_empty(r, r->route->status);
}

static void log_internal(struct api_req *r)
{
	if (r->err.code == ERR_CANCELLED)
		return;
	log_event(LOG_ERROR, "api", r->err.msg, F_CSTR("operation", r->route ? r->route->name : ""),
		  F_CSTR("error", err_name(r->err.code)), F_STR("repository", r->repository),
		  F_STR("request_id", http_req_id(r->http)));
}

static void count(struct api_req *r)
{
	static struct metric *by_op[API_OPS][2];

	if (r->route)
		metric_outcome(by_op[r->route->id], "api_requests_total", "REST requests by operation and outcome", r->route->name,
			       r->err.code != ERR_NONE);
}

/* A failure that nobody gave a story has its code's words, not those of an earlier one. */
static void settle(struct api_req *r, rc result)
{
	if (rc_ok(result) && r->json.overflow)
		result = err_set(&r->err, ERR_InternalError, "the answer has more than %zu bytes",
				 API_ANSWER_MAX);
	if (rc_ok(result))
		r->err.code = ERR_NONE;
	else if (r->err.code != result.code)
		IGNORE_RC(err_default(&r->err, result.code)); /* it returns what it sets */
	if (r->err.code && api_status(r->err.code) == 500)
		log_internal(r);
}

void api_done(struct api_req *r, rc result)
{
	struct auth_user *user = r->user;

	settle(r, result);
	if (user)
		usage_count(r->x->o.versions);
	http_req_log(r->http, r->route ? str_c(r->route->name) : STR_NONE,
		     user ? auth_user_name(user) : STR_NONE,
		     r->err.code ? str_c(err_name(r->err.code)) : STR_NONE);
	count(r);
	if (r->stream)
		body_close(r->stream);
	http_admit_leave(&r->admit);
	if (r->err.code)
		reply_error(r);
	else
		reply(r);
	/* Answered: the request and its arena may be gone now. */
	auth_user_unref(user);
}
