#include "auth/statements.h"

#include "base/json.h"

static struct str *strings(struct arena *a, char **from, size_t n)
{
	struct str *to = arena_alloc(a, n * sizeof(*to));

	for (size_t i = 0; i < n; i++)
		to[i] = str_c(from[i]);
	return to;
}

/* One resource, or the text of a JSON array of them. */
static bool resources(struct arena *a, struct str text, struct auth_statement *s)
{
	struct json *list;

	s->resources_n = 1;
	s->resources = arena_alloc(a, sizeof(*s->resources));
	s->resources[0] = text;
	if (!str_starts(text, STR("[")) || !str_ends(text, STR("]")))
		return true;
	if (!rc_ok(json_parse(a, text, &list, NULL)))
		return false;
	s->resources_n = json_count(list);
	s->resources = arena_alloc(a, s->resources_n * sizeof(*s->resources));
	for (size_t i = 0; i < s->resources_n; i++) {
		s->resources[i] = json_str(json_at(list, i));
		if (!s->resources[i].p)
			return false;
	}
	return true;
}

static size_t fields_count(const AuthPb__StatementData__ConditionEntry *e)
{
	return e->value && e->value->n_fields ? e->value->n_fields : 1;
}

/* An operator without fields is kept (field STR_NONE), for it may be an unknown one. */
static size_t operator_conditions(struct arena *a, const AuthPb__StatementData__ConditionEntry *e,
				  struct auth_condition *to)
{
	size_t n = e->value ? e->value->n_fields : 0;

	to[0] = (struct auth_condition){.op = str_c(e->key)};
	for (size_t i = 0; i < n; i++) {
		const AuthPb__ConditionFields__FieldsEntry *f = e->value->fields[i];

		to[i] = (struct auth_condition){.op = str_c(e->key), .field = str_c(f->key)};
		if (!f->value)
			continue;
		to[i].values = strings(a, f->value->values, f->value->n_values);
		to[i].values_n = f->value->n_values;
	}
	return n ? n : 1;
}

static void conditions(struct arena *a, const AuthPb__StatementData *from,
		       struct auth_statement *s)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n_condition; i++)
		n += fields_count(from->condition[i]);
	s->conditions = arena_alloc(a, n * sizeof(*s->conditions));
	for (size_t i = 0; i < from->n_condition; i++)
		s->conditions_n += operator_conditions(a, from->condition[i],
						       s->conditions + s->conditions_n);
}

static struct auth_statement statement(struct arena *a, const AuthPb__StatementData *from)
{
	struct str effect = str_c(from->effect);
	struct auth_statement s = {
		.allow = str_eq(effect, STR("allow")),
		.broken = !str_eq(effect, STR("allow")) && !str_eq(effect, STR("deny")),
		.actions = strings(a, from->action, from->n_action),
		.actions_n = from->n_action,
	};

	if (!resources(a, str_c(from->resource), &s)) {
		s.resources_n = 0;
		s.broken = true;
	}
	conditions(a, from, &s);
	return s;
}

rc auth_statements_add(struct auth_statements *to, const AuthPb__PolicyData *policy,
		       struct err *reterr)
{
	size_t n = policy->n_statement;

	if (n > to->max - to->n)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "its policies have more than %zu statements: join some of them",
			       to->max);
	if (to->n + n > to->cap) {
		struct auth_statement *p = arena_alloc(to->a, (to->n + n) * 2 * sizeof(*p));

		if (to->n)
			memcpy(p, to->p, to->n * sizeof(*p));
		to->p = p;
		to->cap = (to->n + n) * 2;
	}
	for (size_t i = 0; i < n; i++)
		to->p[to->n++] = statement(to->a, policy->statement[i]);
	return RC_OK;
}
