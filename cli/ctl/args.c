#include "cli/ctl/args.h"

#include <assert.h>
#include <stdlib.h>

#include "cli/ctl/settings.h"

/* Finding. */

static const struct flag *flag_by_name(const struct command *cmd, struct str name)
{
	const struct flag *f;
	size_t at = 0;
	bool global;

	while ((f = command_next_flag(cmd, &at, &global)))
		if (str_eq(str_c(f->name), name))
			return f;
	return NULL;
}

static const struct flag *flag_by_letter(const struct command *cmd, char c)
{
	const struct flag *f;
	size_t at = 0;
	bool global;

	while ((f = command_next_flag(cmd, &at, &global)))
		if (f->brief == c)
			return f;
	return NULL;
}

/* Values. */

static bool number(struct str s, int64_t *ret)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t n;

	if (!str_to_u64(minus ? str_skip(s, 1) : s, &n) || n > INT64_MAX)
		return false;
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool is_true(struct str s)
{
	return str_eq_nocase(s, STR("true")) || str_eq(s, STR("1")) || str_eq_nocase(s, STR("t"));
}

static bool is_false(struct str s)
{
	return str_eq_nocase(s, STR("false")) || str_eq(s, STR("0")) || str_eq_nocase(s, STR("f"));
}

static bool fits(const struct flag *f, struct str value)
{
	int64_t n;

	switch (f->kind) {
	case FLAG_BOOL:
		return is_true(value) || is_false(value);
	case FLAG_NUMBER:
		return number(value, &n);
	case FLAG_DURATION:
		return duration_parse(value, &n);
	case FLAG_TEXT:
	case FLAG_TEXTS:
		break;
	}
	return true;
}

static const char *wanted(const struct flag *f)
{
	return f->kind == FLAG_NUMBER	  ? "a whole number"
	       : f->kind == FLAG_DURATION ? "a duration such as 500ms, 3s or 1h"
					  : "true or false";
}

static bool take(struct args *x, const struct flag *f, struct str value, struct arena *a, struct str *ret_why)
{
	if (!fits(f, value)) {
		*ret_why = arena_printf(a, "invalid argument \"" STR_FMT "\" for \"--%s\" flag: it must be %s",
					STR_ARG(str_head(value, 200)), f->name, wanted(f));
		return false;
	}
	if (x->given_n == GIVEN_MAX) {
		*ret_why = arena_printf(a, "more than %d flags", GIVEN_MAX);
		return false;
	}
	x->given[x->given_n++] = (struct given){f, value};
	return true;
}

/* Words and flags. */

struct line {
	int argc, at;
	char **argv;
	struct arena *a;
	struct args *x;
	struct str *ret_why;
};

static bool next_value(struct line *l, const struct flag *f, struct str name, struct str *ret)
{
	if (l->at + 1 < l->argc) {
		*ret = str_c(l->argv[++l->at]);
		return true;
	}
	*l->ret_why = arena_printf(l->a, "flag needs an argument: " STR_FMT, STR_ARG(name));
	return false;
}

static bool long_flag(struct line *l, struct str arg)
{
	struct str value, name = str_cut(str_skip(arg, 2), '=', &value);
	const struct flag *f = flag_by_name(l->x->command, name);

	if (!f) {
		*l->ret_why = arena_printf(l->a, "unknown flag: --" STR_FMT, STR_ARG(str_head(name, 200)));
		return false;
	}
	if (!value.p && f->kind == FLAG_BOOL)
		value = STR("true");
	if (!value.p && !next_value(l, f, arg, &value))
		return false;
	return take(l->x, f, value, l->a, l->ret_why);
}

static bool letters(struct line *l, struct str arg)
{
	for (size_t i = 1; i < arg.n; i++) {
		const struct flag *f = flag_by_letter(l->x->command, arg.p[i]);
		struct str value = str_skip(arg, i + 1);

		if (!f) {
			*l->ret_why = arena_printf(l->a, "unknown shorthand flag: '%c' in " STR_FMT, arg.p[i],
						   STR_ARG(str_head(arg, 200)));
			return false;
		}
		if (f->kind == FLAG_BOOL && !(value.n && value.p[0] == '=')) {
			if (!take(l->x, f, STR("true"), l->a, l->ret_why))
				return false;
			continue;
		}
		if (value.n && value.p[0] == '=')
			value = str_skip(value, 1);
		else if (!value.n &&
			 !next_value(l, f, arena_printf(l->a, "'%c' in " STR_FMT, arg.p[i], STR_ARG(arg)), &value))
			return false;
		return take(l->x, f, value, l->a, l->ret_why);
	}
	return true;
}

static bool word(struct line *l, struct str arg)
{
	if (l->x->words_n == ARGS_MAX) {
		*l->ret_why = arena_printf(l->a, "more than %d arguments", ARGS_MAX);
		return false;
	}
	l->x->words[l->x->words_n++] = arg;
	return true;
}

/* The command's words come first of all words, but flags may stand between: they are found by looking
 * ahead, passing over global flags and their values. */
static const struct command *find_command(int argc, char **argv, struct arena *a, unsigned *ret_words,
					  struct str *ret_left)
{
	const struct command *found = NULL;
	struct str path = STR("");

	*ret_words = 0;
	for (int i = 1; i < argc; i++) {
		struct str arg = str_c(argv[i]), longer;
		const struct command *next;

		if (arg.n > 1 && arg.p[0] == '-') {
			bool is_long = str_starts(arg, STR("--")), has = str_index(arg, '=') < arg.n;
			const struct flag *f = is_long ? flag_by_name(found, str_head(str_skip(arg, 2),
										      str_index(str_skip(arg, 2), '=')))
						       : flag_by_letter(found, arg.p[1]);

			if (arg.n == 2 && is_long)
				break;
			if (f && f->kind != FLAG_BOOL && !has && (is_long || arg.n == 2))
				i++;
			continue;
		}
		longer = path.n ? arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(path), STR_ARG(arg)) : arg;
		next = command_find(longer);
		if (!next) {
			*ret_left = arg;
			break;
		}
		found = next;
		path = str_c(next->path);
		++*ret_words;
	}
	return found;
}

static bool read_words(struct line *l, unsigned command_words)
{
	bool only_words = false;

	for (l->at = 1; l->at < l->argc; l->at++) {
		struct str arg = str_c(l->argv[l->at]);
		bool good;

		if (!only_words && str_eq(arg, STR("--"))) {
			only_words = true;
			continue;
		}
		if (only_words || arg.n < 2 || arg.p[0] != '-') {
			if (command_words) {
				command_words--;
				continue;
			}
			good = word(l, arg);
		} else {
			good = arg.p[1] == '-' ? long_flag(l, arg) : letters(l, arg);
		}
		if (!good)
			return false;
	}
	return true;
}

/* Checks of the whole. */

static bool count_words(const struct args *x, struct arena *a, struct str *ret_why)
{
	const struct command *cmd = x->command;
	size_t n = x->words_n;

	if (n >= cmd->min && n <= cmd->max)
		return true;
	if (cmd->max == 0)
		*ret_why = arena_printf(a, "unknown command \"" STR_FMT "\" for \"%s %s\"",
					STR_ARG(str_head(x->words[0], 200)), x->program, cmd->path);
	else if (cmd->min == cmd->max)
		*ret_why = arena_printf(a, "accepts %u arg(s), received %zu", cmd->min, n);
	else if (cmd->max == ARGS_ANY)
		*ret_why = arena_printf(a, "requires at least %u arg(s), only received %zu", cmd->min, n);
	else
		*ret_why = arena_printf(a, "accepts between %u and %u arg(s), received %zu", cmd->min, cmd->max, n);
	return false;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool has_required(const struct args *x, struct arena *a, struct str *ret_why)
{
	struct str missing[16], list = STR("");
	const struct flag *f;
	size_t at = 0, n = 0;
	bool global;

	while ((f = command_next_flag(x->command, &at, &global)))
		if (f->required && !args_given(x, f->name) && n < 16)
			missing[n++] = str_c(f->name);
	if (!n)
		return true;
	qsort(missing, n, sizeof(missing[0]), by_text);
	for (size_t i = 0; i < n; i++)
		list = arena_printf(a, STR_FMT "%s\"" STR_FMT "\"", STR_ARG(list), i ? ", " : "", STR_ARG(missing[i]));
	*ret_why = arena_printf(a, "required flag(s) " STR_FMT " not set", STR_ARG(list));
	return false;
}

bool args_parse(int argc, char **argv, struct arena *a, struct args *ret, struct str *ret_why)
{
	struct line l = {.argc = argc, .argv = argv, .a = a, .x = ret, .ret_why = ret_why};
	struct str left = STR_NONE;
	unsigned words;

	ret->command = find_command(argc, argv, a, &words, &left);
	if (left.p && (!ret->command || !ret->command->run)) {
		*ret_why = arena_printf(a, "unknown command \"" STR_FMT "\" for \"%s%s%s\"\nRun '%s --help' for usage.",
					STR_ARG(str_head(left, 200)), ret->program, ret->command ? " " : "",
					ret->command ? ret->command->path : "", ret->program);
		return false;
	}
	if (!read_words(&l, words))
		return false;
	ret->help = args_bool(ret, "help");
	ret->version = args_bool(ret, "version");
	if (ret->help || ret->version || !ret->command || !ret->command->run)
		return true;
	return count_words(ret, a, ret_why) && has_required(ret, a, ret_why);
}

/* Asking. */

static struct str last(const struct args *x, const char *flag, const struct flag **ret)
{
	for (size_t i = x->given_n; i-- > 0;)
		if (!strcmp(x->given[i].flag->name, flag)) {
			*ret = x->given[i].flag;
			return x->given[i].value;
		}
	*ret = flag_by_name(x->command, str_c(flag));
	return *ret && (*ret)->preset ? str_c((*ret)->preset) : STR("");
}

bool args_given(const struct args *x, const char *flag)
{
	for (size_t i = 0; i < x->given_n; i++)
		if (!strcmp(x->given[i].flag->name, flag))
			return true;
	return false;
}

struct str args_text(const struct args *x, const char *flag)
{
	const struct flag *f;

	return last(x, flag, &f);
}

bool args_bool(const struct args *x, const char *flag)
{
	const struct flag *f;

	return is_true(last(x, flag, &f));
}

int64_t args_number(const struct args *x, const char *flag)
{
	const struct flag *f;
	struct str value = last(x, flag, &f);
	int64_t n = 0;

	assert(!f || f->kind == FLAG_NUMBER || f->kind == FLAG_DURATION);
	if (value.n && !(f->kind == FLAG_NUMBER ? number(value, &n) : duration_parse(value, &n)))
		return 0;
	return n;
}

struct str *args_texts(const struct args *x, const char *flag, struct arena *a, size_t *ret_n)
{
	struct str *v = NULL;
	size_t n = 0;

	for (int round = 0; round < 2; round++) {
		if (round)
			v = arena_alloc(a, (n + 1) * sizeof(*v));
		n = 0;
		for (size_t i = 0; i < x->given_n; i++) {
			struct str rest = x->given[i].value;

			if (strcmp(x->given[i].flag->name, flag))
				continue;
			while (rest.p) {
				struct str one = str_cut(rest, ',', &rest);

				if (v)
					v[n] = one;
				n++;
			}
		}
	}
	*ret_n = n;
	return v;
}
