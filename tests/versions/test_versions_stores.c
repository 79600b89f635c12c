/* Stores as they are configured now: listed, counted, and swapped under what is going on. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/versions/world.h"
#include "versions/namespace.h"
#include "versions/stores.h"

static struct registry *of(struct world *w, const char *first, const char *second, const char *fallback)
{
	struct backend *b[2];
	size_t n = 0;

	b[n++] = backend_health_new(backend_mem_new(str_c(first), w->data),
				    &(struct backend_health_options){.down_after = 5, .probe_ms = 1000});
	if (second)
		b[n++] = backend_mem_new(str_c(second), w->data);
	return registry_of(b, n, str_c(fallback));
}

/* The world's versions over these from now on. */
static void use(struct world *w, struct registry *r)
{
	versions_set_registry(w->v, r);
	registry_unref(r);
}

static void make(struct world *w, const char *id, const char *store)
{
	struct repo_create in = {.id = str_c(id),
				 .storage_namespace = arena_printf(w->a, "mem://%s", id),
				 .storage_id = store ? str_c(store) : STR_NONE};
	struct repo r;

	assert_ok(repo_create(&w->c, &in, &r));
}

static void test_stores__listed_and_surveyed(void **state)
{
	struct store_info *list;
	struct world w;
	size_t n;

	world_open(&w, GUARDED);
	make(&w, "old-one", NULL); /* with a single store: its record names none */
	use(&w, of(&w, "a", "b", "b"));
	make(&w, "on-a", "a");
	make(&w, "on-b", "b");
	make(&w, "on-b2", "b");
	stores_list(&w.c, &list, &n);
	assert_int_equal(n, 2);
	assert_str(list[0].id, STR("a"));
	assert_str(list[0].type, STR("mem"));
	assert_str(list[0].namespace_prefix, STR("mem://"));
	assert_string_equal(list[0].state, "ok");
	assert_ptr_equal(stores_default(list, n), &list[1]);
	assert_ok(stores_survey(&w.c, &list, &n));
	assert_int_equal(n, 2);
	assert_int_equal(list[0].repositories, 1);
	assert_int_equal(list[1].repositories, 3);

	/* "a" is no more, and nothing says where the old one is */
	use(&w, of(&w, "c", "b", "none"));
	assert_ok(stores_survey(&w.c, &list, &n));
	assert_int_equal(n, 4);
	assert_str(list[0].id, STR("c"));
	assert_int_equal(list[0].repositories, 0);
	assert_int_equal(list[1].repositories, 2);
	assert_str(list[2].id, STR(""));
	assert_true(list[2].missing);
	assert_str(list[2].repository_ids[0], STR("old-one"));
	assert_non_null(strstr(list[2].reason.p, "backward_compatible"));
	assert_str(list[3].id, STR("a"));
	assert_int_equal(list[3].repository_ids_n, 1);
	assert_str(list[3].repository_ids[0], STR("on-a"));
	assert_string_equal(list[3].state, "missing");
	assert_null(stores_default(list, n));
	world_close(&w);
}

static void test_stores__many_missing(void **state)
{
	struct store_info *list;
	struct world w;
	size_t n;
	char id[32], store[32];

	world_open(&w, GUARDED);
	for (int i = 0; i < 30; i++) { /* more than a list begins with; several pages would only be slower */
		struct registry *r;

		snprintf(store, sizeof(store), "store-%02d", i);
		snprintf(id, sizeof(id), "repo-%02d", i);
		r = of(&w, store, NULL, "");
		use(&w, r);
		make(&w, id, store);
	}
	use(&w, of(&w, "other", NULL, ""));
	assert_ok(stores_survey(&w.c, &list, &n));
	assert_int_equal(n, 31);
	for (size_t i = 1; i < n; i++) {
		assert_true(list[i].missing);
		assert_int_equal(list[i].repositories, 1);
		assert_int_equal(list[i].repository_ids_n, 1);
	}
	world_close(&w);
}

/* Several stores, none of them for repositories from before: refused, with the remedy, while there are any. */
static void test_stores__check(void **state)
{
	struct registry *several, *marked;
	struct world w;

	world_open(&w, GUARDED);
	several = of(&w, "a", "b", "none");
	marked = of(&w, "a", "b", "a");
	assert_ok(stores_check(w.kv, several, &w.err));
	make(&w, "old-one", NULL);
	assert_rc(stores_check(w.kv, several, &w.err), CONFIG);
	assert_non_null(strstr(w.err.msg, "\"old-one\""));
	assert_non_null(strstr(w.err.msg, "backward_compatible: true"));
	assert_ok(stores_check(w.kv, marked, &w.err));
	registry_unref(several);
	registry_unref(marked);
	world_close(&w);
}

/* A store is the caller's until its arena ends, whatever is configured meanwhile. */
static void test_stores__kept_by_who_uses_them(void **state)
{
	struct backend *kept, *then;
	struct arena_mark m;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	use(&w, of(&w, "a", NULL, "a"));
	make(&w, "one", "a");
	assert_ok(repo_get(&w.c, STR("one"), &r));
	assert_ok(repo_backend(&w.c, &r, &kept));
	m = arena_mark(w.a);
	for (int i = 0; i < 100; i++) { /* loops that rewind hold none for longer than a round */
		assert_ok(repo_backend(&w.c, &r, &then));
		arena_rewind(w.a, m);
	}
	use(&w, of(&w, "b", NULL, "b"));
	assert_rc(repo_backend(&w.c, &r, &then), ServiceUnavailable);
	assert_str(kept->id, STR("a")); /* ASan tells if it is gone */
	world_close(&w);
}

struct asking {
	struct world *w;
	atomic_bool stop;
	atomic_uint served, lacking, other;
};

static void *ask(void *ud)
{
	struct asking *k = ud;

	while (!atomic_load(&k->stop)) {
		struct arena *a = arena_new();
		struct err err = {0};
		struct vcall c = {.v = k->w->v, .a = a, .wait = KV_BLOCK, .err = &err};
		struct object_ptr p = {.space = STR("mem://one"), .key = STR("k"), .type = ADDRESS_RELATIVE};
		struct backend_stat st;
		struct backend *b;
		struct repo r;
		rc got = repo_get(&c, STR("one"), &r);

		if (rc_ok(got))
			got = repo_backend(&c, &r, &b);
		if (rc_ok(got))
			got = backend_head_now(b, &p, a, &st, &err);
		atomic_fetch_add(rc_is(got, NOT_FOUND)		    ? &k->served
				 : rc_is(got, ServiceUnavailable) ? &k->lacking
								    : &k->other,
				 1);
		arena_free(a);
	}
	return NULL;
}

static void test_stores__swapped_under_load(void **state)
{
	struct asking k = {0};
	pthread_t threads[4];
	struct world w;

	world_open(&w, GUARDED);
	use(&w, of(&w, "a", NULL, "a"));
	make(&w, "one", "a");
	k.w = &w;
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask, &k);
	for (int i = 0; i < 300; i++) {
		use(&w, i % 3 == 2 ? of(&w, "b", NULL, "b") : of(&w, "a", "b", "a"));
		if (i % 10 == 0)
			usleep(1000);
	}
	use(&w, of(&w, "a", NULL, "a"));
	for (unsigned before = atomic_load(&k.served); atomic_load(&k.served) < before + 100;)
		usleep(1000);
	atomic_store(&k.stop, true);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&k.other), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores__listed_and_surveyed),
		cmocka_unit_test(test_stores__many_missing),
		cmocka_unit_test(test_stores__check),
		cmocka_unit_test(test_stores__kept_by_who_uses_them),
		cmocka_unit_test(test_stores__swapped_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
