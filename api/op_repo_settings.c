/* What is noted on a repository: its metadata, and the rules of garbage collection. */
#include "api/rest.h"
#include "versions/gc_rules.h"
#include "versions/repo_metadata.h"

/* Metadata. */

static rc run_get_metadata(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct meta *m;
	size_t n;

	TRY(repo_metadata_get(&c, &r->repo, &m, &n));
	api_show_meta(&r->w, NULL, m, n);
	return RC_OK;
}

const struct api_handlers handlers_getRepositoryMetadata = {.run = run_get_metadata};

struct metadata_change {
	struct meta *set;
	size_t set_n;
	struct str *remove;
	size_t remove_n;
};

static rc parse_set_metadata(struct api_req *r)
{
	static const char schema[] = "RepositoryMetadataSet";
	struct metadata_change *m = ARENA_NEW(r->a, struct metadata_change);

	r->op_state = m;
	TRY(api_body_object(r, schema));
	TRY(api_body_there(r, schema, "metadata"));
	return api_json_metadata(r, r->doc, "metadata", &m->set, &m->set_n);
}

static rc parse_delete_metadata(struct api_req *r)
{
	static const char schema[] = "RepositoryMetadataKeys";
	struct metadata_change *m = ARENA_NEW(r->a, struct metadata_change);
	struct json *list = json_member(r->doc, "keys");

	r->op_state = m;
	TRY(api_body_object(r, schema));
	TRY(api_body_there(r, schema, "keys"));
	if (json_type(list) != JSON_ARRAY)
		return api_bad_body(r, schema, "keys", "value must be an array");
	m->remove_n = json_count(list);
	m->remove = arena_alloc(r->a, m->remove_n * sizeof(*m->remove) + 1);
	if (m->remove_n > REPO_METADATA_MAX)
		return api_bad_body(r, schema, "keys", "too many");
	for (size_t i = 0; i < m->remove_n; i++) {
		if (json_type(json_at(list, i)) != JSON_STRING)
			return api_bad_body(r, schema, "keys", "value must be a string");
		m->remove[i] = json_str(json_at(list, i));
	}
	return RC_OK;
}

static rc run_change_metadata(struct api_req *r)
{
	struct metadata_change *m = r->op_state;
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return repo_metadata_update(&c, &r->repo, m->set, m->set_n, m->remove, m->remove_n);
}

const struct api_handlers handlers_setRepositoryMetadata = {
	.parse = parse_set_metadata, .run = run_change_metadata};
const struct api_handlers handlers_deleteRepositoryMetadata = {
	.parse = parse_delete_metadata, .run = run_change_metadata};

/* Garbage collection. */

static const char rules_schema[] = "GarbageCollectionRules";

static rc run_get_rules(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct gc_rules rules;
	rc found = gc_rules_get(&c, &r->repo, &rules);

	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(found);
	api_begin(r);
	jw_array(&r->w, "branches");
	for (size_t i = 0; i < rules.n; i++) {
		jw_object(&r->w, NULL);
		jw_str(&r->w, "branch_id", rules.branches[i].branch);
		jw_int(&r->w, "retention_days", rules.branches[i].days);
		jw_end_object(&r->w);
	}
	jw_end_array(&r->w);
	jw_int(&r->w, "default_retention_days", rules.default_days);
	api_end(r);
	return RC_OK;
}

static rc days(struct api_req *r, const struct json *j, const char *key, int32_t *ret)
{
	struct json *v = json_member(j, key);

	if (json_type(v) != JSON_INT || json_int(v) < 0 || json_int(v) > INT32_MAX)
		return api_bad_body(r, rules_schema, key, "a number of days, from 0 on, is required");
	*ret = (int32_t)json_int(v);
	return RC_OK;
}

static rc parse_rules(struct api_req *r)
{
	struct gc_rules *rules = ARENA_NEW(r->a, struct gc_rules);
	struct json *list = json_member(r->doc, "branches");

	r->op_state = rules;
	TRY(api_body_object(r, rules_schema));
	TRY(api_body_there(r, rules_schema, "default_retention_days"));
	TRY(api_body_there(r, rules_schema, "branches"));
	TRY(days(r, r->doc, "default_retention_days", &rules->default_days));
	if (json_type(list) != JSON_ARRAY)
		return api_bad_body(r, rules_schema, "branches", "value must be an array");
	rules->n = json_count(list);
	rules->branches = arena_alloc(r->a, rules->n * sizeof(*rules->branches) + 1);
	for (size_t i = 0; i < rules->n; i++) {
		struct json *one = json_at(list, i);

		rules->branches[i].branch = json_str(json_member(one, "branch_id"));
		if (!rules->branches[i].branch.p)
			return api_bad_body(r, rules_schema, "branches/branch_id", "value must be a string");
		TRY(days(r, one, "retention_days", &rules->branches[i].days));
	}
	return RC_OK;
}

static rc run_set_rules(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return gc_rules_set(&c, &r->repo, r->op_state);
}

static rc run_delete_rules(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return gc_rules_delete(&c, &r->repo);
}

const struct api_handlers handlers_getGCRules = {.run = run_get_rules};
const struct api_handlers handlers_setGCRules = {.parse = parse_rules, .run = run_set_rules};
const struct api_handlers handlers_deleteGCRules = {.run = run_delete_rules};

/* The same by their old paths. */
const struct api_handlers handlers_internalGetGarbageCollectionRules = {.run = run_get_rules};
const struct api_handlers handlers_internalSetGarbageCollectionRules = {
	.parse = parse_rules, .run = run_set_rules};
const struct api_handlers handlers_internalDeleteGarbageCollectionRules = {.run = run_delete_rules};

/* Whether one may: the row's permissions are the answer. */
const struct api_handlers handlers_setGarbageCollectionRulesPreflight = {0};
const struct api_handlers handlers_createBranchProtectionRulePreflight = {0};
