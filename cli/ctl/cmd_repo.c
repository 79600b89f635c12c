/* repo, storage. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 1 << 20 };

static void repo_row(struct arena *a, const struct json *r, struct table *t)
{
	struct str storage = member_str(r, "storage_id");

	table_add(t, member_str(r, "id"));
	table_add(t, out_date(a, json_int(json_member(r, "creation_date"))));
	table_add(t, member_str(r, "default_branch"));
	table_add(t, storage);
	table_add(t, member_str(r, "storage_namespace"));
}

bool cmd_repo_list(struct ctl *c)
{
	static const char *const headers[] = {"REPOSITORY", "CREATION DATE", "DEFAULT REF NAME", "STORAGE ID",
					      "STORAGE NAMESPACE"};

	return list_show(c, STR("/repositories"), headers, 5, repo_row);
}

static void show_created(struct ctl *c, const struct answer *w)
{
	if (c->json) {
		out_document(w->body);
		return;
	}
	printf("Repository '" STR_FMT "' created:\n", STR_ARG(member_str(w->doc, "id")));
	if (args_given(c->args, "storage-id"))
		printf("storage id: " STR_FMT "\n", STR_ARG(member_str(w->doc, "storage_id")));
	printf("storage namespace: " STR_FMT "\ndefault branch: " STR_FMT "\ntimestamp: %lld\n",
	       STR_ARG(member_str(w->doc, "storage_namespace")), STR_ARG(member_str(w->doc, "default_branch")),
	       (long long)json_int(json_member(w->doc, "creation_date")));
	if (args_bool(c->args, "sample-data"))
		puts("sample data included");
}

static bool create(struct ctl *c, bool bare)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri u;
	bool good;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	jw_object(&w, NULL);
	jw_str(&w, "name", u.repo);
	jw_str(&w, "storage_namespace", ctl_word(c, 1));
	jw_str(&w, "default_branch", args_text(c->args, "default-branch"));
	if (args_given(c->args, "storage-id"))
		jw_str(&w, "storage_id", args_text(c->args, "storage-id"));
	if (args_bool(c->args, "sample-data"))
		jw_bool(&w, "sample_data", true);
	jw_end_object(&w);
	good = ctl_send(c, c->a, "POST", bare ? STR("/repositories?bare=true") : STR("/repositories"), buf_str(&doc),
			&answer);
	buf_deinit(&doc);
	if (good)
		show_created(c, &answer);
	return good;
}

bool cmd_repo_create(struct ctl *c)
{
	return create(c, false);
}

bool cmd_repo_create_bare(struct ctl *c)
{
	return create(c, true);
}

bool cmd_repo_delete(struct ctl *c)
{
	struct answer w;
	struct uri u;

	if (!ctl_uri(c, URI_REPO, 0, &u))
		return false;
	out_line(c, "Repository: " STR_FMT, STR_ARG(u.text));
	if (!ctl_confirm(c, "Are you sure you want to delete repository: " STR_FMT, STR_ARG(u.repo)))
		return ctl_fail(c, "Delete Repository '" STR_FMT "' aborted\n", STR_ARG(u.repo));
	if (!ctl_send(c, c->a, "DELETE", PATH(c->a, "/repositories/{}", u.repo), STR_NONE, &w))
		return false;
	out_line(c, "Repository '" STR_FMT "' deleted", STR_ARG(u.repo));
	return true;
}

/* Storages. */

bool storages(struct ctl *c, struct json **ret_list, size_t *ret_n)
{
	struct answer w;
	struct json *list;

	if (!ctl_get(c, c->a, STR("/config"), &w))
		return false;
	list = json_member(w.doc, "storage_config_list");
	*ret_n = json_count(list);
	*ret_list = *ret_n ? list : json_member(w.doc, "storage_config");
	if (!*ret_n && json_type(*ret_list) == JSON_OBJECT)
		*ret_n = 1;
	return true;
}

const struct json *storage_at(const struct json *list, size_t i)
{
	return json_type(list) == JSON_ARRAY ? json_at(list, i) : list;
}

static void storages_json(struct json *list, size_t n)
{
	static const char *const texts[] = {"blockstore_id",
					    "blockstore_description",
					    "blockstore_type",
					    "default_namespace_prefix",
					    "blockstore_namespace_example",
					    "blockstore_namespace_ValidityRegex"};
	static const char *const switches[] = {"pre_sign_support", "import_support"};
	struct buf b = BUF_INIT(DOC_MAX);
	struct json_out w = {&b, false};

	jw_array(&w, NULL);
	for (size_t i = 0; i < n; i++) {
		const struct json *s = storage_at(list, i);

		jw_object(&w, NULL);
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
			jw_str(&w, texts[k], member_str(s, texts[k]));
		for (size_t k = 0; k < 2; k++)
			jw_bool(&w, switches[k], json_bool(json_member(s, switches[k])));
		jw_end_object(&w);
	}
	jw_end_array(&w);
	out_document(buf_str(&b));
	buf_deinit(&b);
}

bool cmd_storage_list(struct ctl *c)
{
	static const char *const headers[] = {"STORAGE ID", "TYPE", "NAMESPACE PREFIX", "DESCRIPTION"};
	struct json *list;
	struct table t;
	size_t n;

	if (!storages(c, &list, &n))
		return false;
	if (c->json) {
		storages_json(list, n);
		return true;
	}
	table_init(&t, headers, 4);
	for (size_t i = 0; i < n; i++) {
		const struct json *s = storage_at(list, i);

		table_add(&t, member_str(s, "blockstore_id"));
		table_add(&t, member_str(s, "blockstore_type"));
		table_add(&t, member_str(s, "default_namespace_prefix"));
		table_add(&t, member_str(s, "blockstore_description"));
	}
	table_end(c, &t, NULL, 0);
	return true;
}
