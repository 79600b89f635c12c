#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"

static bool has_line(struct str text, const char *line)
{
	while (text.n) {
		if (str_eq(str_cut(text, '\n', &text), str_c(line)))
			return true;
	}
	return false;
}

static void test_metrics__same_is_same(void **state)
{
	struct metric *a = metric_get(METRIC_COUNTER, "same_total", "Same.", "x=\"1\"");

	assert_ptr_equal(a, metric_get(METRIC_COUNTER, "same_total", "Same.", "x=\"1\""));
	assert_ptr_not_equal(a, metric_get(METRIC_COUNTER, "same_total", "Same.", "x=\"2\""));
	assert_ptr_not_equal(a, metric_get(METRIC_COUNTER, "same_total", "Same.", NULL));
}

static void test_metrics__text(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct metric *h;
	struct str t, family;

	metric_add(metric_get(METRIC_COUNTER, "t_requests_total", "Line\nbreak \\.", "code=\"200\""), 3);
	metric_set(metric_get(METRIC_GAUGE, "a_gauge", "First.", NULL), -7);
	metric_add(metric_get(METRIC_COUNTER, "t_requests_total", "", "code=\"404\""), 1);
	h = metric_get(METRIC_HISTOGRAM, "t_seconds", "Time.", "op=\"x\"");
	metric_observe_us(h, 500);
	metric_observe_us(h, 501);
	metric_observe_us(h, 61000000);
	assert_int_equal(metric_value(h), 3);
	metrics_write(&b);
	t = buf_str(&b);
	assert_true(has_line(t, "# HELP t_requests_total Line\\nbreak \\\\."));
	family = str_skip(t, str_find(t, STR("# TYPE t_requests_total")));
	assert_true(str_starts(family, STR("# TYPE t_requests_total counter\n"
					   "t_requests_total{code=\"200\"} 3\n"
					   "t_requests_total{code=\"404\"} 1\n")));
	assert_true(has_line(t, "a_gauge -7"));
	assert_true(has_line(t, "# TYPE t_seconds histogram"));
	assert_true(has_line(t, "t_seconds_bucket{op=\"x\",le=\"0.0005\"} 1"));
	assert_true(has_line(t, "t_seconds_bucket{op=\"x\",le=\"0.001\"} 2"));
	assert_true(has_line(t, "t_seconds_bucket{op=\"x\",le=\"60\"} 2"));
	assert_true(has_line(t, "t_seconds_bucket{op=\"x\",le=\"+Inf\"} 3"));
	assert_true(has_line(t, "t_seconds_sum{op=\"x\"} 61.001001"));
	assert_true(has_line(t, "t_seconds_count{op=\"x\"} 3"));
	assert_true(str_find(t, STR("a_gauge")) < str_find(t, STR("t_requests_total")));
	buf_deinit(&b);
}

static double value_of(struct str text, const char *name)
{
	size_t at = str_find(text, str_c(name));

	assert_true(at < text.n);
	return strtod(text.p + at + strlen(name), NULL);
}

static void test_metrics__process(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	metrics_write(&b);
	buf_add_c(&b, 0);
	assert_true(value_of(buf_str(&b), "\nprocess_resident_memory_bytes ") > 100000);
	assert_true(value_of(buf_str(&b), "\nprocess_open_fds ") >= 3);
	assert_true(value_of(buf_str(&b), "\nprocess_cpu_seconds_total ") >= 0);
	assert_in_range((int64_t)value_of(buf_str(&b), "\nprocess_start_time_seconds "),
			wall_now().s - 600, wall_now().s + 2);
	buf_deinit(&b);
}

static void *hammer(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "i=\"%d\"", i % 50);
		metric_add(metric_get(METRIC_COUNTER, "hammer_total", "Hammer.", labels), 1);
		metric_observe_us(metric_get(METRIC_HISTOGRAM, "hammer_seconds", "H.", NULL), i);
	}
	return NULL;
}

static void test_metrics__threads(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	pthread_t t[4];
	int64_t sum = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	metrics_write(&b);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 50; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		sum += metric_value(metric_get(METRIC_COUNTER, "hammer_total", "Hammer.", labels));
	}
	assert_int_equal(sum, 8000);
	assert_int_equal(metric_value(metric_get(METRIC_HISTOGRAM, "hammer_seconds", "H.", NULL)), 8000);
	buf_deinit(&b);
}

/* Labels that grow without end fill the table, not the memory. Last: the table stays full. */
static void test_metrics__bounded(void **state)
{
	struct metric *m = NULL, *before;

	for (int i = 0; i < 25000; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		before = m;
		m = metric_get(METRIC_COUNTER, "many_total", "Many.", labels);
		metric_add(m, 1);
	}
	assert_ptr_equal(m, before);
	assert_true(metric_value(m) > 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics__same_is_same), cmocka_unit_test(test_metrics__text),
		cmocka_unit_test(test_metrics__process),      cmocka_unit_test(test_metrics__threads),
		cmocka_unit_test(test_metrics__bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
