/* Answers that begin before their result is known, as S3's do for what takes long: 200 and white space in
 * front of the document, so that neither client nor proxy gives up. The document then tells success, or is
 * an <Error>.
 *
 *   s3_answer_late --timer--> begun: head, spaces --s3_late_finish--> document, end
 *          \-----s3_late_settle: an ordinary answer
 *
 * All on the request's loop. The request is referenced while the answer is under way and its result isn't
 * known: the connection may go meanwhile. */
#include "gateway/s3.h"

enum { LATE_MS = 5000 };

#define DECLARATION STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")

struct s3_late {
	struct body body;
	struct s3_req *r;
	struct loop_timer timer;
	struct str text; /* to be sent, then `document` */
	struct str document;
	void (*gone)(void *ud);
	void *gone_ud;
	body_ready_fn *ready;
	void *ready_ud;
	bool begun, known, closed;
};

static enum body_state late_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	struct s3_late *l = (struct s3_late *)b;
	size_t n;

	if (!l->text.n && l->known) {
		l->text = l->document;
		l->document = STR("");
	}
	if (!l->text.n)
		return l->known ? BODY_END : BODY_WAIT;
	n = l->text.n < cap ? l->text.n : cap;
	memcpy(dst, l->text.p, n);
	l->text = str_skip(l->text, n);
	*ret_n = n;
	return BODY_MORE;
}

static void late_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct s3_late *l = (struct s3_late *)b;

	l->ready = fn;
	l->ready_ud = ud;
}

static void late_close(struct body *b)
{
	struct s3_late *l = (struct s3_late *)b;

	l->closed = true;
	l->ready = NULL;
	loop_timer_cancel(&l->timer);
	if (!l->known && l->gone)
		l->gone(l->gone_ud);
}

static const struct body_ops late_ops = {
	.name = "late", .pull = late_pull, .arm = late_arm, .close = late_close};

static void wake(struct s3_late *l)
{
	body_ready_fn *fn = l->ready;

	l->ready = NULL;
	if (fn)
		fn(l->ready_ud);
}

static void tick(struct loop_timer *t);

static void set_timer(struct s3_late *l)
{
	unsigned ms = l->r->g->o.late_ms;

	loop_timer_set(http_req_loop(l->r->http), &l->timer, ms ? ms : LATE_MS, tick);
}

static void begin(struct s3_late *l)
{
	struct http_req *http = l->r->http;
	/* Not the request's own list: a worker may be at it. */
	const struct http_header headers[] = {
		{STR("x-amz-request-id"), http_req_id(http)},
		{STR("x-amz-id-2"), http_req_id(http)},
		{STR("content-type"), STR("application/xml")},
	};

	l->begun = true;
	l->text = DECLARATION;
	http_req_ref(http);
	set_timer(l);
	http_respond_body(http, 200, headers, sizeof(headers) / sizeof(headers[0]), &l->body, -1);
}

static void tick(struct loop_timer *t)
{
	struct s3_late *l = (struct s3_late *)((char *)t - offsetof(struct s3_late, timer));

	if (!l->begun) {
		begin(l);
		return;
	}
	set_timer(l);
	/* Nothing more while the client doesn't take what there is. */
	if (!l->ready)
		return;
	l->text = STR(" ");
	wake(l);
}

void s3_answer_late(struct s3_req *r, void (*gone)(void *ud), void *ud)
{
	struct s3_late *l = ARENA_NEW(r->a, struct s3_late);

	body_init(&l->body, &late_ops, NULL, -1);
	l->r = r;
	l->gone = gone;
	l->gone_ud = ud;
	r->late = l;
	set_timer(l);
}

bool s3_late_settle(struct s3_req *r)
{
	if (!r->late)
		return false;
	loop_timer_cancel(&r->late->timer);
	return r->late->begun;
}

void s3_late_finish(struct s3_req *r)
{
	struct s3_late *l = r->late;
	struct str document = buf_str(&r->xml);

	if (str_starts(document, DECLARATION))
		document = str_skip(document, DECLARATION.n);
	l->document = document;
	l->known = true;
	wake(l);
	http_req_unref(r->http);
}
