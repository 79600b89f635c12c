/* Groups' access by one word: each stands for a policy document, which is attached to the group as the policy
 * "ACL(_-_)<group>", where lakeFS keeps it. A policy of that name with another document is no such access. */
#include "api/auth_ops.h"

#define OWN "arn:lakefs:auth:::user/${user}"
#define OWN_CREDENTIALS {OWN, "auth:CreateCredentials auth:DeleteCredentials auth:ListCredentials auth:ReadCredentials"}
#define READ_MANAGEMENT {"*", "ci:Read* retention:Get* branches:Get* pr:Read* pr:List* fs:ReadConfig"}

enum { RULES = 3 };

static const struct level {
	const char *name;
	struct {
		const char *resource, *actions; /* a space between them */
	} rules[RULES];
} levels[] = {
	{"Read", {{"*", "fs:List* fs:Read*"}, OWN_CREDENTIALS}},
	{"Write",
	 {{"*", "fs:Read* fs:List* fs:WriteObject fs:DeleteObject fs:RevertBranch fs:CreateBranch fs:CreateTag "
		"fs:DeleteBranch fs:DeleteTag fs:CreateCommit"},
	  OWN_CREDENTIALS,
	  READ_MANAGEMENT}},
	{"Super", {{"*", "fs:*"}, OWN_CREDENTIALS, READ_MANAGEMENT}},
	{"Admin", {{"*", "fs:* auth:* ci:* retention:* branches:* pr:*"}}},
};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static struct str policy_name(struct api_req *r)
{
	return arena_join(r->a, (struct str[]){STR("ACL(_-_)"), r->group_id}, 2);
}

static struct auth_rule rule(struct arena *a, const char *resource, const char *actions)
{
	struct auth_rule out = {.effect = STR("allow"), .resource = str_c(resource)};
	struct str rest = str_c(actions);

	out.actions = arena_alloc(a, (rest.n / 2 + 1) * sizeof(*out.actions));
	while (rest.p)
		out.actions[out.actions_n++] = str_cut(rest, ' ', &rest);
	return out;
}

static struct auth_document document(struct arena *a, const struct level *l)
{
	struct auth_document d = {.rules = arena_alloc(a, RULES * sizeof(*d.rules))};

	while (d.rules_n < RULES && l->rules[d.rules_n].resource) {
		d.rules[d.rules_n] = rule(a, l->rules[d.rules_n].resource, l->rules[d.rules_n].actions);
		d.rules_n++;
	}
	return d;
}

static bool same_rule(const struct auth_rule *x, const struct auth_rule *y)
{
	if (!str_eq(x->effect, y->effect) || !str_eq(x->resource, y->resource) || x->actions_n != y->actions_n ||
	    x->conditions_n || y->conditions_n)
		return false;
	for (size_t i = 0; i < x->actions_n; i++)
		if (!str_eq(x->actions[i], y->actions[i]))
			return false;
	return true;
}

static bool same_document(const struct auth_document *x, const struct auth_document *y)
{
	if (x->rules_n != y->rules_n)
		return false;
	for (size_t i = 0; i < x->rules_n; i++)
		if (!same_rule(&x->rules[i], &y->rules[i]))
			return false;
	return true;
}

static rc parse_set(struct api_req *r)
{
	struct str word;

	TRY(api_body_object(r, "ACL"));
	TRY(api_body_str(r, "ACL", "permission", true, &word));
	for (size_t i = 0; i < LEVELS; i++)
		if (str_eq(word, str_c(levels[i].name)))
			r->op_state = (void *)(uintptr_t)&levels[i];
	if (!r->op_state)
		return err_set(&r->err, ERR_INVALID, "permission must be one of Read, Write, Super, Admin");
	return RC_OK;
}

static rc run_set(struct api_req *r)
{
	struct auth_document d = document(r->a, r->op_state);
	struct auth_call c = api_auth_call(r);
	struct str policy = policy_name(r);
	struct auth_policy made;
	struct auth_group g;
	rc written;

	TRY(auth_group_get(&c, r->group_id, &g));
	written = auth_policy_update(&c, policy, &d, &made);
	if (rc_is(written, NOT_FOUND))
		written = auth_policy_create(&c, policy, &d, &made);
	TRY(written);
	return auth_policy_attach(&c, AUTH_OF_GROUP, r->group_id, policy);
}

const struct api_handlers handlers_setGroupACL = {.parse = parse_set, .run = run_set};

static rc run_get(struct api_req *r)
{
	struct auth_call c = api_auth_call(r);
	struct auth_policy p;
	struct auth_group g;
	rc found;

	TRY(auth_group_get(&c, r->group_id, &g));
	found = auth_policy_get(&c, policy_name(r), &p);
	if (rc_is(found, NOT_FOUND))
		return RC_OK;
	TRY(found);
	for (size_t i = 0; i < LEVELS; i++) {
		struct auth_document d = document(r->a, &levels[i]);

		if (same_document(&d, &p.document))
			r->op_state = (void *)(uintptr_t)&levels[i];
	}
	return RC_OK;
}

static void reply_get(struct api_req *r)
{
	const struct level *l = r->op_state;

	api_begin(r);
	if (l) {
		jw_str(&r->w, "permission", str_c(l->name));
	} else {
		jw_str(&r->w, "message", STR("the group has no ACL"));
		jw_bool(&r->w, "no_acl", true);
	}
	api_end(r);
	api_reply_json(r, l ? r->route->status : 404);
}

const struct api_handlers handlers_getGroupACL = {.run = run_get, .reply = reply_get};
