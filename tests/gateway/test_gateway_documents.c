/* Documents that requests bring: all of them together have a bound. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/gateway/site.h"

enum { MOST = 20000 };

static struct site site;
static char spaces[2 * MOST];

static int set_up(void **state)
{
	memset(spaces, ' ', sizeof(spaces));
	site_open(&site, &(struct site_options){.documents_max = MOST});
	site_add_repo(&site, "one", false);
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

/* One key, and as many spaces as that it has n bytes. */
static struct str document(size_t n)
{
	static const char text[] = "<Delete><Object><Key>main/k</Key></Object></Delete>";
	static char whole[sizeof(spaces) + sizeof(text)];

	memcpy(whole, text, sizeof(text) - 1);
	memcpy(whole + sizeof(text) - 1, spaces, n - (sizeof(text) - 1));
	return str_make(whole, n);
}

/* Memory goes a moment after the answer: until then it is SlowDown. */
static void soon(int status, struct str body)
{
	int64_t until = mono_ms() + 60000;
	struct answer a;

	while (mono_ms() < until) {
		int got;

		site_call(&site,
			  &(struct call){.method = "POST", .target = "/one?delete", .body = body}, &a);
		got = a.status;
		answer_free(&a);
		if (got == status)
			return;
		assert_int_equal(got, 503);
		usleep(5000);
	}
	fail_msg("no %d", status);
}

static void test_documents__bound(void **state)
{
	expect(&site, 200, .method = "PUT", .target = "/one/main/k", .body = STR("k"));
	expect_error(&site, 503, "SlowDown", .method = "POST", .target = "/one?delete",
		     .body = document(MOST + 1));
	expect(&site, 200, .target = "/one/main/k");
	/* What was held is free again: after answers, refusals and clients that went. */
	for (int i = 0; i < 5; i++) {
		soon(200, document(MOST));
		soon(400, str_make(spaces, MOST));
		site_abandon(&site,
			     &(struct call){.method = "POST", .target = "/one?delete", .body = document(MOST)},
			     MOST - 1);
	}
	soon(200, document(MOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_documents__bound)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
