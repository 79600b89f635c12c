/* Policies as users have them, from JSON through the store to the answer, against a second implementation of the
 * rules of API.md 2.5: random documents, attached to a user and to groups, with everything that documents have.
 * The model works on what was generated, not on what was parsed, and decides wildcards and networks in other ways
 * than auth/ does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/manage.h"
#include "base/buf.h"
#include "base/log.h"

#define LEN(x) (sizeof(x) / sizeof((x)[0]))

enum {
	ROUNDS = 1500,
	QUESTIONS = 40,
	GROUPS = 3,
	POLICIES = 4,
	STATEMENTS = 3,
	LISTED = 3,
	CONDITIONS = 3,
};

static unsigned seed;

static unsigned any(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

#define ONE_OF(list) (list[any(LEN(list))])

/* The user's name is a pattern to whoever forgets that it is none. */
#define USER "jo*e?"

static const char *const actions[] = {
	"fs:ReadObject", "fs:WriteObject", "fs:ListObjects", "fs:ReadRepository", "auth:ReadUser", "ci:ReadAction",
};
static const char *const action_patterns[] = {
	"fs:*", "fs:Read*", "fs:ReadObject", "fs:*Object", "fs:R??d*", "fs:*j*", "fs:WriteObject", "auth:*", "auth:ReadUser",
	"ci:Read?ction", "fs:?", "fs:**ject", "fs:Nothing",
};
static const char *const resources[] = {
	"arn:lakefs:fs:::repository/a", "arn:lakefs:fs:::repository/ab", "arn:lakefs:fs:::repository/a/object/x",
	"arn:lakefs:fs:::repository/a/object/\xc3\xa9/y", "arn:lakefs:fs:::repository/ab/object/x/jo*e?",
	"arn:lakefs:fs:::repository/ab/object/x/joze?", "arn:lakefs:auth:::user/jo*e?", "arn:lakefs:auth:::user/jo*e!",
	"arn:lakefs:fs:::namespace/s3://b/p", "*",
};
static const char *const resource_patterns[] = {
	"*", "arn:lakefs:fs:::repository/a", "arn:lakefs:fs:::repository/a*", "arn:lakefs:fs:::repository/?",
	"arn:lakefs:fs:::repository/*/object/*", "arn:lakefs:fs:::repository/a/object/?/y",
	"arn:lakefs:fs:::repository/*/${user}", "arn:lakefs:auth:::user/${user}", "arn:lakefs:auth:::user/*",
	"arn:lakefs:fs:eu::repository/ab*", "arn:lakefs:fs::1:repository/a", "arn:lakefs:fs:::*", "arn:lakefs:auth:::*",
	"arn:lakefs:fs:::namespace/s3://*",
};
static const char *const networks[] = {
	"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.0/25", "0.0.0.0/0", "2001:db8::/32", "::1", "192.0.2.128/31",
};
static const char *const addresses[] = {
	"10.1.2.3", "10.200.0.1", "192.0.2.127", "192.0.2.128", "192.0.2.129", "2001:db8::7", "::1", "::ffff:10.1.2.3",
};
static const char *const stores[] = {"", "s3-eu", "s3-us", "local"};
static const char *const store_patterns[] = {"", "*", "s3-*", "s?-us", "local", "eu"};
static const char *const operators[] = {"IpAddress", "NotIpAddress", "StringLike", "StringNotLike"};

struct condition {
	const char *op, *field, *values[LISTED];
	size_t n;
};
struct rule {
	bool allow;
	const char *actions[LISTED], *resources[LISTED];
	size_t actions_n, resources_n, conditions_n;
	struct condition conditions[CONDITIONS];
};
struct policy {
	struct rule rules[STATEMENTS];
	size_t n;
	bool on_user, on_group[GROUPS];
};

/* The model. */

/* By all ways to split the text; characters of UTF-8 are one. */
static bool like(const char *p, const char *t, const char *literal)
{
	if (!*p)
		return !*t;
	if (literal && !strncmp(p, "${user}", 7))
		return !strncmp(t, literal, strlen(literal)) && like(p + 7, t + strlen(literal), literal);
	if (*p == '*') {
		for (const char *from = t;; from++) {
			if (like(p + 1, from, literal))
				return true;
			if (!*from)
				return false;
		}
	}
	if (!*t)
		return false;
	if (*p != '?')
		return *p == *t && like(p + 1, t + 1, literal);
	for (t++; (*t & 0xc0) == 0x80; t++)
		;
	return like(p + 1, t, literal);
}

/* What is before the n-th colon, and behind it. */
static const char *behind(const char *s, int colons)
{
	for (; *s && colons; s++)
		colons -= *s == ':';
	return s;
}

static bool same_part(const char *a, const char *b, int at)
{
	const char *x = behind(a, at), *y = behind(b, at);
	size_t n = strcspn(x, ":"), m = strcspn(y, ":");

	return n == m && !strncmp(x, y, n);
}

static bool names(const char *pattern, const char *resource)
{
	if (!strcmp(pattern, "*"))
		return true;
	if (!strcmp(resource, "*"))
		return false;
	return same_part(pattern, resource, 2) && same_part(pattern, resource, 4) &&
	       like(behind(pattern, 5), behind(resource, 5), USER);
}

/* Networks as ranges of what was written above, by hand. */
static bool inside(const char *network, const char *address)
{
	static const struct {
		const char *network;
		bool in[LEN(addresses)];
	} table[] = {
		{"10.0.0.0/8", {1, 1, 0, 0, 0, 0, 0, 1}},  {"10.1.0.0/16", {1, 0, 0, 0, 0, 0, 0, 1}},
		{"10.1.2.3", {1, 0, 0, 0, 0, 0, 0, 1}},    {"192.0.2.0/25", {0, 0, 1, 0, 0, 0, 0, 0}},
		{"0.0.0.0/0", {1, 1, 1, 1, 1, 0, 0, 1}},   {"2001:db8::/32", {0, 0, 0, 0, 0, 1, 0, 0}},
		{"::1", {0, 0, 0, 0, 0, 0, 1, 0}},         {"192.0.2.128/31", {0, 0, 0, 1, 1, 0, 0, 0}},
	};

	for (size_t i = 0; i < LEN(table); i++)
		for (size_t k = 0; k < LEN(addresses); k++)
			if (!strcmp(table[i].network, network) && !strcmp(addresses[k], address))
				return table[i].in[k];
	abort();
}

static bool holds(const struct condition *c, const char *ip, const char *store)
{
	const char *value = !strcmp(c->field, "SourceIp") ? ip : store;
	bool found = false;

	if (!value)
		return false;
	for (size_t i = 0; i < c->n; i++)
		found |= strstr(c->op, "Ip") ? inside(c->values[i], value) : like(c->values[i], value, NULL);
	return found != (strstr(c->op, "Not") != NULL);
}

static bool applies(const struct rule *r, const char *action, const char *resource, const char *ip, const char *store)
{
	bool action_named = false, resource_named = false;

	for (size_t i = 0; i < r->conditions_n; i++)
		if (!holds(&r->conditions[i], ip, store))
			return false;
	for (size_t i = 0; i < r->actions_n; i++)
		action_named |= like(r->actions[i], action, NULL);
	for (size_t i = 0; i < r->resources_n; i++)
		resource_named |= names(r->resources[i], resource);
	return action_named && resource_named;
}

static bool counts(const struct policy *p, const bool *member)
{
	bool any_group = false;

	for (size_t g = 0; g < GROUPS; g++)
		any_group |= p->on_group[g] && member[g];
	return p->on_user || any_group;
}

enum { NEUTRAL, ALLOWED, DENIED };

static int model(const struct policy *all, const bool *member, const char *action, const char *resource, const char *ip,
		 const char *store)
{
	int answer = NEUTRAL;

	for (size_t i = 0; i < POLICIES; i++)
		for (size_t k = 0; k < all[i].n && counts(&all[i], member); k++) {
			if (!applies(&all[i].rules[k], action, resource, ip, store))
				continue;
			if (!all[i].rules[k].allow)
				return DENIED;
			answer = ALLOWED;
		}
	return answer;
}

/* What is generated. */

static struct condition random_condition(const char *op, const char *field)
{
	struct condition c = {.op = op, .field = field, .n = 1 + any(LISTED)};

	for (size_t i = 0; i < c.n; i++)
		c.values[i] = strstr(op, "Ip")		 ? ONE_OF(networks)
			      : !strcmp(field, "SourceIp") ? (any(2) ? "10.*" : "*2*")
							   : ONE_OF(store_patterns);
	return c;
}

/* One for each pair of operator and field at most: they are keys of an object. */
static void random_conditions(struct rule *r)
{
	if (any(2))
		return;
	for (size_t i = 0; i < LEN(operators) && r->conditions_n < CONDITIONS; i++) {
		if (any(3) == 0)
			r->conditions[r->conditions_n++] = random_condition(operators[i], "SourceIp");
		if (i >= 2 && any(3) == 0 && r->conditions_n < CONDITIONS)
			r->conditions[r->conditions_n++] = random_condition(operators[i], "StorageId");
	}
}

static struct rule random_rule(void)
{
	struct rule r = {.allow = any(3) > 0, .actions_n = 1 + any(LISTED), .resources_n = 1 + any(LISTED)};

	for (size_t i = 0; i < r.actions_n; i++)
		r.actions[i] = ONE_OF(action_patterns);
	for (size_t i = 0; i < r.resources_n; i++)
		r.resources[i] = ONE_OF(resource_patterns);
	random_conditions(&r);
	return r;
}

static struct policy random_policy(void)
{
	struct policy p = {.n = 1 + any(STATEMENTS), .on_user = any(3) == 0};

	for (size_t i = 0; i < p.n; i++)
		p.rules[i] = random_rule();
	for (size_t g = 0; g < GROUPS; g++)
		p.on_group[g] = any(3) == 0;
	return p;
}

/* As JSON. */

static void write_conditions(struct json_out *w, const struct rule *r)
{
	const char *open = NULL;

	jw_object(w, "condition");
	for (size_t i = 0; i < r->conditions_n; i++) {
		const struct condition *c = &r->conditions[i];

		if (!open || strcmp(open, c->op)) {
			if (open)
				jw_end_object(w);
			jw_object(w, c->op);
			open = c->op;
		}
		jw_array(w, c->field);
		for (size_t k = 0; k < c->n; k++)
			jw_str(w, NULL, str_c(c->values[k]));
		jw_end_array(w);
	}
	if (open)
		jw_end_object(w);
	jw_end_object(w);
}

/* One is itself, or a list of one. */
static void write_resources(struct json_out *w, const struct rule *r)
{
	struct buf b = BUF_INIT(4096);
	struct json_out list = {.to = &b};

	if (r->resources_n == 1 && any(2)) {
		jw_str(w, "resource", str_c(r->resources[0]));
		return;
	}
	jw_array(&list, NULL);
	for (size_t i = 0; i < r->resources_n; i++)
		jw_str(&list, NULL, str_c(r->resources[i]));
	jw_end_array(&list);
	jw_str(w, "resource", buf_str(&b));
	buf_deinit(&b);
}

static struct str text_of(struct arena *a, const struct policy *p)
{
	struct buf b = BUF_INIT(1 << 16);
	struct json_out w = {.to = &b};
	struct str text;

	jw_array(&w, NULL);
	for (size_t i = 0; i < p->n; i++) {
		jw_object(&w, NULL);
		jw_str(&w, "effect", p->rules[i].allow ? STR("allow") : STR("deny"));
		jw_array(&w, "action");
		for (size_t k = 0; k < p->rules[i].actions_n; k++)
			jw_str(&w, NULL, str_c(p->rules[i].actions[k]));
		jw_end_array(&w);
		write_resources(&w, &p->rules[i]);
		if (p->rules[i].conditions_n)
			write_conditions(&w, &p->rules[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	text = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

struct world {
	struct auth_call c;
	struct err err;
	struct str key;
};

static void ok(struct world *w, rc r)
{
	if (!rc_ok(r))
		fail_msg("%s: %s", err_name(r.code), w->err.msg);
}

static struct str name_of(struct world *w, const char *kind, size_t i)
{
	return arena_printf(w->c.a, "%s%zu", kind, i);
}

static void make_policy(struct world *w, size_t i, const struct policy *p)
{
	struct str id = name_of(w, "p", i);
	struct auth_document d;
	struct auth_policy made;
	struct json *doc;

	ok(w, json_parse(w->c.a, text_of(w->c.a, p), &doc, &w->err));
	ok(w, auth_document_of_json(w->c.a, doc, &d, &w->err));
	ok(w, auth_document_check(&d, &w->err));
	ok(w, auth_policy_create(&w->c, id, &d, &made));
	if (p->on_user)
		ok(w, auth_policy_attach(&w->c, AUTH_OF_USER, STR(USER), id));
	for (size_t g = 0; g < GROUPS; g++)
		if (p->on_group[g])
			ok(w, auth_policy_attach(&w->c, AUTH_OF_GROUP, name_of(w, "g", g), id));
}

static void make_world(struct world *w, const struct policy *all, const bool *member)
{
	struct auth_credential k;
	struct auth_person u;
	struct auth_group g;
	struct str secret;

	ok(w, auth_user_create(&w->c, STR(USER), &u));
	ok(w, auth_user_create(&w->c, STR("another"), &u));
	ok(w, auth_credential_create(&w->c, STR(USER), STR(""), 0, &k, &secret));
	w->key = k.access_key;
	for (size_t i = 0; i < GROUPS; i++) {
		ok(w, auth_group_create(&w->c, name_of(w, "g", i), STR(""), &g));
		ok(w, auth_member_add(&w->c, name_of(w, "g", i), STR("another")));
		if (member[i])
			ok(w, auth_member_add(&w->c, name_of(w, "g", i), STR(USER)));
	}
	for (size_t i = 0; i < POLICIES; i++)
		make_policy(w, i, &all[i]);
}

static void ask(struct world *w, struct auth_user *u, const struct policy *all, const bool *member, int answers[3])
{
	const char *action = ONE_OF(actions), *resource = ONE_OF(resources);
	const char *ip = any(4) ? ONE_OF(addresses) : NULL, *store = any(4) ? ONE_OF(stores) : NULL;
	int expected = model(all, member, action, resource, ip, store);
	struct auth_need need = {NEED_PERMISSION, str_c(action), str_c(resource), NULL, 0};
	struct auth_context ctx = {str_c(ip), str_c(store)};
	bool got = rc_ok(auth_allows(u, &need, &ctx, &w->err));

	answers[expected]++;
	if (got == (expected == ALLOWED) &&
	    (got || (strstr(w->err.msg, "denied permission") != NULL) == (expected == DENIED)))
		return;
	for (size_t i = 0; i < POLICIES; i++)
		print_message("%zu: %d " STR_FMT "\n", i, counts(&all[i], member),
			      STR_ARG(text_of(w->c.a, &all[i])));
	fail_msg("%s on %s, %s, %s: %d and not %d: %s", action, resource, ip ? ip : "-", store ? store : "-", got, expected,
		 w->err.msg);
}

static void play(unsigned round, int answers[3])
{
	struct kv *kv = kv_mem_new();
	struct arena *a = arena_new();
	struct auth *x = auth_new(&(struct auth_options){.kv = kv, .encrypt_secret = STR("k")});
	struct world w = {.c = {.x = x, .a = a}};
	struct policy all[POLICIES];
	bool member[GROUPS];
	struct auth_user *u;
	struct str secret;

	seed = round;
	w.c.err = &w.err;
	for (size_t i = 0; i < POLICIES; i++)
		all[i] = random_policy();
	for (size_t g = 0; g < GROUPS; g++)
		member[g] = any(2);
	make_world(&w, all, member);
	ok(&w, auth_find_key(x, KV_BLOCK, w.key, a, &u, &secret, &w.err));
	for (int i = 0; i < QUESTIONS; i++)
		ask(&w, u, all, member, answers);
	auth_user_unref(u);
	auth_free(x);
	arena_free(a);
	kv_free(kv);
}

static void test_model__documents_as_the_model(void **state)
{
	int answers[3] = {0};

	for (unsigned round = 1; round <= ROUNDS; round++)
		play(round, answers);
	for (int i = 0; i < 3; i++)
		if (answers[i] < ROUNDS)
			fail_msg("only %d of answer %d", answers[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model__documents_as_the_model)};
	const struct str quiet = STR("/dev/null");

	/* Thousands of events of the audit. */
	if (!rc_ok(log_setup(&(struct log_options){.level = LOG_ERROR, .outputs = &quiet, .outputs_n = 1}, NULL)))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
