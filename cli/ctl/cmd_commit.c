/* commit, cherry-pick, show commit, merge, find-merge-base. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 4 << 20 };

void show_committed(struct ctl *c, struct str branch, const struct json *commit)
{
	const struct json *parents = json_member(commit, "parents");

	printf("Commit for branch \"" STR_FMT "\" completed.\n\nID: ", STR_ARG(branch));
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(commit, "id"));
	printf("\nMessage: " STR_FMT "\nTimestamp: " STR_FMT "\nParents: ", STR_ARG(member_str(commit, "message")),
	       STR_ARG(out_date(c->a, json_int(json_member(commit, "creation_date")))));
	for (size_t i = 0; i < json_count(parents); i++)
		printf("%s" STR_FMT, i ? ", " : "", STR_ARG(json_str(json_at(parents, i))));
	fputs("\n\n", stdout);
}

static void show_result(struct ctl *c, struct str branch, const struct answer *w)
{
	if (c->json)
		out_document(w->body);
	else
		show_committed(c, branch, w->doc);
}

/* Sends the document in `doc`, and frees it. */
static bool post(struct ctl *c, struct str path, struct buf *doc, struct answer *ret)
{
	bool good = doc->overflow ? ctl_fail(c, "the message and its metadata are larger than 4 MiB")
				  : ctl_send(c, c->a, "POST", path, buf_str(doc), ret);

	buf_deinit(doc);
	return good;
}

static bool write_message(struct ctl *c, struct json_out *w)
{
	jw_str(w, "message", args_text(c->args, "message"));
	return ctl_write_pairs(c, w, "metadata", "meta");
}

static bool message_is_there(struct ctl *c)
{
	return args_text(c->args, "message").n || args_bool(c->args, "allow-empty-message") ||
	       ctl_fail(c, "commit with no message without specifying the \"--allow-empty-message\" flag");
}

bool cmd_commit(struct ctl *c)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	int64_t date = args_number(c->args, "epoch-time-seconds");
	struct answer answer;
	struct uri u;

	if (!message_is_there(c) || !ctl_uri(c, URI_BRANCH, 0, &u))
		return false;
	jw_object(&w, NULL);
	if (!write_message(c, &w)) {
		buf_deinit(&doc);
		return false;
	}
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	jw_bool(&w, "allow_empty", args_bool(c->args, "allow-empty-commit"));
	if (args_given(c->args, "epoch-time-seconds") && date >= 0)
		jw_int(&w, "date", date);
	jw_end_object(&w);
	if (!post(c, PATH(c->a, "/repositories/{}/branches/{}/commits", u.repo, u.ref), &doc, &answer))
		return false;
	show_result(c, u.ref, &answer);
	return true;
}

bool cmd_cherry_pick(struct ctl *c)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri ref, u;

	if (!ctl_uri(c, URI_REF, 0, &ref) || !ctl_uri(c, URI_BRANCH, 1, &u))
		return false;
	out_line(c, "Branch: " STR_FMT, STR_ARG(u.text));
	if (!str_eq(ref.repo, u.repo))
		return ctl_fail(c, "Repository mismatch for destination branch and cherry-pick ref");
	jw_object(&w, NULL);
	jw_str(&w, "ref", ref.ref);
	jw_int(&w, "parent_number", args_number(c->args, "parent-number"));
	jw_end_object(&w);
	if (!post(c, PATH(c->a, "/repositories/{}/branches/{}/cherry-pick", u.repo, u.ref), &doc, &answer))
		return false;
	show_result(c, u.ref, &answer);
	return true;
}

/* Merging. */

static bool two_refs(struct ctl *c, struct uri *from, struct uri *into)
{
	if (!ctl_uri(c, URI_REF, 0, from) || !ctl_uri(c, URI_REF, 1, into))
		return false;
	out_line(c, "Source: " STR_FMT "\nDestination: " STR_FMT, STR_ARG(from->text), STR_ARG(into->text));
	return str_eq(from->repo, into->repo) || ctl_fail(c, "both references must belong to the same repository");
}

static bool write_merge(struct ctl *c, struct json_out *w)
{
	jw_object(w, NULL);
	if (!write_message(c, w))
		return false;
	jw_str(w, "strategy", args_text(c->args, "strategy"));
	jw_bool(w, "allow_empty", args_bool(c->args, "allow-empty"));
	jw_bool(w, "squash_merge", args_bool(c->args, "squash"));
	if (args_bool(c->args, "force"))
		jw_bool(w, "force", true);
	jw_end_object(w);
	return true;
}

bool cmd_merge(struct ctl *c)
{
	struct str strategy = args_text(c->args, "strategy");
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri from, into;

	if (!message_is_there(c) || !two_refs(c, &from, &into))
		return false;
	if (strategy.n && !str_eq(strategy, STR("dest-wins")) && !str_eq(strategy, STR("source-wins")))
		return ctl_fail(c, "Invalid strategy value. Expected \"dest-wins\" or \"source-wins\"");
	if (!write_merge(c, &w)) {
		buf_deinit(&doc);
		return false;
	}
	if (!post(c, PATH(c->a, "/repositories/{}/refs/{}/merge/{}", from.repo, from.ref, into.ref), &doc, &answer))
		return c->fault.kind == FAULT_ANSWER && c->fault.status == 409 ? ctl_fail(c, "Conflict found.") : false;
	if (c->json)
		out_document(answer.body);
	else
		printf("Merged \"" STR_FMT "\" into \"" STR_FMT "\" to get \"" STR_FMT "\".\n", STR_ARG(from.ref),
		       STR_ARG(into.ref), STR_ARG(member_str(answer.doc, "reference")));
	return true;
}

bool cmd_find_merge_base(struct ctl *c)
{
	struct answer w;
	struct uri from, into;

	if (!two_refs(c, &from, &into) ||
	    !ctl_get(c, c->a, PATH(c->a, "/repositories/{}/refs/{}/merge/{}", from.repo, from.ref, into.ref), &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		printf("Found base \"" STR_FMT "\" when merging \"" STR_FMT "\" into \"" STR_FMT "\".\n",
		       STR_ARG(member_str(w.doc, "base_commit_id")), STR_ARG(member_str(w.doc, "source_commit_id")),
		       STR_ARG(member_str(w.doc, "destination_commit_id")));
	return true;
}
