#include "versions/protection.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/encode.h"
#include "versions/glob.h"
#include "versions/internal.h"
#include "versions/pb.h"

#define RULES STR("settings/protected_branches")

/* Numbers of actions in the record. */
enum { STAGING_WRITE = 0, COMMIT = 1 };

/* The record. */

static Pb__BlockedActions *actions(struct arena *a, unsigned blocked)
{
	Pb__BlockedActions *m = ARENA_NEW(a, Pb__BlockedActions);

	pb__blocked_actions__init(m);
	m->value = arena_alloc(a, 2 * sizeof(*m->value));
	if (blocked & PROTECT_STAGING)
		m->value[m->n_value++] = STAGING_WRITE;
	if (blocked & PROTECT_COMMIT)
		m->value[m->n_value++] = COMMIT;
	return m;
}

static struct str encode(struct arena *a, const struct protection_rule *rules, size_t n)
{
	Pb__BranchProtectionRules m = PB__BRANCH_PROTECTION_RULES__INIT;

	m.rules = arena_alloc(a, n * sizeof(*m.rules));
	m.n_rules = n;
	for (size_t i = 0; i < n; i++) {
		m.rules[i] = ARENA_NEW(a, Pb__ProtectionRule);
		pb__protection_rule__init(m.rules[i]);
		m.rules[i]->pattern = pb_bytes(rules[i].pattern);
		m.rules[i]->blocked = actions(a, rules[i].blocked);
	}
	return pb_pack(&m.base, a);
}

static unsigned blocked_of(const Pb__BlockedActions *m)
{
	unsigned blocked = 0;

	for (size_t i = 0; m && i < m->n_value; i++)
		blocked |= m->value[i] == STAGING_WRITE ? PROTECT_STAGING
			   : m->value[i] == COMMIT	 ? PROTECT_COMMIT
							 : 0;
	return blocked;
}

static int by_pattern(const void *x, const void *y)
{
	return str_cmp(((const struct protection_rule *)x)->pattern,
		       ((const struct protection_rule *)y)->pattern);
}

static rc decode(struct str raw, struct arena *a, struct protection *ret, struct err *reterr)
{
	Pb__BranchProtectionRules *m = pb_unpack(&pb__branch_protection_rules__descriptor, raw, a);

	if (!m)
		return err_set(reterr, ERR_CORRUPT, "the branch protection rules can't be decoded");
	ret->n = m->n_rules;
	ret->rules = arena_alloc(a, m->n_rules * sizeof(*ret->rules));
	for (size_t i = 0; i < m->n_rules; i++)
		ret->rules[i] = (struct protection_rule){
			.pattern = pb_str(m->rules[i]->pattern),
			.blocked = blocked_of(m->rules[i]->blocked),
		};
	if (ret->n)
		qsort(ret->rules, ret->n, sizeof(*ret->rules), by_pattern);
	return RC_OK;
}

static struct str checksum(struct arena *a, struct str raw)
{
	uint8_t sum[32];

	if (!raw.p)
		return STR("");
	digest_of(DIGEST_SHA256, raw, sum);
	return hex_encode(a, str_make(sum, sizeof(sum)));
}

/* *ret STR_NONE: there is none. */
static rc read_record(struct vcall *c, const struct repo *r, struct str *ret)
{
	rc res = kv_get(c->v->kv, c->wait, r->partition, RULES, c->a, ret, c->err);

	if (!rc_is(res, NOT_FOUND))
		return res;
	*ret = STR_NONE;
	return RC_OK;
}

/* Getting and setting: what is in the KV now. */

rc protection_get(struct vcall *c, const struct repo *r, struct protection *ret)
{
	struct str raw;

	TRY(read_record(c, r, &raw));
	*ret = (struct protection){.checksum = checksum(c->a, raw)};
	return raw.p ? decode(raw, c->a, ret, c->err) : RC_OK;
}

static rc check_rules(struct vcall *c, const struct protection_rule *rules, size_t n)
{
	if (n > PROTECTION_RULES_MAX)
		return err_set(c->err, ERR_INVALID, "there may be %d branch protection rules, these are %zu",
			       PROTECTION_RULES_MAX, n);
	for (size_t i = 0; i < n; i++)
		TRY(glob_check(rules[i].pattern, c->err));
	return RC_OK;
}

/* By pattern, each once: its last rule. */
static struct protection_rule *sorted(struct arena *a, const struct protection_rule *rules, size_t *n)
{
	struct protection_rule *list = arena_alloc(a, *n * sizeof(*list) + 1);
	size_t left = 0;

	for (size_t i = 0, j; i < *n; i++) {
		for (j = i + 1; j < *n && !str_eq(rules[i].pattern, rules[j].pattern); j++)
			;
		if (j == *n)
			list[left++] = rules[i];
	}
	if (left)
		qsort(list, left, sizeof(*list), by_pattern);
	*n = left;
	return list;
}

static struct str cache_key(struct arena *a, const struct repo *r)
{
	const struct str pieces[] = {r->partition, STR("/"), RULES};

	return arena_join(a, pieces, 3);
}

rc protection_set(struct vcall *c, const struct repo *r, const struct protection_rule *rules, size_t n,
		  struct str if_match)
{
	struct str raw, value;
	rc res;

	TRY(check_rules(c, rules, n));
	rules = sorted(c->a, rules, &n);
	value = encode(c->a, rules, n);
	if (!if_match.p) {
		res = kv_set(c->v->kv, r->partition, RULES, value, c->err);
	} else {
		TRY(read_record(c, r, &raw));
		if (!str_eq(checksum(c->a, raw), if_match))
			return err_set(c->err, ERR_PREDICATE,
				       "the branch protection rules were changed by somebody else: read them again");
		res = kv_set_if(c->v->kv, r->partition, RULES, value, raw.p ? KV_IF_VALUE : KV_IF_ABSENT,
				raw, c->err);
	}
	cache_drop(c->v->settings, cache_key(c->a, r));
	return res;
}

/* Asking: what is remembered. */

static rc recent(struct vcall *c, const struct repo *r, struct str *ret)
{
	struct str key = cache_key(c->a, r);
	uint64_t epoch = cache_epoch(c->v->settings);

	if (cache_get(c->v->settings, key, c->a, ret))
		return RC_OK;
	TRY(read_record(c, r, ret));
	if (!ret->p)
		*ret = STR("");
	cache_put(c->v->settings, epoch, key, *ret, c->v->repo_cache_ms);
	return RC_OK;
}

static rc blocked(struct vcall *c, struct str branch, unsigned what)
{
	if (what == PROTECT_COMMIT)
		return err_set(c->err, ERR_ProtectedBranch,
			       "cannot commit to protected branch '" STR_FMT "'", STR_ARG(branch));
	return err_set(c->err, ERR_WriteToProtectedBranch,
		       "cannot write to protected branch '" STR_FMT "'", STR_ARG(branch));
}

rc protection_check(struct vcall *c, const struct repo *r, struct str branch, unsigned what)
{
	struct protection p;
	struct str raw;

	TRY(recent(c, r, &raw));
	if (!raw.n)
		return RC_OK;
	TRY(decode(raw, c->a, &p, c->err));
	for (size_t i = 0; i < p.n; i++)
		if ((p.rules[i].blocked & what) && glob_matches(p.rules[i].pattern, branch))
			return blocked(c, branch, what);
	return RC_OK;
}
