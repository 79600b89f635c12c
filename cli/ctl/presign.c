#include "cli/ctl/presign.h"

/* Of several storages the repository's. */
static bool storage_of(struct ctl *c, struct str repo, const struct json **ret)
{
	const struct json *list;
	struct answer config, w;
	struct str id;

	*ret = NULL;
	if (!ctl_get(c, c->a, STR("/config"), &config))
		return false;
	list = json_member(config.doc, "storage_config_list");
	if (json_count(list) < 2) {
		*ret = json_member(config.doc, "storage_config");
		return true;
	}
	if (!ctl_get(c, c->a, PATH(c->a, "/repositories/{}", repo), &w))
		return false;
	id = member_str(w.doc, "storage_id");
	for (size_t i = 0; i < json_count(list); i++)
		if (str_eq(member_str(json_at(list, i), "blockstore_id"), id))
			*ret = json_at(list, i);
	return *ret ||
	       ctl_fail(c, "the server has no storage '" STR_FMT "', which is this repository's", STR_ARG(id));
}

bool presigned_support(struct ctl *c, struct str repo, struct presigned *ret)
{
	const struct json *storage;

	*ret = (struct presigned){0};
	if (!storage_of(c, repo, &storage))
		return false;
	ret->on = json_bool(json_member(storage, "pre_sign_support"));
	ret->parts = ret->on && json_bool(json_member(storage, "pre_sign_multipart_upload"));
	ret->azure = str_eq(member_str(storage, "blockstore_type"), STR("azure"));
	return true;
}

bool presigned_mode(struct ctl *c, struct str repo, struct presigned *ret)
{
	*ret = (struct presigned){0};
	return !args_bool(c->args, "pre-sign") || presigned_support(c, repo, ret);
}
