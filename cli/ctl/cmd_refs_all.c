/* refs dump, refs restore: repositories with what it takes to make them again, in files that lakeFS's script
 * lakefs-refs.py reads and writes, too: {"repository": {"name", "storage_namespace", "default_branch",
 * "storage_id"}, "refs": {the three ids}}, in <name>_manifest.json. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/ctl/cmd.h"
#include "cli/ctl/files.h"

enum { MANIFEST_MAX = 1 << 20, NAMES_MAX = 64 << 20 };

/* Dumping. */

static bool commit_branch(struct ctl *c, struct arena *a, struct str repo, struct str branch)
{
	struct buf doc = BUF_INIT(1 << 16);
	struct json_out w = {&doc, false};
	struct answer answer;
	char now[25];
	bool good;

	time_iso_ms(wall_now(), now);
	jw_object(&w, NULL);
	jw_str(&w, "message", STR("Committed changes for dump"));
	jw_object(&w, "metadata");
	jw_str(&w, "dump", str_c(now));
	jw_end_object(&w);
	jw_end_object(&w);
	good = ctl_send(c, a, "POST", PATH(a, "/repositories/{}/branches/{}/commits", repo, branch), buf_str(&doc),
			&answer);
	buf_deinit(&doc);
	if (good)
		out_line(c, "Committed changes in branch " STR_FMT, STR_ARG(branch));
	return good;
}

static bool commit_if_dirty(struct ctl *c, struct arena *a, const struct json *branch, void *ud)
{
	const struct str *repo = ud;
	struct str id = member_str(branch, "id");
	struct answer w;

	if (!ctl_get(c, a, PATH(a, "/repositories/{}/branches/{}/diff?amount=1", *repo, id), &w))
		return false;
	return !json_count(json_member(w.doc, "results")) || commit_branch(c, a, *repo, id);
}

static void write_repository(struct json_out *w, const struct json *repo)
{
	static const char *const keys[] = {"storage_namespace", "default_branch", "storage_id"};

	jw_object(w, "repository");
	jw_str(w, "name", member_str(repo, "id"));
	for (int i = 0; i < 3; i++)
		jw_str(w, keys[i], member_str(repo, keys[i]));
	jw_end_object(w);
}

/* Whole and on disk before the repository may be deleted; an older one of that name is replaced at once. */
static bool write_manifest(struct ctl *c, struct str name, struct str text)
{
	struct new_file f;

	if (files_write(c->a, name, text, 0666, &f) && files_commit(&f))
		return true;
	return ctl_fail(c, "write " STR_FMT ": %s", STR_ARG(name), strerror(errno));
}

static bool dump_to_file(struct ctl *c, struct str repo, const struct json *about, const struct json *refs)
{
	struct str name = arena_printf(c->a, STR_FMT "_manifest.json", STR_ARG(repo));
	struct buf b = BUF_INIT(MANIFEST_MAX);
	struct json_out w = {&b, false};
	bool good;

	jw_object(&w, NULL);
	write_repository(&w, about);
	write_refs(&w, "refs", refs);
	jw_end_object(&w);
	buf_add_c(&b, '\n');
	good = write_manifest(c, name, buf_str(&b));
	if (good && c->json)
		out_document(buf_str(&b));
	else if (good)
		printf("Repository: " STR_FMT "\nStorage Namespace: " STR_FMT "\nStorage ID: " STR_FMT
		       "\nDefault Branch: " STR_FMT "\nRepository manifest saved to local file: " STR_FMT "\n",
		       STR_ARG(repo), STR_ARG(member_str(about, "storage_namespace")),
		       STR_ARG(member_str(about, "storage_id")), STR_ARG(member_str(about, "default_branch")),
		       STR_ARG(name));
	buf_deinit(&b);
	return good;
}

static bool dump_one(struct ctl *c, struct str repo)
{
	struct answer about, refs, w;

	if (!ctl_get(c, c->a, PATH(c->a, "/repositories/{}", repo), &about))
		return false;
	if (args_bool(c->args, "commit") &&
	    !list_each(c, PATH(c->a, "/repositories/{}/branches?show_hidden=true", repo), commit_if_dirty, &repo))
		return false;
	if (!ctl_send(c, c->a, "PUT", PATH(c->a, "/repositories/{}/refs/dump", repo), STR_NONE, &refs) ||
	    !dump_to_file(c, repo, about.doc, refs.doc))
		return false;
	if (!args_bool(c->args, "rm"))
		return true;
	if (!ctl_send(c, c->a, "DELETE", PATH(c->a, "/repositories/{}", repo), STR_NONE, &w))
		return false;
	out_line(c, "Repository deleted: " STR_FMT, STR_ARG(repo));
	return true;
}

/* Names first: deleting while listing would shift the pages. */
static bool add_name(struct ctl *c, struct arena *a, const struct json *repo, void *ud)
{
	struct buf *names = ud;

	return (buf_add(names, member_str(repo, "id")) && buf_add_c(names, '\n')) ||
	       ctl_fail(c, "there are too many repositories");
}

static bool dump_all(struct ctl *c)
{
	struct buf names = BUF_INIT(NAMES_MAX);
	bool good = list_each(c, STR("/repositories"), add_name, &names);
	struct str rest = buf_str(&names);
	size_t failed = 0;

	while (good && rest.n) {
		struct str name = str_cut(rest, '\n', &rest);

		if (dump_one(c, name))
			continue;
		failed++;
		fprintf(stderr, STR_FMT ": ", STR_ARG(name));
		out_fault(c, &c->fault);
	}
	buf_deinit(&names);
	if (failed)
		return ctl_fail(c, "%zu of the repositories couldn't be dumped; nothing of those was deleted", failed);
	return good;
}

/* A name, or its address. */
static bool repo_word(struct ctl *c, struct str word, struct str *ret)
{
	struct uri u;

	if (str_index(word, ':') == word.n)
		word = arena_printf(c->a, "lakefs://" STR_FMT, STR_ARG(word));
	if (!ctl_uri_of(c, URI_REPO, word, &u))
		return false;
	*ret = u.repo;
	return true;
}

bool cmd_refs_dump(struct ctl *c)
{
	struct str repo;

	if (args_bool(c->args, "all") == (c->args->words_n == 1))
		return ctl_fail(c, "say which repository, or --all (and not both)");
	if (args_bool(c->args, "all"))
		return dump_all(c);
	return repo_word(c, ctl_word(c, 0), &repo) && dump_one(c, repo);
}

/* Restoring. */

static bool create_bare(struct ctl *c, const struct json *repo)
{
	struct buf b = BUF_INIT(MANIFEST_MAX);
	struct json_out w = {&b, false};
	struct answer answer;
	bool good;

	jw_object(&w, NULL);
	jw_str(&w, "name", member_str(repo, "name"));
	jw_str(&w, "storage_namespace", member_str(repo, "storage_namespace"));
	jw_str(&w, "default_branch", member_str(repo, "default_branch"));
	if (!args_bool(c->args, "ignore-storage-id"))
		jw_str(&w, "storage_id", member_str(repo, "storage_id"));
	jw_end_object(&w);
	good = ctl_send(c, c->a, "POST", STR("/repositories?bare=true"), buf_str(&b), &answer);
	buf_deinit(&b);
	if (good)
		out_line(c, "Created repository: " STR_FMT, STR_ARG(member_str(repo, "name")));
	return good;
}

static bool restore_refs(struct ctl *c, struct str repo, const struct json *refs)
{
	struct buf b = BUF_INIT(MANIFEST_MAX);
	struct json_out w = {&b, false};
	struct answer answer;
	bool good;

	write_refs(&w, NULL, refs);
	good = ctl_send(c, c->a, "PUT", PATH(c->a, "/repositories/{}/refs/restore", repo), buf_str(&b), &answer);
	buf_deinit(&b);
	if (good)
		out_line(c, "Restored refs for repository: " STR_FMT, STR_ARG(repo));
	return good;
}

static bool restore_one(struct ctl *c, struct str file)
{
	struct json *doc, *repo, *refs;
	struct str text, name;
	struct err e = {0};

	if (!ctl_read_text(c, file, MANIFEST_MAX, &text))
		return false;
	if (!rc_ok(json_parse(c->a, text, &doc, &e)))
		return ctl_fail(c, "it is no JSON document: %s", e.msg);
	repo = json_member(doc, "repository");
	refs = json_member(doc, "refs");
	name = json_str(json_member(repo, "name"));
	if (!name.n || json_type(refs) != JSON_OBJECT)
		return ctl_fail(c, "it has no repository or no refs: `refs dump` writes such files; `refs-restore` "
				   "takes what `refs-dump` wrote");
	return refs_named(c, refs) && create_bare(c, repo) && restore_refs(c, name, refs);
}

bool cmd_refs_restore(struct ctl *c)
{
	size_t failed = 0;

	for (size_t i = 0; i < c->args->words_n; i++) {
		if (restore_one(c, ctl_word(c, i)))
			continue;
		failed++;
		fprintf(stderr, STR_FMT ": ", STR_ARG(ctl_word(c, i)));
		out_fault(c, &c->fault);
	}
	if (failed)
		return ctl_fail(c, "%zu of %zu manifests couldn't be restored", failed, c->args->words_n);
	if (c->json)
		printf("{\n  \"restored\": %zu\n}\n", c->args->words_n);
	return true;
}
