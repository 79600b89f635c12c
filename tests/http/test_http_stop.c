#include "tests/http/rig.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* Where it isn't to be reached: twice as long as a client waits. */
enum { GRACE_MS = 120 * 1000 };

static struct rig rig;

struct stopping {
	pthread_t thread;
	unsigned grace_ms;
	int64_t took_ms;
};

static void *stop(void *arg)
{
	struct stopping *s = arg;
	int64_t start = mono_ms();

	http_server_stop(rig.server, s->grace_ms);
	s->took_ms = mono_ms() - start;
	return NULL;
}

static void begin_stop(struct stopping *s, unsigned grace_ms)
{
	s->grace_ms = grace_ms;
	pthread_create(&s->thread, NULL, stop, s);
}

/* Until each loop has heard of it: nothing is accepted any more. */
static void await_stopping(unsigned port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int64_t end = mono_ms() + 60000;

	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		bool refused = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0;

		close(fd);
		if (refused)
			return;
		assert_true(mono_ms() < end);
		usleep(1000);
	}
}

static void end_stop(struct stopping *s)
{
	pthread_join(s->thread, NULL);
	work_pool_free(rig.pool);
	if (rig.file >= 0)
		close(rig.file);
	assert_int_equal(atomic_load(&rig.freed), atomic_load(&rig.started));
}

static void test_stop__idle_connections_end_at_once(void **state)
{
	struct client a, b;
	struct stopping s;

	rig_start(&rig, (struct http_limits){0});
	client_open(&a, &rig);
	client_open(&b, &rig);
	client_send_c(&b, GET("/hello"));
	client_expect(&b, 200, "hello");
	begin_stop(&s, GRACE_MS);
	client_expect_end(&a);
	client_expect_eof(&b);
	end_stop(&s);
	assert_true(s.took_ms < GRACE_MS / 2);
	client_close(&a);
	client_close(&b);
}

static void test_stop__requests_under_way_finish(void **state)
{
	struct client held, streamed;
	struct answer a;
	struct stopping s;
	unsigned port;

	rig_start(&rig, (struct http_limits){0});
	client_open(&held, &rig);
	client_open_rcvbuf(&streamed, &rig, 8192);
	client_send_c(&held, GET("/hold") GET("/hello"));
	client_send_c(&streamed, GET("/bytes?9000000"));
	rig_await(&rig.started, 2);
	port = http_server_port(rig.server);
	begin_stop(&s, GRACE_MS);
	await_stopping(port);
	atomic_store(&rig.release, true);
	client_answer(&held, &a, false);
	assert_str(buf_str(&a.body), STR("released"));
	assert_string_equal(answer_header(&a, "connection"), "close");
	answer_free(&a);
	client_answer(&streamed, &a, false);
	assert_int_equal(a.body.n, 9000000);
	answer_free(&a);
	client_expect_end(&held);
	client_expect_end(&streamed);
	client_close(&held);
	client_close(&streamed);
	end_stop(&s);
	assert_true(s.took_ms < GRACE_MS / 2);
}

static void test_stop__a_head_under_way_is_served(void **state)
{
	struct client c;
	struct stopping s;
	unsigned port;

	rig_start(&rig, (struct http_limits){0});
	client_open(&c, &rig);
	/* Together with another one, so that it is known to have come when that is answered. */
	client_send_c(&c, GET("/hello") "GET /hello HTTP/1.1\r\n");
	client_expect(&c, 200, "hello");
	port = http_server_port(rig.server);
	begin_stop(&s, GRACE_MS);
	await_stopping(port);
	client_send_c(&c, "Host: h\r\n\r\n");
	client_expect(&c, 200, "hello");
	client_expect_end(&c);
	client_close(&c);
	end_stop(&s);
}

/* What takes long once isn't the server's fault: the machine may have stood still. */
static void in_time(int64_t (*took)(void), int64_t most_ms)
{
	int tries = 1;

	while (took() > most_ms)
		assert_in_range(++tries, 2, 5);
}

static int64_t grace_ends(void)
{
	struct client held, slow, streamed;
	struct stopping s;

	rig_start(&rig, (struct http_limits){0});
	rig_make_file(&rig, 9000000);
	client_open(&held, &rig);
	client_open_rcvbuf(&slow, &rig, 4096);
	client_open_rcvbuf(&streamed, &rig, 4096);
	client_send_c(&held, GET("/hold"));
	client_send_c(&slow, GET("/file?0,9000000"));
	client_send_c(&streamed, GET("/drip?10000000"));
	rig_await(&rig.started, 3);
	begin_stop(&s, 200);
	end_stop(&s);
	assert_true(s.took_ms >= 190);
	assert_int_equal(atomic_load(&rig.gone), 1);
	client_close(&held);
	client_close(&slow);
	client_close(&streamed);
	return s.took_ms;
}

static void test_stop__grace_ends(void **state)
{
	in_time(grace_ends, 3000);
}

struct late {
	struct work work;
	struct http_req *r;
	atomic_bool *go;
};

static void late_run(struct work *w)
{
	struct late *l = (struct late *)w;

	while (!atomic_load(l->go))
		usleep(1000);
}

static void late_done(struct work *w)
{
	struct late *l = (struct late *)w;

	http_respond(l->r, 200, NULL, 0, STR("late"));
	http_req_unref(l->r);
}

static void late_handle(struct http_req *r, void *ud)
{
	struct late *l = ARENA_NEW(http_req_arena(r), struct late);

	l->r = http_req_ref(r);
	l->go = &rig.release;
	l->work = (struct work){.run = late_run, .done = late_done,
				.home = loop_mailbox(http_req_loop(r))};
	if (!work_submit(rig.pool, &l->work))
		http_req_unref(r);
	atomic_fetch_add(&rig.started, 1);
}

static int64_t waits_for_referenced_requests(void)
{
	struct http_options o = {.listen = STR("127.0.0.1:0"), .loops = 2, .handler = late_handle};
	struct client c;
	struct stopping s;
	struct err err;

	rig = (struct rig){.file = -1, .pool = work_pool_new("late", 1, 10)};
	assert_true(rc_ok(http_server_start(&o, &rig.server, &err)));
	client_open(&c, &rig);
	client_send_c(&c, GET("/"));
	rig_await(&rig.started, 1);
	begin_stop(&s, 50);
	client_expect_end(&c);
	usleep(100000);
	atomic_store(&rig.release, true);
	pthread_join(s.thread, NULL);
	work_pool_free(rig.pool);
	client_close(&c);
	assert_true(s.took_ms >= 100);
	return s.took_ms;
}

/* The connection is closed at the end of the grace, but the loop waits for the worker's mail. */
static void test_stop__waits_for_referenced_requests(void **state)
{
	in_time(waits_for_referenced_requests, 4500);
}

static void test_stop__again_and_again(void **state)
{
	struct client c;
	unsigned before = 0;

	for (int i = 0; i < 10; i++) {
		rig_start(&rig, (struct http_limits){0});
		client_open(&c, &rig);
		client_send_c(&c, GET("/worker?x"));
		client_expect(&c, 200, "worker says /worker?x");
		client_close(&c);
		rig_stop(&rig);
		if (i == 1)
			before = open_descriptors();
	}
	print_message("descriptors: %u, %u\n", before, open_descriptors());
	/* h2o doesn't close the epoll descriptor of a loop that it destroys: two for each server. */
	assert_in_range(open_descriptors(), before, before + 2 * 8);
}

static void nothing(struct http_req *r, void *ud)
{
	http_respond(r, 200, NULL, 0, STR(""));
}

static void expect_no_start(struct http_options o, const char *what)
{
	struct http_server *s;
	struct err err;
	rc r;

	o.handler = nothing;
	r = http_server_start(&o, &s, &err);
	assert_true(rc_is(r, CONFIG));
	if (!strstr(err.msg, what))
		fail_msg("\"%s\" doesn't say \"%s\"", err.msg, what);
}

static void test_stop__bad_options(void **state)
{
	char taken[40];

	rig_start(&rig, (struct http_limits){0});
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(rig.server));
	expect_no_start((struct http_options){.listen = str_c(taken)}, "in use");
	expect_no_start((struct http_options){.listen = STR("nonsense")}, "nonsense");
	expect_no_start((struct http_options){.listen = STR("127.0.0.1:70000")}, "70000");
	expect_no_start((struct http_options){.listen = STR("127.0.0.1:")}, "127.0.0.1:");
	expect_no_start((struct http_options){.listen = STR("::1:80")}, "::1:80");
	expect_no_start((struct http_options){.listen = STR("192.0.2.1:0")}, "192.0.2.1");
	expect_no_start((struct http_options){.listen = STR(":0"), .tls_cert_file = STR("a.pem")},
			"key");
	expect_no_start((struct http_options){.listen = STR(":0"), .tls_cert_file = STR("/none.pem"),
					      .tls_key_file = STR("/none.key")},
			"/none.pem");
	rig_stop(&rig);
}

static void test_stop__every_address_form(void **state)
{
	static const char *const rows[] = {":0", "localhost:0", "0.0.0.0:0", "127.0.0.1:0"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_options o = {.listen = str_c(rows[i]), .handler = rig_handle,
					 .ud = &rig};
		struct client c;
		struct err err;

		rig = (struct rig){.file = -1};
		if (!rc_ok(http_server_start(&o, &rig.server, &err)))
			fail_msg("%s: %s", rows[i], err.msg);
		assert_true(http_server_port(rig.server) > 0);
		assert_true(http_server_loops(rig.server) > 0);
		client_open(&c, &rig);
		client_send_c(&c, GET("/peer"));
		client_expect(&c, 200, "127.0.0.1");
		client_close(&c);
		http_server_stop(rig.server, 1000);
	}
}

struct note {
	struct mail mail;
	struct loop *loop;
	unsigned *next, index;
	atomic_uint *count;
};

static void note_taken(struct mail *m)
{
	struct note *n = (struct note *)m;

	if (loop_current() != n->loop || (*n->next)++ != n->index)
		*n->next = 1000000;
	atomic_fetch_add(n->count, 1);
}

struct poster {
	pthread_t thread;
	struct note notes[2000];
	unsigned next;
};

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (int i = 0; i < 2000; i++)
		mailbox_post(loop_mailbox(p->notes[i].loop), &p->notes[i].mail);
	return NULL;
}

/* Several threads to one loop: nothing is lost, each one's order is kept. */
static void test_stop__mail_in_order(void **state)
{
	enum { THREADS = 4 };
	static struct poster p[THREADS];
	static atomic_uint count;

	rig_start(&rig, (struct http_limits){0});
	for (int t = 0; t < THREADS; t++)
		for (unsigned i = 0; i < 2000; i++)
			p[t].notes[i] = (struct note){{.deliver = note_taken},
						      http_server_loop(rig.server, 1), &p[t].next,
						      i, &count};
	for (int t = 0; t < THREADS; t++)
		pthread_create(&p[t].thread, NULL, post_all, &p[t]);
	for (int t = 0; t < THREADS; t++)
		pthread_join(p[t].thread, NULL);
	rig_stop(&rig);
	assert_int_equal(atomic_load(&count), THREADS * 2000);
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(p[t].next, 2000);
}

int main(void)
{
#define T(name) cmocka_unit_test(test_stop__##name)
	const struct CMUnitTest tests[] = {
		T(idle_connections_end_at_once),
		T(requests_under_way_finish),
		T(a_head_under_way_is_served),
		T(grace_ends),
		T(waits_for_referenced_requests),
		T(again_and_again),
		T(bad_options),
		T(every_address_form),
		T(mail_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
