/* Answers that begin before their result is known: the workers are held up while a client waits. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/gateway/site.h"

enum { LATE_MS = 30 };

static struct site site;
static sem_t release, held, ended;

static void run_held(struct work *w)
{
	sem_post(&held);
	while (sem_wait(&release))
		;
}

/* The pool doesn't touch the item any more. */
static void end_held(struct work *w)
{
	sem_post(&ended);
}

/* Occupies every data worker until let_go. */
static struct work holders[SITE_WORKERS];
static bool holding;

/* The last ones must be over: else one of them would take what the next ones are let go by. */
static void await_holders(void)
{
	for (int i = 0; holding && i < SITE_WORKERS; i++)
		while (sem_wait(&ended))
			;
	holding = false;
}

static void hold_up(void)
{
	await_holders();
	sem_init(&release, 0, 0);
	sem_init(&held, 0, 0);
	sem_init(&ended, 0, 0);
	holding = true;
	for (int i = 0; i < SITE_WORKERS; i++) {
		holders[i] = (struct work){.run = run_held, .done = end_held};
		assert_true(work_submit(site.data, &holders[i]));
		while (sem_wait(&held))
			;
	}
}

static void let_go(void)
{
	for (int i = 0; i < SITE_WORKERS; i++)
		sem_post(&release);
}

static void begin(const char *key, char target[1200])
{
	char id[1024], begin_target[200];
	struct answer a;

	snprintf(begin_target, sizeof(begin_target), "%s?uploads=", key);
	site_call(&site, &(struct call){.method = "POST", .target = begin_target}, &a);
	assert_int_equal(a.status, 200);
	answer_element(&a, "UploadId", id);
	answer_free(&a);
	snprintf(target, 1200, "%s?partNumber=1&uploadId=%s", key, id);
	expect(&site, 200, .method = "PUT", .target = target, .body = STR("123456789"));
	snprintf(target, 1200, "%s?uploadId=%s", key, id);
}

#define LIST(etag)                                                                                 \
	STR("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" etag                 \
	    "</ETag></Part></CompleteMultipartUpload>")
#define RIGHT LIST("25f9e794323b453885f5181f1b624d0b")
#define WRONG LIST("00000000000000000000000000000000")

/* Workers do nothing of it before `begun` of the answer is here. */
static void call_held(const struct call *c, const char *begun, struct answer *a)
{
	int fd = -1;

	hold_up();
	site_send(&site, &fd, c);
	site_await(fd, begun);
	let_go();
	site_receive(&fd, c, a);
	if (fd >= 0)
		close(fd);
}

static void complete_held(const char *target, struct str body, const char *begun, struct answer *a)
{
	call_held(&(struct call){.method = "POST", .target = target, .body = body}, begun, a);
}

#define TWO_SPACES "\r\n1\r\n \r\n1\r\n \r\n" /* in chunks */

static void test_late__success(void **state)
{
	char target[1200], value[1024];
	struct answer a;
	struct str text;

	begin("/one/main/late", target);
	complete_held(target, RIGHT, TWO_SPACES, &a);
	assert_int_equal(a.status, 200);
	text = buf_str(&a.body);
	assert_true(str_starts(text, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  ")));
	assert_true(answer_has(&a, " <CompleteMultipartUploadResult"));
	assert_true(answer_has(&a, "-1&quot;</ETag><ChecksumCRC64NVME>"));
	assert_string_equal(answer_header(&a, "content-type", value), "application/xml");
	assert_true(answer_header(&a, "x-amz-request-id", value)[0]);
	answer_free(&a);
	expect(&site, 200, .target = "/one/main/late");
}

static void test_late__error_in_the_body(void **state)
{
	char target[1200], value[1024];
	struct answer a;

	begin("/one/main/bad", target);
	complete_held(target, WRONG, "<?xml", &a);
	assert_int_equal(a.status, 200);
	assert_true(str_starts(buf_str(&a.body), STR("<?xml")));
	assert_string_equal(answer_element(&a, "Code", value), "InvalidPart");
	answer_free(&a);
	/* In time it is an ordinary error. */
	for (int tries = 1;; tries++) {
		bool late;

		site_call(&site, &(struct call){.method = "POST", .target = target, .body = WRONG}, &a);
		assert_string_equal(answer_element(&a, "Code", value), "InvalidPart");
		late = a.status == 200; /* the machine stood still */
		assert_true(late || a.status == 400);
		answer_free(&a);
		if (!late)
			break;
		assert_in_range(tries, 1, 200);
	}
}

/* The client doesn't wait: the Complete is carried out all the same, and nothing is touched that is gone. */
static void test_late__client_gone(void **state)
{
	char target[1200];
	int64_t until = mono_ms() + 60000;
	struct answer a;

	begin("/one/main/gone", target);
	hold_up();
	site_abandon(&site,
		     &(struct call){.method = "POST", .target = target, .body = RIGHT}, RIGHT.n);
	usleep(3 * LATE_MS * 1000);
	let_go();
	for (;;) {
		int status;

		site_call(&site, &(struct call){.target = "/one/main/gone"}, &a);
		status = a.status;
		answer_free(&a);
		if (status == 200)
			break;
		assert_true(mono_ms() < until);
		usleep(10000);
	}
}

static void test_late__copied_part(void **state)
{
	char target[1200], id_target[1300], value[1024];
	struct answer a;

	expect(&site, 200, .method = "PUT", .target = "/one/main/source", .body = STR("123456789"));
	begin("/one/main/copied", target);
	snprintf(id_target, sizeof(id_target), "%s&partNumber=2", target);
	call_held(&(struct call){.method = "PUT", .target = id_target,
				 .headers = {{"x-amz-copy-source", "one/main/source"},
					     {"x-amz-copy-source-range", "bytes=2-4"}}},
		  "<?xml", &a);
	assert_int_equal(a.status, 200);
	/* The MD5 of "345". */
	assert_string_equal(answer_element(&a, "ETag", value),
			    "&quot;d81f9c1be2e08964bf9f24b15f0e4900&quot;");
	answer_free(&a);
	hold_up();
	site_abandon(&site,
		     &(struct call){.method = "PUT", .target = id_target,
				    .headers = {{"x-amz-copy-source", "one/main/source"}}},
		     0);
	usleep(3 * LATE_MS * 1000);
	let_go();
	/* The server is still itself. */
	expect(&site, 200, .target = target);
}

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.store = SITE_LOCAL, .late_ms = LATE_MS});
	site_add_repo(&site, "one", false);
	return 0;
}

static int tear_down(void **state)
{
	await_holders();
	site_close(&site);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late__success),
		cmocka_unit_test(test_late__error_in_the_body),
		cmocka_unit_test(test_late__client_gone),
		cmocka_unit_test(test_late__copied_part),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
