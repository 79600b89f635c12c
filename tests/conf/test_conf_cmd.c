#include "tests/conf/conf_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/cmd.h"

static char dir[] = "/tmp/conf-test-XXXXXX";
static char config[64], output[64];

/* Runs `config args...`; what it wrote to standard output is in `printed`. */
static int run(struct buf *printed, const char *sub, const char *arg)
{
	char *argv[] = {"config", (char *)sub, (char *)arg, NULL};
	int old = dup(STDOUT_FILENO), fd = open(output, O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	ssize_t n;

	assert_true(old >= 0 && fd >= 0);
	fflush(stdout);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	status = cmd_config(arg ? 3 : sub ? 2 : 1, argv);
	fflush(stdout);
	assert_true(dup2(old, STDOUT_FILENO) >= 0);
	close(old);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	buf_reset(printed);
	while ((n = read(fd, buf_reserve(printed, 65536), 65536)) > 0)
		printed->n += (size_t)n;
	close(fd);
	return status;
}

static void write_config(struct str text)
{
	FILE *f = fopen(config, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
}

static void test_cmd__check(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	write_config(STR(MINIMAL));
	assert_int_equal(run(&out, "check", config), 0);
	assert_true(str_ends(buf_str(&out), STR(": fine\n")));
	write_config(STR(MINIMAL "stats: {enabled: true}\n"));
	assert_int_equal(run(&out, "check", config), 0);
	assert_true(str_find(buf_str(&out), STR("c.yaml:4: stats.enabled: warning: ")) < out.n);
	write_config(STR(MINIMAL "a: 1\nb: 2\n"));
	assert_int_equal(run(&out, "check", config), 2);
	assert_true(str_find(buf_str(&out), STR("c.yaml:4: a: unknown key")) < out.n);
	assert_true(str_find(buf_str(&out), STR("c.yaml:5: b: unknown key")) < out.n);
	assert_int_equal(run(&out, "check", "/nonexistent.yaml"), 2);
	buf_deinit(&out);
}

static void test_cmd__sample_passes_check(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(run(&out, "sample", NULL), 0);
	write_config(buf_str(&out));
	assert_int_equal(run(&out, "check", config), 0);
	buf_deinit(&out);
}

static void test_cmd__reference(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(run(&out, "reference", NULL), 0);
	assert_true(str_starts(buf_str(&out), STR("# Configuration\n")));
	buf_deinit(&out);
}

static void test_cmd__usage(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(run(&out, NULL, NULL), 2);
	assert_int_equal(run(&out, "chekc", NULL), 2);
	assert_int_equal(run(&out, "sample", "x"), 2);
	assert_int_equal(out.n, 0);
	buf_deinit(&out);
}

static int setup(void **state)
{
	static char *const env[] = {"HOME=/home/me", NULL};

	if (!mkdtemp(dir))
		return -1;
	environ = (char **)env; /* the command reads it */
	snprintf(config, sizeof(config), "%s/c.yaml", dir);
	snprintf(output, sizeof(output), "%s/out", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(config);
	unlink(output);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cmd__check),
		cmocka_unit_test(test_cmd__sample_passes_check),
		cmocka_unit_test(test_cmd__reference),
		cmocka_unit_test(test_cmd__usage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
