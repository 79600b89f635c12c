#include "auth/user.h"

#include <assert.h>

#include "auth/statements.h"
#include "auth/wildcard.h"
#include "base/buf.h"

static const struct str placeholder = {"${user}", 7};

/* The name as a pattern that matches itself alone, whatever characters it has. */
static struct str literal(struct arena *a, struct str name)
{
	struct str copy = arena_dup(a, name);
	char *p = (char *)copy.p;

	for (size_t i = 0; i < copy.n; i++)
		if (p[i] == '*')
			p[i] = AUTH_LITERAL_STAR;
		else if (p[i] == '?')
			p[i] = AUTH_LITERAL_QUERY;
	return copy;
}

static struct str interpolate(struct arena *a, struct str resource, struct str name)
{
	struct buf out = BUF_INIT(SIZE_MAX);
	struct str ret;
	size_t at;

	while ((at = str_find(resource, placeholder)) < resource.n) {
		buf_add(&out, str_head(resource, at));
		buf_add(&out, name);
		resource = str_skip(resource, at + placeholder.n);
	}
	buf_add(&out, resource);
	ret = arena_dup(a, buf_str(&out));
	buf_deinit(&out);
	return ret;
}

static struct str *strings(struct arena *a, const struct str *from, size_t n)
{
	struct str *to = arena_alloc(a, n * sizeof(*to));

	for (size_t i = 0; i < n; i++)
		to[i] = arena_dup(a, from[i]);
	return to;
}

static struct auth_condition *conditions(struct arena *a, const struct auth_condition *from,
					 size_t n)
{
	struct auth_condition *to = arena_alloc(a, n * sizeof(*to));

	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].op = arena_dup(a, from[i].op);
		to[i].field = from[i].field.p ? arena_dup(a, from[i].field) : STR_NONE;
		to[i].values = strings(a, from[i].values, from[i].values_n);
	}
	return to;
}

static struct auth_statement statement(struct arena *a, const struct auth_statement *from,
				       struct str name)
{
	struct auth_statement to = *from;

	to.actions = strings(a, from->actions, from->actions_n);
	to.resources = arena_alloc(a, from->resources_n * sizeof(*to.resources));
	for (size_t i = 0; i < from->resources_n; i++)
		to.resources[i] = interpolate(a, from->resources[i], name);
	to.conditions = conditions(a, from->conditions, from->conditions_n);
	return to;
}

static struct auth_statement *statements(struct arena *a, struct str name, const struct auth_statement *s,
					 size_t n)
{
	struct auth_statement *to = arena_alloc(a, n * sizeof(*to));
	struct str as_pattern = literal(a, name);

	for (size_t i = 0; i < n; i++)
		to[i] = statement(a, &s[i], as_pattern);
	return to;
}

struct auth_user *auth_user_of(struct str name, const struct auth_statement *s, size_t n)
{
	struct arena *a = arena_new();
	struct auth_user *u = ARENA_NEW(a, struct auth_user);

	*u = (struct auth_user){
		.refs = 1,
		.arena = a,
		.name = arena_dup(a, name),
		.statements = statements(a, name, s, n),
		.statements_n = n,
	};
	return u;
}

struct auth_user *auth_user_session(struct auth_user *base, const struct auth_statements *scope)
{
	struct arena *a = arena_new();
	struct auth_user *u = ARENA_NEW(a, struct auth_user);

	*u = (struct auth_user){
		.refs = 1,
		.arena = a,
		.name = base->name,
		.statements = base->statements,
		.statements_n = base->statements_n,
		.base = auth_user_ref(base),
		.temporary = true,
		.created_s = base->created_s,
		.created_ns = base->created_ns,
	};
	if (scope) {
		u->scoped = true;
		u->scope = statements(a, base->name, scope->p, scope->n);
		u->scope_n = scope->n;
	}
	return u;
}

struct auth_user *auth_user_administrator(struct str name)
{
	struct str all = STR("*");
	struct auth_statement everything = {
		.allow = true,
		.actions = &all,
		.actions_n = 1,
		.resources = &all,
		.resources_n = 1,
	};

	return auth_user_of(name, &everything, 1);
}

struct str auth_user_name(const struct auth_user *u)
{
	return u->name;
}

struct str auth_user_access_key(const struct auth_user *u)
{
	return u->access_key;
}

bool auth_user_is_temporary(const struct auth_user *u)
{
	return u->temporary;
}

struct auth_user *auth_user_ref(struct auth_user *u)
{
	unsigned before = __atomic_fetch_add(&u->refs, 1, __ATOMIC_RELAXED);

	assert(before > 0);
	return u;
}

void auth_user_unref(struct auth_user *u)
{
	struct auth_user *base;

	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	base = u->base;
	arena_free(u->arena);
	auth_user_unref(base);
}
