/* log, show commit, annotate. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/ctl/cmd.h"

enum { PAGE = 100, ID_SHORT = 8, ID_SHOWN = 16 };

static void show_parents(const struct json *parents)
{
	fputs("Merge:         ", stdout);
	for (size_t i = 0; i < json_count(parents); i++)
		printf("%s" STR_FMT, i ? ", " : "", STR_ARG(json_str(json_at(parents, i))));
	putchar('\n');
}

static void show_metadata(const struct json *metadata)
{
	if (!json_count(metadata))
		return;
	fputs("\nMetadata:\n", stdout);
	for (size_t i = 0; i < json_count(metadata); i++) {
		struct str key;
		struct str value = json_str(json_member_at(metadata, i, &key));

		printf("\t\n\t%-18.*s = " STR_FMT "\n", STR_ARG(key), STR_ARG(value));
	}
	putchar('\t');
}

static void show_commit(struct ctl *c, const struct json *j)
{
	struct str committer = member_str(j, "committer");

	fputs("\nID:            ", stdout);
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(j, "id"));
	putchar('\n');
	if (committer.n)
		printf("Author:        " STR_FMT "\n", STR_ARG(committer));
	printf("Date:          " STR_FMT "\n", STR_ARG(out_date(c->a, json_int(json_member(j, "creation_date")))));
	if (json_count(json_member(j, "parents")) > 1)
		show_parents(json_member(j, "parents"));
	if (args_bool(c->args, "show-meta-range-id"))
		printf("Meta Range ID: " STR_FMT "\n", STR_ARG(member_str(j, "meta_range_id")));
	printf("\n\t" STR_FMT "\n", STR_ARG(member_str(j, "message")));
	show_metadata(json_member(j, "metadata"));
}

bool cmd_show_commit(struct ctl *c)
{
	struct answer w;
	struct uri u;

	if (!ctl_uri(c, URI_COMMIT, 0, &u) ||
	    !ctl_get(c, c->a, PATH(c->a, "/repositories/{}/commits/{}", u.repo, u.ref), &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		show_commit(c, w.doc);
	return true;
}

/* Graphs, for Graphviz. */

static void put_escaped(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '&':
			fputs("&amp;", stdout);
			break;
		case '<':
			fputs("&lt;", stdout);
			break;
		case '>':
			fputs("&gt;", stdout);
			break;
		case '"':
			fputs("&#34;", stdout);
			break;
		case '\'':
			fputs("&#39;", stdout);
			break;
		default:
			putchar(s.p[i]);
		}
}

static void show_node(struct ctl *c, const struct uri *u, const struct json *j)
{
	const struct json *parents = json_member(j, "parents");
	struct str id = member_str(j, "id");
	bool merge = json_count(parents) > 1;

	printf("\n\t\"" STR_FMT "\" [shape=note target=\"_blank\" href=\"" STR_FMT "/repositories/" STR_FMT
	       "/commits/" STR_FMT "\" label=< %s" STR_FMT "<br/> ",
	       STR_ARG(id), STR_ARG(client_site(c->client)), STR_ARG(u->repo), STR_ARG(id), merge ? "<b>" : "",
	       STR_ARG(str_head(id, ID_SHORT)));
	put_escaped(member_str(j, "message"));
	printf("%s >]\n", merge ? "</b>" : "");
	for (size_t i = 0; i < json_count(parents); i++)
		printf("\t\"" STR_FMT "\" -> \"" STR_FMT "\";\n", STR_ARG(json_str(json_at(parents, i))), STR_ARG(id));
}

/* The history. */

static struct str log_path(struct ctl *c, const struct uri *u)
{
	static const char *const lists[] = {"objects", "prefixes"}, *const texts[] = {"since", "stop-at"},
				 *const names[] = {"since", "stop_at"};
	struct str path = PATH(c->a, "/repositories/{}/refs/{}/commits", u->repo, u->ref);

	for (int i = 0; i < 2; i++) {
		size_t n;
		struct str *v = args_texts(c->args, lists[i], c->a, &n);

		for (size_t k = 0; k < n; k++)
			path = path_query(c->a, path, lists[i], v[k]);
		if (args_given(c->args, texts[i]))
			path = path_query(c->a, path, names[i], args_text(c->args, texts[i]));
	}
	if (args_bool(c->args, "limit"))
		path = path_query(c->a, path, "limit", STR("true"));
	if (args_bool(c->args, "first-parent"))
		path = path_query(c->a, path, "first_parent", STR("true"));
	return path;
}

/* left: commits that may still be shown. */
static void show_page(struct ctl *c, const struct uri *u, const struct json *page, int64_t *left)
{
	const struct json *results = json_member(page, "results");

	for (size_t i = 0; i < json_count(results) && *left > 0; i++) {
		const struct json *j = json_at(results, i);

		if (args_bool(c->args, "no-merges") && json_count(json_member(j, "parents")) > 1)
			continue;
		if (args_bool(c->args, "dot"))
			show_node(c, u, j);
		else
			show_commit(c, j);
		--*left;
	}
}

static bool since_is_a_moment(struct ctl *c)
{
	struct str since = args_text(c->args, "since");
	struct timestamp t;

	return !since.n || time_parse_rfc3339(since, &t) ||
	       ctl_fail(c, "Failed to parse 'since' - '" STR_FMT "' is no moment such as 2023-11-14T22:13:21Z",
			STR_ARG(since));
}

bool cmd_log(struct ctl *c)
{
	int64_t amount = args_number(c->args, "amount"), left = amount > 0 ? amount : INT64_MAX;
	struct str path, after = args_text(c->args, "after");
	struct answer w;
	struct uri u;
	bool dot = args_bool(c->args, "dot"), more;

	if (!ctl_uri(c, URI_REF, 0, &u) || !since_is_a_moment(c))
		return false;
	path = log_path(c, &u);
	path = path_query(c->a, path, "amount", arena_printf(c->a, "%lld", (long long)(amount > 0 ? amount : PAGE)));
	if (dot && !c->json)
		puts("digraph {\n\trankdir=\"BT\"");
	do {
		if (!ctl_get(c, c->a, path_query(c->a, path, "after", after), &w))
			return false;
		if (c->json) {
			out_document(w.body);
			return true;
		}
		show_page(c, &u, w.doc, &left);
		after = member_str(json_member(w.doc, "pagination"), "next_offset");
		more = json_bool(json_member(json_member(w.doc, "pagination"), "has_more"));
	} while (more && left > 0 && !args_bool(c->args, "limit"));
	if (dot) {
		puts("\n}");
	} else if (c->interactive && more) {
		putchar('\n');
		out_more(c, w.doc, amount > 0 ? amount : PAGE);
	} else {
		putchar('\n');
	}
	return true;
}

/* Who last changed what. */

static bool annotate_one(struct ctl *c, struct arena *a, const struct json *entry, void *ud)
{
	const struct uri *u = ud;
	bool object = str_eq(member_str(entry, "path_type"), STR("object"));
	struct str path = PATH(a, "/repositories/{}/refs/{}/commits?limit=true&amount=1", u->repo, u->ref);
	const struct json *commits, *j;
	struct answer w;

	path = path_query(a, path, object ? "objects" : "prefixes", member_str(entry, "path"));
	if (args_bool(c->args, "first-parent"))
		path = path_query(a, path, "first_parent", STR("true"));
	if (!ctl_get(c, a, path, &w))
		return false;
	commits = json_member(w.doc, "results");
	j = json_count(commits) ? json_at(commits, 0) : NULL;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	if (j)
		printf("%-16.*s%-21.*s%-21.*s%-31.*s" STR_FMT "\n", STR_ARG(member_str(entry, "path")),
		       STR_ARG(member_str(j, "committer")), STR_ARG(str_head(member_str(j, "id"), ID_SHOWN)),
		       STR_ARG(out_date(a, json_int(json_member(j, "creation_date")))),
		       STR_ARG(member_str(j, "message")));
	return true;
}

bool cmd_annotate(struct ctl *c)
{
	struct str path;
	struct uri u;

	if (!ctl_uri(c, URI_PATH, 0, &u))
		return false;
	path = path_query(c->a, PATH(c->a, "/repositories/{}/refs/{}/objects/ls", u.repo, u.ref), "prefix", u.path);
	if (!args_bool(c->args, "recursive"))
		path = path_query(c->a, path, "delimiter", STR("/"));
	return list_each(c, path, annotate_one, &u);
}
