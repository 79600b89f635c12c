#include "auth/builtin.h"

#include "auth/internal.h"
#include "auth/store.h"

enum { MAX_ACTIONS = 12, MAX_GROUP_POLICIES = 6 };

static const struct policy {
	const char *name, *resource;
	const char *actions[MAX_ACTIONS];
} policies[] = {
	{"FSFullAccess", "*", {"fs:*"}},
	{"FSReadWriteAll",
	 "*",
	 {"fs:Read*", "fs:List*", "fs:WriteObject", "fs:DeleteObject", "fs:RevertBranch",
	  "fs:CreateBranch", "fs:CreateTag", "fs:DeleteBranch", "fs:DeleteTag", "fs:CreateCommit"}},
	{"FSReadAll", "*", {"fs:List*", "fs:Read*"}},
	{"RepoManagementFullAccess",
	 "*",
	 {"ci:*", "retention:*", "branches:*", "pr:*", "fs:ReadConfig"}},
	{"RepoManagementReadAll",
	 "*",
	 {"ci:Read*", "retention:Get*", "branches:Get*", "pr:Read*", "pr:List*", "fs:ReadConfig"}},
	{"PRReadWriteAll", "*", {"pr:*"}},
	{"CatalogReadAll",
	 "*",
	 {"catalog:ListNamespaces", "catalog:GetNamespace", "catalog:ListTables",
	  "catalog:ReadTable", "catalog:ListViews", "catalog:ReadView"}},
	{"CatalogReadWriteAll", "*", {"catalog:*"}},
	{"AuthFullAccess", "*", {"auth:*"}},
	{"AuthManageOwnCredentials",
	 "arn:lakefs:auth:::user/${user}",
	 {"auth:CreateCredentials", "auth:DeleteCredentials", "auth:ListCredentials",
	  "auth:ReadCredentials"}},
};

static const struct group {
	const char *name;
	const char *policies[MAX_GROUP_POLICIES];
} groups[] = {
	{"Admins",
	 {"FSFullAccess", "CatalogReadWriteAll", "AuthFullAccess", "RepoManagementFullAccess"}},
	{"SuperUsers",
	 {"FSFullAccess", "CatalogReadWriteAll", "AuthManageOwnCredentials",
	  "RepoManagementReadAll"}},
	{"Developers",
	 {"FSReadWriteAll", "PRReadWriteAll", "CatalogReadWriteAll", "AuthManageOwnCredentials",
	  "RepoManagementReadAll"}},
	{"Viewers", {"FSReadAll", "CatalogReadAll", "AuthManageOwnCredentials"}},
};

static rc put_absent(struct kv *kv, struct str key, const ProtobufCMessage *m, struct err *reterr)
{
	rc r = auth_store_put(kv, key, m, true, reterr);

	return rc_is(r, PREDICATE) ? RC_OK : r;
}

static rc make_policy(struct kv *kv, const struct policy *p, struct arena *a, struct err *reterr)
{
	AuthPb__PolicyData record = AUTH_PB__POLICY_DATA__INIT;
	AuthPb__StatementData statement = AUTH_PB__STATEMENT_DATA__INIT;
	AuthPb__StatementData *statements[] = {&statement};
	AuthPb__Timestamp created = auth_now();

	while (statement.n_action < MAX_ACTIONS && p->actions[statement.n_action])
		statement.n_action++;
	statement.action = (char **)p->actions;
	statement.effect = "allow";
	statement.resource = (char *)p->resource;
	record.created_at = &created;
	record.display_name = (char *)p->name;
	record.n_statement = 1;
	record.statement = statements;
	return put_absent(kv, arena_printf(a, "policies/%s", p->name), &record.base, reterr);
}

static rc make_group(struct kv *kv, const struct group *g, struct arena *a, struct err *reterr)
{
	AuthPb__GroupData record = AUTH_PB__GROUP_DATA__INIT;
	AuthPb__Timestamp created = auth_now();

	record.created_at = &created;
	record.display_name = (char *)g->name;
	TRY(put_absent(kv, arena_printf(a, "groups/%s", g->name), &record.base, reterr));
	for (size_t i = 0; i < MAX_GROUP_POLICIES && g->policies[i]; i++)
		TRY(auth_store_put_index(
			kv, arena_printf(a, "gPolicies/%s/policies/%s", g->name, g->policies[i]),
			arena_printf(a, "policies/%s", g->policies[i]), reterr));
	return RC_OK;
}

static rc make_all(struct kv *kv, struct arena *a, struct err *reterr)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		TRY(make_policy(kv, &policies[i], a, reterr));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		TRY(make_group(kv, &groups[i], a, reterr));
	return RC_OK;
}

rc auth_builtin_make(struct kv *kv, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = make_all(kv, a, reterr);

	arena_free(a);
	return r;
}
