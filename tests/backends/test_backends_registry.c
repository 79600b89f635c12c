#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/impl.h"
#include "backends/registry.h"
#include "conf/conf.h"
#include "tests/backends/stores.h"

static struct backend *mem(const char *id)
{
	return backend_mem_new(str_c(id), NULL);
}

static void test_registry__by_id(void **state)
{
	struct backend *stores[] = {mem("one"), mem("two")}, *b;
	struct registry *r = registry_of(stores, 2, STR("two"));

	assert_int_equal(registry_count(r), 2);
	assert_ptr_equal(registry_at(r, 0)->b, stores[0]);
	assert_ptr_equal(registry_at(r, 1)->b, stores[1]);
	assert_ptr_equal(registry_fallback(r), registry_at(r, 1));
	ok(registry_get(r, STR("one"), &b, &test_err));
	assert_ptr_equal(b, stores[0]);
	ok(registry_get(r, STR(""), &b, &test_err));
	assert_ptr_equal(b, stores[1]);
	fails(registry_get(r, STR("three"), &b, &test_err), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "\"three\""));
	assert_non_null(strstr(test_err.msg, "put it back into blockstores.stores"));
	assert_ptr_equal(registry_ref(r), r);
	registry_unref(r);
	ok(registry_get(r, STR("two"), &b, &test_err));
	registry_unref(r);
	registry_unref(NULL);
}

static void test_registry__without_a_namespace(void **state)
{
	struct backend *two[] = {mem("one"), mem("two")}, *one[] = {mem("only")}, *b;
	struct registry *r = registry_of(two, 2, STR("none"));

	fails(registry_default(r, STR_NONE, &b, &test_err), INVALID);
	assert_non_null(strstr(test_err.msg, "\"one\" (mem), \"two\" (mem)"));
	assert_null(registry_fallback(r));
	fails(registry_get(r, STR(""), &b, &test_err), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "backward_compatible"));
	registry_unref(r);
	r = registry_of(one, 1, STR("only"));
	ok(registry_default(r, STR_NONE, &b, &test_err));
	assert_ptr_equal(b, one[0]);
	registry_unref(r);
}

/* Stores of several kinds, of which those of one kind see different buckets. */

struct seer {
	struct backend *next; /* does the rest */
	struct backend b;
	struct backend_blocking_ops ops;
	const char *scheme, *bucket; /* bucket NULL: the kind has no probe */
	rc answer;                   /* to probes of other buckets */
	unsigned asked;
};

static rc seer_check(struct backend *b, struct str space, struct err *reterr)
{
	struct seer *s = CONTAINER(b, struct seer, b);

	return str_starts(space, str_c(s->scheme)) ? RC_OK : err_set(reterr, ERR_INVALID, "another kind");
}

static rc seer_probe(struct backend *b, struct str space, struct err *reterr)
{
	struct seer *s = CONTAINER(b, struct seer, b);

	s->asked++;
	return str_eq(str_skip(space, strlen(s->scheme)), str_c(s->bucket)) ? RC_OK : s->answer;
}

static void seer_free(struct backend *b)
{
	struct seer *s = CONTAINER(b, struct seer, b);

	backend_free(s->next);
	free(s);
}

static struct seer *seer(const char *id, const char *scheme, const char *bucket)
{
	struct seer *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->next = backend_mem_new(str_c(id), NULL);
	s->ops = *s->next->blocking;
	s->ops.probe = bucket ? seer_probe : NULL;
	s->scheme = scheme;
	s->bucket = bucket;
	s->answer = RC(NOT_FOUND);
	backend_init(&s->b, "seer", s->next->id, NULL, &s->ops);
	s->b.check_space = seer_check;
	s->b.free = seer_free;
	return s;
}

static struct seer *chosen_seer;

static rc chosen(struct registry *r, const char *space)
{
	struct backend *b;
	rc found = registry_default(r, str_c(space), &b, &test_err);

	chosen_seer = rc_ok(found) ? CONTAINER(b, struct seer, b) : NULL;
	return found;
}

/* The kind, then who sees the bucket, then the backward compatible one. */
static void test_registry__order_of_choice(void **state)
{
	struct seer *a = seer("a", "s3://", "alpha"), *b = seer("b", "s3://", "beta"),
		    *c = seer("c", "gs://", "gamma"), *d = seer("d", "local://", NULL),
		    *e = seer("e", "local://", NULL);
	struct backend *all[] = {&a->b, &b->b, &c->b, &d->b, &e->b};
	struct registry *r = registry_of(all, 5, STR("e"));

	ok(chosen(r, "gs://whatever")); /* the only one of that kind: nobody is asked */
	assert_ptr_equal(chosen_seer, c);
	assert_int_equal(c->asked, 0);
	ok(chosen(r, "s3://beta"));
	assert_ptr_equal(chosen_seer, b);
	assert_int_equal(a->asked, 1);
	ok(chosen(r, "s3://alpha"));
	assert_ptr_equal(chosen_seer, a);
	ok(chosen(r, "local://x")); /* kinds that can't be asked */
	assert_ptr_equal(chosen_seer, e);
	/* the backward compatible one is of another kind */
	fails(chosen(r, "s3://neither"), INVALID);
	assert_non_null(strstr(test_err.msg, "none of \"a\" (seer), \"b\" (seer)"));
	assert_null(strstr(test_err.msg, "\"c\""));
	assert_non_null(strstr(test_err.msg, "s3://neither"));
	fails(chosen(r, "https://x"), INVALID);
	assert_non_null(strstr(test_err.msg, "no store takes namespaces like \"https://x\""));
	assert_non_null(strstr(test_err.msg, "\"e\" (seer)"));
	registry_unref(r);
}

static void test_registry__order_of_choice_with_a_default(void **state)
{
	struct seer *a = seer("a", "s3://", "alpha"), *b = seer("b", "s3://", "beta"),
		    *c = seer("c", "s3://", "beta");
	struct backend *all[] = {&a->b, &b->b, &c->b};
	struct registry *r = registry_of(all, 3, STR("a"));

	ok(chosen(r, "s3://neither")); /* nobody sees it: perhaps nobody may look */
	assert_ptr_equal(chosen_seer, a);
	fails(chosen(r, "s3://beta"), INVALID); /* two see it, and the default isn't one of them */
	assert_non_null(strstr(test_err.msg, "more than one of"));
	c->bucket = "alpha";
	ok(chosen(r, "s3://alpha")); /* two, one of them the default */
	assert_ptr_equal(chosen_seer, a);
	/* a store that is down or refuses doesn't see */
	a->answer = RC(ServiceUnavailable);
	c->answer = RC(AccessDenied);
	ok(chosen(r, "s3://beta"));
	assert_ptr_equal(chosen_seer, b);
	registry_unref(r);
}

/* Configurations. */

static struct conf conf_of(struct conf_store *stores, size_t n, bool single)
{
	return (struct conf){
		.blockstores = {.stores = stores, .stores_n = n, .single = single},
		.server = {.stores = {.share = 75, .patience = 1000, .down_after = 5, .probe_interval = 1000}}};
}

static struct registry *opened(const struct conf *c, struct registry *old)
{
	struct registry *r;

	ok(registry_open(c, NULL, old, &r, &test_err));
	return r;
}

static void test_registry__opens_what_is_configured(void **state)
{
	char root[64];
	struct conf_store stores[] = {
		{.id = STR("disk"), .type = STR("local"), .description = STR("A disk")},
		{.id = STR("ram"), .type = STR("mem"), .default_namespace_prefix = STR("mem://below")},
	};
	struct conf c = conf_of(stores, 2, false);
	struct registry *r;
	struct backend *b;

	store_dir_new(root);
	stores[0].local.path = str_c(root);
	r = opened(&c, NULL);
	assert_string_equal(registry_at(r, 0)->b->type, "local");
	assert_true(str_eq(registry_at(r, 0)->description, STR("A disk")));
	assert_true(str_eq(registry_at(r, 0)->namespace_prefix, STR("local://")));
	assert_string_equal(registry_at(r, 1)->b->type, "mem");
	assert_true(str_eq(registry_at(r, 1)->namespace_prefix, STR("mem://below")));
	fails(registry_get(r, STR(""), &b, &test_err), ServiceUnavailable);
	ok(registry_default(r, STR("mem://x"), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1)->b);
	ok(registry_default(r, STR("local://x"), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 0)->b);
	registry_unref(r);

	stores[1].backward_compatible = true;
	r = opened(&c, NULL);
	ok(registry_get(r, STR(""), &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1)->b);
	ok(registry_default(r, STR("local://x"), &b, &test_err)); /* the kind comes first */
	assert_ptr_equal(b, registry_at(r, 0)->b);
	ok(registry_default(r, STR_NONE, &b, &test_err));
	assert_ptr_equal(b, registry_at(r, 1)->b);
	registry_unref(r);

	c = conf_of(stores, 1, true);
	stores[0].id = STR("");
	r = opened(&c, NULL);
	ok(registry_get(r, STR(""), &b, &test_err));
	ok(registry_default(r, STR_NONE, &b, &test_err));
	registry_unref(r);
	store_dir_remove(root);
}

static void test_registry__reopening(void **state)
{
	char roots[2][64];
	struct conf_store stores[] = {
		{.id = STR("disk"), .type = STR("local")},
		{.id = STR("ram"), .type = STR("mem"), .backward_compatible = true},
		{.id = STR("new"), .type = STR("mem")},
	};
	struct conf c = conf_of(stores, 2, false);
	struct registry *first, *then, *last;

	store_dir_new(roots[0]);
	store_dir_new(roots[1]);
	stores[0].local.path = str_c(roots[0]);
	first = opened(&c, NULL);

	/* what doesn't touch the store itself leaves it as it is */
	stores[0].description = STR("said later");
	stores[0].backward_compatible = true;
	stores[1].backward_compatible = false;
	stores[1].default_namespace_prefix = STR("mem://p");
	c.blockstores.stores_n = 3;
	then = opened(&c, first);
	assert_ptr_equal(registry_at(then, 0)->b, registry_at(first, 0)->b);
	assert_ptr_equal(registry_at(then, 1)->b, registry_at(first, 1)->b);
	assert_ptr_equal(registry_fallback(then), registry_at(then, 0));
	assert_true(str_eq(registry_at(then, 0)->description, STR("said later")));
	assert_string_equal(registry_at(then, 2)->b->type, "mem");
	registry_unref(first);

	/* another folder, another kind: another store; the third is gone */
	stores[0].local.path = str_c(roots[1]);
	stores[1] = (struct conf_store){.id = STR("ram"), .type = STR("local"),
					.local.path = str_c(roots[0])};
	c.blockstores.stores_n = 2;
	last = opened(&c, then);
	assert_ptr_not_equal(registry_at(last, 0)->b, registry_at(then, 0)->b);
	assert_string_equal(registry_at(last, 1)->b->type, "local");
	registry_unref(then);

	/* one that can't be opened: no registry, and the old one is whole */
	stores[0].local.path = STR("/proc/no/such");
	fails(registry_open(&c, NULL, last, &then, &test_err), CONFIG);
	assert_int_equal(registry_count(last), 2);
	registry_unref(last);
	store_dir_remove(roots[0]);
	store_dir_remove(roots[1]);
}

static void test_registry__refuses(void **state)
{
	struct conf_store stores[] = {
		{.id = STR("ram"), .type = STR("mem")},
		{.id = STR("cloud"), .type = STR("tape")},
	};
	struct conf c = conf_of(stores, 2, false);
	struct registry *r;

	fails(registry_open(&c, NULL, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"cloud\""));
	assert_non_null(strstr(test_err.msg, "\"tape\""));
	assert_int_equal(test_err.code, ERR_CONFIG);
	stores[1] = stores[0];
	fails(registry_open(&c, NULL, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"ram\""));
	stores[0].backward_compatible = true;
	stores[1] = (struct conf_store){.id = STR("too"), .type = STR("mem"), .backward_compatible = true};
	fails(registry_open(&c, NULL, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "set it for one store only"));
	stores[1] = (struct conf_store){.id = STR("disk"), .type = STR("local"),
					.local.path = STR("/proc/no/such")};
	fails(registry_open(&c, NULL, NULL, &r, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"disk\""));
	assert_int_equal(test_err.code, ERR_CONFIG);
	c = conf_of(stores, 0, false);
	fails(registry_open(&c, NULL, NULL, &r, &test_err), CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry__by_id),
		cmocka_unit_test(test_registry__without_a_namespace),
		cmocka_unit_test(test_registry__order_of_choice),
		cmocka_unit_test(test_registry__order_of_choice_with_a_default),
		cmocka_unit_test(test_registry__opens_what_is_configured),
		cmocka_unit_test(test_registry__reopening),
		cmocka_unit_test(test_registry__refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
