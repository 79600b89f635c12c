/* The azure adapter against Azurite: what is its own, beside the suite over all stores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/azure_priv.h"
#include "base/clock.h"
#include "base/rand.h"
#include "tests/backends/azurite.h"
#include "tests/backends/presigned.h"
#include "tests/backends/stores.h"

#define BIG (9ull * 1024 * 1024 + 17)

static struct store s;
static struct arena *a;

static struct backend *open_with(struct backend_azure_options o)
{
	struct backend *b;

	ok(backend_azure_open(&o, &b, &test_err));
	return b;
}

/* A container and a namespace of the test's own. */
static int open_store(void **state)
{
	static unsigned n;
	char name[20];

	a = arena_new();
	s = (struct store){.b = open_with(azurite_options(a, 0))};
	snprintf(name, sizeof(name), "test%u", ++n);
	azurite_make_container(s.b, AZURITE_ACCOUNT, name);
	s.space = arena_printf(a, AZURITE_SPACE "%s/a%%20prefix", name);
	return 0;
}

static int close_store(void **state)
{
	backend_free(s.b);
	s.b = NULL;
	arena_free(a);
	return 0;
}

static struct str full(const char *path)
{
	return arena_printf(a, STR_FMT "%s", STR_ARG(s.space), path);
}

/* Addresses. */

static void test_azure__namespaces(void **state)
{
	struct backend_azure_options o = {
	    .remote.id = STR("store"), .account = STR("acct1"), .key = STR("a2V5")};
	struct backend *b = open_with(o), *other;

	ok(b->check_space(b, STR("https://acct1.blob.core.windows.net/c"), &test_err));
	ok(b->check_space(b, STR("https://acct1.blob.core.windows.net/c/p/q/"), &test_err));
	fails(b->check_space(b, STR("https://acct2.blob.core.windows.net/c"), &test_err), INVALID);
	assert_non_null(strstr(test_err.msg, "acct1"));
	assert_non_null(strstr(test_err.msg, "azure.storage_account"));
	fails(b->check_space(b, STR("https://acct1.blob.core.chinacloudapi.cn/c"), &test_err),
	      INVALID);
	assert_non_null(strstr(test_err.msg, "azure.domain"));
	fails(b->check_space(b, STR("https://acct1.blob.core.windows.net"), &test_err), INVALID);
	fails(b->check_space(b, STR("https://acct1.blob.core.windows.net/"), &test_err), INVALID);
	fails(b->check_space(b, STR("https://acct1.blob.core.windows.net/c?sv=1"), &test_err),
	      INVALID);
	fails(b->check_space(b, STR("https://acct1.blob.core.windows.net/Upper"), &test_err),
	      INVALID);
	fails(b->check_space(b, STR("https:///c"), &test_err), INVALID);
	fails(b->check_space(b, STR("s3://c/p"), &test_err), INVALID);
	o.account = STR("");
	o.domain = STR("blob.core.chinacloudapi.cn");
	other = open_with(o);
	ok(other->check_space(other, STR("https://any-1.blob.core.chinacloudapi.cn/c"), &test_err));
	fails(other->check_space(other, STR("https://any.blob.core.windows.net/c"), &test_err),
	      INVALID);
	o.key = STR("not base64!");
	fails(backend_azure_open(&o, &other, &test_err), CONFIG);
	assert_null(strstr(test_err.msg, "not base64!"));
	o.key = STR("a2V5");
	o.endpoint = STR("127.0.0.1:10000");
	fails(backend_azure_open(&o, &other, &test_err), CONFIG);
	backend_free(b);
	backend_free(other);
}

static void check_presigned(struct backend *b, struct object_ptr p, const char *expected)
{
	struct str url;

	ok(presign(b, &p, STR("GET"), 1900000000, a, &url, &test_err));
	if (!str_starts(url, str_c(expected)))
		fail_msg("%.*s", STR_ARG(url));
}

/* Where objects are: full addresses and namespaces are encoded, keys below one are not. */
static void test_azure__addresses(void **state)
{
	struct backend *b = open_with((struct backend_azure_options){.key = STR("a2V5")});
	struct object_ptr p = {.space = STR("https://acct1.blob.core.windows.net/c/p%20q/"),
			       .key = STR("x//y+z%20/\xc3\xa4?"),
			       .type = ADDRESS_RELATIVE};

	check_presigned(b, p,
			"https://acct1.blob.core.windows.net/c/p%20q/x//y%2Bz%2520/%C3%A4%3F?sv=");
	p.space = STR("https://acct1.blob.core.windows.net/c");
	p.key = STR("k");
	check_presigned(b, p, "https://acct1.blob.core.windows.net/c/k?sv=");
	p.type = ADDRESS_FULL;
	p.key = STR("https://acct2.blob.core.windows.net/d/x%20y/");
	check_presigned(b, p, "https://acct2.blob.core.windows.net/d/x%20y/?sv=");
	p.key = STR("https://acct2.blob.core.windows.net/d");
	fails(presign(b, &p, STR("GET"), 1900000000, a, &p.key, &test_err), INVALID);
	p.key = STR("https://acct2.blob.core.windows.net/d/a/../b");
	fails(presign(b, &p, STR("GET"), 1900000000, a, &p.key, &test_err), INVALID);
	p.key = STR("https://acct2.blob.core.windows.net/d/a%5Cb");
	fails(presign(b, &p, STR("GET"), 1900000000, a, &p.key, &test_err), INVALID);
	p.key = STR("https://acct2.blob.core.windows.net/d/%00");
	fails(presign(b, &p, STR("GET"), 1900000000, a, &p.key, &test_err), INVALID);
	backend_free(b);
}

/* "Authorize with Shared Key", its example; and the query is sorted and decoded. */
static void test_azure__string_to_sign(void **state)
{
	struct remote_call c;

	remote_call_init(&c, a, "GET");
	c.path = STR("/mycontainer");
	remote_query(&c, "restype", STR("container"));
	remote_query(&c, "timeout", STR("20"));
	remote_query(&c, "comp", STR("metadata"));
	remote_header(&c, "x-ms-version", STR("2015-02-21"));
	remote_header(&c, "x-ms-date", STR("Fri, 26 Jun 2015 23:39:12 GMT"));
	assert_true(
	    str_eq(azure_string_to_sign(&c, STR("myaccount")),
		   STR("GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
		       "x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\n"
		       "restype:container\ntimeout:20")));
	remote_call_init(&c, a, "PUT");
	c.path = STR("/acct1/c/b%20b");
	c.bytes = STR("hello world");
	remote_header(&c, "x-ms-blob-type", STR("BlockBlob"));
	remote_header(&c, "if-none-match", STR("*"));
	remote_header(&c, "range", STR("bytes=0-1"));
	assert_true(str_eq(azure_string_to_sign(&c, STR("acct1")),
			   STR("PUT\n\n\n11\n\n\n\n\n\n*\n\nbytes=0-1\nx-ms-blob-type:BlockBlob\n"
			       "/acct1/acct1/c/b%20b")));
}

/* Objects. */

static rc put_of(const char *key, struct str bytes, struct backend_put_options o)
{
	struct object_ptr to = at(&s, key);
	struct backend_writer *w;
	struct backend_stat st;
	size_t k;
	rc r;

	TRY(s.b->blocking->open_writer(s.b, &to, &o, &w, &test_err));
	for (size_t i = 0; i < bytes.n; i += k) {
		k = bytes.n - i < 100001 ? bytes.n - i : 100001;
		r = s.b->blocking->write(w, bytes.p + i, k, &test_err);
		if (!rc_ok(r)) {
			s.b->blocking->abort(w);
			return r;
		}
	}
	r = s.b->blocking->commit(w, a, &st, &test_err);
	if (rc_ok(r))
		assert_int_equal(st.size, bytes.n);
	return r;
}

/* Names that a path has to keep as they are. */
static void test_azure__odd_names(void **state)
{
	static const char *const names[] = {"a b",
					    "a+b",
					    "a%20b",
					    "x//y",
					    "dir/",
					    "\"q\"&<>'",
					    "\xc3\xa4\xe2\x82\xac",
					    "q?x=1#f",
					    "end.",
					    "a:b@c;d=e,$!*()[]",
					    "o/a",
					    "o/a/b",
					    "~tilde"};
	struct backend_list_entry *v;
	size_t n;
	bool more;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ok(put_bytes(&s, names[i], str_c(names[i])));
		assert_true(holds(&s, names[i], str_c(names[i])));
	}
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 100, a, &v, &n, &more, &test_err));
	assert_int_equal(n, sizeof(names) / sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < n; k++)
			known |= str_eq(v[i].key, str_c(names[k]));
		if (!known)
			fail_msg("%.*s", STR_ARG(v[i].key));
		assert_int_equal(v[i].stat.size, v[i].key.n);
		assert_true(v[i].stat.mtime_s > 1600000000 && v[i].stat.etag.n > 0);
		assert_true(i == 0 || str_cmp(v[i - 1].key, v[i].key) < 0);
	}
}

static void test_azure__full_addresses(void **state)
{
	struct object_ptr p = {.key = full("/x%20y"), .type = ADDRESS_FULL};
	struct backend_stat st;

	ok(put_bytes(&s, "x y", STR("one object")));
	ok(backend_head_now(s.b, &p, a, &st, &test_err));
	assert_int_equal(st.size, 10);
	assert_true(st.etag.n > 2 && st.etag.p[0] != '"');
	ok(backend_remove_now(s.b, &p, &test_err));
	p = at(&s, "x y");
	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
}

static void test_azure__absent_of_any_size(void **state)
{
	struct str big = pattern_new(a, BIG, 4);

	for (int way = 0; way < 3; way++) {
		struct backend_put_options o = {
		    .if_absent = true, .sized = way > 0, .size = way == 1 ? 5 : BIG};
		struct str bytes = way == 1 ? STR("small") : big;
		const char *key = (const char *[]){"parts", "whole", "stream"}[way];

		ok(put_of(key, bytes, o));
		fails(put_of(key, bytes, o), EXISTS);
		assert_true(holds(&s, key, bytes));
	}
}

/* What came of a body that breaks off is nobody's. */
static void test_azure__given_up(void **state)
{
	struct backend_put_options o = {.sized = true, .size = BIG};
	struct str bytes = pattern_new(a, BIG, 5);
	struct object_ptr to = at(&s, "given up");
	struct backend_writer *w;
	struct backend_stat st;

	for (int i = 0; i < 2; i++) {
		ok(s.b->blocking->open_writer(s.b, &to, &o, &w, &test_err));
		ok(s.b->blocking->write(w, bytes.p, i ? BIG : BIG / 2, &test_err));
		s.b->blocking->abort(w);
	}
	for (int i = 0; i < 20; i++) {
		fails(backend_head_now(s.b, &to, a, &st, &test_err), NOT_FOUND);
		usleep(100000);
	}
}

/* Listings. */

enum { MANY = 2300 };

static void put_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		char key[20];

		snprintf(key, sizeof(key), "many/%06u", i);
		ok(put_bytes(&s, key, str_make(key, 3)));
	}
}

static size_t list_all(struct backend *b, size_t page, const char *after)
{
	struct str from = str_c(after);
	size_t all = 0, calls = 0;
	bool more = true;

	while (more) {
		struct backend_list_entry *v;
		size_t n;

		ok(b->blocking->list(b, s.space, STR("many/"), from, page, a, &v, &n, &more,
				     &test_err));
		for (size_t i = 0; i < n; i++) {
			assert_true(str_cmp(from, v[i].key) < 0);
			from = v[i].key;
		}
		all += n;
		assert_true(++calls < MANY);
		assert_true(n == page || !more);
	}
	return all;
}

static void test_azure__lists_thousands(void **state)
{
	struct backend *fresh;
	struct object_ptr to = at(&s, "many/upload");
	struct str id;

	put_many();
	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	assert_int_equal(list_all(s.b, 5000, ""), MANY);
	assert_int_equal(list_all(s.b, 700, ""), MANY);
	assert_int_equal(list_all(s.b, 1000, "many/001499"), MANY - 1500);
	fresh = open_with(azurite_options(a, 0)); /* knows no places */
	assert_int_equal(list_all(fresh, 301, "many/001099x"), MANY - 1100);
	assert_int_equal(list_all(fresh, 10, "many/002299"), 0);
	backend_free(fresh);
}

static void test_azure__listings_hide_markers(void **state)
{
	struct object_ptr to = at(&s, "x");
	struct backend_list_entry *v;
	struct str id;
	size_t n;
	bool more;

	ok(put_bytes(&s, "_before", STR("1")));
	ok(put_bytes(&s, "_taken", STR("2")));
	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 10, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 2);
	assert_true(str_eq(v[1].key, STR("_taken")));
	assert_false(more);
	ok(s.b->blocking->mpu_abort(s.b, &to, id, &test_err));
}

/* Uploads. */

static struct backend_part put_part(const struct object_ptr *to, struct str id, unsigned number,
				    struct str bytes)
{
	struct backend_put_options o = {.sized = true, .size = bytes.n};
	struct backend_writer *w;
	struct backend_stat st;

	ok(s.b->blocking->mpu_open_part(s.b, to, id, number, &o, &w, &test_err));
	ok(s.b->blocking->write(w, bytes.p, bytes.n, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	return (struct backend_part){.number = number, .etag = st.etag, .size = bytes.n};
}

static rc complete(const struct object_ptr *to, struct str id, const struct backend_part *v,
		   size_t n)
{
	struct backend_stat st;

	return s.b->blocking->mpu_complete(s.b, to, id, v, n, a, &st, &test_err);
}

/* As a caller does who died before it could write down that it was done. */
static void test_azure__complete_again(void **state)
{
	struct object_ptr to = at(&s, "data/joined");
	struct str id, one = pattern_new(a, 400000, 1), two = STR("two");
	struct backend_part v[2], swapped[2];

	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	v[1] = put_part(&to, id, 3, two);
	v[0] = put_part(&to, id, 1, pattern_new(a, 300, 9));
	v[0] = put_part(&to, id, 1, one);
	swapped[0] = v[1];
	swapped[1] = v[0];
	fails(complete(&to, id, v, 0), InvalidPart);
	v[0].size--;
	fails(complete(&to, id, v, 2), InvalidPart);
	v[0].size++;
	v[0].number = 2;
	fails(complete(&to, id, v, 2), InvalidPart); /* an etag is of one number */
	v[0].number = 1;
	ok(complete(&to, id, v, 2));
	ok(complete(&to, id, v, 2));
	fails(complete(&to, id, swapped, 2), NOT_FOUND);
	fails(complete(&to, id, v, 1), NOT_FOUND);
	assert_true(holds(&s, "data/joined", arena_join(a, (struct str[]){one, two}, 2)));
	ok(s.b->blocking->mpu_abort(s.b, &to, id, &test_err));
	assert_true(holds(&s, "data/joined", arena_join(a, (struct str[]){one, two}, 2)));
}

static struct str type_of(const char *key)
{
	struct azure *z1 = azure_of(s.b);
	struct object_ptr p = at(&s, key);
	struct azure_place place;
	struct http_answer w;
	struct remote_call c;

	ok(azure_object(z1, a, &p, &place, &test_err));
	remote_call_init(&c, a, "HEAD");
	azure_address(z1, &c, &place, true);
	ok(remote_ask(&z1->r, &c, NULL, &w, &test_err));
	return http_answer_header(&w, "content-type");
}

static void test_azure__content_types(void **state)
{
	struct backend_put_options o = {.content_type = STR("text/x-test"),
					.storage_class = STR("STANDARD_IA")};
	struct object_ptr to = at(&s, "joined");
	struct backend_part part;
	struct str id;

	ok(put_of("unsized", pattern_new(a, BIG, 1), o));
	ok(put_of("odd", STR("x"),
		  (struct backend_put_options){.content_type = STR(" text/\xc3\xa4  \t")}));
	ok(put_of("spaces", STR("x"),
		  (struct backend_put_options){.content_type = STR("  text/x;  a=b ")}));
	assert_true(str_eq(type_of("odd"), STR("application/octet-stream")));
	assert_true(str_eq(type_of("spaces"), STR("text/x;  a=b")));
	ok(s.b->blocking->mpu_create(s.b, &to, &o, a, &id, &test_err));
	part = put_part(&to, id, 1, STR("part"));
	ok(complete(&to, id, &part, 1));
	o.sized = true;
	o.size = 3;
	ok(put_of("sized", STR("abc"), o));
	assert_true(str_eq(type_of("sized"), STR("text/x-test")));
	assert_true(str_eq(type_of("unsized"), STR("text/x-test")));
	assert_true(str_eq(type_of("joined"), STR("text/x-test")));
	ok(put_bytes(&s, "none", STR("x")));
	assert_true(str_eq(type_of("none"), STR("application/octet-stream")));
}

static void test_azure__parts_have_a_limit(void **state)
{
	struct backend_put_options o = {.sized = true, .size = 4001ull << 20};
	struct object_ptr to = at(&s, "big");
	struct backend_writer *w;
	struct str id;

	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	fails(s.b->blocking->mpu_open_part(s.b, &to, id, 1, &o, &w, &test_err), EntityTooLarge);
	ok(s.b->blocking->mpu_abort(s.b, &to, id, &test_err));
}

/* The bytes pass through here. */
static void test_azure__copies_between_accounts(void **state)
{
	struct backend_azure_options o = azurite_options(a, 0);
	struct store both = {.space = s.space},
		     other = {.space = STR("https://acct2.blob.core.windows.net/other")};
	struct object_ptr from = at(&both, "from"), to = at(&other, "to");
	struct str bytes = pattern_new(a, BIG, 2);
	struct backend_stat st;

	o.account = STR("");
	o.endpoint = str_head(o.endpoint, o.endpoint.n - strlen("/" AZURITE_ACCOUNT));
	both.b = other.b = open_with(o);
	azurite_make_container(other.b, AZURITE_OTHER, "other");
	fails(both.b->blocking->copy(both.b, &from, &to, a, &st, &test_err), NOT_FOUND);
	ok(put_bytes(&both, "from", bytes));
	ok(both.b->blocking->copy(both.b, &from, &to, a, &st, &test_err));
	assert_int_equal(st.size, bytes.n);
	assert_true(holds(&other, "to", bytes));
	fails(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err),
	      INVALID); /* it has one account */
	backend_free(both.b);
}

/* Refusals. */

static void test_azure__no_container(void **state)
{
	struct object_ptr p = {
	    .space = STR(AZURITE_SPACE "missing"), .key = STR("k"), .type = ADDRESS_RELATIVE};
	struct backend_list_entry *v;
	struct backend_stat st;
	struct str id;
	size_t n;
	bool more;

	fails(backend_head_now(s.b, &p, a, &st, &test_err), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "\"missing\""));
	assert_non_null(strstr(test_err.msg, "make the container"));
	fails(backend_remove_now(s.b, &p, &test_err), ServiceUnavailable);
	fails(s.b->blocking->list(s.b, p.space, STR(""), STR(""), 9, a, &v, &n, &more, &test_err),
	      ServiceUnavailable);
	fails(s.b->blocking->mpu_create(s.b, &p, NULL, a, &id, &test_err), ServiceUnavailable);
	s.space = p.space;
	fails(put_bytes(&s, "k", STR("x")), ServiceUnavailable);
	fails(put_bytes(&s, "k", pattern_new(a, BIG, 1)), ServiceUnavailable);
	fails(s.b->blocking->probe(s.b, p.space, &test_err), NOT_FOUND);
	ok(s.b->blocking->probe(s.b, STR_NONE, &test_err));
}

/* Presigned addresses, used by a client that knows nothing else. */

static int use(const char *method, struct str url, struct str body, bool typed, struct str *ret)
{
	const struct http_header type = {STR("x-ms-blob-type"), STR("BlockBlob")};
	const struct http_request q = {.method = str_c(method),
				       .url = url,
				       .headers = &type,
				       .headers_n = typed,
				       .body = body.p ? HTTP_BYTES : HTTP_NO_BODY,
				       .bytes = body};
	struct http_answer w;

	ok(http_ask(azure_of(s.b)->r.http, &q, 1 << 20, a, &w, &test_err));
	if (ret)
		*ret = w.body;
	return w.status;
}

static void test_azure__presigned(void **state)
{
	struct object_ptr p = at(&s, "pre signed+/x");
	int64_t now = wall_now().s;
	struct str url, got;

	assert_true(s.b->caps & BACKEND_CAP_PRESIGN);
	ok(presign(s.b, &p, STR("PUT"), now + 600, a, &url, &test_err));
	assert_int_equal(use("PUT", url, STR("through an address"), true, NULL), 201);
	assert_int_equal(use("GET", url, STR_NONE, false, NULL), 403);
	assert_true(holds(&s, "pre signed+/x", STR("through an address")));
	ok(presign(s.b, &p, STR("GET"), now + 600, a, &url, &test_err));
	assert_int_equal(use("GET", url, STR_NONE, false, &got), 200);
	assert_true(str_eq(got, STR("through an address")));
	assert_int_equal(use("PUT", url, STR("no"), true, NULL), 403);
	ok(presign(s.b, &p, STR("HEAD"), now + 600, a, &url, &test_err));
	assert_int_equal(use("HEAD", url, STR_NONE, false, NULL), 200);
	fails(presign(s.b, &p, STR("GET"), now - 600, a, &url, &test_err), INVALID);
	fails(presign(s.b, &p, STR("DELETE"), now + 600, a, &url, &test_err), UNSUPPORTED);
}

static void test_azure__no_presigned(void **state)
{
	struct backend_azure_options o = {.key = STR("a2V5"), .no_presign = true};
	struct object_ptr p = {
	    .space = STR(AZURITE_SPACE "c"), .key = STR("k"), .type = ADDRESS_RELATIVE};
	struct backend *b = open_with(o);
	struct str url;

	assert_false(b->caps & BACKEND_CAP_PRESIGN);
	fails(presign(b, &p, STR("GET"), 1, a, &url, &test_err), UNSUPPORTED);
	backend_free(b);
}

/* A service that dies. */

static void test_azure__dies_in_an_upload(void **state)
{
	struct object_ptr to = at(&s, "joined");
	struct str id, one = pattern_new(a, 300000, 1);
	struct backend_part v[2];

	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	v[0] = put_part(&to, id, 1, one);
	azurite_settle(s.b, s.space);
	service_kill(azurite());
	fails(complete(&to, id, v, 1), ServiceUnavailable);
	azurite();
	v[1] = put_part(&to, id, 2, STR("two"));
	ok(complete(&to, id, v, 2));
	assert_true(holds(&s, "joined", arena_join(a, (struct str[]){one, STR("two")}, 2)));
}

/* Several threads on one store. */

static void *work(void *ud)
{
	unsigned me = (unsigned)(uintptr_t)ud;
	struct arena *mine = arena_new();
	bool fine = true;

	for (unsigned i = 0; i < 6 && fine; i++) {
		struct str bytes = pattern_new(mine, i % 2 ? 20 : 300000, me + i);
		struct object_ptr p = {.space = s.space,
				       .key = arena_printf(mine, "t%u/%u", me, i),
				       .type = ADDRESS_RELATIVE};
		struct body *body = body_mem_new(mine, bytes);
		struct backend_list_entry *v;
		struct backend_stat st;
		char *got = arena_alloc(mine, bytes.n);
		size_t n = 0;
		bool more;

		fine = rc_ok(backend_put_now(s.b, &p, NULL, body, mine, &st, NULL)) &&
		       rc_ok(backend_read_now(s.b, &p, 0, got, bytes.n, &n, NULL)) &&
		       str_eq(bytes, str_make(got, n)) &&
		       rc_ok(s.b->blocking->list(s.b, s.space, STR("t"), STR(""), 2 + me, mine, &v,
						 &n, &more, NULL)) &&
		       n > 0;
		body_close(body);
	}
	arena_free(mine);
	return fine ? ud : NULL;
}

static void test_azure__threads(void **state)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++) {
		void *fine;

		pthread_join(t[i], &fine);
		assert_non_null(fine);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_azure__##name, open_store, close_store)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_azure__namespaces),
	    T(addresses),
	    T(string_to_sign),
	    T(odd_names),
	    T(full_addresses),
	    T(absent_of_any_size),
	    T(given_up),
	    T(lists_thousands),
	    T(listings_hide_markers),
	    T(complete_again),
	    T(content_types),
	    T(parts_have_a_limit),
	    T(copies_between_accounts),
	    T(no_container),
	    T(presigned),
	    T(no_presigned),
	    T(dies_in_an_upload),
	    T(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
