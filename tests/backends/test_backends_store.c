/* One suite over every adapter: the blocking calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/backends/presigned.h"
#include "tests/backends/stores.h"

static struct store s;
static struct arena *a;

static void open_kind(enum store_kind k)
{
	store_open(&s, k, NULL);
	a = arena_new();
}

static void close_kind(void)
{
	arena_free(a);
	store_close(&s);
}

static void test_store__put_get_head_remove(void)
{
	struct object_ptr p = at(&s, "data/x/y");
	struct backend_stat st;
	char part[10];
	size_t n;

	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
	fails(backend_read_now(s.b, &p, 0, part, 1, &n, &test_err), NOT_FOUND);
	ok(backend_remove_now(s.b, &p, &test_err));
	ok(put_bytes(&s, "data/x/y", STR("hello, store")));
	ok(backend_head_now(s.b, &p, a, &st, &test_err));
	assert_int_equal(st.size, 12);
	assert_true(st.mtime_s > 1600000000);
	ok(backend_read_now(s.b, &p, 7, part, sizeof(part), &n, &test_err));
	assert_true(str_eq(str_make(part, n), STR("store")));
	ok(backend_read_now(s.b, &p, 12, part, sizeof(part), &n, &test_err));
	assert_int_equal(n, 0);
	ok(put_bytes(&s, "data/x/y", STR("replaced")));
	assert_true(holds(&s, "data/x/y", STR("replaced")));
	ok(put_bytes(&s, "data/x/empty", STR("")));
	assert_true(holds(&s, "data/x/empty", STR("")));
	ok(backend_remove_now(s.b, &p, &test_err));
	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
	assert_true(holds(&s, "data/x/empty", STR("")));
	p = at(&s, "data/x/empty");
	ok(backend_remove_now(s.b, &p, &test_err));
	ok(put_bytes(&s, "data/x/again", STR("in a folder that went")));
	assert_true(holds(&s, "data/x/again", STR("in a folder that went")));
}

static void test_store__if_absent(void)
{
	struct backend_put_options o = {.if_absent = true};
	struct object_ptr p = at(&s, "once");
	struct backend_stat st;

	for (int i = 0; i < 2; i++) {
		struct body *body = body_mem_new(a, i ? STR("second") : STR("first"));
		rc r = backend_put_now(s.b, &p, &o, body, a, &st, &test_err);

		body_close(body);
		check_code(r, i ? ERR_EXISTS : ERR_NONE, &test_err, __FILE__, __LINE__);
	}
	assert_true(holds(&s, "once", STR("first")));
	if (s.root[0])
		assert_int_equal(store_files(s.root), 1);
}

static rc refuse(void *ud, struct err *reterr)
{
	return err_default(reterr, ERR_BadDigest);
}

enum { MANY = 4 };

/* The bytes of object i in a writer of its own; the second one only if it is absent. */
static void write_one(struct backend_commit *c, struct err *e, unsigned i)
{
	struct backend_put_options o = {.if_absent = i == 1};
	struct object_ptr p = at(&s, (const char *[]){"m/0", "m/1", "m/2", "n/3"}[i]);
	struct body *body = body_mem_new(a, pattern_new(a, 1000 * i, i));

	*c = (struct backend_commit){.a = a, .err = e};
	ok(backend_write_now(s.b, &p, &o, body, &c->writer, &test_err));
	body_close(body);
}

static void test_store__commit_many(void)
{
	struct backend_commit c[MANY];
	struct err errs[MANY] = {0};
	struct object_ptr p = at(&s, "m/5");
	struct backend_writer *w;
	struct body *body;

	ok(put_bytes(&s, "m/1", STR("here already")));
	ok(put_bytes(&s, "m/2", STR("to be replaced")));
	for (unsigned i = 0; i < MANY; i++)
		write_one(&c[i], &errs[i], i);
	backend_commit_now(s.b, c, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		check_code(c[i].result, i == 1 ? ERR_EXISTS : ERR_NONE, &errs[i], __FILE__, __LINE__);
		if (i != 1)
			assert_int_equal(c[i].stat.size, 1000 * i);
	}
	assert_true(holds(&s, "m/0", STR("")));
	assert_true(holds(&s, "m/1", STR("here already")));
	assert_true(holds(&s, "m/2", pattern_new(a, 2000, 2)));
	assert_true(holds(&s, "n/3", pattern_new(a, 3000, 3)));
	body = body_mem_new(a, STR("never"));
	ok(backend_write_now(s.b, &p, NULL, body, &w, &test_err));
	body_close(body);
	backend_abort_now(s.b, w);
	backend_commit_now(s.b, c, 0);
	if (s.root[0])
		assert_int_equal(store_files(s.root), 4);
}

static void test_store__failing_body_leaves_nothing(void)
{
	struct object_ptr p = at(&s, "fresh");
	struct backend_stat st;
	struct body *body =
		body_check_new(a, body_mem_new(a, pattern_new(a, 300000, 1)), refuse, NULL);

	fails(backend_put_now(s.b, &p, NULL, body, a, &st, &test_err), BadDigest);
	body_close(body);
	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
	ok(put_bytes(&s, "old", STR("old")));
	p = at(&s, "old");
	body = body_length_new(a, body_mem_new(a, STR("new")), 4);
	fails(backend_put_now(s.b, &p, NULL, body, a, &st, &test_err), IncompleteBody);
	body_close(body);
	assert_true(holds(&s, "old", STR("old")));
	if (s.root[0])
		assert_int_equal(store_files(s.root), 1);
}

static void test_store__bad_pointers(void)
{
	struct object_ptr p = at(&s, "");
	struct backend_stat st;

	fails(backend_head_now(s.b, &p, a, &st, &test_err), INVALID);
	p = (struct object_ptr){.space = STR("other://x"), .key = STR("k"), .type = ADDRESS_RELATIVE};
	fails(backend_head_now(s.b, &p, a, &st, &test_err), INVALID);
	p = (struct object_ptr){.space = STR("other://x"), .key = STR("other://x/k"),
				.type = ADDRESS_FULL};
	fails(backend_head_now(s.b, &p, a, &st, &test_err), INVALID);
	ok(s.b->check_space(s.b, s.space, &test_err));
	fails(s.b->check_space(s.b, STR("other://x"), &test_err), INVALID);
	fails(s.b->check_space(s.b, STR(""), &test_err), INVALID);
	if (!(s.b->caps & BACKEND_CAP_PRESIGN))
		fails(presign(s.b, &p, STR("GET"), 1, a, &p.key, &test_err), UNSUPPORTED);
}

static void expect_list(const char *prefix, const char *after, size_t max, const char *expected,
			bool expected_more)
{
	struct backend_list_entry *v;
	char all[400] = "";
	size_t n;
	bool more;

	ok(s.b->blocking->list(s.b, s.space, str_c(prefix), str_c(after), max, a, &v, &n, &more,
			       &test_err));
	for (size_t i = 0; i < n; i++) {
		snprintf(all + strlen(all), sizeof(all) - strlen(all), STR_FMT " ",
			 STR_ARG(v[i].key));
		assert_int_equal(v[i].stat.size, v[i].key.n);
	}
	assert_string_equal(all, expected);
	assert_int_equal(more, expected_more);
}

static void test_store__list(void)
{
	static const char *const keys[] = {"a0", "a/x", "a-b", "a/b/c", "b", "a/b-", "\xc3\xa4/z"};

	expect_list("", "", 10, "", false);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		ok(put_bytes(&s, keys[i], str_c(keys[i])));
	expect_list("", "", 10, "a-b a/b- a/b/c a/x a0 b \xc3\xa4/z ", false);
	expect_list("", "", 7, "a-b a/b- a/b/c a/x a0 b \xc3\xa4/z ", false);
	expect_list("", "", 3, "a-b a/b- a/b/c ", true);
	expect_list("", "a/b/c", 2, "a/x a0 ", true);
	expect_list("", "a/b.", 9, "a/b/c a/x a0 b \xc3\xa4/z ", false);
	expect_list("a/", "", 9, "a/b- a/b/c a/x ", false);
	expect_list("a/b", "a/b-", 9, "a/b/c ", false);
	expect_list("a/b/", "", 9, "a/b/c ", false);
	expect_list("a/b/c", "", 9, "a/b/c ", false);
	expect_list("c", "", 9, "", false);
	expect_list("", "\xc3\xa4/z", 9, "", false);
	expect_list("", "", 0, "", true);
}

static void test_store__copy(void)
{
	struct str bytes = pattern_new(a, 700000, 3);
	struct object_ptr from = at(&s, "from/here"), to = at(&s, "to/there");
	struct backend_stat st;

	fails(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err), NOT_FOUND);
	ok(put_bytes(&s, "from/here", bytes));
	ok(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err));
	assert_int_equal(st.size, bytes.n);
	assert_true(holds(&s, "to/there", bytes));
	ok(s.b->blocking->copy(s.b, &to, &to, a, &st, &test_err));
	assert_true(holds(&s, "to/there", bytes));
}

static struct backend_part put_part(struct str id, unsigned number, struct str bytes)
{
	struct object_ptr to = at(&s, "big");
	struct backend_writer *w;
	struct backend_stat st;

	ok(s.b->blocking->mpu_open_part(s.b, &to, id, number, NULL, &w, &test_err));
	ok(s.b->blocking->write(w, bytes.p, bytes.n, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_true(st.etag.n > 0);
	assert_int_equal(st.size, bytes.n);
	return (struct backend_part){.number = number, .etag = st.etag, .size = st.size};
}

static void test_store__multipart(void)
{
	const struct backend_blocking_ops *ops = s.b->blocking;
	/* S3 has no smaller parts but the last. */
	struct str one = pattern_new(a, 5 * 1024 * 1024, 1), two = pattern_new(a, 70000, 2);
	struct object_ptr to = at(&s, "big");
	struct backend_part parts[2], lost;
	struct str id, other;
	struct backend_stat st;

	ok(ops->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	ok(ops->mpu_create(s.b, &to, NULL, a, &other, &test_err));
	assert_false(str_eq(id, other));
	parts[1] = put_part(id, 9, two);
	lost = put_part(id, 2, two);
	parts[0] = put_part(id, 2, one);
	assert_false(str_eq(lost.etag, parts[0].etag));
	fails(backend_head_now(s.b, &to, a, &st, &test_err), NOT_FOUND);
	check_code(ops->mpu_complete(s.b, &to, other, parts, 2, a, &st, &test_err),
		   s.lax_uploads ? ERR_NOT_FOUND : ERR_InvalidPart, &test_err, __FILE__, __LINE__);
	parts[0].size++;
	if (!s.remote)
		fails(ops->mpu_complete(s.b, &to, id, parts, 2, a, &st, &test_err), InvalidPart);
	parts[0].size--;
	fails(backend_head_now(s.b, &to, a, &st, &test_err), NOT_FOUND);
	ok(ops->mpu_complete(s.b, &to, id, parts, 2, a, &st, &test_err));
	assert_int_equal(st.size, one.n + two.n);
	assert_true(holds(&s, "big",
			  arena_join(a, (struct str[]){one, two}, 2)));
	ok(ops->mpu_abort(s.b, &to, id, &test_err));
	ok(ops->mpu_abort(s.b, &to, other, &test_err));
	ok(ops->mpu_abort(s.b, &to, other, &test_err));
	ok(ops->mpu_abort(s.b, &to, STR("../../etc"), &test_err));
	assert_true(holds(&s, "big",
			  arena_join(a, (struct str[]){one, two}, 2)));
	if (s.root[0])
		assert_int_equal(store_files(s.root), 1);
}

/* There is no such upload: told when the part is opened, or else by its commit. */
static void fails_by_commit(struct str id, unsigned number)
{
	struct object_ptr to = at(&s, "big");
	struct backend_writer *w;
	struct backend_stat st;
	rc r = s.b->blocking->mpu_open_part(s.b, &to, id, number, NULL, &w, &test_err);

	if (s.lax_uploads && rc_ok(r)) {
		s.b->blocking->abort(w);
		return;
	}
	if (s.remote && rc_ok(r))
		r = s.b->blocking->commit(w, a, &st, &test_err);
	fails(r, NOT_FOUND);
}

static void test_store__multipart_ended(void)
{
	const struct backend_blocking_ops *ops = s.b->blocking;
	struct object_ptr to = at(&s, "big");
	struct backend_writer *w, *late;
	struct backend_part part;
	struct backend_stat st;
	struct str id;

	ok(ops->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	part = put_part(id, 1, STR("one"));
	ok(ops->mpu_open_part(s.b, &to, id, 2, NULL, &late, &test_err));
	ok(ops->write(late, "late", 4, &test_err));
	ok(ops->mpu_abort(s.b, &to, id, &test_err));
	if (s.lax_uploads)
		ops->abort(late);
	else
		fails(ops->commit(late, a, &st, &test_err), NOT_FOUND);
	fails_by_commit(id, 3);
	fails(ops->mpu_complete(s.b, &to, id, &part, 1, a, &st, &test_err), NOT_FOUND);
	fails_by_commit(STR("../tmp"), 1);
	fails(backend_head_now(s.b, &to, a, &st, &test_err), NOT_FOUND);
	ok(ops->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	fails(ops->mpu_open_part(s.b, &to, id, 0, NULL, &w, &test_err), INVALID);
	fails(ops->mpu_open_part(s.b, &to, id, 10001, NULL, &w, &test_err), INVALID);
	ok(ops->mpu_abort(s.b, &to, id, &test_err));
	if (s.root[0])
		assert_int_equal(store_files(s.root), 0);
}

#define EACH(name)                                                                                 \
	static void test_store__each_##name(void **state)                                          \
	{                                                                                          \
		EACH_KIND (k) {                                                                     \
			print_message("  %s\n", store_kind_name(k));                               \
			open_kind(k);                                                              \
			test_store__##name();                                                      \
			close_kind();                                                              \
		}                                                                                  \
	}
EACH(put_get_head_remove)
EACH(if_absent)
EACH(commit_many)
EACH(failing_body_leaves_nothing)
EACH(bad_pointers)
EACH(list)
EACH(copy)
EACH(multipart)
EACH(multipart_ended)

/* Everything that writes, in one go; the first failure ends it. */
static rc scenario(struct str bytes)
{
	const struct backend_blocking_ops *ops = s.b->blocking;
	struct object_ptr to = at(&s, "joined"), from = at(&s, "put"), copy = at(&s, "copied");
	struct backend_part part = {.number = 1, .size = bytes.n};
	struct backend_writer *w;
	struct backend_stat st;
	struct str id;
	rc r;

	TRY(put_bytes(&s, "put", bytes));
	TRY(ops->copy(s.b, &from, &copy, a, &st, &test_err));
	TRY(ops->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	TRY(ops->mpu_open_part(s.b, &to, id, 1, NULL, &w, &test_err));
	r = ops->write(w, bytes.p, bytes.n, &test_err);
	if (!rc_ok(r)) {
		ops->abort(w);
		return r;
	}
	TRY(ops->commit(w, a, &st, &test_err));
	part.etag = st.etag;
	return ops->mpu_complete(s.b, &to, id, &part, 1, a, &st, &test_err);
}

static void check_absent_or_whole(const char *key, struct str bytes)
{
	struct str got;
	rc r = get_bytes(&s, a, key, &got);

	if (!rc_is(r, NOT_FOUND)) {
		ok(r);
		assert_true(str_eq(got, bytes));
	}
}

static void test_store__fault_sweep(void **state)
{
	for (int after = 0; after < 2; after++) {
		bool fired = true;

		for (uint64_t nth = 1; fired; nth++) {
			struct str bytes;
			rc r;

			open_kind(STORE_FAULT);
			bytes = pattern_new(a, 200000, (unsigned)nth);
			backend_fault_arm(s.b, BACKEND_CALL_ALL, nth, ERR_UNKNOWN_OUTCOME, after);
			r = scenario(bytes);
			fired = backend_fault_fired(s.b);
			assert_int_equal(rc_ok(r), !fired);
			if (fired)
				assert_int_equal(r.code, ERR_UNKNOWN_OUTCOME);
			else
				assert_true(nth > 10);
			backend_fault_arm(s.b, 0, 0, ERR_IO, false);
			check_absent_or_whole("put", bytes);
			check_absent_or_whole("copied", bytes);
			check_absent_or_whole("joined", bytes);
			close_kind();
		}
	}
}

static void test_store__one_of_many_commits_fails(void **state)
{
	for (int after = 0; after < 2; after++)
		for (unsigned nth = 0; nth < 3; nth++) {
			struct backend_commit c[3];
			struct err errs[3] = {0};
			struct str got;

			open_kind(STORE_FAULT);
			for (unsigned i = 0; i < 3; i++)
				write_one(&c[i], &errs[i], i);
			backend_fault_arm(s.b, BACKEND_CALL_PUT, nth + 1, ERR_UNKNOWN_OUTCOME, after);
			backend_commit_now(s.b, c, 3);
			for (unsigned i = 0; i < 3; i++) {
				assert_int_equal(c[i].result.code,
						 i == nth ? ERR_UNKNOWN_OUTCOME : ERR_NONE);
				assert_int_equal(errs[i].code, c[i].result.code);
				assert_int_equal(rc_ok(get_bytes(&s, a,
								 (const char *[]){"m/0", "m/1", "m/2"}[i],
								 &got)),
						 i != nth || after);
			}
			close_kind();
		}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store__each_put_get_head_remove),
		cmocka_unit_test(test_store__each_if_absent),
		cmocka_unit_test(test_store__each_commit_many),
		cmocka_unit_test(test_store__each_failing_body_leaves_nothing),
		cmocka_unit_test(test_store__each_bad_pointers),
		cmocka_unit_test(test_store__each_list),
		cmocka_unit_test(test_store__each_copy),
		cmocka_unit_test(test_store__each_multipart),
		cmocka_unit_test(test_store__each_multipart_ended),
	};
	const struct CMUnitTest faults[] = {
		cmocka_unit_test(test_store__fault_sweep),
		cmocka_unit_test(test_store__one_of_many_commits_fails),
	};

	store_group(argc, argv);
	if (argc == 1 && cmocka_run_group_tests(faults, NULL, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
