/* backup, backup verify, backup manifest: copies of repositories, which the server makes and looks at by tasks. */
#include <stdio.h>

#include "cli/ctl/cmd.h"
#include "cli/ctl/task.h"

enum { DOC_MAX = 1 << 20 };

static int64_t count(const struct answer *w, const char *key)
{
	return json_int(json_member(json_member(w->doc, "progress"), key));
}

static struct str size(struct ctl *c, const struct answer *w, const char *key)
{
	return out_size(c->a, count(w, key));
}

/* What was found, as `sluice fsck` has it. */
static void show_findings(const struct answer *w)
{
	const struct json *list = json_member(w->doc, "findings");

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_at(list, i);
		struct str by = member_str(one, "named_by");

		printf(STR_FMT " " STR_FMT, STR_ARG(member_str(one, "kind")), STR_ARG(member_str(one, "thing")));
		if (by.n)
			printf(", named by " STR_FMT, STR_ARG(by));
		printf(": " STR_FMT "\n", STR_ARG(member_str(one, "story")));
	}
}

static void show_refs(const struct answer *w)
{
	const struct json *refs = json_member(w->doc, "refs");

	if (!refs)
		return;
	printf("Commits: " STR_FMT "\nTags: " STR_FMT "\nBranches: " STR_FMT "\n",
	       STR_ARG(member_str(refs, "commits_meta_range_id")), STR_ARG(member_str(refs, "tags_meta_range_id")),
	       STR_ARG(member_str(refs, "branches_meta_range_id")));
}

/* Until it is done, well or not; false: c->fault. Its document is then shown where documents are wanted. */
static bool follow(struct ctl *c, const struct task *t, struct answer *ret)
{
	struct str error;

	if (!task_follow(c, t, ret))
		return false;
	if (c->json)
		out_document(ret->body);
	error = member_str(ret->doc, "error");
	if (!error.n)
		return true;
	if (!c->json)
		show_findings(ret);
	return ctl_fail(c, STR_FMT, STR_ARG(error));
}

static void write_storage(struct ctl *c, struct json_out *w, struct str space)
{
	if (args_given(c->args, "storage-id"))
		jw_str(w, "storage_id", args_text(c->args, "storage-id"));
	jw_str(w, "storage_namespace", space);
}

/* backup. */

static bool submit_backup(struct ctl *c, struct str path, struct str *ret_id)
{
	struct str message = args_text(c->args, "message");
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	bool good;

	jw_object(&w, NULL);
	write_storage(c, &w, args_text(c->args, "to"));
	jw_bool(&w, "commit", args_bool(c->args, "commit"));
	if (message.n)
		jw_str(&w, "message", message);
	jw_bool(&w, "verify", !args_bool(c->args, "no-verify"));
	jw_bool(&w, "allow_missing", args_bool(c->args, "allow-missing"));
	jw_bool(&w, "refuse_external", args_bool(c->args, "refuse-external"));
	jw_end_object(&w);
	good = task_submit(c, path, buf_str(&doc), ret_id);
	buf_deinit(&doc);
	return good;
}

static void backup_progress(struct ctl *c, const struct answer *w)
{
	fprintf(stderr, "%lld objects (" STR_FMT "), %lld tables, %lld new (" STR_FMT ")",
		(long long)count(w, "objects"), STR_ARG(size(c, w, "bytes")), (long long)count(w, "tables"),
		(long long)count(w, "new"), STR_ARG(size(c, w, "new_bytes")));
}

static void show_backup(struct ctl *c, const struct answer *w)
{
	int64_t external = count(w, "external"), missing = count(w, "missing"), committed = count(w, "committed");

	show_findings(w);
	printf("Backup: " STR_FMT "\n", STR_ARG(args_text(c->args, "to")));
	if (args_bool(c->args, "commit"))
		printf("Branches committed first: %lld\n", (long long)committed);
	printf("Objects: %lld (" STR_FMT ")\nTables: %lld\nCopied now: %lld (" STR_FMT ")\nThere already: %lld\n",
	       (long long)count(w, "objects"), STR_ARG(size(c, w, "bytes")), (long long)count(w, "tables"),
	       (long long)count(w, "new"), STR_ARG(size(c, w, "new_bytes")), (long long)count(w, "skipped"));
	if (external)
		printf("Outside of the repository's namespace, and not in the backup: %lld\n", (long long)external);
	if (missing)
		printf("Missing or damaged in the repository, and not in the backup: %lld\n", (long long)missing);
	show_refs(w);
}

bool cmd_backup(struct ctl *c)
{
	struct task t = {.noun = "backup",
			 .show = backup_progress,
			 .when_cancelled = "what was copied stays there, and the same backup again goes on from it"};
	struct answer w;
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	if (args_given(c->args, "message") && !args_bool(c->args, "commit"))
		return ctl_fail(c, "--message is that of the commit: say --commit, too");
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	t.path = PATH(c->a, "/sluice/repositories/{}/backup", u.repo);
	if (!submit_backup(c, t.path, &t.id) || !follow(c, &t, &w))
		return false;
	if (!c->json)
		show_backup(c, &w);
	return true;
}

/* verify. */

static bool write_manifest(struct ctl *c, struct json_out *w)
{
	const struct json *refs;

	if (!args_given(c->args, "manifest"))
		return true;
	if (!refs_read(c, args_text(c->args, "manifest"), &refs) || !refs_named(c, refs))
		return false;
	write_refs(w, "refs", refs);
	return true;
}

static bool submit_verify(struct ctl *c, struct str space, struct str *ret_id)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	bool good;

	jw_object(&w, NULL);
	write_storage(c, &w, space);
	jw_bool(&w, "content", args_bool(c->args, "content"));
	good = write_manifest(c, &w);
	jw_end_object(&w);
	good = good && task_submit(c, STR("/sluice/backups/verify"), buf_str(&doc), ret_id);
	buf_deinit(&doc);
	return good;
}

static void verify_progress(struct ctl *c, const struct answer *w)
{
	fprintf(stderr, "%lld tables, %lld entries, %lld bodies", (long long)count(w, "tables"),
		(long long)count(w, "entries"), (long long)count(w, "bodies"));
}

static void show_verified(struct ctl *c, const struct answer *w, bool restorable)
{
	static const char *const rows[] = {"commits", "branches", "tags",    "tables",
					   "entries", "bodies",	  "missing", "damaged"};

	show_findings(w);
	printf("Backup: " STR_FMT "\nLooked at:", STR_ARG(ctl_word(c, 0)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%s %lld %s", i ? "," : "", (long long)count(w, rows[i]), rows[i]);
	printf("\nRestorable: %s\n", restorable ? "yes" : "no");
}

bool cmd_backup_verify(struct ctl *c)
{
	struct str space = ctl_word(c, 0);
	struct task t = {.noun = "verification",
			 .show = verify_progress,
			 .path = path_query(c->a, STR("/sluice/backups/verify"), "storage_namespace", space),
			 .when_cancelled = "it had changed nothing"};
	struct answer w;
	bool restorable;

	if (!submit_verify(c, space, &t.id) || !follow(c, &t, &w))
		return false;
	restorable = json_bool(json_member(w.doc, "restorable"));
	if (!c->json)
		show_verified(c, &w, restorable);
	return restorable || ctl_fail(c, "what is at " STR_FMT " can't be restored as it is", STR_ARG(space));
}

/* manifest. */

bool cmd_backup_manifest(struct ctl *c)
{
	struct str path = path_query(c->a, STR("/sluice/backups/manifest"), "storage_namespace", ctl_word(c, 0)), text;
	struct answer w;

	if (args_given(c->args, "storage-id"))
		path = path_query(c->a, path, "storage_id", args_text(c->args, "storage-id"));
	if (!ctl_get(c, c->a, path, &w))
		return false;
	text = refs_text(c, w.doc);
	fwrite(text.p, 1, text.n, stdout);
	return true;
}
