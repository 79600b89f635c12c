/* Policies and what they are attached to. */
#include <stdlib.h>

#include "auth/internal.h"
#include "auth/store.h"

/* Records and documents. */

static AuthPb__StatementData__ConditionEntry *operator_of(struct arena *a, const struct auth_condition *v,
							  size_t n)
{
	AuthPb__StatementData__ConditionEntry *e = ARENA_NEW(a, AuthPb__StatementData__ConditionEntry);

	auth_pb__statement_data__condition_entry__init(e);
	e->key = arena_cstr(a, v->op);
	e->value = ARENA_NEW(a, AuthPb__ConditionFields);
	auth_pb__condition_fields__init(e->value);
	e->value->fields = arena_alloc(a, n * sizeof(*e->value->fields));
	for (size_t i = 0; i < n && v[i].field.p; i++) {
		AuthPb__ConditionFields__FieldsEntry *f = ARENA_NEW(a, AuthPb__ConditionFields__FieldsEntry);

		auth_pb__condition_fields__fields_entry__init(f);
		f->key = arena_cstr(a, v[i].field);
		f->value = ARENA_NEW(a, AuthPb__ConditionValues);
		auth_pb__condition_values__init(f->value);
		f->value->n_values = v[i].values_n;
		f->value->values = arena_alloc(a, (v[i].values_n + 1) * sizeof(char *));
		for (size_t k = 0; k < v[i].values_n; k++)
			f->value->values[k] = arena_cstr(a, v[i].values[k]);
		e->value->fields[e->value->n_fields++] = f;
	}
	return e;
}

static AuthPb__StatementData *statement_of(struct arena *a, const struct auth_rule *r)
{
	AuthPb__StatementData *s = ARENA_NEW(a, AuthPb__StatementData);

	auth_pb__statement_data__init(s);
	s->effect = arena_cstr(a, r->effect);
	s->resource = arena_cstr(a, r->resource);
	s->n_action = r->actions_n;
	s->action = arena_alloc(a, r->actions_n * sizeof(char *));
	for (size_t i = 0; i < r->actions_n; i++)
		s->action[i] = arena_cstr(a, r->actions[i]);
	s->condition = arena_alloc(a, (r->conditions_n + 1) * sizeof(*s->condition));
	for (size_t i = 0, n; i < r->conditions_n; i += n) {
		for (n = 1; i + n < r->conditions_n && str_eq(r->conditions[i].op, r->conditions[i + n].op);)
			n++;
		s->condition[s->n_condition++] = operator_of(a, &r->conditions[i], n);
	}
	return s;
}

static void conditions_shown(struct arena *a, const AuthPb__StatementData *s, struct auth_rule *to)
{
	size_t max = 0;

	for (size_t i = 0; i < s->n_condition; i++)
		max += 1 + (s->condition[i]->value ? s->condition[i]->value->n_fields : 0);
	to->conditions = arena_alloc(a, (max + 1) * sizeof(*to->conditions));
	for (size_t i = 0; i < s->n_condition; i++) {
		const AuthPb__ConditionFields *fields = s->condition[i]->value;
		struct auth_condition c = {.op = str_c(s->condition[i]->key)};

		if (!fields || !fields->n_fields)
			to->conditions[to->conditions_n++] = c;
		for (size_t f = 0; fields && f < fields->n_fields; f++) {
			const AuthPb__ConditionValues *values = fields->fields[f]->value;

			c.field = str_c(fields->fields[f]->key);
			c.values_n = values ? values->n_values : 0;
			c.values = arena_alloc(a, (c.values_n + 1) * sizeof(*c.values));
			for (size_t k = 0; k < c.values_n; k++)
				c.values[k] = str_c(values->values[k]);
			to->conditions[to->conditions_n++] = c;
		}
	}
}

static struct auth_rule rule_shown(struct arena *a, const AuthPb__StatementData *s)
{
	struct auth_rule r = {
		.effect = str_c(s->effect),
		.resource = str_c(s->resource),
		.actions = arena_alloc(a, (s->n_action + 1) * sizeof(*r.actions)),
		.actions_n = s->n_action,
	};

	for (size_t i = 0; i < s->n_action; i++)
		r.actions[i] = str_c(s->action[i]);
	conditions_shown(a, s, &r);
	return r;
}

static struct auth_policy shown(struct arena *a, struct str id, const AuthPb__PolicyData *p)
{
	struct auth_policy to = {.id = id, .created_s = p->created_at ? p->created_at->seconds : 0};

	to.document.rules_n = p->n_statement;
	to.document.rules = arena_alloc(a, (p->n_statement + 1) * sizeof(*to.document.rules));
	for (size_t i = 0; i < p->n_statement; i++)
		to.document.rules[i] = rule_shown(a, p->statement[i]);
	return to;
}

AuthPb__PolicyData *auth_policy_record(struct arena *a, struct str id, const struct auth_document *d)
{
	AuthPb__PolicyData *p = ARENA_NEW(a, AuthPb__PolicyData);
	AuthPb__Timestamp *created = ARENA_NEW(a, AuthPb__Timestamp);

	auth_pb__policy_data__init(p);
	*created = auth_now();
	p->created_at = created;
	p->display_name = arena_cstr(a, id);
	p->n_statement = d->rules_n;
	p->statement = arena_alloc(a, d->rules_n * sizeof(*p->statement));
	for (size_t i = 0; i < d->rules_n; i++)
		p->statement[i] = statement_of(a, &d->rules[i]);
	return p;
}

/* Policies. */

static rc get(struct auth_call *c, struct str id, AuthPb__PolicyData **ret)
{
	rc r = auth_store_policy(c->x->kv, auth_key_policy(c->a, id), c->a, ret, c->err);

	return rc_is(r, NOT_FOUND) ? err_set(c->err, ERR_NOT_FOUND, "policy not found") : r;
}

rc auth_load_policy(struct auth_call *c, struct str name, struct str value, void *item, bool *ret_there)
{
	AuthPb__PolicyData *p;
	rc r = get(c, name, &p);

	*ret_there = rc_ok(r);
	if (rc_ok(r))
		*(struct auth_policy *)item = shown(c->a, name, p);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

rc auth_policy_get(struct auth_call *c, struct str id, struct auth_policy *ret)
{
	AuthPb__PolicyData *p;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Policy", c->err));
	TRY(get(c, id, &p));
	*ret = shown(c->a, id, p);
	return RC_OK;
}

static rc sweep_policy(struct auth_call *c, struct str id)
{
	struct str ending = arena_join(c->a, (struct str[]){STR("/policies/"), id}, 2);

	TRY(auth_sweep(c->x, STR("uPolicies/"), ending, c->err));
	return auth_sweep(c->x, STR("gPolicies/"), ending, c->err);
}

static rc create(struct auth_call *c, struct str id, const struct auth_document *d, struct auth_policy *ret)
{
	AuthPb__PolicyData *p = auth_policy_record(c->a, id, d), *there;
	rc r = get(c, id, &there);

	if (rc_ok(r))
		return err_set(c->err, ERR_EXISTS, "Already exists");
	if (!rc_is(r, NOT_FOUND))
		return r;
	TRY(sweep_policy(c, id));
	r = auth_store_put(c->x->kv, auth_key_policy(c->a, id), &p->base, true, c->err);
	if (rc_is(r, PREDICATE))
		return err_set(c->err, ERR_EXISTS, "Already exists");
	TRY(r);
	*ret = shown(c->a, id, p);
	auth_audit(c, "policy created", "policy", id, NULL, STR_NONE);
	return RC_OK;
}

/* lakeFS's ACL, if it has one, goes with the statements that it stood for. */
static rc update(struct auth_call *c, struct str id, const struct auth_document *d, struct auth_policy *ret)
{
	AuthPb__PolicyData *p = auth_policy_record(c->a, id, d), *old;

	TRY(get(c, id, &old));
	if (old->created_at)
		p->created_at = old->created_at;
	TRY(auth_store_put(c->x->kv, auth_key_policy(c->a, id), &p->base, false, c->err));
	*ret = shown(c->a, id, p);
	auth_audit(c, "policy changed", "policy", id, NULL, STR_NONE);
	return RC_OK;
}

typedef rc put_fn(struct auth_call *c, struct str id, const struct auth_document *d, struct auth_policy *ret);

static rc put(struct auth_call *c, struct str id, const struct auth_document *d, struct auth_policy *ret,
	      put_fn *fn)
{
	rc r;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Policy", c->err));
	TRY(auth_document_check(d, c->err));
	pthread_mutex_lock(&c->x->changing);
	r = fn(c, id, d, ret);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

rc auth_policy_create(struct auth_call *c, struct str id, const struct auth_document *d,
		      struct auth_policy *ret)
{
	return put(c, id, d, ret, create);
}

rc auth_policy_update(struct auth_call *c, struct str id, const struct auth_document *d,
		      struct auth_policy *ret)
{
	return put(c, id, d, ret, update);
}

static rc delete(struct auth_call *c, struct str id)
{
	AuthPb__PolicyData *p;
	rc r = get(c, id, &p);

	if (!rc_ok(r) && !rc_is(r, NOT_FOUND))
		return r;
	if (rc_ok(r)) {
		TRY(kv_delete(c->x->kv, AUTH_PARTITION, auth_key_policy(c->a, id), c->err));
		auth_audit(c, "policy deleted", "policy", id, NULL, STR_NONE);
	}
	/* Also what an earlier try left. */
	TRY(sweep_policy(c, id));
	return r;
}

rc auth_policy_delete(struct auth_call *c, struct str id)
{
	rc r;

	TRY(auth_no_rbac(c));
	TRY(auth_check_id(id, "Policy", c->err));
	pthread_mutex_lock(&c->x->changing);
	r = delete(c, id);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	return r;
}

static void give(const struct auth_rows *rows, struct auth_policy **ret, size_t *ret_n, bool *ret_more)
{
	*ret = rows->v;
	*ret_n = rows->n;
	*ret_more = rows->more;
}

rc auth_policies_list(struct auth_call *c, const struct auth_page *p, struct auth_policy **ret,
		      size_t *ret_n, bool *ret_more)
{
	struct auth_rows rows;

	TRY(auth_no_rbac(c));
	TRY(auth_rows_list(c, STR("policies/"), p, sizeof(**ret), auth_load_policy, &rows));
	give(&rows, ret, ret_n, ret_more);
	return RC_OK;
}

/* Attachments. */

static const char *links(enum auth_holder kind)
{
	return kind == AUTH_OF_USER ? "uPolicies" : "gPolicies";
}

static rc holder_there(struct auth_call *c, enum auth_holder kind, struct str holder)
{
	struct auth_person u;
	struct auth_group g;

	return kind == AUTH_OF_USER ? auth_user_get(c, holder, &u) : auth_group_get(c, holder, &g);
}

typedef rc link_fn(struct auth_call *c, struct str key, struct str policy);

static rc link_made(struct auth_call *c, struct str key, struct str policy)
{
	return auth_store_put_index(c->x->kv, key, auth_key_policy(c->a, policy), c->err);
}

static rc link_removed(struct auth_call *c, struct str key, struct str policy)
{
	return kv_delete(c->x->kv, AUTH_PARTITION, key, c->err);
}

static rc change_link(struct auth_call *c, enum auth_holder kind, struct str holder, struct str policy,
		      link_fn *fn, const char *done)
{
	struct auth_policy there;
	rc r;

	TRY(auth_no_rbac(c));
	pthread_mutex_lock(&c->x->changing);
	r = holder_there(c, kind, holder);
	if (rc_ok(r))
		r = auth_policy_get(c, policy, &there);
	if (rc_ok(r))
		r = fn(c, auth_key_link(c->a, links(kind), holder, "policies", policy), policy);
	pthread_mutex_unlock(&c->x->changing);
	auth_changed(c->x);
	if (rc_ok(r))
		auth_audit(c, done, "policy", policy, kind == AUTH_OF_USER ? "user" : "group", holder);
	return r;
}

rc auth_policy_attach(struct auth_call *c, enum auth_holder kind, struct str holder, struct str policy)
{
	return change_link(c, kind, holder, policy, link_made, "policy attached");
}

rc auth_policy_detach(struct auth_call *c, enum auth_holder kind, struct str holder, struct str policy)
{
	return change_link(c, kind, holder, policy, link_removed, "policy detached");
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static rc effective(struct auth_call *c, struct str user, const struct auth_page *p, struct auth_rows *ret)
{
	struct str *paths;
	size_t n;

	TRY(auth_store_policies_of(c->x->kv, user, c->a, &paths, &n, c->err));
	for (size_t i = 0; i < n; i++)
		if (str_starts(paths[i], STR("policies/")))
			paths[i] = str_skip(paths[i], strlen("policies/"));
	if (n)
		qsort(paths, n, sizeof(*paths), by_name);
	return auth_rows_of(c, paths, n, p, sizeof(struct auth_policy), auth_load_policy, ret);
}

rc auth_policies_of(struct auth_call *c, enum auth_holder kind, struct str holder, bool all,
		    const struct auth_page *p, struct auth_policy **ret, size_t *ret_n, bool *ret_more)
{
	struct auth_rows rows;

	TRY(auth_no_rbac(c));
	TRY(holder_there(c, kind, holder));
	if (all && kind == AUTH_OF_USER)
		TRY(effective(c, holder, p, &rows));
	else
		TRY(auth_rows_list(c, auth_key_link(c->a, links(kind), holder, "policies", STR("")), p,
				   sizeof(**ret), auth_load_policy, &rows));
	give(&rows, ret, ret_n, ret_more);
	return RC_OK;
}
