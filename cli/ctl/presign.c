#include "cli/ctl/presign.h"

/* Of several storages the repository's. */
static bool storage_of(struct ctl *c, struct str repo, const struct json **ret)
{
	struct json *list;
	struct answer w;
	struct str id;
	size_t n;

	*ret = NULL;
	if (!storages(c, &list, &n))
		return false;
	if (n < 2) {
		*ret = storage_at(list, 0);
		return true;
	}
	if (!ctl_get(c, c->a, PATH(c->a, "/repositories/{}", repo), &w))
		return false;
	id = member_str(w.doc, "storage_id");
	for (size_t i = 0; i < n; i++)
		if (str_eq(member_str(storage_at(list, i), "blockstore_id"), id))
			*ret = storage_at(list, i);
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
