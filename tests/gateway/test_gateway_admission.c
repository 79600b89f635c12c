/* A server whose places are taken: who is refused, how, and that it goes on at once when it can. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "tests/gateway/site.h"

enum { PATIENCE_MS = 60 * 1000 };

static struct site site;

/* All workers of the meta pool and of the heavy one, who do nothing until they are let go. With a KV that can't
 * answer at once, every request needs one, and commits need a heavy one. */
enum { HOLDERS = SITE_WORKERS + SITE_HEAVY };

static struct work holders[HOLDERS];
static sem_t held, release, ended;

static void run_held(struct work *w)
{
	sem_post(&held);
	while (sem_wait(&release))
		;
}

static void end_held(struct work *w)
{
	sem_post(&ended);
}

static void hold_up(void)
{
	kv_fault_slow(site.kv, 1);
	for (int i = 0; i < HOLDERS; i++) {
		holders[i] = (struct work){.run = run_held, .done = end_held};
		assert_true(work_submit(i < SITE_WORKERS ? site.meta : site.heavy, &holders[i]));
		while (sem_wait(&held))
			;
	}
}

static void let_go(void)
{
	kv_fault_slow(site.kv, 0);
	for (int i = 0; i < HOLDERS; i++)
		sem_post(&release);
	for (int i = 0; i < HOLDERS; i++)
		while (sem_wait(&ended))
			;
}

static void await(enum admission_class c, size_t running, size_t waiting)
{
	int64_t until = mono_ms() + PATIENCE_MS;

	for (;;) {
		struct admission_counts n = admission_counts(site.admission, c);

		if (n.running == running && n.waiting == waiting)
			return;
		if (mono_ms() > until)
			fail_msg("%zu in progress and %zu waiting, not %zu and %zu", n.running, n.waiting,
				 running, waiting);
		usleep(1000);
	}
}

/* A request on a thread. */
struct client {
	pthread_t thread;
	struct call call;
	int status;
};

static void *call_it(void *arg)
{
	struct client *c = arg;
	struct answer a;

	site_call(&site, &c->call, &a);
	c->status = a.status;
	answer_free(&a);
	return NULL;
}

static void begin(struct client *c, struct call call)
{
	*c = (struct client){.call = call};
	assert_int_equal(pthread_create(&c->thread, NULL, call_it, c), 0);
}

static void expect_end(struct client *c, int status)
{
	pthread_join(c->thread, NULL);
	assert_int_equal(c->status, status);
}

#define GET(path) ((struct call){.target = path})
#define STAT ((struct call){.basic = true,                                                         \
			    .target = "/api/v1/repositories/one/refs/main/objects/stat?path=there"})

static void expect_slow_down(struct call call)
{
	char value[1024];
	struct answer a;

	site_call(&site, &call, &a);
	assert_int_equal(a.status, 503); /* and no "100 Continue" before */
	assert_in_range(strtol(answer_header(&a, "retry-after", value), NULL, 10), 1,
			ADMISSION_RETRY_MAX);
	if (call.basic) {
		assert_true(answer_has(&a, "{\"message\":\"Throughput exceeded. Slow down and retry\"}"));
	} else if (call.method && !strcmp(call.method, "HEAD")) {
		assert_int_equal(a.body.n, 0);
	} else {
		assert_string_equal(answer_element(&a, "Code", value), "SlowDown");
		assert_true(answer_element(&a, "RequestId", value)[0]);
	}
	answer_free(&a);
}

/* A request that may have to wait for the machine longer than the site lets it: asked again, as clients do. */
static void expect_in_the_end(int status, struct call call)
{
	int64_t until = mono_ms() + PATIENCE_MS;
	struct answer a;

	for (;;) {
		int got;

		site_call(&site, &call, &a);
		got = a.status;
		answer_free(&a);
		if (got != 503 || mono_ms() > until) {
			assert_int_equal(got, status);
			return;
		}
	}
}

static void open_site(size_t running, size_t waiting, unsigned wait_ms)
{
	struct admission_options o = {.share = 100};

	for (int c = 0; c < ADMIT_CLASSES; c++)
		o.of[c] = (struct admission_limits){running, waiting, "raise it"};
	sem_init(&held, 0, 0);
	sem_init(&release, 0, 0);
	sem_init(&ended, 0, 0);
	site_open(&site, &(struct site_options){.admission = &o,
						.admission_wait_ms = wait_ms,
						.slow_kv = true});
	site_add_repo(&site, "one", false);
	expect_in_the_end(200, (struct call){.method = "PUT", .target = "/one/main/there", .body = STR("it is")});
}

static void close_site(void)
{
	await(ADMIT_METADATA, 0, 0);
	await(ADMIT_DATA, 0, 0);
	await(ADMIT_LONG, 0, 0);
	site_close(&site);
	sem_destroy(&held);
	sem_destroy(&release);
	sem_destroy(&ended);
}

static void test_admission__refused_in_each_protocols_form(void **state)
{
	struct client place, line, other_place, other_line;

	open_site(1, 1, 0);
	hold_up();
	begin(&place, (struct call){.method = "HEAD", .target = "/one/main/there"});
	await(ADMIT_METADATA, 1, 0);
	begin(&line, STAT);
	await(ADMIT_METADATA, 1, 1);
	expect_slow_down(STAT);
	expect_slow_down(GET("/one?list-type=2"));
	expect_slow_down((struct call){.method = "HEAD", .target = "/one/main/there"});
	/* Who it is isn't looked at. */
	expect_slow_down((struct call){.user = "", .target = "/one?list-type=2"});
	/* Bodies of objects are a class of their own. */
	begin(&other_place, GET("/one/main/there"));
	await(ADMIT_DATA, 1, 0);
	begin(&other_line, GET("/one/main/there"));
	await(ADMIT_DATA, 1, 1);
	expect_slow_down((struct call){.method = "PUT",
				       .target = "/one/main/new",
				       .body = STR("unread"),
				       .headers = {{"expect", "100-continue"}}});
	expect_slow_down((struct call){.basic = true,
				       .method = "POST",
				       .target = "/api/v1/repositories/one/branches/main/objects?path=new",
				       .body = STR("unread")});
	/* That it lives is always told. */
	expect(&site, 204, .user = "", .basic = true, .target = "/api/v1/healthcheck");
	let_go();
	expect_end(&place, 200);
	expect_end(&line, 200);
	expect_end(&other_place, 200);
	expect_end(&other_line, 200);
	expect(&site, 200, .target = "/one?list-type=2");
	expect(&site, 404, .target = "/one/main/new");
	close_site();
}

/* Commits and their like. */
static void test_admission__long(void **state)
{
	const struct call commit = {.basic = true,
				    .method = "POST",
				    .target = "/api/v1/repositories/one/branches/main/commits",
				    .body = STR("{\"message\":\"m\"}")};
	struct client place, line;

	open_site(1, 1, 0);
	hold_up();
	begin(&place, commit);
	await(ADMIT_LONG, 1, 0);
	begin(&line, (struct call){.basic = true, .target = "/api/v1/repositories/one/refs/main/commits"});
	await(ADMIT_LONG, 1, 1);
	expect_slow_down(commit);
	let_go();
	expect_end(&place, 201);
	expect_end(&line, 200);
	close_site();
}

/* Sends it and goes; returns when the server has seen both, and ended it (status 499). */
static void come_and_go(const struct call *c)
{
	struct metric *ended_4xx = metric_get(METRIC_COUNTER, "http_requests_total", "", "code=\"4xx\"");
	int64_t before = metric_value(ended_4xx), until = mono_ms() + PATIENCE_MS;

	site_abandon(&site, c, 0);
	while (metric_value(ended_4xx) == before && mono_ms() < until)
		usleep(1000);
	assert_int_equal(metric_value(ended_4xx), before + 1);
}

/* Nobody is there any more: not begun, whether it waits for a place or for a worker. */
static void test_admission__client_gone(void **state)
{
	struct metric *admitted = metric_get(METRIC_COUNTER, "admission_admitted_total", "",
					     "class=\"metadata\"");
	struct metric *of_data = metric_get(METRIC_COUNTER, "admission_admitted_total", "",
					    "class=\"data\"");
	struct call delete = {.method = "DELETE", .target = "/one/main/there"};
	int64_t before;

	open_site(1, 5, 0);
	hold_up();
	come_and_go(&delete); /* it had a place: no worker came */
	await(ADMIT_METADATA, 0, 0);
	before = metric_value(admitted);
	{
		struct client place;

		begin(&place, (struct call){.method = "HEAD", .target = "/one/main/there"});
		await(ADMIT_METADATA, 1, 0);
		come_and_go(&delete);
		await(ADMIT_METADATA, 1, 0);
		let_go();
		expect_end(&place, 200);
	}
	assert_int_equal(metric_value(admitted), before + 1);
	hold_up();
	{
		struct client place;

		before = metric_value(of_data);
		begin(&place, GET("/one/main/there"));
		await(ADMIT_DATA, 1, 0);
		site_abandon(&site,
			     &(struct call){.method = "PUT", .target = "/one/main/there", .body = STR("xyz")}, 3);
		await(ADMIT_DATA, 1, 1);
		/* With a body that nobody reads, its leaving shows when its turn comes. */
		let_go();
		expect_end(&place, 200);
		await(ADMIT_DATA, 0, 0);
		assert_int_equal(metric_value(of_data), before + 2);
	}
	{
		struct answer a;

		site_call(&site, &GET("/one/main/there"), &a);
		assert_int_equal(a.status, 200);
		assert_true(str_eq(buf_str(&a.body), STR("it is")));
		answer_free(&a);
	}
	close_site();
}

/* Too long in line, and too long on the way to a worker. */
static void test_admission__too_late(void **state)
{
	struct metric *late = metric_get(METRIC_COUNTER, "admission_refused_total", "",
					 "class=\"metadata\",reason=\"late\"");
	struct client place;
	int64_t before;

	open_site(1, 5, 200);
	before = metric_value(late);
	hold_up();
	begin(&place, (struct call){.method = "DELETE", .target = "/one/main/there"});
	await(ADMIT_METADATA, 1, 0);
	expect_slow_down(STAT); /* while all is held: a timer refuses it */
	assert_int_equal(metric_value(late), before + 1);
	let_go(); /* the first one is older than 200 ms now */
	expect_end(&place, 503);
	assert_int_equal(metric_value(late), before + 2);
	expect_in_the_end(200, GET("/one/main/there"));
	close_site();
}

/* The end of an upload that was begun isn't given up, however late. */
static void test_admission__begun_uploads_end(void **state)
{
	char target[1200], id[1024];
	struct client end;
	struct answer a;

	open_site(1, 5, 100);
	do {
		site_call(&site, &(struct call){.method = "POST", .target = "/one/main/big?uploads="}, &a);
		answer_element(&a, "UploadId", id);
		answer_free(&a);
	} while (!id[0]);
	snprintf(target, sizeof(target), "/one/main/big?partNumber=1&uploadId=%s", id);
	expect_in_the_end(200, (struct call){.method = "PUT", .target = target, .body = STR("123456789")});
	snprintf(target, sizeof(target), "/one/main/big?uploadId=%s", id);
	hold_up();
	begin(&end, (struct call){.method = "POST",
				  .target = target,
				  .body = STR("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
					      "25f9e794323b453885f5181f1b624d0b</ETag></Part>"
					      "</CompleteMultipartUpload>")});
	await(ADMIT_DATA, 1, 0);
	usleep(200 * 1000);
	let_go();
	expect_end(&end, 200);
	expect_in_the_end(200, GET("/one/main/big"));
	close_site();
}

/* The server stops: those in line are told, what is begun is ended. */
static void test_admission__stop(void **state)
{
	struct client place, line;

	open_site(1, 5, 0);
	hold_up();
	begin(&place, (struct call){.method = "HEAD", .target = "/one/main/there"});
	await(ADMIT_METADATA, 1, 0);
	begin(&line, STAT);
	await(ADMIT_METADATA, 1, 1);
	admission_stop(site.admission);
	expect_end(&line, 503);
	let_go();
	expect_end(&place, 200);
	close_site();
}

/* A slow KV under far more clients than places. */
enum { CROWD = 40, SLOW_MS = 40, PLACES = 6, LINE = 4 };

struct crowd {
	atomic_bool over;
	atomic_int served, refused, other, fast_refusals;
};

static void *flood(void *arg)
{
	struct crowd *c = arg;
	int fd = -1;

	while (!atomic_load(&c->over)) {
		int64_t begun = mono_ms();
		struct answer a;

		site_call_on(&site, &fd, &GET("/one?list-type=2&prefix=main/"), &a);
		if (a.status == 200) {
			atomic_fetch_add(&c->served, 1);
		} else if (a.status == 503) {
			atomic_fetch_add(&c->refused, 1);
			atomic_fetch_add(&c->fast_refusals, mono_ms() - begun < SLOW_MS);
			usleep(2000);
		} else {
			atomic_fetch_add(&c->other, 1);
		}
		answer_free(&a);
	}
	close(fd);
	return NULL;
}

static void test_admission__slow_kv(void **state)
{
	static struct crowd c;
	struct {
		int refused, fast;
	} before = {0, 0};
	pthread_t threads[CROWD];
	bool goes_on = false;
	int64_t begun;

	open_site(PLACES, LINE, 1000);
	kv_fault_slow(site.kv, SLOW_MS);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &c), 0);
	/* Both go on: what is served, and the saying no, most of it faster than one call of the KV. Where the machine
	 * stood still, the next 300 show it. */
	for (begun = mono_ms(); !goes_on && mono_ms() - begun < PATIENCE_MS;) {
		int refused = atomic_load(&c.refused), fast = atomic_load(&c.fast_refusals);

		usleep(10000);
		if (refused - before.refused < 300)
			continue;
		goes_on = atomic_load(&c.served) >= 30 && fast - before.fast >= (refused - before.refused) / 2;
		before.refused = refused;
		before.fast = fast;
	}
	assert_true(goes_on);
	/* It is fast again: there is nothing to work off, although nobody has stopped asking. */
	kv_fault_slow(site.kv, 0);
	atomic_store(&c.served, 0);
	for (begun = mono_ms(); mono_ms() - begun < PATIENCE_MS && atomic_load(&c.served) < 1000;)
		usleep(1000);
	print_message("1,000 listings %d ms after the KV was fast again\n", (int)(mono_ms() - begun));
	assert_true(atomic_load(&c.served) >= 1000);
	atomic_store(&c.over, true);
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.other), 0);
	close_site();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admission__refused_in_each_protocols_form),
		cmocka_unit_test(test_admission__long),
		cmocka_unit_test(test_admission__client_gone),
		cmocka_unit_test(test_admission__too_late),
		cmocka_unit_test(test_admission__begun_uploads_end),
		cmocka_unit_test(test_admission__stop),
		cmocka_unit_test(test_admission__slow_kv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
