#include "check.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/metrics.h"
#include "base/work.h"

struct room {
	struct arena *a;
	char dir[32];
};

static struct str path_in(struct room *r, const char *name)
{
	return arena_printf(r->a, "%s/%s", r->dir, name);
}

static struct str content(struct room *r, const char *name)
{
	FILE *f = fopen(path_in(r, name).p, "r");
	char *p = arena_alloc(r->a, 4 << 20);
	size_t n;

	if (!f)
		return STR_NONE;
	n = fread(p, 1, 4 << 20, f);
	fclose(f);
	return str_make(p, n);
}

static void set_up_log(struct room *r, const char *name, enum log_format format, unsigned max_mb,
		       unsigned keep)
{
	struct str out = path_in(r, name);
	struct log_options o = {.level = LOG_INFO, .format = format, .outputs = &out, .outputs_n = 1,
				.max_mb = max_mb, .keep = keep};
	struct err e;

	if (!rc_ok(log_setup(&o, &e)))
		fail_msg("%s", e.msg);
}

static int set_up(void **state)
{
	struct room *r = calloc(1, sizeof(*r));

	r->a = arena_new();
	strcpy(r->dir, "/tmp/test_base_log_XXXXXX");
	*state = r;
	return mkdtemp(r->dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct room *r = *state;
	static const char *const names[] = {"log", "log.1", "log.2", "log.3", "other", "fifo", "moved"};
	struct str out = STR("-");

	IGNORE_RC(log_setup(&(struct log_options){.level = LOG_INFO, .outputs = &out, .outputs_n = 1},
			    NULL)); /* opens no file */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_in(r, names[i]).p);
	assert_int_equal(rmdir(r->dir), 0);
	arena_free(r->a);
	free(r);
	return 0;
}

#define LINE(format, ...) line_of(format, (const struct log_field[]){__VA_ARGS__},                 \
				  sizeof((const struct log_field[]){__VA_ARGS__}) /                \
					  sizeof(struct log_field))

static struct str line_of(enum log_format format, const struct log_field *f, size_t n)
{
	static char out[LOG_LINE_MAX];

	return str_make(out, log_line(out, format, (struct timestamp){784111777, 123000000}, LOG_INFO,
				      "http", "request", f, n));
}

static void test_log__text_form(void **state)
{
	assert_cstr(LINE(LOG_TEXT, F_CSTR("method", "GET"), F_INT("status", 200), F_FLOAT("s", 0.25),
			 F_STR("path", STR("/a/\xc3\xa9"))),
		    "1994-11-06T08:49:37.123Z INFO  http request method=GET status=200 s=0.25 "
		    "path=/a/\xc3\xa9\n");
	assert_cstr(LINE(LOG_TEXT, F_STR("a", STR("two words")), F_STR("b", STR("")),
			 F_STR("c", STR("x=y")), F_STR("d", STR("say \"hi\\\""))),
		    "1994-11-06T08:49:37.123Z INFO  http request a=\"two words\" b=\"\" c=\"x=y\" "
		    "d=\"say \\\"hi\\\\\\\"\"\n");
}

static void test_log__json_form(void **state)
{
	assert_cstr(LINE(LOG_JSON, F_CSTR("method", "GET"), F_INT("status", -1), F_FLOAT("s", NAN),
			 F_STR("none", STR_NONE)),
		    "{\"time\":\"1994-11-06T08:49:37.123Z\",\"level\":\"info\",\"component\":\"http\","
		    "\"msg\":\"request\",\"method\":\"GET\",\"status\":-1,\"s\":null,\"none\":\"\"}\n");
}

/* Whatever the bytes: one line, and JSON that gives the value back when it was UTF-8. */
static void test_log__cannot_be_forged(void **state)
{
	struct room *r = *state;
	static const struct str evil[] = {
		STR("x\n1994-11-06T08:49:37.123Z ERROR http forged"), STR("x\r\ny"), STR("\" level=ERROR"),
		STR("\",\"level\":\"error"), STR("\\"), STR("\\\""), STR("a\0b"), STR("\x1b[2J"),
		STR("\xff\xfe\n"), STR("\xc2\x85next"), STR("\xe2\x80\xa8line\xe2\x80\xae"), STR("\x7f\x01"),
		STR("\xe2\x80"), STR("\xef\xbb\xbf")};

	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		struct str t = LINE(LOG_TEXT, F_STR("v", evil[i]), F_INT("end", 1)), j;
		struct json *doc;

		for (size_t k = 0; k + 1 < t.n; k++)
			assert_true((unsigned char)t.p[k] >= ' ' && (unsigned char)t.p[k] < 0x7f);
		assert_true(str_ends(t, STR("\" end=1\n")));
		/* The only quotes that aren't escaped are the outer ones. */
		t = str_skip(t, str_find(t, STR("v=\"")) + 3);
		for (; t.p[0] != '"'; t = str_skip(t, t.p[0] == '\\' ? 2 : 1))
			;
		assert_str(t, STR("\" end=1\n"));
		j = LINE(LOG_JSON, F_STR("v", evil[i]), F_INT("end", 1));
		assert_int_equal(str_index(j, '\n'), j.n - 1);
		if (str_index(evil[i], 0) < evil[i].n)
			continue; /* the reader refuses NUL */
		assert_true(rc_ok(json_parse(r->a, j, &doc, NULL)));
		assert_int_equal(json_count(doc), 6);
		assert_cstr(json_str(json_member(doc, "level")), "info");
		if (str_is_utf8(evil[i]))
			assert_str(json_str(json_member(doc, "v")), evil[i]);
	}
}

static void test_log__long_lines_are_cut(void **state)
{
	struct room *r = *state;
	static char big[3 * LOG_LINE_MAX];

	for (size_t n = LOG_LINE_MAX - 200; n < sizeof(big); n += n < LOG_LINE_MAX + 200 ? 1 : 999) {
		struct json *doc;
		struct str t, j;
		bool fits;

		memset(big, n % 2 ? 'a' : ' ', n);
		t = LINE(LOG_TEXT, F_STR("v", str_make(big, n)), F_INT("end", 123456));
		fits = str_ends(t, STR(" end=123456\n"));
		assert_true(fits || str_ends(t, STR(" cut=true\n")));
		j = LINE(LOG_JSON, F_STR("v", str_make(big, n)), F_INT("end", 123456));
		assert_true(t.n <= LOG_LINE_MAX && j.n <= LOG_LINE_MAX);
		assert_true(rc_ok(json_parse(r->a, j, &doc, NULL)));
		assert_true(json_bool(json_member(doc, "cut")) == !json_member(doc, "end"));
	}
}

static void test_log__levels(void **state)
{
	struct room *r = *state;
	enum log_level l;

	set_up_log(r, "log", LOG_TEXT, 0, 0);
	log_event(LOG_DEBUG, "test", "hidden", F_INT("n", 1));
	log_event(LOG_WARN, "test", "shown", F_INT("n", 2));
	log_event(LOG_ERROR, "test", "without fields");
	assert_int_equal(str_find(content(r, "log"), STR("hidden")), content(r, "log").n);
	assert_true(str_ends(content(r, "log"), STR("ERROR test without fields\n")));
	assert_true(str_find(content(r, "log"), STR("WARN  test shown n=2\n")) < 40);
	assert_false(log_enabled(LOG_DEBUG));
	assert_true(log_level_parse(STR("Warning"), &l));
	assert_int_equal(l, LOG_WARN);
	assert_true(log_level_parse(STR("DEBUG"), &l));
	assert_int_equal(l, LOG_DEBUG);
	assert_false(log_level_parse(STR("loud"), &l));
}

static void test_log__bad_outputs(void **state)
{
	struct room *r = *state;
	struct str out[9] = {path_in(r, "none/log")};
	struct log_options o = {.outputs = out, .outputs_n = 1};
	struct err e;

	assert_true(rc_is(log_setup(&o, &e), CONFIG));
	assert_non_null(strstr(e.msg, "none/log"));
	o.outputs_n = 0;
	assert_true(rc_is(log_setup(&o, &e), CONFIG));
	o.outputs_n = 9;
	assert_true(rc_is(log_setup(&o, &e), CONFIG));
	out[0] = STR("");
	o.outputs_n = 1;
	assert_true(rc_is(log_setup(&o, &e), CONFIG));
}

static void test_log__several_outputs(void **state)
{
	struct room *r = *state;
	struct str out[] = {path_in(r, "log"), path_in(r, "other")};

	assert_true(rc_ok(log_setup(&(struct log_options){.level = LOG_INFO, .outputs = out,
							  .outputs_n = 2}, NULL)));
	log_event(LOG_INFO, "test", "twice");
	assert_true(str_ends(content(r, "log"), STR("twice\n")));
	assert_str(content(r, "log"), content(r, "other"));
}

static void test_log__reopen(void **state)
{
	struct room *r = *state;

	set_up_log(r, "log", LOG_TEXT, 0, 0);
	log_event(LOG_INFO, "test", "before");
	assert_int_equal(rename(path_in(r, "log").p, path_in(r, "moved").p), 0);
	log_event(LOG_INFO, "test", "between");
	log_reopen();
	log_event(LOG_INFO, "test", "after");
	assert_true(str_ends(content(r, "moved"), STR("between\n")));
	assert_true(str_ends(content(r, "log"), STR("after\n")));
	assert_int_equal(str_find(content(r, "log"), STR("between")), content(r, "log").n);
}

static void test_log__rotates(void **state)
{
	struct room *r = *state;
	char big[6000];
	struct str all = STR("");
	uint64_t last = 0, n = 0;

	memset(big, 'x', sizeof(big));
	set_up_log(r, "log", LOG_TEXT, 1, 2);
	for (int i = 1; i <= 600; i++)
		log_event(LOG_INFO, "test", "line", F_INT("i", i), F_STR("x", str_make(big, sizeof(big))));
	assert_null(content(r, "log.3").p);
	for (int i = 2; i >= 0; i--) {
		struct str one = content(r, i == 2 ? "log.2" : i ? "log.1" : "log");

		assert_true(one.n > 0 && one.n <= 1 << 20);
		all = arena_join(r->a, (struct str[]){all, one}, 2);
	}
	while (all.n) { /* the kept files follow each other without a gap */
		struct str line = str_cut(all, '\n', &all), rest;

		line = str_skip(line, str_find(line, STR(" i=")) + 3);
		assert_true(str_to_u64(str_cut(line, ' ', &rest), &n));
		assert_true(last == 0 || n == last + 1);
		last = n;
	}
	assert_int_equal(last, 600);
}

static void test_log__rotates_without_keeping(void **state)
{
	struct room *r = *state;
	char big[6000];

	memset(big, 'x', sizeof(big));
	set_up_log(r, "log", LOG_TEXT, 1, 0);
	for (int i = 1; i <= 300; i++)
		log_event(LOG_INFO, "test", "line", F_STR("x", str_make(big, sizeof(big))));
	assert_null(content(r, "log.1").p);
	assert_in_range(content(r, "log").n, 1, 1 << 20);
}

static void *log_many(void *arg)
{
	thread_is_loop(arg != NULL);
	for (int i = 0; i < 500; i++)
		log_event(LOG_INFO, "test", "many", F_INT("i", i), F_CSTR("who", arg ? "loop" : "worker"));
	return NULL;
}

static void test_log__threads(void **state)
{
	struct room *r = *state;
	pthread_t t[4];
	struct str all;
	int lines = 0;

	set_up_log(r, "log", LOG_TEXT, 0, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, log_many, i % 2 ? r : NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	log_flush();
	for (all = content(r, "log"); all.n; lines++) {
		struct str line = str_cut(all, '\n', &all);

		assert_true(str_ends(line, STR("who=loop")) || str_ends(line, STR("who=worker")));
		assert_int_equal(str_find(line, STR("many i=")), 24 + 1 + 6 + 5);
	}
	assert_int_equal(lines, 2000);
}

struct drain {
	int fd;
	struct buf got;
};

static void *read_all(void *arg)
{
	struct drain *d = arg;
	char chunk[4096];
	ssize_t n;

	while ((n = read(d->fd, chunk, sizeof(chunk))) > 0) {
		buf_add(&d->got, str_make(chunk, (size_t)n));
		if (str_find(buf_str(&d->got), STR("the end")) < d->got.n)
			break;
	}
	return NULL;
}

/* What the log says it has lost, here and there. */
static int64_t told(struct str text)
{
	int64_t sum = 0;

	for (;;) {
		size_t at = str_find(text, STR(" lines="));

		if (at == text.n)
			return sum;
		text = str_skip(text, at + strlen(" lines="));
		sum += strtoll(text.p, NULL, 10);
	}
}

/* Nobody reads: a loop goes on, loses lines past the bound, and the log says how many. */
static void test_log__a_loop_never_waits(void **state)
{
	struct room *r = *state;
	struct metric *lost = metric_get(METRIC_COUNTER, "log_dropped_total", "", NULL);
	struct drain d = {.got = BUF_INIT(8 << 20)};
	int64_t before = metric_value(lost);
	char big[4000];
	pthread_t t;

	memset(big, 'x', sizeof(big));
	assert_int_equal(mkfifo(path_in(r, "fifo").p, 0600), 0);
	d.fd = open(path_in(r, "fifo").p, O_RDWR | O_CLOEXEC);
	assert_true(d.fd >= 0);
	set_up_log(r, "fifo", LOG_TEXT, 0, 0);
	thread_is_loop(true);
	for (int i = 0; i < 1000; i++)
		log_event(LOG_INFO, "test", "big", F_STR("x", str_make(big, sizeof(big))));
	thread_is_loop(false);
	assert_true(metric_value(lost) - before > 300);
	pthread_create(&t, NULL, read_all, &d);
	log_flush();
	assert_int_equal(write(d.fd, "the end", 7), 7);
	pthread_join(t, NULL);
	buf_add_c(&d.got, 0);
	assert_int_equal(told(str_make(d.got.p, d.got.n - 1)), metric_value(lost) - before);
	buf_deinit(&d.got);
	close(d.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log__text_form),
		cmocka_unit_test(test_log__json_form),
		cmocka_unit_test_setup_teardown(test_log__cannot_be_forged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__long_lines_are_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__bad_outputs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__several_outputs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__reopen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__rotates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__rotates_without_keeping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log__a_loop_never_waits, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
