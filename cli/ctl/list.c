#include "cli/ctl/list.h"

enum { PAGE = 1000 };

struct str member_str(const struct json *j, const char *key)
{
	struct str s = json_str(json_member(j, key));

	return s.p ? s : STR("");
}

static bool has_flag(const struct ctl *c, const char *name)
{
	const struct flag *f;
	size_t at = 0;
	bool global;

	while ((f = command_next_flag(c->args->command, &at, &global)))
		if (!strcmp(f->name, name))
			return true;
	return false;
}

struct str list_path(struct ctl *c, struct str path)
{
	static const char *const names[] = {"after", "prefix"};

	path = path_query(c->a, path, "amount", args_text(c->args, "amount"));
	for (size_t i = 0; i < 2; i++)
		if (has_flag(c, names[i]))
			path = path_query(c->a, path, names[i], args_text(c->args, names[i]));
	return path;
}

bool list_show(struct ctl *c, struct str path, const char *const *headers, size_t columns,
	       void (*row)(struct arena *a, const struct json *result, struct table *t))
{
	const struct json *results;
	struct answer w;
	struct table t;

	if (!ctl_get(c, c->a, list_path(c, path), &w))
		return false;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	table_init(&t, headers, columns);
	results = json_member(w.doc, "results");
	for (size_t i = 0; i < json_count(results); i++)
		row(c->a, json_at(results, i), &t);
	table_end(c, &t, w.doc, args_number(c->args, "amount"));
	return true;
}

/* *after is the next page's, empty at the end; in `keep`. */
static bool one_page(struct ctl *c, struct str path, struct buf *after,
		     bool (*each)(struct ctl *c, struct arena *a, const struct json *result, void *ud), void *ud)
{
	struct arena *a = arena_new();
	struct answer w;
	const struct json *results, *pages;
	bool good = ctl_get(
		c, a,
		path_query(a, path_query(a, path, "amount", arena_printf(a, "%d", PAGE)), "after", buf_str(after)), &w);

	buf_reset(after);
	if (good) {
		results = json_member(w.doc, "results");
		for (size_t i = 0; good && i < json_count(results); i++)
			good = each(c, a, json_at(results, i), ud);
		pages = json_member(w.doc, "pagination");
		if (json_bool(json_member(pages, "has_more")))
			buf_add(after, member_str(pages, "next_offset"));
	}
	arena_free(a);
	return good;
}

bool list_each(struct ctl *c, struct str path,
	       bool (*each)(struct ctl *c, struct arena *a, const struct json *result, void *ud), void *ud)
{
	struct buf after = BUF_INIT(1 << 20);
	bool good;

	do
		good = one_page(c, path, &after, each, ud);
	while (good && after.n);
	buf_deinit(&after);
	return good;
}
