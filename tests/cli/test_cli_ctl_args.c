/* The table of commands, and command lines read by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/ctl/args.h"

static struct arena *a;
static struct args *x;
static struct str why;

static int begin(void **state)
{
	a = arena_new();
	return 0;
}

static int end(void **state)
{
	arena_free(a);
	return 0;
}

#define PARSE(...) parse((char *[]){"sluicectl", __VA_ARGS__, NULL})

static bool parse(char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	x = ARENA_NEW(a, struct args);
	x->program = "sluicectl";
	why = STR_NONE;
	return args_parse(argc, argv, a, x, &why);
}

/* The table. */

static void test_table__each_row_is_whole(void **state)
{
	for (size_t i = 0; i < commands_n; i++) {
		const struct command *c = &commands[i];
		struct str path = str_c(c->path), group = str_head(path, path.n - command_last_word(c).n);

		assert_non_null(c->summary);
		assert_ptr_equal(command_find(path), c); /* and no other of that name */
		assert_true(c->min <= c->max);
		assert_true(c->max == 0 || c->args);
		if (group.n) {
			const struct command *above = command_find(str_head(group, group.n - 1));

			if (!above)
				fail_msg("%s: it has no group", c->path);
			/* A group that runs itself takes URIs, which no member's name can be. */
			if (above->run && (!above->args || !strstr(above->args, "URI")))
				fail_msg("%s: its group takes words for arguments", c->path);
		}
		if (c->example && !str_starts(str_c(c->example), path))
			fail_msg("%s: the example is of another command", c->path);
		/* A sentence gets its full stop from whoever shows it. */
		assert_true(c->summary[0] >= 'A' && c->summary[0] <= 'Z' && c->summary[strlen(c->summary) - 1] != '.');
	}
}

static void test_table__groups_have_members(void **state)
{
	for (size_t i = 0; i < commands_n; i++) {
		bool any = commands[i].run != NULL;

		for (size_t k = 0; k < commands_n; k++)
			any = any || command_is_below(&commands[k], str_c(commands[i].path));
		if (!any)
			fail_msg("%s: an empty group", commands[i].path);
	}
}

/* A flag that two sets of a command have, or a letter that two flags do, would hide one of them. */
static void test_table__flags_are_distinct(void **state)
{
	for (size_t i = 0; i < commands_n; i++) {
		const struct flag *f, *g;
		bool global, other;

		for (size_t at = 0; (f = command_next_flag(&commands[i], &at, &global));) {
			assert_true(f->help && f->help[strlen(f->help) - 1] != '.');
			assert_true(!f->required || !f->preset);
			for (size_t k = at; (g = command_next_flag(&commands[i], &k, &other));)
				if (!strcmp(f->name, g->name) || (f->brief && f->brief == g->brief && global == other))
					fail_msg("%s: --%s and --%s", commands[i].path, f->name, g->name);
		}
	}
}

/* Lines. */

static void test_args__flags_stand_anywhere(void **state)
{
	assert_true(
		PARSE("--no-color", "repo", "--config", "create", "create", "-d=trunk", "lakefs://abc", "--", "-x"));
	assert_string_equal(x->command->path, "repo create");
	assert_int_equal(x->words_n, 2);
	assert_true(str_eq(x->words[1], STR("-x")) && str_eq(args_text(x, "config"), STR("create")));
	assert_true(str_eq(args_text(x, "default-branch"), STR("trunk")) && args_bool(x, "no-color"));
}

static void test_args__forms_of_values(void **state)
{
	assert_true(PARSE("fs", "upload", "-rssrc", "-p4", "--pre-sign=false", "lakefs://a/b/c"));
	assert_true(args_bool(x, "recursive") && str_eq(args_text(x, "source"), STR("src")));
	assert_int_equal(args_number(x, "parallelism"), 4);
	assert_false(args_bool(x, "pre-sign"));
	assert_true(PARSE("fs", "upload", "-s", "-", "u"));
	assert_true(str_eq(args_text(x, "source"), STR("-")) && args_bool(x, "pre-sign"));
	assert_int_equal(args_number(x, "parallelism"), 25);
	assert_true(PARSE("refs-dump", "-o", "file", "--timeout", "1m", "lakefs://abc"));
	assert_int_equal(args_number(x, "timeout"), 60000);
	assert_int_equal(args_number(x, "poll-interval"), 3000);
	/* Of the same flag the last one counts. */
	assert_true(PARSE("repo", "list", "--amount", "1", "--amount=-2"));
	assert_int_equal(args_number(x, "amount"), -2);
}

static void test_args__lists(void **state)
{
	size_t n;
	struct str *v;

	assert_true(PARSE("commit", "u", "--meta", "a=1,b=2", "-m", "x,y", "--meta=c=3,"));
	v = args_texts(x, "meta", a, &n);
	assert_int_equal(n, 4);
	assert_true(str_eq(v[0], STR("a=1")) && str_eq(v[1], STR("b=2")) && str_eq(v[2], STR("c=3")) && v[3].n == 0);
	assert_true(str_eq(args_text(x, "message"), STR("x,y")));
	args_texts(x, "nosuch", a, &n);
	assert_int_equal(n, 0);
}

static void test_args__aliases_and_help(void **state)
{
	assert_true(PARSE("blame", "u"));
	assert_string_equal(x->command->path, "annotate");
	/* Who asks for help has nothing else to get right. */
	assert_true(PARSE("branch", "create", "-h"));
	assert_true(x->help);
	assert_true(PARSE("-v"));
	assert_true(x->version && !x->command);
}

static void test_args__required_flags_are_listed_in_order(void **state)
{
	assert_false(PARSE("fs", "stage", "u"));
	assert_true(str_eq(why, STR("required flag(s) \"checksum\", \"location\", \"size\" not set")));
	assert_false(PARSE("fs", "stage"));
	assert_true(str_eq(why, STR("accepts 1 arg(s), received 0")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table__each_row_is_whole),
		cmocka_unit_test(test_table__groups_have_members),
		cmocka_unit_test(test_table__flags_are_distinct),
		cmocka_unit_test_setup_teardown(test_args__flags_stand_anywhere, begin, end),
		cmocka_unit_test_setup_teardown(test_args__forms_of_values, begin, end),
		cmocka_unit_test_setup_teardown(test_args__lists, begin, end),
		cmocka_unit_test_setup_teardown(test_args__aliases_and_help, begin, end),
		cmocka_unit_test_setup_teardown(test_args__required_flags_are_listed_in_order, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
