/* diff. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

static const struct kind {
	const char *type, *shown;
	enum colour colour;
} kinds[] = {
	{"added", "+ added", COLOUR_GREEN},
	{"removed", "- removed", COLOUR_RED},
	{"changed", "~ modified", COLOUR_YELLOW},
	{"conflict", "* conflict", COLOUR_BRIGHT_YELLOW},
	{"prefix_changed", "~ modified", COLOUR_YELLOW},
};

struct shown {
	bool any;
};

static const struct kind *kind_of(const struct json *change)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(member_str(change, "type"), str_c(kinds[i].type)))
			return &kinds[i];
	return NULL;
}

static void write_change(const struct json *change, struct shown *s)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out w = {&b, false};

	jw_object(&w, NULL);
	jw_str(&w, "type", member_str(change, "type"));
	jw_str(&w, "path", member_str(change, "path"));
	jw_str(&w, "path_type", member_str(change, "path_type"));
	if (json_type(json_member(change, "size_bytes")) == JSON_INT)
		jw_int(&w, "size_bytes", json_int(json_member(change, "size_bytes")));
	jw_end_object(&w);
	printf("%s    " STR_FMT, s->any ? ",\n" : "\n", STR_ARG(buf_str(&b)));
	buf_deinit(&b);
}

static bool show_change(struct ctl *c, struct arena *a, const struct json *change, void *ud)
{
	struct shown *s = ud;
	const struct kind *k = kind_of(change);

	if (c->json)
		write_change(change, s);
	else if (k)
		out_coloured(c, k->colour,
			     arena_printf(a, "%s " STR_FMT "\n", k->shown, STR_ARG(member_str(change, "path"))));
	s->any = true;
	return true;
}

/* All pages, as one document. */
static bool show(struct ctl *c, struct str path)
{
	struct shown s = {0};
	bool good;

	if (c->json)
		fputs("{\n  \"results\": [", stdout);
	good = list_each(c, path, show_change, &s);
	if (c->json)
		puts(s.any ? "\n  ]\n}" : "]\n}");
	return good;
}

bool cmd_diff(struct ctl *c)
{
	struct uri left, right;
	struct str path;

	if (!ctl_uri(c, URI_REF, 0, &left))
		return false;
	if (c->args->words_n == 1) {
		out_line(c, "Ref: " STR_FMT, STR_ARG(left.text));
		return show(c, path_query(c->a, PATH(c->a, "/repositories/{}/branches/{}/diff", left.repo, left.ref),
					  "prefix", args_text(c->args, "prefix")));
	}
	if (!ctl_uri(c, URI_REF, 1, &right))
		return false;
	out_line(c, "Left ref: " STR_FMT "\nRight ref: " STR_FMT, STR_ARG(left.text), STR_ARG(right.text));
	if (!str_eq(left.repo, right.repo))
		return ctl_fail(c, "both references must belong to the same repository");
	path = PATH(c->a, "/repositories/{}/refs/{}/diff/{}", left.repo, left.ref, right.ref);
	path = path_query(c->a, path, "type", args_bool(c->args, "two-way") ? STR("two_dot") : STR("three_dot"));
	return show(c, path_query(c->a, path, "prefix", args_text(c->args, "prefix")));
}
