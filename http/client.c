/* libcurl's sockets live in an epoll descriptor of their own, which the loop watches; libcurl's one timer
 * is a timer of the loop. So libcurl may close its sockets as it likes.
 *
 * libcurl calls back from inside its functions, where it must not be called again and where an owner must
 * not end its call: what owners are told goes by mail to the loop itself. */
#include "http/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/encode.h"
#include "http/loop_priv.h"

enum {
	BLOCK = 64 * 1024,
	BUFFER = 2 * BLOCK,
	HEAD_MAX = 64 * 1024,
	HEADERS_MAX = 200,
	CONNECTIONS_KEPT = 256,
	EVENTS = 64,
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_fd events;
	struct loop_timer timer;
	size_t calls;
};

/* Outlives its call if mail is under way. */
struct http_transfer {
	struct http_client *client;
	struct http_call *call; /* NULL: closed */
	CURL *easy;             /* NULL: over */
	struct curl_slist *headers;
	struct mail mail;
	bool mailed, told, ended, paused_in, paused_out;
	size_t head_bytes;
	struct body got;
	body_ready_fn *ready;
	void *ready_ud;
	rc failed;
	struct err err;
	char *in; /* [at, n) is waiting */
	size_t at, n;
	char error[CURL_ERROR_SIZE];
};

static void reap(struct http_client *c);

static void kick(struct http_client *c)
{
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(c);
}

static void transfer_free(struct http_transfer *t)
{
	curl_slist_free_all(t->headers);
	free(t->in);
	free(t);
}

/* Telling the owner. */

static bool something_to_pull(const struct http_transfer *t)
{
	return t->n > t->at || t->ended;
}

static void tell(struct http_transfer *t)
{
	struct http_call *call = t->call;

	if (!t->told && (call->status || t->ended)) {
		t->told = true;
		call->result = call->status ? RC_OK : t->failed;
		call->err = t->err;
		call->got = &t->got;
		call->answered(call);
		return;
	}
	if (t->ready && something_to_pull(t)) {
		body_ready_fn *fn = t->ready;

		t->ready = NULL;
		fn(t->ready_ud);
	}
}

static void on_mail(struct mail *m)
{
	struct http_transfer *t = CONTAINER_OF(m, struct http_transfer, mail);

	t->mailed = false;
	if (t->call)
		tell(t);
	else
		transfer_free(t);
}

static void tell_later(struct http_transfer *t)
{
	if (t->mailed)
		return;
	t->mailed = true;
	t->mail.deliver = on_mail;
	mailbox_post(loop_mailbox(t->client->loop), &t->mail);
}

/* libcurl's callbacks. */

static void fail(struct http_transfer *t, rc r)
{
	if (rc_ok(t->failed))
		t->failed = r;
}

static size_t on_body(char *p, size_t size, size_t n, void *ud)
{
	struct http_transfer *t = ud;

	n *= size;
	if (t->at) {
		memmove(t->in, t->in + t->at, t->n - t->at);
		t->n -= t->at;
		t->at = 0;
	}
	if (BUFFER - t->n < n) {
		t->paused_in = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!t->in && !(t->in = malloc(BUFFER)))
		abort();
	memcpy(t->in + t->n, p, n);
	t->n += n;
	tell_later(t);
	return n;
}

static bool add_header(struct http_transfer *t, struct str line)
{
	struct http_call *call = t->call;
	struct str value, name = str_cut(line, ':', &value);

	if (!value.p || call->got_headers_n == HEADERS_MAX)
		return !value.p;
	call->got_headers[call->got_headers_n++] = (struct http_header){
		lower_case(call->a, str_trim(name)), arena_dup(call->a, str_trim(value))};
	return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *ud)
{
	struct http_transfer *t = ud;
	struct str line = str_make(p, n * size);
	long status = 0;

	if (!t->call || (t->head_bytes += line.n) > HEAD_MAX)
		return 0;
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (str_starts(line, STR("HTTP/"))) {
		t->call->got_headers_n = 0; /* what came before was an interim answer */
		return n * size;
	}
	if (line.n)
		return add_header(t, line) ? n * size : 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200) {
		t->call->status = (int)status;
		tell_later(t);
	}
	return n * size;
}

static void body_more(void *ud)
{
	struct http_transfer *t = ud;

	t->paused_out = false;
	if (!t->easy)
		return;
	curl_easy_pause(t->easy, t->paused_in ? CURLPAUSE_RECV : CURLPAUSE_CONT);
	kick(t->client);
}

static size_t on_read(char *p, size_t size, size_t n, void *ud)
{
	struct http_transfer *t = ud;
	size_t got = 0;

	if (!t->call)
		return CURL_READFUNC_ABORT;
	switch (body_pull(t->call->body, p, size * n, &got, &t->err)) {
	case BODY_MORE:
		return got;
	case BODY_END:
		return 0;
	case BODY_WAIT:
		t->paused_out = true;
		body_arm(t->call->body, body_more, t);
		return CURL_READFUNC_PAUSE;
	case BODY_FAIL:
		break;
	}
	fail(t, (rc){t->err.code});
	return CURL_READFUNC_ABORT;
}

/* The answer as a body. */

static enum body_state got_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				struct err *reterr)
{
	struct http_transfer *t = CONTAINER_OF(b, struct http_transfer, got);
	size_t n = t->n - t->at < cap ? t->n - t->at : cap;

	if (n) {
		memcpy(dst, t->in + t->at, n);
		t->at += n;
		*ret_n = n;
		return BODY_MORE;
	}
	if (!t->ended)
		return BODY_WAIT;
	if (rc_ok(t->failed))
		return BODY_END;
	*reterr = t->err;
	return BODY_FAIL;
}

static void got_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct http_transfer *t = CONTAINER_OF(b, struct http_transfer, got);

	t->ready = fn;
	t->ready_ud = ud;
	if (t->paused_in && t->easy && t->n - t->at <= BLOCK) {
		t->paused_in = false;
		curl_easy_pause(t->easy, t->paused_out ? CURLPAUSE_SEND : CURLPAUSE_CONT);
		kick(t->client);
	}
	if (something_to_pull(t))
		tell_later(t);
}

/* Ends. */

static void transfer_over(struct http_transfer *t, CURLcode code)
{
	curl_multi_remove_handle(t->client->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	t->ended = true;
	if (code != CURLE_OK && rc_ok(t->failed))
		fail(t, err_set(&t->err, ERR_IO, STR_FMT " " STR_FMT ": %s",
				STR_ARG(t->call->method), STR_ARG(str_head(t->call->url, 200)),
				t->error[0] ? t->error : curl_easy_strerror(code)));
	tell_later(t);
}

static void reap(struct http_client *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct http_transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		transfer_over(t, m->data.result);
	}
}

void http_call_close(struct http_call *call)
{
	struct http_transfer *t = call->transfer;

	call->transfer = NULL;
	call->got = NULL;
	t->client->calls--;
	t->call = NULL;
	t->ready = NULL;
	if (t->easy) {
		curl_multi_remove_handle(t->client->multi, t->easy);
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
	}
	if (!t->mailed)
		transfer_free(t);
}

/* Starts. */

static void set_headers(struct http_transfer *t, const struct http_call *call)
{
	for (size_t i = 0; i < call->headers_n; i++) {
		struct str name = call->headers[i].name, value = call->headers[i].value;

		t->headers = curl_slist_append(
			t->headers, arena_printf(call->a, value.n ? STR_FMT ": " STR_FMT : STR_FMT ";",
						 STR_ARG(name), STR_ARG(value))
					    .p);
	}
	/* What libcurl would add of its own. */
	t->headers = curl_slist_append(t->headers, "Expect:");
	t->headers = curl_slist_append(t->headers, "Accept:");
	if (call->body && call->body->length < 0)
		t->headers = curl_slist_append(t->headers, "Transfer-Encoding: chunked");
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_body(struct http_transfer *t, const struct http_call *call)
{
	if (str_eq(call->method, STR("HEAD")))
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	if (call->body) {
		curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, 4L * BLOCK);
		curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
		curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)call->body->length);
	}
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, arena_cstr(call->a, call->method));
}

static void set_limits(struct http_transfer *t, const struct http_call *call)
{
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 call->connect_ms ? (long)call->connect_ms : 10000L);
	curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME,
			 call->stall_s ? (long)call->stall_s : 60L);
	if (call->ca_file.n)
		curl_easy_setopt(t->easy, CURLOPT_CAINFO, arena_cstr(call->a, call->ca_file));
}

static void set_callbacks(struct http_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
}

void http_call_start(struct http_client *c, struct http_call *call)
{
	static const struct body_ops ops = {.name = "answer", .pull = got_pull, .arm = got_arm};
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (!t || !(t->easy = curl_easy_init()))
		abort();
	assert(loop_current() == c->loop);
	t->client = c;
	t->call = call;
	body_init(&t->got, &ops, NULL, -1);
	call->transfer = t;
	call->got = NULL;
	call->status = 0;
	call->err = (struct err){0};
	call->got_headers_n = 0;
	call->got_headers = arena_alloc(call->a, HEADERS_MAX * sizeof(*call->got_headers));
	c->calls++;
	curl_easy_setopt(t->easy, CURLOPT_URL, arena_cstr(call->a, call->url));
	set_callbacks(t);
	set_headers(t, call);
	set_body(t, call);
	set_limits(t, call);
	curl_multi_add_handle(c->multi, t->easy);
	kick(c);
}

struct str http_call_header(const struct http_call *call, const char *name)
{
	for (size_t i = 0; i < call->got_headers_n; i++)
		if (str_eq(call->got_headers[i].name, str_c(name)))
			return call->got_headers[i].value;
	return STR_NONE;
}

/* libcurl on the loop. */

static void on_timer(struct loop_timer *timer)
{
	kick(CONTAINER_OF(timer, struct http_client, timer));
}

static int set_timer(CURLM *multi, long ms, void *ud)
{
	struct http_client *c = ud;

	loop_timer_cancel(&c->timer);
	if (ms >= 0) /* at least the next turn: one that is set again and again mustn't hold the loop */
		loop_timer_set(c->loop, &c->timer, ms ? (unsigned)ms : 1, on_timer);
	return 0;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ud, void *known)
{
	struct http_client *c = ud;
	struct epoll_event ev = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(c->events.fd, EPOLL_CTL_DEL, fd, &ev); /* closed already: EBADF */
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(c->events.fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) != 0)
		epoll_ctl(c->events.fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
	curl_multi_assign(c->multi, fd, c);
	return 0;
}

static void on_events(struct loop_fd *w)
{
	struct http_client *c = CONTAINER_OF(w, struct http_client, events);
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(w->fd, ev, EVENTS, 0), running;

	for (int i = 0; i < n; i++) {
		uint32_t e = ev[i].events;
		int what = (e & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (e & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (e & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		curl_multi_socket_action(c->multi, ev[i].data.fd, what, &running);
	}
	reap(c);
}

static void init_curl(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

struct http_client *http_client_new(struct loop *l)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *c = calloc(1, sizeof(*c));
	int ep = epoll_create1(EPOLL_CLOEXEC);

	pthread_once(&once, init_curl);
	if (!c || ep < 0 || !(c->multi = curl_multi_init()))
		abort();
	c->loop = l;
	c->events.readable = on_events;
	loop_fd_open(l, &c->events, ep);
	loop_fd_watch(&c->events, true);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	return c;
}

void http_client_free(struct http_client *c)
{
	assert(c->calls == 0);
	curl_multi_cleanup(c->multi);
	loop_timer_cancel(&c->timer);
	loop_fd_close(&c->events);
	free(c);
}
