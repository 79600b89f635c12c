#include "tests/kv/ddb_proxy.h"

#include "http/client.h"
#include "tests/kv/conformance.h"

enum { ANSWER_MAX = 32 << 20 };

void ddb_proxy_forward(struct ddb_proxy *p, const struct fake_request *q, struct str body,
		       struct fake_answer *w)
{
	const struct http_header headers[] = {
	    {STR("content-type"), fake_header(q, "content-type")},
	    {STR("x-amz-target"), fake_header(q, "x-amz-target")},
	    {STR("x-amz-date"), fake_header(q, "x-amz-date")},
	    {STR("authorization"), fake_header(q, "authorization")},
	};
	const struct http_request to = {
	    .method = STR("POST"),
	    .url = arena_printf(q->a, "http://127.0.0.1:%d/", p->to_port),
	    .headers = headers,
	    .headers_n = 4,
	    .body = HTTP_BYTES,
	    .bytes = body,
	};
	struct http_answer got;
	struct str crc;

	if (!rc_ok(http_ask(p->http, &to, ANSWER_MAX, q->a, &got, NULL))) {
		w->hang_up = true;
		return;
	}
	crc = http_answer_header(&got, "x-amz-crc32");
	w->status = got.status;
	w->headers =
	    crc.n ? arena_printf(q->a, "x-amz-crc32: " STR_FMT "\r\n", STR_ARG(crc)) : STR("");
	w->body = got.body;
}

void ddb_proxy_refuse(const struct fake_request *q, int status, const char *kind,
		      struct fake_answer *w)
{
	w->status = status;
	w->headers = STR("content-type: application/x-amz-json-1.0\r\n");
	w->body = arena_printf(q->a,
			       "{\"__type\":\"com.amazonaws.dynamodb.v20120810#%s\","
			       "\"message\":\"made up\"}",
			       kind);
}

static void watch(struct ddb_proxy *p, struct str operation)
{
	const char *watched = p->watched;
	int now = atomic_fetch_add(&p->under_way, 1) + 1, most = atomic_load(&p->most_under_way);

	while (now > most && !atomic_compare_exchange_weak(&p->most_under_way, &most, now))
		;
	atomic_fetch_add(&p->n, 1);
	if (watched && str_eq(operation, str_c(watched)))
		atomic_fetch_add(&p->watched_n, 1);
}

static void handle(struct fake *f, const struct fake_request *q, struct fake_answer *w)
{
	struct ddb_proxy *p = (struct ddb_proxy *)f;
	struct str operation, target = fake_header(q, "x-amz-target");
	ddb_proxy_fn *answer = p->answer;

	str_cut(target, '.', &operation);
	watch(p, operation);
	if (!answer || !answer(p, operation, q, w))
		ddb_proxy_forward(p, q, q->body, w);
	atomic_fetch_sub(&p->under_way, 1);
}

void ddb_proxy_start(struct ddb_proxy *p, int to_port)
{
	*p = (struct ddb_proxy){.to_port = to_port};
	p->http = http_pool_new(&(struct http_pool_options){.kept = 64});
	fake_start(&p->fake, handle);
}

void ddb_proxy_stop(struct ddb_proxy *p)
{
	fake_stop(&p->fake);
	http_pool_free(p->http);
}
