/* What comes or goes between the reads of a request: its answer is right for some moment of it. */
#include <stdlib.h>

#include "tests/gateway/site.h"
#include "versions/branch.h"

enum { READS_MAX = 100 };

static struct site site;
static bool came;

static struct vcall call(void)
{
	return (struct vcall){.v = site.versions, .a = site.a, .wait = KV_BLOCK};
}

static void ok(rc done)
{
	if (!rc_ok(done))
		abort(); /* on a thread of the server's */
	came = true;
}

static void branch_comes(void *ud)
{
	struct vcall c = call();
	struct repo r;

	ok(repo_read(&c, STR("one"), &r));
	ok(branch_create(&c, &r, STR("late"), STR("main")));
}

static void repo_goes(void *ud)
{
	struct vcall c = call();

	ok(repo_delete(&c, STR("one")));
}

/* The answer to what is asked while that happens before the nth read; false: there were fewer. */
static bool meet(void (*event)(void *ud), unsigned nth, const char *target, struct str body,
		 struct answer *ret)
{
	came = false;
	site_open(&site, &(struct site_options){.store = SITE_MEM, .slow_kv = true, .repo_cache_ms = 1});
	site_add_repo(&site, "one", false);
	kv_fault_slow(site.kv, 1); /* so that all is read on workers */
	kv_fault_hook(site.kv, nth, event, NULL);
	site_call(&site, &(struct call){.method = "PUT", .target = target, .body = body}, ret);
	kv_fault_hook(site.kv, 0, NULL, NULL);
	site_close(&site);
	return came;
}

static void check(const struct answer *a, unsigned nth, bool right)
{
	if (!right)
		fail_msg("before read %u: %d " STR_FMT, nth, a->status, STR_ARG(buf_str(&a->body)));
}

static void test_meanwhile__a_branch_comes(void **state)
{
	struct answer a;
	unsigned nth = 1;

	while (meet(branch_comes, nth, "/one/late/x", STR("x"), &a)) {
		check(&a, nth, a.status == 200 || (a.status == 404 && answer_has(&a, "has no branch 'late'")));
		answer_free(&a);
		assert_in_range(nth++, 1, READS_MAX);
	}
	answer_free(&a);
	assert_in_range(nth, 3, READS_MAX);
}

static void test_meanwhile__a_branch_buckets_repository_goes(void **state)
{
	struct answer a;
	unsigned nth = 1;

	while (meet(repo_goes, nth, "/one.dev", STR(""), &a)) {
		check(&a, nth, a.status == 200 || (a.status == 404 && answer_has(&a, "<Code>NoSuchBucket</Code>") &&
						   !answer_has(&a, "default branch")));
		answer_free(&a);
		assert_in_range(nth++, 1, READS_MAX);
	}
	answer_free(&a);
	assert_in_range(nth, 3, READS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meanwhile__a_branch_comes),
		cmocka_unit_test(test_meanwhile__a_branch_buckets_repository_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
