/* The list of stores, sluice's own: what there is, how it is doing, and which repositories it holds. */
#include "api/rest.h"
#include "versions/stores.h"

static void show(struct api_req *r, const struct store_info *s)
{
	jw_object(&r->w, NULL);
	jw_str(&r->w, "id", s->id);
	jw_str(&r->w, "type", s->type);
	jw_str(&r->w, "description", s->description);
	jw_bool(&r->w, "default", s->is_default);
	jw_object(&r->w, "health");
	jw_str(&r->w, "state", str_c(s->state));
	if (s->since_s)
		jw_int(&r->w, "since", s->since_s);
	if (s->reason.n)
		jw_str(&r->w, "reason", s->reason);
	jw_end_object(&r->w);
	jw_int(&r->w, "repositories", s->repositories);
	if (s->missing) {
		jw_array(&r->w, "repository_ids");
		for (size_t i = 0; i < s->repository_ids_n; i++)
			jw_str(&r->w, NULL, s->repository_ids[i]);
		jw_end_array(&r->w);
	}
	jw_end_object(&r->w);
}

static rc run_storages(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct store_info *list;
	size_t n;

	TRY(stores_survey(&c, &list, &n));
	api_begin(r);
	jw_array(&r->w, "results");
	for (size_t i = 0; i < n; i++)
		show(r, &list[i]);
	jw_end_array(&r->w);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_sluiceStorages = {.run = run_storages};
