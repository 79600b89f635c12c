/* refs-dump, refs-restore: one repository's, by tasks, as lakectl has them. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ctl/cmd.h"

enum { MANIFEST_MAX = 1 << 20, POLL_MIN_MS = 1000, FIRST_LOOK_MS = 100 };

static const char *const ids[] = {"branches_meta_range_id", "commits_meta_range_id", "tags_meta_range_id"};

void write_refs(struct json_out *w, const char *key, const struct json *refs)
{
	jw_object(w, key);
	for (int i = 0; i < 3; i++)
		jw_str(w, ids[i], member_str(refs, ids[i]));
	jw_end_object(w);
}

/* Tasks. */

bool task_submit(struct ctl *c, struct str path, struct str doc, struct str *ret_id)
{
	struct answer w;

	if (!ctl_send(c, c->a, "POST", path, doc, &w))
		return false;
	*ret_id = member_str(w.doc, "id");
	return true;
}

static bool poll_is_sane(struct ctl *c)
{
	return args_number(c->args, "poll-interval") >= POLL_MIN_MS || ctl_fail(c, "Poll interval must be at least 1s");
}

/* Short tasks are done before the first interval is over: a first look comes early. */
bool task_wait(struct ctl *c, struct str path, struct str id, struct answer *ret)
{
	int64_t poll = args_number(c->args, "poll-interval"), end = mono_ms() + args_number(c->args, "timeout");
	int64_t wait = FIRST_LOOK_MS;
	struct str error;

	for (;;) {
		struct arena_mark mark = arena_mark(c->a);

		usleep((useconds_t)(wait * 1000));
		if (!ctl_get(c, c->a, path_query(c->a, path, "task_id", id), ret))
			return false;
		error = member_str(ret->doc, "error");
		if (error.n)
			return ctl_fail(c, STR_FMT, STR_ARG(error));
		if (json_bool(json_member(ret->doc, "done")))
			return true;
		arena_rewind(c->a, mark);
		if (mono_ms() > end)
			return ctl_fail(c,
					"the task " STR_FMT " isn't done after the timeout; it goes on in the server",
					STR_ARG(id));
		wait = wait * 3 < poll ? wait * 3 : poll;
	}
}

/* A dump. */

static bool write_file(struct ctl *c, struct str name, struct str text)
{
	FILE *f = fopen(arena_cstr(c->a, name), "we");
	bool good;

	if (!f)
		return ctl_fail(c, "open " STR_FMT ": %s", STR_ARG(name), strerror(errno));
	good = fwrite(text.p, 1, text.n, f) == text.n;
	good = fclose(f) == 0 && good;
	return good || ctl_fail(c, "write " STR_FMT ": %s", STR_ARG(name), strerror(errno));
}

struct str refs_text(struct ctl *c, const struct json *refs)
{
	return arena_printf(c->a,
			    "{\n  \"%s\": \"" STR_FMT "\",\n  \"%s\": \"" STR_FMT "\",\n  \"%s\": \"" STR_FMT "\"\n}\n",
			    ids[0], STR_ARG(member_str(refs, ids[0])), ids[1], STR_ARG(member_str(refs, ids[1])),
			    ids[2], STR_ARG(member_str(refs, ids[2])));
}

bool cmd_refs_dump_one(struct ctl *c)
{
	struct str file = args_text(c->args, "output"), path, id, text;
	struct answer w;
	struct uri u;

	if (!poll_is_sane(c) || !ctl_uri(c, URI_REPO, 0, &u))
		return false;
	path = PATH(c->a, "/repositories/{}/dump", u.repo);
	if (!task_submit(c, path, STR_NONE, &id) || !task_wait(c, path, id, &w))
		return false;
	text = refs_text(c, json_member(w.doc, "refs"));
	if (!file.n || str_eq(file, STR("-"))) {
		fwrite(text.p, 1, text.n, stdout);
		return true;
	}
	printf("Writing refs to " STR_FMT "\n", STR_ARG(file));
	return write_file(c, file, text);
}

/* A restore. */

bool refs_read(struct ctl *c, struct str file, const struct json **ret)
{
	struct json *doc, *refs;
	struct str text;
	struct err e = {0};

	if (!ctl_read_text(c, file, MANIFEST_MAX, &text))
		return false;
	if (!rc_ok(json_parse(c->a, text, &doc, &e)) || json_type(doc) != JSON_OBJECT)
		return ctl_fail(c, "the manifest is no JSON document: %s", e.msg);
	/* What `refs dump` writes has the refs below. */
	refs = json_member(doc, "refs");
	*ret = refs ? refs : doc;
	return true;
}

bool refs_named(struct ctl *c, const struct json *refs)
{
	static const char *const needed[] = {"commits_meta_range_id", "branches_meta_range_id", "tags_meta_range_id"};
	struct str lacks = STR("");

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!member_str(refs, needed[i]).n)
			lacks = arena_printf(c->a, STR_FMT "%s%s", STR_ARG(lacks), lacks.n ? ", " : "", needed[i]);
	if (!lacks.n)
		return true;
	return ctl_fail(c, "the manifest lacks " STR_FMT ": `refs-dump` and `backup manifest` write such files",
			STR_ARG(lacks));
}

static bool read_manifest(struct ctl *c, struct str file, struct str *ret_doc)
{
	struct buf b = BUF_INIT(MANIFEST_MAX);
	struct json_out w = {&b, false};
	const struct json *refs;

	if (!refs_read(c, file, &refs))
		return false;
	write_refs(&w, NULL, refs);
	*ret_doc = arena_dup(c->a, buf_str(&b));
	buf_deinit(&b);
	return true;
}

bool cmd_refs_restore_one(struct ctl *c)
{
	struct str path, id, doc;
	struct answer w;
	struct uri u;

	if (!poll_is_sane(c) || !ctl_uri(c, URI_REPO, 0, &u))
		return false;
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	if (!read_manifest(c, args_text(c->args, "manifest"), &doc))
		return false;
	path = PATH(c->a, "/repositories/{}/restore", u.repo);
	if (!task_submit(c, path, doc, &id) || !task_wait(c, path, id, &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		puts("\nAll references restored successfully!");
	return true;
}
