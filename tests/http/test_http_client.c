/* libcurl on an event loop, against the server of this project: both directions, failures, ends at any time. */
#include "tests/http/rig.h"

#include "http/client.h"
#include "http/loop_priv.h"

#include <stdlib.h>
#include <unistd.h>

static struct rig g;
static struct loop *loop;
static struct http_client *client;

/* One exchange, driven on the loop, watched from the test's thread. */
struct exchange {
	struct mail mail;
	struct http_call call;
	struct arena *a;
	struct buf got;
	struct body *body;
	struct err err;
	unsigned pause_at; /* stops pulling once after so many bytes */
	bool paused, close_at_head;
	enum body_state end;
	atomic_uint over;
};

static void finish(struct exchange *x, enum body_state end)
{
	x->end = end;
	if (x->body)
		body_close(x->body);
	http_call_close(&x->call);
	atomic_store(&x->over, 1);
}

static void pull_on(void *ud)
{
	struct exchange *x = ud;
	enum body_state state;
	size_t n;

	do {
		char *to = buf_reserve(&x->got, 50000);

		assert_non_null(to);
		state = body_pull(x->call.got, to, 50000, &n, &x->err);
		if (state == BODY_MORE)
			x->got.n += n;
		if (x->pause_at && !x->paused && x->got.n >= x->pause_at) {
			x->paused = true;
			usleep(20000); /* the peer fills what it may meanwhile */
		}
	} while (state == BODY_MORE);
	if (state == BODY_WAIT)
		body_arm(x->call.got, pull_on, x);
	else
		finish(x, state);
}

static void on_answer(struct http_call *call)
{
	struct exchange *x = CONTAINER_OF(call, struct exchange, call);

	if (!rc_ok(call->result) || x->close_at_head) {
		x->err = call->err;
		finish(x, BODY_FAIL);
	} else {
		pull_on(x);
	}
}

static void begin(struct mail *m)
{
	struct exchange *x = CONTAINER_OF(m, struct exchange, mail);

	x->call.answered = on_answer;
	x->call.a = x->a;
	x->call.body = x->body;
	http_call_start(client, &x->call);
}

static void start(struct exchange *x, const char *method, const char *path)
{
	x->a = x->a ? x->a : arena_new();
	buf_init(&x->got, 64 << 20);
	x->call.method = str_c(method);
	x->call.url = arena_printf(x->a, "http://127.0.0.1:%u%s", http_server_port(g.server), path);
	x->mail.deliver = begin;
	mailbox_post(loop_mailbox(loop), &x->mail);
}

static void await(struct exchange *x)
{
	rig_await(&x->over, 1);
}

static void end(struct exchange *x)
{
	buf_deinit(&x->got);
	arena_free(x->a);
}

static void enter(void *ud)
{
	client = http_client_new(loop);
}

struct leaving {
	struct mail mail;
	atomic_uint done;
};

static void leave(struct mail *m)
{
	http_client_free(client);
	loop_quit(loop);
}

static int setup(void **state)
{
	struct err err;

	rig_start(&g, (struct http_limits){0});
	assert_true(rc_ok(loop_new(99, &loop, &err)));
	assert_true(rc_ok(loop_start(loop, enter, NULL, &err)));
	return 0;
}

static int teardown(void **state)
{
	struct mail m = {.deliver = leave};

	mailbox_post(loop_mailbox(loop), &m);
	loop_join(loop);
	loop_free(loop);
	rig_stop(&g);
	return 0;
}

static void test_client__gets(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct exchange x = {0};

		start(&x, "GET", "/hello");
		await(&x);
		assert_int_equal(x.end, BODY_END);
		assert_int_equal(x.call.status, 200);
		assert_true(x.got.n > 0);
		assert_true(http_call_header(&x.call, "content-length").n > 0);
		end(&x);
	}
}

static void test_client__large_answers_pause(void **state)
{
	struct exchange x = {.pause_at = 1 << 20};

	start(&x, "GET", "/bytes?20000000");
	await(&x);
	assert_int_equal(x.end, BODY_END);
	assert_int_equal(x.got.n, 20000000);
	for (size_t i = 0; i < x.got.n; i += 9973)
		assert_int_equal(x.got.p[i], rig_byte(i));
	end(&x);
}

static void test_client__head_has_no_body(void **state)
{
	struct exchange x = {0};

	start(&x, "HEAD", "/bytes?5000");
	await(&x);
	assert_int_equal(x.end, BODY_END);
	assert_int_equal(x.got.n, 0);
	assert_str(http_call_header(&x.call, "content-length"), STR("5000"));
	end(&x);
}

/* A body that waits now and then, by way of the loop's timer. */
struct slow {
	struct body body;
	struct loop_timer timer;
	size_t at, size, fail_at;
	bool ready;
	body_ready_fn *fn;
	void *ud;
};

static enum body_state slow_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	struct slow *s = CONTAINER_OF(b, struct slow, body);
	char *to = dst;

	if (s->fail_at && s->at >= s->fail_at) {
		IGNORE_RC(err_set(reterr, ERR_BadDigest, "the source broke")); /* the state says it */
		return BODY_FAIL;
	}
	if (s->at == s->size)
		return BODY_END;
	if (!s->ready)
		return BODY_WAIT;
	s->ready = false;
	*ret_n = s->size - s->at < cap ? s->size - s->at : cap;
	for (size_t i = 0; i < *ret_n; i++)
		to[i] = rig_byte(s->at + i);
	s->at += *ret_n;
	return BODY_MORE;
}

static void slow_fire(struct loop_timer *t)
{
	struct slow *s = CONTAINER_OF(t, struct slow, timer);

	s->ready = true;
	s->fn(s->ud);
}

static void slow_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct slow *s = CONTAINER_OF(b, struct slow, body);

	s->fn = fn;
	s->ud = ud;
	loop_timer_set(loop, &s->timer, 1, slow_fire);
}

static void slow_close(struct body *b)
{
	loop_timer_cancel(&CONTAINER_OF(b, struct slow, body)->timer);
}

static const struct body_ops slow_ops = {"slow", slow_pull, slow_arm, slow_close};

static void put(struct exchange *x, struct slow *s, size_t size, bool chunked, const char *path)
{
	s->size = size;
	body_init(&s->body, &slow_ops, NULL, chunked ? -1 : (int64_t)size);
	x->body = &s->body;
	start(x, "PUT", path);
	await(x);
}

static void test_client__puts(void **state)
{
	static const size_t sizes[] = {0, 1, 100000, 3000000};

	for (int chunked = 0; chunked < 2; chunked++)
		for (size_t i = 0; i < 4; i++) {
			struct exchange x = {0};
			struct slow s = {0};

			put(&x, &s, sizes[i], chunked, "/echo");
			assert_int_equal(x.end, BODY_END);
			assert_int_equal(x.call.status, 200);
			assert_int_equal(x.got.n, sizes[i]);
			for (size_t k = 0; k < x.got.n; k += 997)
				assert_int_equal(x.got.p[k], rig_byte(k));
			end(&x);
		}
}

static void test_client__a_failed_source_ends_the_call(void **state)
{
	struct exchange x = {0};
	struct slow s = {.fail_at = 500000};

	put(&x, &s, 3000000, false, "/sink");
	assert_int_equal(x.end, BODY_FAIL);
	assert_int_equal(x.err.code, ERR_BadDigest);
	end(&x);
}

static void test_client__early_refusal(void **state)
{
	struct exchange x = {0};
	struct slow s = {0};

	put(&x, &s, 50000000, false, "/deny");
	assert_int_equal(x.call.status, 403);
	end(&x);
}

static void test_client__broken_answers_fail(void **state)
{
	struct exchange x = {0};

	start(&x, "GET", "/fail?1000,1");
	await(&x);
	assert_int_equal(x.end, BODY_FAIL);
	assert_int_equal(x.err.code, ERR_IO);
	end(&x);
}

static void test_client__nobody_there(void **state)
{
	struct exchange x = {.a = arena_new(), .call = {.connect_ms = 500}};

	buf_init(&x.got, 100);
	x.call.method = STR("GET");
	x.call.url = STR("http://127.0.0.1:1/"); /* refused */
	x.mail.deliver = begin;
	mailbox_post(loop_mailbox(loop), &x.mail);
	await(&x);
	assert_int_equal(x.end, BODY_FAIL);
	assert_int_equal(x.err.code, ERR_IO);
	assert_non_null(strstr(x.err.msg, "127.0.0.1"));
	end(&x);
}

static void test_client__closed_at_the_head(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct exchange x = {.close_at_head = true};

		start(&x, "GET", "/bytes?5000000");
		await(&x);
		end(&x);
	}
}

static void test_client__many_at_once(void **state)
{
	enum { N = 64 };
	struct exchange *x = calloc(N, sizeof(*x));

	for (size_t i = 0; i < N; i++)
		start(&x[i], "GET", i % 2 ? "/bytes?300000" : "/worker");
	for (size_t i = 0; i < N; i++) {
		await(&x[i]);
		assert_int_equal(x[i].end, BODY_END);
		assert_int_equal(x[i].call.status, 200);
		if (i % 2)
			assert_int_equal(x[i].got.n, 300000);
		end(&x[i]);
	}
	free(x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_client__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gets),
		TEST(large_answers_pause),
		TEST(head_has_no_body),
		TEST(puts),
		TEST(a_failed_source_ends_the_call),
		TEST(early_refusal),
		TEST(broken_answers_fail),
		TEST(nobody_there),
		TEST(closed_at_the_head),
		TEST(many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
