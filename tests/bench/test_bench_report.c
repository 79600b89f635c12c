#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/report.h"

static void test_report__quantiles(void **state)
{
	struct latencies l = {};

	assert_int_equal(latencies_quantile(&l, .99), 0);
	for (int i = 1000; i >= 1; i--)
		latencies_add(&l, i);
	latencies_sort(&l);
	assert_int_equal(latencies_quantile(&l, 0), 1);
	assert_int_equal(latencies_quantile(&l, .5), 501);
	assert_int_equal(latencies_quantile(&l, .99), 991);
	assert_int_equal(latencies_quantile(&l, 1), 1000);
	latencies_deinit(&l);
}

static void test_report__usage_of_a_process(void **state)
{
	struct usage before = usage_now(getpid()), after;
	int64_t begun_us = mono_us();
	volatile unsigned spin = 0;

	while (mono_us() - begun_us < 200000)
		spin++;
	after = usage_now(getpid());
	/* Some of those 200 ms; as much as a busy machine gave. */
	assert_true(after.client_cpu_s > before.client_cpu_s);
	assert_true(after.server_cpu_s >= before.server_cpu_s);
	assert_true(after.server_cpu_s - before.server_cpu_s < 5);
	assert_true(after.peak_kib > 500);
	after = usage_now(0x7ffffff0);
	assert_true(after.server_cpu_s == 0 && after.peak_kib == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report__quantiles),
		cmocka_unit_test(test_report__usage_of_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
