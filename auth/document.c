#include "auth/document.h"

#include "auth/condition.h"

static rc wrong(struct err *reterr, size_t i, const char *member, const char *what)
{
	return err_set(reterr, ERR_INVALID, "Error at \"/statement/%zu%s%s\": %s", i, *member ? "/" : "", member,
		       what);
}

static rc text_of(const struct json *rule, size_t i, const char *member, struct str *ret, struct err *reterr)
{
	const struct json *j = json_member(rule, member);

	if (!j)
		return err_set(reterr, ERR_INVALID, "Error at \"/statement/%zu/%s\": property \"%s\" is missing",
			       i, member, member);
	*ret = json_str(j);
	return ret->p ? RC_OK : wrong(reterr, i, member, "value must be a string");
}

static bool strings_of(struct arena *a, const struct json *list, struct str **ret, size_t *ret_n)
{
	size_t n = json_count(list);
	struct str *v = arena_alloc(a, (n + 1) * sizeof(*v));

	if (json_type(list) != JSON_ARRAY)
		return false;
	for (size_t i = 0; i < n; i++) {
		v[i] = json_str(json_at(list, i));
		if (!v[i].p)
			return false;
	}
	*ret = v;
	*ret_n = n;
	return true;
}

static rc actions_of(struct arena *a, const struct json *rule, size_t i, struct auth_rule *to,
		     struct err *reterr)
{
	const struct json *list = json_member(rule, "action");

	if (!list)
		return wrong(reterr, i, "action", "property \"action\" is missing");
	if (!strings_of(a, list, &to->actions, &to->actions_n))
		return wrong(reterr, i, "action", "value must be an array of strings");
	return RC_OK;
}

static size_t fields_count(const struct json *conditions)
{
	size_t n = 0;
	struct str op;

	for (size_t k = 0; k < json_count(conditions); k++)
		n += json_count(json_member_at(conditions, k, &op)) + 1;
	return n;
}

static rc conditions_of(struct arena *a, const struct json *rule, size_t i, struct auth_rule *to,
			struct err *reterr)
{
	const struct json *all = json_member(rule, "condition");

	to->conditions = arena_alloc(a, (fields_count(all) + 1) * sizeof(*to->conditions));
	if (json_type(all) != JSON_OBJECT)
		return json_type(all) == JSON_NULL ? RC_OK
						   : wrong(reterr, i, "condition", "value must be an object");
	for (size_t k = 0; k < json_count(all); k++) {
		struct auth_condition c = {0};
		const struct json *fields = json_member_at(all, k, &c.op);

		if (json_type(fields) != JSON_OBJECT)
			return wrong(reterr, i, "condition", "an operator's value must be an object");
		if (!json_count(fields))
			to->conditions[to->conditions_n++] = c;
		for (size_t f = 0; f < json_count(fields); f++) {
			const struct json *values = json_member_at(fields, f, &c.field);

			if (!strings_of(a, values, &c.values, &c.values_n))
				return wrong(reterr, i, "condition", "a field's value must be an array of strings");
			to->conditions[to->conditions_n++] = c;
		}
	}
	return RC_OK;
}

static rc rule_of(struct arena *a, const struct json *rule, size_t i, struct auth_rule *to,
		  struct err *reterr)
{
	*to = (struct auth_rule){0};
	if (json_type(rule) != JSON_OBJECT)
		return wrong(reterr, i, "", "value must be an object");
	TRY(text_of(rule, i, "effect", &to->effect, reterr));
	if (!str_eq(to->effect, STR("allow")) && !str_eq(to->effect, STR("deny")))
		return wrong(reterr, i, "effect", "value is not one of the allowed values [\"allow\",\"deny\"]");
	TRY(text_of(rule, i, "resource", &to->resource, reterr));
	TRY(actions_of(a, rule, i, to, reterr));
	return conditions_of(a, rule, i, to, reterr);
}

rc auth_document_of_json(struct arena *a, const struct json *statement, struct auth_document *ret,
			 struct err *reterr)
{
	size_t n = json_count(statement);

	if (!statement)
		return err_set(reterr, ERR_INVALID, "Error at \"/statement\": property \"statement\" is missing");
	if (json_type(statement) != JSON_ARRAY)
		return err_set(reterr, ERR_INVALID, "Error at \"/statement\": value must be an array");
	if (n > AUTH_MAX_RULES)
		return err_set(reterr, ERR_INVALID, "Error at \"/statement\": there are more than %d of them",
			       AUTH_MAX_RULES);
	ret->rules_n = n;
	ret->rules = arena_alloc(a, (n + 1) * sizeof(*ret->rules));
	for (size_t i = 0; i < n; i++)
		TRY(rule_of(a, json_at(statement, i), i, &ret->rules[i], reterr));
	return RC_OK;
}

/* A NUL would end it in the record, and control characters are never meant. */
static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return str_is_utf8(s);
}

static rc check_action(struct str action, struct err *reterr)
{
	static const char *const services[] = {"fs", "auth", "ci", "retention", "branches", "pr", "catalog"};
	struct str name, service = str_cut(action, ':', &name);

	for (size_t i = 0; name.n && is_text(name) && i < sizeof(services) / sizeof(services[0]); i++)
		if (str_eq(service, str_c(services[i])))
			return RC_OK;
	return err_set(reterr, ERR_INVALID,
		       "invalid action \"" STR_FMT "\": it is a service and a name, like fs:ReadObject; the services "
		       "are fs, auth, ci, retention, branches, pr and catalog",
		       STR_ARG(str_head(action, 100)));
}

/* arn:lakefs:<service>:<region>:<account>:<resource> */
static bool is_arn(struct str s)
{
	struct str rest = s, service;

	if (!str_eq(str_cut(rest, ':', &rest), STR("arn")) || !rest.p ||
	    !str_eq(str_cut(rest, ':', &rest), STR("lakefs")) || !rest.p)
		return false;
	service = str_cut(rest, ':', &rest);
	if (!service.n || !rest.p)
		return false;
	str_cut(rest, ':', &rest);
	if (!rest.p)
		return false;
	str_cut(rest, ':', &rest);
	return rest.n > 0;
}

static rc check_arn(struct str s, struct err *reterr)
{
	if (str_eq(s, STR("*")) || (is_text(s) && is_arn(s)))
		return RC_OK;
	return err_set(reterr, ERR_INVALID,
		       "invalid resource \"" STR_FMT "\": it is \"*\", or an ARN like "
		       "arn:lakefs:fs:::repository/NAME, or the text of a JSON array of ARNs",
		       STR_ARG(str_head(s, 100)));
}

static rc check_list(struct arena *a, struct str text, struct err *reterr)
{
	struct json *list;

	if (!rc_ok(json_parse(a, text, &list, NULL)) || json_type(list) != JSON_ARRAY || !json_count(list))
		return check_arn(text, reterr);
	for (size_t i = 0; i < json_count(list); i++) {
		struct str arn = json_str(json_at(list, i));

		TRY(check_arn(arn.p ? arn : STR(""), reterr));
	}
	return RC_OK;
}

static rc check_resource(struct str resource, struct err *reterr)
{
	struct arena *a;
	rc r;

	if (!str_starts(resource, STR("[")) || !str_ends(resource, STR("]")))
		return check_arn(resource, reterr);
	a = arena_new();
	r = check_list(a, resource, reterr);
	arena_free(a);
	return r;
}

static rc check_rule(const struct auth_rule *r, struct err *reterr)
{
	if (!r->actions_n)
		return err_set(reterr, ERR_INVALID, "a statement without actions says nothing: name one");
	for (size_t i = 0; i < r->actions_n; i++)
		TRY(check_action(r->actions[i], reterr));
	TRY(check_resource(r->resource, reterr));
	for (size_t i = 0; i < r->conditions_n; i++) {
		for (size_t k = 0; k < r->conditions[i].values_n; k++)
			if (!is_text(r->conditions[i].values[k]))
				return err_set(reterr, ERR_INVALID, "a condition's value has control characters");
		TRY(auth_condition_check(&r->conditions[i], reterr));
	}
	return RC_OK;
}

rc auth_document_check(const struct auth_document *d, struct err *reterr)
{
	if (!d->rules_n)
		return err_set(reterr, ERR_INVALID, "a policy without statements says nothing: write one");
	for (size_t i = 0; i < d->rules_n; i++) {
		rc r = check_rule(&d->rules[i], reterr);

		if (!rc_ok(r))
			return err_wrap(r, reterr, "statement %zu", i);
	}
	return RC_OK;
}

static void write_conditions(const struct auth_rule *r, struct json_out *w)
{
	jw_object(w, "condition");
	for (size_t i = 0; i < r->conditions_n; i++) {
		const struct auth_condition *c = &r->conditions[i];

		if (i == 0 || !str_eq(c->op, c[-1].op))
			jw_object(w, c->op.p);
		if (c->field.p) {
			jw_array(w, c->field.p);
			for (size_t k = 0; k < c->values_n; k++)
				jw_str(w, NULL, c->values[k]);
			jw_end_array(w);
		}
		if (i + 1 == r->conditions_n || !str_eq(c->op, c[1].op))
			jw_end_object(w);
	}
	jw_end_object(w);
}

void auth_document_write(const struct auth_document *d, struct json_out *w)
{
	jw_array(w, "statement");
	for (size_t i = 0; i < d->rules_n; i++) {
		const struct auth_rule *r = &d->rules[i];

		jw_object(w, NULL);
		jw_array(w, "action");
		for (size_t k = 0; k < r->actions_n; k++)
			jw_str(w, NULL, r->actions[k]);
		jw_end_array(w);
		if (r->conditions_n)
			write_conditions(r, w);
		jw_str(w, "effect", r->effect);
		jw_str(w, "resource", r->resource);
		jw_end_object(w);
	}
	jw_end_array(w);
}
