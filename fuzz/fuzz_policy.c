/* Policy documents from users: one that is taken comes back as it was, and evaluates without being broken. */
#include "auth/condition.h"
#include "auth/document.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"

static bool same_strings(const struct str *a, size_t a_n, const struct str *b, size_t b_n)
{
	if (a_n != b_n)
		return false;
	for (size_t i = 0; i < a_n; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static void same(const struct auth_document *x, const struct auth_document *y)
{
	MUST(x->rules_n == y->rules_n);
	for (size_t i = 0; i < x->rules_n; i++) {
		const struct auth_rule *a = &x->rules[i], *b = &y->rules[i];

		MUST(str_eq(a->effect, b->effect) && str_eq(a->resource, b->resource));
		MUST(same_strings(a->actions, a->actions_n, b->actions, b->actions_n));
		MUST(a->conditions_n == b->conditions_n);
		for (size_t k = 0; k < a->conditions_n; k++) {
			const struct auth_condition *c = &a->conditions[k], *d = &b->conditions[k];

			MUST(str_eq(c->op, d->op) && str_eq(c->field, d->field));
			MUST(same_strings(c->values, c->values_n, d->values, d->values_n));
		}
	}
}

/* What was found good is never the reason why everything is denied. */
static void evaluate(const struct auth_document *d)
{
	const struct auth_context ctx = {.source_ip = STR("192.0.2.1"), .storage_id = STR("s")};

	for (size_t i = 0; i < d->rules_n; i++) {
		struct auth_statement s = {.conditions = d->rules[i].conditions,
					   .conditions_n = d->rules[i].conditions_n};

		MUST(auth_conditions(&s, &ctx) != AUTH_BROKEN);
	}
}

static void document_check(struct arena *a, const struct json *j)
{
	struct buf text = BUF_INIT((size_t)16 << 20);
	struct json_out w = {.to = &text};
	struct auth_document d, again;
	struct err e = {0};
	struct json *written;

	if (!rc_ok(auth_document_of_json(a, j, &d, &e))) {
		MUST(e.code == ERR_INVALID && e.msg[0]);
		return;
	}
	if (!rc_ok(auth_document_check(&d, &e))) {
		MUST(e.code == ERR_INVALID && e.msg[0]);
		return;
	}
	evaluate(&d);
	jw_object(&w, NULL);
	auth_document_write(&d, &w);
	jw_end_object(&w);
	MUST(!text.overflow && rc_ok(json_parse(a, buf_str(&text), &written, &e)));
	MUST(rc_ok(auth_document_of_json(a, json_member(written, "statement"), &again, &e)));
	same(&d, &again);
	buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct json *j;

	if (rc_ok(json_parse(a, str_make(data, size), &j, NULL)))
		document_check(a, j);
	arena_free(a);
	return 0;
}
