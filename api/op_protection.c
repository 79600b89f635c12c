/* settings/branch_protection. The ETag is the rules' checksum, without quotes, as lakeFS has it. */
#include "api/rest.h"
#include "versions/protection.h"

static rc run_get(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct protection p;

	TRY(protection_get(&c, &r->repo, &p));
	api_add_header(r, "etag", p.n ? p.checksum : STR(""));
	jw_array(&r->w, NULL);
	for (size_t i = 0; i < p.n; i++) {
		jw_object(&r->w, NULL);
		jw_str(&r->w, "pattern", p.rules[i].pattern);
		jw_end_object(&r->w);
	}
	jw_end_array(&r->w);
	return RC_OK;
}

const struct api_handlers handlers_getBranchProtectionRules = {.run = run_get};

struct setting {
	struct protection_rule *rules;
	size_t n;
	struct str if_match;
};

static rc rule(struct api_req *r, const struct json *j, struct protection_rule *ret)
{
	*ret = (struct protection_rule){.pattern = json_str(json_member(j, "pattern")),
					.blocked = PROTECT_STAGING | PROTECT_COMMIT};
	if (!ret->pattern.p)
		return api_bad_body(r, NULL, "pattern", "a rule needs a pattern, a string");
	return ret->pattern.n ? RC_OK : api_bad_body(r, NULL, "pattern", "minimum string length is 1");
}

static rc parse_set(struct api_req *r)
{
	struct setting *s = ARENA_NEW(r->a, struct setting);
	struct str match = api_header(r, "if-match");

	r->op_state = s;
	if (json_type(r->doc) != JSON_ARRAY)
		return api_bad_body(r, NULL, NULL, "value must be an array");
	s->n = json_count(r->doc);
	s->rules = arena_alloc(r->a, s->n * sizeof(*s->rules) + 1);
	for (size_t i = 0; i < s->n; i++)
		TRY(rule(r, json_at(r->doc, i), &s->rules[i]));
	if (match.p && !match.n)
		return err_set(&r->err, ERR_INVALID,
			       "Invalid format for parameter If-Match: parameter 'If-Match' is empty, can't "
			       "bind its value");
	s->if_match = match;
	return RC_OK;
}

static rc run_set(struct api_req *r)
{
	struct setting *s = r->op_state;
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return protection_set(&c, &r->repo, s->rules, s->n, s->if_match);
}

const struct api_handlers handlers_setBranchProtectionRules = {.parse = parse_set, .run = run_set};

/* One rule more, or fewer: by the old paths. Somebody else's change in between isn't lost. */

enum { TRIES = 10 };

static rc parse_one(struct api_req *r)
{
	struct protection_rule *one = ARENA_NEW(r->a, struct protection_rule);

	r->op_state = one;
	TRY(api_body_object(r, "BranchProtectionRule"));
	return rule(r, r->doc, one);
}

/* The rules without that pattern, and room for one. */
static struct protection_rule *others(struct api_req *r, const struct protection *p, struct str pattern, size_t *ret_n)
{
	struct protection_rule *list = arena_alloc(r->a, (p->n + 1) * sizeof(*list));

	*ret_n = 0;
	for (size_t i = 0; i < p->n; i++)
		if (!str_eq(p->rules[i].pattern, pattern))
			list[(*ret_n)++] = p->rules[i];
	return list;
}

static rc change_one(struct api_req *r, bool add)
{
	struct protection_rule *one = r->op_state;
	struct vcall c = api_vcall(r);
	rc done = RC(PREDICATE);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	for (unsigned i = 0; i < TRIES && rc_is(done, PREDICATE); i++) {
		struct protection_rule *rules;
		struct protection p;
		size_t n;

		TRY(protection_get(&c, &r->repo, &p));
		rules = others(r, &p, one->pattern, &n);
		if (!add && n == p.n)
			return err_set(&r->err, ERR_NOT_FOUND, "there is no such branch protection rule");
		if (add)
			rules[n++] = *one;
		done = protection_set(&c, &r->repo, rules, n, p.checksum);
	}
	return rc_is(done, PREDICATE) ? err_set(&r->err, ERR_SlowDown, "others keep changing the rules; try again") : done;
}

static rc run_add(struct api_req *r)
{
	return change_one(r, true);
}

static rc run_remove(struct api_req *r)
{
	return change_one(r, false);
}

const struct api_handlers handlers_internalGetBranchProtectionRules = {.run = run_get};
const struct api_handlers handlers_internalCreateBranchProtectionRule = {.parse = parse_one, .run = run_add};
const struct api_handlers handlers_internalDeleteBranchProtectionRule = {.parse = parse_one, .run = run_remove};
