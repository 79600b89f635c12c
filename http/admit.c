#include "http/admit.h"

#include "base/clock.h"

#define OF(ptr, member) ((struct http_admit *)((char *)(ptr) - offsetof(struct http_admit, member)))

/* Up to the first of these, as they are or encoded. */
static struct str up_to(struct str s, const char *ends)
{
	size_t n = 0;

	while (n < s.n && !strchr(ends, s.p[n]))
		n++;
	return str_head(s, n);
}

static struct str behind(struct str s, struct str name)
{
	return str_skip(s, str_find(s, name) + name.n);
}

/* Who the request says has sent it: the access key of a signature, or else the whole of what it brings. It
 * isn't proved yet; but whoever claims another's key is found out before a worker is needed, as long as that
 * key is known to the server's cache. */
static struct str party_of(const struct http_req *http)
{
	const struct str v4 = STR("Credential="), v2 = STR("AWS "), linked = STR("X-Amz-Credential="),
			 linked_v2 = STR("AWSAccessKeyId=");
	struct str by = http_req_header(http, "authorization"), target = http_req_target(http);

	if (str_find(by, v4) < by.n)
		return up_to(behind(by, v4), "/");
	if (str_starts(by, v2))
		return up_to(str_skip(by, v2.n), ":");
	if (by.n)
		return by;
	if (str_find(target, linked) < target.n)
		return up_to(behind(target, linked), "/%&");
	if (str_find(target, linked_v2) < target.n)
		return up_to(behind(target, linked_v2), "&");
	return http_req_header(http, "cookie");
}

/* Waiting in line. */

static void settled(struct http_admit *x)
{
	loop_timer_cancel(&x->patience);
	http_req_on_gone(x->http, NULL, NULL);
}

static void on_told(struct ticket *t, bool admitted)
{
	struct http_admit *x = OF(t, ticket);

	settled(x);
	if (!admitted) {
		x->told(x, ADMIT_REFUSED);
	} else if (http_req_left(x->http)) {
		x->told(x, ADMIT_GONE);
	} else {
		x->told(x, ADMIT_IN);
	}
}

static void on_gone(void *ud)
{
	struct http_admit *x = ud;

	if (!admission_cancel(&x->ticket))
		return; /* on_told sees it */
	settled(x);
	x->told(x, ADMIT_GONE);
}

static void on_late(struct loop_timer *timer)
{
	struct http_admit *x = OF(timer, patience);

	if (!admission_cancel(&x->ticket))
		return;
	settled(x);
	admission_refused_late(x->by.a, x->class);
	x->told(x, ADMIT_REFUSED);
}

enum admit http_admit_enter(struct http_admit *x, const struct http_admission *by, struct http_req *http,
			    enum admission_class c, bool ahead,
			    void (*told)(struct http_admit *x, enum admit answer))
{
	x->by = *by;
	x->http = http;
	x->class = c;
	x->begun = ahead;
	x->told = told;
	if (!by->a)
		return ADMIT_IN;
	x->ticket.home = loop_mailbox(http_req_loop(http));
	x->ticket.told = on_told;
	x->ticket.ahead = ahead;
	switch (admission_enter(by->a, c, party_of(http), &x->ticket)) {
	case ADMISSION_IN:
		return ADMIT_IN;
	case ADMISSION_REFUSED:
		return ADMIT_REFUSED;
	case ADMISSION_WAIT:
		break;
	}
	if (by->wait_ms)
		loop_timer_set(http_req_loop(http), &x->patience, by->wait_ms, on_late);
	http_req_on_gone(http, on_gone, x);
	return ADMIT_WAIT;
}

/* Waiting for a worker. */

static void cancel_work(void *ud)
{
	struct http_admit *x = ud;

	work_cancel(x->work);
}

enum { LINE_MS = 60 * 1000 };

void http_admit_in_line(struct http_admit *x)
{
	if (x->by.wait_ms && x->by.wait_ms < LINE_MS)
		x->by.wait_ms = LINE_MS;
}

bool http_admit_submit(struct http_admit *x, struct work_pool *pool, struct work *w)
{
	/* From the submission on x->begun is the worker's. */
	w->begun = x->begun;
	x->asked = !x->begun;
	x->work = w;
	if (!work_submit(pool, w)) {
		x->asked = false;
		return false;
	}
	if (x->asked)
		http_req_on_gone(x->http, cancel_work, x);
	return true;
}

bool http_admit_begin(struct http_admit *x)
{
	if (x->begun)
		return true;
	x->late = x->by.a && x->by.wait_ms &&
		  mono_us() - x->ticket.entered_us > (int64_t)x->by.wait_ms * 1000;
	if (x->late)
		admission_refused_late(x->by.a, x->class);
	else
		x->begun = true;
	return !x->late;
}

bool http_admit_done(struct http_admit *x)
{
	if (x->asked)
		http_req_on_gone(x->http, NULL, NULL);
	x->asked = false;
	return x->begun || x->late;
}

void http_admit_leave(struct http_admit *x)
{
	admission_leave(&x->ticket);
}

unsigned http_admit_retry_s(struct http_admit *x)
{
	return x->by.a ? admission_retry_s(x->by.a, x->class) : 1;
}
