/* Evaluation of policies (API.md 2.5): conditions first, then a deny wins, then an allow. */
#include "auth/auth.h"

#include <assert.h>

#include "auth/condition.h"
#include "auth/user.h"
#include "auth/wildcard.h"

enum answer { NEUTRAL, ALLOW, DENY };

/* arn:<partition>:<service>:<region>:<account>:<resource> */
struct arn {
	struct str partition, service, account, resource;
};

static bool arn_parse(struct str s, struct arn *ret)
{
	struct str rest = s;

	if (!str_eq(str_cut(rest, ':', &rest), STR("arn")) || !rest.p)
		return false;
	ret->partition = str_cut(rest, ':', &rest);
	if (!rest.p)
		return false;
	ret->service = str_cut(rest, ':', &rest);
	if (!rest.p)
		return false;
	str_cut(rest, ':', &rest); /* the region means nothing */
	if (!rest.p)
		return false;
	ret->account = str_cut(rest, ':', &rest);
	ret->resource = rest;
	return rest.p;
}

typedef bool match_fn(struct str pattern, struct str text);

static bool resource_matches(struct str pattern, struct str resource, match_fn *matches)
{
	struct arn p, r;

	if (str_eq(pattern, STR("*")))
		return true;
	return arn_parse(pattern, &p) && arn_parse(resource, &r) &&
	       str_eq(p.partition, r.partition) && str_eq(p.service, r.service) &&
	       str_eq(p.account, r.account) && matches(p.resource, r.resource);
}

static bool has_action(const struct auth_statement *s, struct str action)
{
	for (size_t i = 0; i < s->actions_n; i++)
		if (auth_wildcard(s->actions[i], action))
			return true;
	return false;
}

/* Of a beginning: an allow must cover all of it, a deny need only touch it. */
static match_fn *match_of(const struct auth_statement *s, const struct auth_need *need)
{
	if (need->kind != NEED_BELOW)
		return auth_wildcard;
	return s->allow ? auth_wildcard_covers : auth_wildcard_touches;
}

static bool has_resource(const struct auth_statement *s, const struct auth_need *need)
{
	for (size_t i = 0; i < s->resources_n; i++)
		if (resource_matches(s->resources[i], need->resource, match_of(s, need)))
			return true;
	return false;
}

static bool is_leaf(const struct auth_need *need)
{
	return need->kind == NEED_PERMISSION || need->kind == NEED_BELOW;
}

/* What a permission is asked of. */
struct rules {
	const struct auth_statement *p;
	size_t n;
	bool no_auth; /* nothing of users, groups, policies and credentials */
};

static enum answer permission(const struct rules *rules, const struct auth_need *need,
			      const struct auth_context *ctx)
{
	enum answer answer = NEUTRAL;

	if (rules->no_auth && str_starts(need->action, STR("auth:")))
		return DENY;
	for (size_t i = 0; i < rules->n; i++) {
		const struct auth_statement *s = &rules->p[i];
		enum auth_verdict v = s->broken ? AUTH_BROKEN : auth_conditions(s, ctx);

		if (v == AUTH_BROKEN)
			return DENY;
		if (v == AUTH_NOT_MET || !has_action(s, need->action) ||
		    !has_resource(s, need))
			continue;
		if (!s->allow)
			return DENY;
		answer = ALLOW;
	}
	return answer;
}

/* *ret_leaf: the permission that decided, when it isn't ALLOW. */
static enum answer evaluate(const struct rules *rules, const struct auth_need *need,
			    const struct auth_context *ctx, const struct auth_need **ret_leaf)
{
	const struct auth_need *leaf;
	enum answer answer = NEUTRAL;

	*ret_leaf = need;
	if (is_leaf(need))
		return permission(rules, need, ctx);
	for (size_t i = 0; i < need->kids_n; i++) {
		enum answer kid = evaluate(rules, &need->kids[i], ctx, &leaf);

		if (kid == DENY || (kid == NEUTRAL && need->kind == NEED_AND)) {
			*ret_leaf = leaf;
			return kid;
		}
		if (kid == ALLOW)
			answer = ALLOW;
		else if (*ret_leaf == need)
			*ret_leaf = leaf;
	}
	return answer;
}

static rc ask(const struct rules *rules, const struct auth_need *need, const struct auth_context *ctx,
	      const char *whose, struct err *reterr)
{
	const struct auth_need *leaf;
	enum answer answer = evaluate(rules, need, ctx, &leaf);

	assert(is_leaf(leaf) || answer == ALLOW || need->kids_n == 0);
	if (answer == ALLOW)
		return RC_OK;
	return err_set(reterr, ERR_AccessDenied,
		       "insufficient permissions: %s " STR_FMT " on " STR_FMT "%s%s",
		       answer == DENY ? "denied permission to" : "not allowed to",
		       STR_ARG(leaf->action), STR_ARG(leaf->resource), leaf->kind == NEED_BELOW ? "*" : "", whose);
}

/* A session's two sets of rules are asked one after the other, each for the whole tree. */
rc auth_allows(const struct auth_user *u, const struct auth_need *need,
	       const struct auth_context *ctx, struct err *reterr)
{
	struct rules of_user = {u->statements, u->statements_n, u->temporary};
	struct rules of_scope = {u->scope, u->scope_n, true};

	TRY(ask(&of_user, need, ctx, "", reterr));
	return u->scoped ? ask(&of_scope, need, ctx, " by the session's policy", reterr) : RC_OK;
}

static bool somewhere(const struct auth_statement *s, size_t n, struct str action)
{
	for (size_t i = 0; i < n; i++)
		if (s[i].allow && !s[i].broken && has_action(&s[i], action))
			return true;
	return false;
}

/* Whether conditions are met depends on what is asked for each (its store), so they are left to the filter. */
bool auth_allows_somewhere(const struct auth_user *u, struct str action)
{
	return somewhere(u->statements, u->statements_n, action) &&
	       (!u->scoped || somewhere(u->scope, u->scope_n, action));
}
