/* actions runs, cat-hook-output. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { HEADS = 7 };

/* lakectl shows an empty list as an empty line. */
static void run_row(struct arena *a, const struct json *r, struct table *t)
{
	table_add(t, member_str(r, "run_id"));
	table_add(t, member_str(r, "event_type"));
	table_add(t, out_moment(a, member_str(r, "start_time")));
	table_add(t, out_moment(a, member_str(r, "end_time")));
	table_add(t, member_str(r, "branch"));
	table_add(t, member_str(r, "commit_id"));
	table_add(t, member_str(r, "status"));
}

bool cmd_actions_list(struct ctl *c)
{
	static const char *const headers[HEADS] = {"RUN ID", "EVENT",	  "START TIME", "END TIME",
						   "BRANCH", "COMMIT ID", "STATUS"};
	struct str branch = args_text(c->args, "branch"), commit = args_text(c->args, "commit"), path;
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	if (branch.n && commit.n)
		return ctl_fail(c, "Can't specify 'commit' and 'branch'");
	path = PATH(c->a, "/repositories/{}/actions/runs", u.repo);
	if (branch.n)
		path = path_query(c->a, path, "branch", branch);
	if (commit.n)
		path = path_query(c->a, path, "commit", commit);
	return list_show(c, path, headers, HEADS, run_row);
}

static bool show_output(struct ctl *c, struct arena *a, const struct uri *u, struct str run, struct str hook)
{
	struct answer w;

	if (!client_ask(c->client, a,
			&(struct call){
				.method = "GET",
				.path = PATH(a, "/repositories/{}/actions/runs/{}/hooks/{}/output", u->repo, run, hook),
				.raw = true},
			&w, &c->fault)) {
		c->fault.text = arena_dup(c->a, c->fault.text);
		return false;
	}
	fwrite(w.body.p ? w.body.p : "", 1, w.body.n, stdout);
	putchar('\n');
	return true;
}

static bool show_hook(struct ctl *c, struct arena *a, const struct json *h, void *ud)
{
	const struct uri *u = ud;

	printf(STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\n",
	       STR_ARG(member_str(h, "hook_run_id")), STR_ARG(member_str(h, "hook_id")),
	       STR_ARG(out_moment(a, member_str(h, "start_time"))), STR_ARG(out_moment(a, member_str(h, "end_time"))),
	       STR_ARG(member_str(h, "action")), STR_ARG(member_str(h, "status")));
	return show_output(c, a, u, ctl_word(c, 1), member_str(h, "hook_run_id"));
}

bool cmd_actions_describe(struct ctl *c)
{
	struct answer w;
	struct uri u;
	struct str path;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	path = PATH(c->a, "/repositories/{}/actions/runs/{}", u.repo, ctl_word(c, 1));
	if (!ctl_get(c, c->a, path, &w))
		return false;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	printf(STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\n",
	       STR_ARG(member_str(w.doc, "run_id")), STR_ARG(member_str(w.doc, "event_type")),
	       STR_ARG(member_str(w.doc, "branch")), STR_ARG(out_moment(c->a, member_str(w.doc, "start_time"))),
	       STR_ARG(out_moment(c->a, member_str(w.doc, "end_time"))), STR_ARG(member_str(w.doc, "commit_id")),
	       STR_ARG(member_str(w.doc, "status")));
	return list_each(c, arena_printf(c->a, STR_FMT "/hooks", STR_ARG(path)), show_hook, &u);
}

bool cmd_hook_output(struct ctl *c)
{
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	return show_output(c, c->a, &u, ctl_word(c, 1), ctl_word(c, 2));
}
