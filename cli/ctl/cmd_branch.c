/* branch. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 1 << 20 };

static void ref_row(struct arena *a, const struct json *r, struct table *t)
{
	table_add(t, member_str(r, "id"));
	table_add(t, member_str(r, "commit_id"));
}

static bool refs_list(struct ctl *c, const char *path, const char *title)
{
	const char *const headers[] = {title, "COMMIT ID"};
	struct uri u;

	return ctl_uri(c, URI_REPO, 0, &u) && list_show(c, PATH(c->a, path, u.repo), headers, 2, ref_row);
}

bool cmd_branch_list(struct ctl *c)
{
	return refs_list(c, "/repositories/{}/branches", "BRANCH");
}

bool cmd_tag_list(struct ctl *c)
{
	return refs_list(c, "/repositories/{}/tags", "TAG");
}

static bool show_branch(struct ctl *c, const struct uri *u)
{
	struct answer w;

	if (!ctl_get(c, c->a, PATH(c->a, "/repositories/{}/branches/{}", u->repo, u->ref), &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		printf("Commit ID: " STR_FMT "\n", STR_ARG(member_str(w.doc, "commit_id")));
	return true;
}

bool cmd_branch_show(struct ctl *c)
{
	struct uri u;

	if (!ctl_uri(c, URI_BRANCH, 0, &u))
		return false;
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	return show_branch(c, &u);
}

bool cmd_branch_create(struct ctl *c)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct uri u, source;
	struct answer answer;
	bool good;

	if (!ctl_uri(c, URI_BRANCH, 0, &u) || !ctl_uri_of(c, URI_REF, args_text(c->args, "source"), &source))
		return false;
	out_line(c, "Source ref: " STR_FMT, STR_ARG(source.text));
	if (!str_eq(u.repo, source.repo))
		return ctl_fail(c, "source branch must be in the same repository");
	jw_object(&w, NULL);
	jw_str(&w, "name", u.ref);
	jw_str(&w, "source", source.ref);
	jw_end_object(&w);
	good = client_ask(c->client, c->a,
			  &(struct call){.method = "POST",
					 .path = PATH(c->a, "/repositories/{}/branches", u.repo),
					 .doc = buf_str(&doc),
					 .raw = true},
			  &answer, &c->fault);
	buf_deinit(&doc);
	if (good && c->json)
		return show_branch(c, &u);
	if (good)
		printf("created branch '" STR_FMT "' " STR_FMT "\n", STR_ARG(u.ref), STR_ARG(answer.body));
	return good;
}

bool cmd_branch_delete(struct ctl *c)
{
	struct answer w;
	struct uri u;

	if (!ctl_uri(c, URI_BRANCH, 0, &u))
		return false;
	if (!ctl_confirm(c, "Are you sure you want to delete branch"))
		return ctl_fail(c, "Delete branch aborted");
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	return ctl_send(c, c->a, "DELETE", PATH(c->a, "/repositories/{}/branches/{}", u.repo, u.ref), STR_NONE, &w);
}

bool cmd_branch_reset(struct ctl *c)
{
	struct str prefix = args_text(c->args, "prefix"), object = args_text(c->args, "object");
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri u;
	bool good;

	if (!ctl_uri(c, URI_BRANCH, 0, &u))
		return false;
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	jw_object(&w, NULL);
	/* With both, the prefix. */
	jw_str(&w, "type", prefix.n ? STR("common_prefix") : object.n ? STR("object") : STR("reset"));
	if (prefix.n || object.n)
		jw_str(&w, "path", prefix.n ? prefix : object);
	jw_end_object(&w);
	good = prefix.n
		       ? ctl_confirm(c,
				     "Are you sure you want to reset all changes from path: " STR_FMT " to last commit",
				     STR_ARG(prefix))
	       : object.n ? ctl_confirm(c,
					"Are you sure you want to reset all changes for object: " STR_FMT
					" to last commit",
					STR_ARG(object))
			  : ctl_confirm(c, "Are you sure you want to reset all uncommitted changes");
	if (!good)
		ctl_fail(c, "Reset aborted");
	else
		good = ctl_send(c, c->a, "PUT", PATH(c->a, "/repositories/{}/branches/{}", u.repo, u.ref),
				buf_str(&doc), &answer);
	buf_deinit(&doc);
	return good;
}

static bool revert(struct ctl *c, const struct uri *u, struct str ref)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	bool good;

	jw_object(&w, NULL);
	jw_str(&w, "ref", ref);
	jw_int(&w, "parent_number", args_number(c->args, "parent-number"));
	jw_bool(&w, "allow_empty", args_bool(c->args, "allow-empty-commit"));
	jw_end_object(&w);
	good = ctl_send(c, c->a, "POST", PATH(c->a, "/repositories/{}/branches/{}/revert", u->repo, u->ref),
			buf_str(&doc), &answer);
	buf_deinit(&doc);
	if (good)
		out_line(c, "commit " STR_FMT " successfully reverted", STR_ARG(ref));
	return good;
}

bool cmd_branch_revert(struct ctl *c)
{
	struct str refs = STR("");
	struct uri u;

	if (!ctl_uri(c, URI_BRANCH, 0, &u))
		return false;
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	for (size_t i = 1; i < c->args->words_n; i++)
		refs = arena_printf(c->a, STR_FMT "%s" STR_FMT, STR_ARG(refs), i > 1 ? " " : "",
				    STR_ARG(ctl_word(c, i)));
	if (!ctl_confirm(c, "Are you sure you want to revert the effect of commits " STR_FMT, STR_ARG(refs)))
		return ctl_fail(c, "Revert aborted");
	for (size_t i = 1; i < c->args->words_n; i++)
		if (!revert(c, &u, ctl_word(c, i)))
			return false;
	return !c->json || show_branch(c, &u);
}
