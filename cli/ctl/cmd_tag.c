/* tag. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 1 << 20 };

static bool delete_tag(struct ctl *c, const struct uri *u)
{
	struct answer w;

	return ctl_send(c, c->a, "DELETE", PATH(c->a, "/repositories/{}/tags/{}", u->repo, u->ref), STR_NONE, &w);
}

static bool create(struct ctl *c, const struct uri *u, struct str commit, struct answer *ret)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	bool good;

	jw_object(&w, NULL);
	jw_str(&w, "id", u->ref);
	jw_str(&w, "ref", commit);
	jw_end_object(&w);
	good = ctl_send(c, c->a, "POST", PATH(c->a, "/repositories/{}/tags", u->repo), buf_str(&doc), ret);
	buf_deinit(&doc);
	return good;
}

bool cmd_tag_create(struct ctl *c)
{
	struct uri u, ref;
	struct answer w;
	struct str commit;

	if (!ctl_uri(c, URI_TAG, 0, &u) || !ctl_uri(c, URI_COMMIT, 1, &ref))
		return false;
	if (!str_eq(u.repo, ref.repo))
		return ctl_fail(c, "both references must belong to the same repository");
	commit = ref.ref;
	if (args_bool(c->args, "force")) {
		/* What the tag shall be of is looked up before the old one goes. */
		if (!ctl_get(c, c->a, PATH(c->a, "/repositories/{}/commits/{}", ref.repo, ref.ref), &w))
			return false;
		commit = member_str(w.doc, "id");
		if (!delete_tag(c, &u) && !(c->fault.kind == FAULT_ANSWER && c->fault.status == 404))
			return false;
		c->fault = (struct fault){0};
	}
	if (!create(c, &u, commit, &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		printf("Created tag '" STR_FMT "' ({" STR_FMT " " STR_FMT "})\n", STR_ARG(u.ref),
		       STR_ARG(member_str(w.doc, "commit_id")), STR_ARG(member_str(w.doc, "id")));
	return true;
}

bool cmd_tag_delete(struct ctl *c)
{
	struct uri u;

	if (!ctl_uri(c, URI_TAG, 0, &u))
		return false;
	if (!ctl_confirm(c, "Are you sure you want to delete tag"))
		return ctl_fail(c, "Delete tag aborted");
	return delete_tag(c, &u);
}

bool cmd_tag_show(struct ctl *c)
{
	struct answer w;
	struct uri u;

	if (!ctl_uri(c, URI_TAG, 0, &u) || !ctl_get(c, c->a, PATH(c->a, "/repositories/{}/tags/{}", u.repo, u.ref), &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		printf(STR_FMT " " STR_FMT "\n", STR_ARG(member_str(w.doc, "id")),
		       STR_ARG(member_str(w.doc, "commit_id")));
	return true;
}
