/* branch-protect, gc. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 4 << 20 };

static bool rules_path(struct ctl *c, struct str *ret)
{
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	*ret = PATH(c->a, "/repositories/{}/settings/branch_protection", u.repo);
	return true;
}

bool cmd_branch_protect_list(struct ctl *c)
{
	static const char *const headers[] = {"BRANCH NAME PATTERN"};
	struct str path;
	struct answer w;
	struct table t;

	if (!rules_path(c, &path) || !ctl_get(c, c->a, path, &w))
		return false;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	table_init(&t, headers, 1);
	for (size_t i = 0; i < json_count(w.doc); i++)
		table_add(&t, member_str(json_at(w.doc, i), "pattern"));
	table_end(c, &t, NULL, 0);
	return true;
}

/* The rules with `pattern` added, or without it. *ret_found: it was there. */
static bool change_rules(struct ctl *c, struct str pattern, bool add, bool *ret_found)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer have, answer;
	struct str path;
	bool good;

	*ret_found = false;
	if (!rules_path(c, &path) || !ctl_get(c, c->a, path, &have))
		return false;
	jw_array(&w, NULL);
	for (size_t i = 0; i < json_count(have.doc); i++) {
		struct str one = member_str(json_at(have.doc, i), "pattern");

		*ret_found = *ret_found || str_eq(one, pattern);
		if (!add && str_eq(one, pattern))
			continue;
		jw_object(&w, NULL);
		jw_str(&w, "pattern", one);
		jw_end_object(&w);
	}
	if (add && !*ret_found) {
		jw_object(&w, NULL);
		jw_str(&w, "pattern", pattern);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	/* Only over what was read: a rule that somebody else adds meanwhile isn't lost. */
	good = (add ? *ret_found : !*ret_found) ||
	       client_ask(c->client, c->a,
			  &(struct call){.method = "PUT", .path = path, .doc = buf_str(&doc), .if_match = have.etag},
			  &answer, &c->fault);
	buf_deinit(&doc);
	return good;
}

bool cmd_branch_protect_add(struct ctl *c)
{
	bool found;

	return change_rules(c, ctl_word(c, 1), true, &found);
}

bool cmd_branch_protect_delete(struct ctl *c)
{
	bool found;

	if (!change_rules(c, ctl_word(c, 1), false, &found))
		return false;
	return found || ctl_fail(c, "Branch protection rule not found");
}

/* Retention. */

static bool gc_path(struct ctl *c, const char *below, struct str *ret)
{
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	*ret = arena_printf(c->a, STR_FMT "%s", STR_ARG(PATH(c->a, "/repositories/{}", u.repo)), below);
	return true;
}

static void write_rules(const struct json *rules)
{
	const struct json *branches = json_member(rules, "branches");
	struct buf b = BUF_INIT(DOC_MAX);
	struct json_out w = {&b, false};

	jw_object(&w, NULL);
	jw_array(&w, "branches");
	for (size_t i = 0; i < json_count(branches); i++) {
		jw_object(&w, NULL);
		jw_str(&w, "branch_id", member_str(json_at(branches, i), "branch_id"));
		jw_int(&w, "retention_days", json_int(json_member(json_at(branches, i), "retention_days")));
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_int(&w, "default_retention_days", json_int(json_member(rules, "default_retention_days")));
	jw_end_object(&w);
	out_document(buf_str(&b));
	buf_deinit(&b);
}

bool cmd_gc_get(struct ctl *c)
{
	const struct json *branches;
	struct answer w;
	struct str path;

	if (!gc_path(c, "/settings/gc_rules", &path) || !ctl_get(c, c->a, path, &w))
		return false;
	if (c->json || args_bool(c->args, "json")) {
		write_rules(w.doc);
		return true;
	}
	branches = json_member(w.doc, "branches");
	printf("Default Retention Days: %lld\nBranch Rules: \n",
	       (long long)json_int(json_member(w.doc, "default_retention_days")));
	for (size_t i = 0; i < json_count(branches); i++)
		printf("  - Branch: " STR_FMT "\n    Retention Days: %lld\n",
		       STR_ARG(member_str(json_at(branches, i), "branch_id")),
		       (long long)json_int(json_member(json_at(branches, i), "retention_days")));
	return true;
}

bool cmd_gc_set(struct ctl *c)
{
	struct str path, text;
	struct json *doc;
	struct err e = {0};
	struct answer w;

	if (!gc_path(c, "/settings/gc_rules", &path) ||
	    !ctl_read_text(c, args_text(c->args, "filename"), DOC_MAX, &text))
		return false;
	if (!rc_ok(json_parse(c->a, text, &doc, &e)))
		return ctl_fail(c, "the rules are no JSON: %s", e.msg);
	return ctl_send(c, c->a, "PUT", path, text, &w);
}

bool cmd_gc_delete(struct ctl *c)
{
	struct str path;
	struct answer w;

	return gc_path(c, "/settings/gc_rules", &path) && ctl_send(c, c->a, "DELETE", path, STR_NONE, &w);
}

bool cmd_gc_prepare(struct ctl *c)
{
	struct str path, id;
	struct answer w;

	if (!gc_path(c, "/gc/prepare_commits/async", &path) || !ctl_send(c, c->a, "POST", path, STR_NONE, &w))
		return false;
	id = member_str(w.doc, "id");
	if (c->json)
		out_document(w.body);
	else
		printf("Started prepare GC commits task " STR_FMT ".\n\nCheck it using\n    %s gc check-async " STR_FMT
		       " --id " STR_FMT "\n",
		       STR_ARG(id), c->args->program, STR_ARG(ctl_word(c, 0)), STR_ARG(id));
	return true;
}

static void show_run(struct ctl *c, const struct json *status)
{
	const struct json *result = json_member(status, "result");
	struct str url = member_str(result, "gc_commits_presigned_url");
	bool done = json_bool(json_member(status, "completed"));

	printf("GC commits task " STR_FMT ": %s.\n", STR_ARG(member_str(status, "task_id")),
	       done ? "Completed" : "In progress");
	if (done) {
		printf("Commits location: " STR_FMT "\n\n  Run ID:           " STR_FMT "\n\n\n",
		       STR_ARG(member_str(result, "gc_commits_location")), STR_ARG(member_str(result, "run_id")));
		if (url.n)
			printf("  Presigned URL:    " STR_FMT "\n", STR_ARG(url));
	}
	printf("Last updated " STR_FMT ".\n", STR_ARG(out_moment(c->a, member_str(status, "update_time"))));
}

bool cmd_gc_check(struct ctl *c)
{
	const struct json *error;
	struct answer w;
	struct str path;

	if (!gc_path(c, "/gc/prepare_commits/status", &path) ||
	    !ctl_get(c, c->a, path_query(c->a, path, "id", args_text(c->args, "id")), &w))
		return false;
	error = json_member(w.doc, "error");
	if (member_str(error, "message").n)
		return ctl_fail(c, "GC commits task " STR_FMT " failed: " STR_FMT, STR_ARG(args_text(c->args, "id")),
				STR_ARG(member_str(error, "message")));
	if (c->json)
		out_document(w.body);
	else
		show_run(c, w.doc);
	return true;
}
