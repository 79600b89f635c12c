#include "cli/known.h"

#include "auth/auth.h"
#include "base/err.h"

/* Keys of a partition begin so; "" knows all. FORMATS.md 6.4 and 6.5; "sluice-" partitions are sluice's own. */
struct row {
	struct str partition;
	const char *prefixes[16];
};

#define AUTH_KEYS                                                                                  \
	{                                                                                          \
		"users/", "groups/", "policies/", "uCredentials/", "gUsers/", "uPolicies/",        \
			"gPolicies/", "expiredTokens/", "externalPrincipals/",                     \
			"uExternalPrincipals/", "installation_id", "installation_metadata/"        \
	}

static const struct row rows[] = {
	{STR("graveler"), {"repos/"}},
	{STR("kv-internal-metadata"), {"kv/"}},
	{STR("auth"), AUTH_KEYS},
	{STR("aclauth"), AUTH_KEYS},
	{STR("basicAuth"), AUTH_KEYS},
	{STR("pulls"), {"repos/"}},
	{STR("actions"), {"repos/"}},
	{STR("usage"), {"usage/"}},
	{STR("catalog"), {"instances/"}},
	{STR("mc-ownership"), {"run-refs/"}},
	{STR("multiparts"), {""}},
	{STR("cleanup-tokens"), {""}},
	{STR("sluice-dropped-tokens"), {""}},
	{STR("sluice-leases"), {""}},
	{STR("sluice-namespaces"), {""}},
	{STR("sluice-parts"), {""}},
	{STR("sluice-tasks"), {""}},
};

static const struct row repository = {
	STR(""),
	{"branches/", "tags/", "commits/", "settings/", "repo-metadata", "imports/", "tasks/", "pulls/"},
};

enum { UUID = 36, UID = 20 };

/* <repository>-<branch>:<uuid> */
static bool is_token(struct str p)
{
	struct str uuid = p.n > UUID ? str_skip(p, p.n - UUID) : STR("");

	for (size_t i = 0; i < uuid.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (uuid.p[i] == '-'))
			return false;
	}
	return uuid.n == UUID && p.p[p.n - UUID - 1] == ':';
}

/* <repository>-<instance's xid> */
static bool is_repository(struct str p)
{
	return p.n > UID + 1 && p.p[p.n - UID - 1] == '-';
}

static bool has_key(const struct row *row, struct str key)
{
	for (size_t i = 0; i < 16 && row->prefixes[i]; i++)
		if (str_starts(key, str_c(row->prefixes[i])))
			return true;
	return false;
}

static bool is_known(const struct kv_record *r)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_eq(r->partition, rows[i].partition))
			return has_key(&rows[i], r->key);
	if (is_token(r->partition))
		return true;
	return is_repository(r->partition) && has_key(&repository, r->key);
}

rc known_schema(void *ud, const struct kv_record *r, struct err *reterr)
{
	if (str_eq(r->partition, STR("kv-internal-metadata")) && str_eq(r->key, STR("kv/schema/version")))
		return auth_check_schema_version(r->value, reterr);
	return RC_OK;
}

/* What can be shown of bytes that may be anything. */
static struct str shown(struct str s)
{
	size_t n = 0, step;

	while (n < s.n && n < 120 && (unsigned char)s.p[n] >= ' ' && (step = str_utf8_len(str_skip(s, n))))
		n += step;
	return str_head(s, n);
}

rc known_record(void *ud, const struct kv_record *r, struct err *reterr)
{
	TRY(known_schema(ud, r, reterr));
	if (is_known(r))
		return RC_OK;
	return err_set(reterr, ERR_CONFIG,
		       "this sluice doesn't know the record \"" STR_FMT "\" of partition \"" STR_FMT
		       "\": use a newer sluice, or have such records taken along as they are with "
		       "--unknown-records",
		       STR_ARG(shown(r->key)), STR_ARG(shown(r->partition)));
}
