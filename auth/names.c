/* Names, and lists of what has them. */
#include <stdlib.h>

#include "auth/internal.h"
#include "auth/store.h"
#include "base/log.h"

static bool is_id(struct str s)
{
	if (!s.n || s.n > AUTH_MAX_ID || !str_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == '/')
			return false;
	return true;
}

rc auth_check_id(struct str id, const char *what, struct err *reterr)
{
	if (str_index(id, '%') < id.n)
		return err_set(reterr, ERR_INVALID, "%s name cannot contain '%%'", what);
	if (!id.n)
		return err_set(reterr, ERR_INVALID, "%s name cannot be empty", what);
	if (!is_id(id))
		return err_set(reterr, ERR_INVALID,
			       "%s name has 1 to %d bytes of UTF-8, without '/' and control characters", what,
			       AUTH_MAX_ID);
	return RC_OK;
}

/* One more, if it is there: true when the page was full already. */
static rc take(struct auth_call *c, struct str name, struct str value, size_t item_size, size_t amount,
	       auth_load_fn *load, struct auth_rows *to)
{
	bool there = false;
	void *item = (char *)to->v + to->n * item_size;

	memset(item, 0, item_size);
	TRY(load(c, arena_dup(c->a, name), value, item, &there));
	if (there && to->n == amount)
		to->more = true;
	else if (there)
		to->n++;
	return RC_OK;
}

static bool passed_over(const struct auth_page *p, struct str name)
{
	return p->after.p && str_cmp(name, p->after) <= 0;
}

static struct auth_rows rows_new(struct arena *a, const struct auth_page *p, size_t item_size)
{
	return (struct auth_rows){.v = arena_alloc(a, (p->amount + 1) * item_size)};
}

static struct str first_key(struct auth_call *c, struct str key_prefix, const struct auth_page *p)
{
	bool after = p->after.p && str_cmp(p->after, p->prefix) > 0;

	return arena_join(c->a, (struct str[]){key_prefix, after ? p->after : p->prefix}, 2);
}

rc auth_rows_list(struct auth_call *c, struct str key_prefix, const struct auth_page *p, size_t item_size,
		  auth_load_fn *load, struct auth_rows *ret)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str wanted = arena_join(c->a, (struct str[]){key_prefix, p->prefix}, 2);
	struct kv_entry e;
	bool end;

	*ret = rows_new(c->a, p, item_size);
	TRY(kv_scan(c->x->kv, AUTH_PARTITION, first_key(c, key_prefix, p), p->amount + 1, &it, c->err));
	while (!ret->more) {
		struct str name;

		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, wanted))
			break;
		name = str_skip(e.key, key_prefix.n);
		if (name.n && str_index(name, '/') == name.n && !passed_over(p, name))
			TRY(take(c, name, e.value, item_size, p->amount, load, ret));
	}
	return RC_OK;
}

rc auth_rows_of(struct auth_call *c, const struct str *names, size_t n, const struct auth_page *p,
		size_t item_size, auth_load_fn *load, struct auth_rows *ret)
{
	*ret = rows_new(c->a, p, item_size);
	for (size_t i = 0; i < n && !ret->more; i++)
		if (str_starts(names[i], p->prefix) && !passed_over(p, names[i]))
			TRY(take(c, names[i], STR_NONE, item_size, p->amount, load, ret));
	return RC_OK;
}

enum { SWEEP = 256 };

/* Some keys, so that no iterator is held across writes. */
static rc collect(struct auth *x, struct str prefix, struct str ending, struct str from, struct arena *a,
		  struct str *keys, size_t *ret_n, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	*ret_n = 0;
	TRY(kv_scan(x->kv, AUTH_PARTITION, from, 0, &it, reterr));
	while (*ret_n < SWEEP) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, prefix))
			break;
		if (str_ends(e.key, ending))
			keys[(*ret_n)++] = arena_dup(a, e.key);
	}
	return RC_OK;
}

static rc sweep(struct auth *x, struct str prefix, struct str ending, struct arena *a, struct err *reterr)
{
	struct str keys[SWEEP], from = prefix;
	size_t n;

	do {
		TRY(collect(x, prefix, ending, from, a, keys, &n, reterr));
		for (size_t i = 0; i < n; i++)
			TRY(kv_delete(x->kv, AUTH_PARTITION, keys[i], reterr));
		if (n)
			from = keys[n - 1];
	} while (n == SWEEP);
	return RC_OK;
}

rc auth_sweep(struct auth *x, struct str prefix, struct str ending, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = sweep(x, prefix, ending, a, reterr);

	arena_free(a);
	return r;
}

AuthPb__Timestamp auth_now(void)
{
	AuthPb__Timestamp t = AUTH_PB__TIMESTAMP__INIT;
	struct timestamp w = wall_now();

	t.seconds = w.s;
	t.nanos = w.ns;
	return t;
}

void auth_audit(const struct auth_call *c, const char *done, const char *what, struct str id,
		const char *also, struct str other)
{
	struct str by = c->by.p ? c->by : STR("command line");

	if (also)
		log_event(LOG_INFO, "audit", done, F_STR("by", by), F_STR(what, id), F_STR(also, other),
			  F_STR("source_ip", c->source), F_STR("request_id", c->request_id));
	else
		log_event(LOG_INFO, "audit", done, F_STR("by", by), F_STR(what, id), F_STR("source_ip", c->source),
			  F_STR("request_id", c->request_id));
}

rc auth_no_rbac(struct auth_call *c)
{
	if (!c->x->single)
		return RC_OK;
	return err_set(c->err, ERR_UNSUPPORTED, "Not Implemented");
}
