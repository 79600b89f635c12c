/* The server's parts, put together and taken apart again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/app.h"

static void open_app(struct app *app)
{
	struct err err = {0};

	setenv("LAKEFS_DATABASE_TYPE", "mem", 1);
	setenv("LAKEFS_BLOCKSTORE_TYPE", "mem", 1);
	setenv("LAKEFS_AUTH_ENCRYPT_SECRET_KEY", "a key for sealing", 1);
	setenv("LAKEFS_LOGGING_LEVEL", "error", 1);
	assert_true(app_configure(app, NULL));
	if (!rc_ok(app_open(app, &err)))
		fail_msg("%s", err.msg);
}

struct late {
	struct work work;
	struct auth *auth;
	bool *done;
};

/* As a request's job that the stopped server gave up: it goes on with all that a request uses. */
static void late_run(struct work *w)
{
	struct late *l = (struct late *)w;
	struct err err = {0};
	bool is_setup = true;

	usleep(200 * 1000);
	*l->done = rc_ok(auth_is_setup(l->auth, &is_setup, &err)) && !is_setup;
}

static void test_app__closing_waits_for_late_work(void **state)
{
	for (int data = 0; data < 2; data++) {
		struct app app;
		bool done = false;
		struct late l = {.work.run = late_run, .done = &done};

		open_app(&app);
		l.auth = app.auth;
		assert_true(work_submit(data ? app.data : app.meta, &l.work));
		app_close(&app);
		assert_true(done);
	}
}

static void test_app__workers_end_first(void **state)
{
	struct app app;
	bool done = false;
	struct late l = {.work.run = late_run, .done = &done};

	open_app(&app);
	l.auth = app.auth;
	assert_true(work_submit(app.meta, &l.work));
	app_end_workers(&app);
	assert_true(done);
	assert_null(app.meta);
	assert_null(app.data);
	app_close(&app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_app__closing_waits_for_late_work),
		cmocka_unit_test(test_app__workers_end_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
