/* The Google Cloud Storage store against fake-gcs-server behind its gate: what is its own beside
 * the stores' suites. Uploads of many parts and what crashes leave of them, resumable ones, tokens
 * that end, signed addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "tests/backends/presigned.h"
#include "tests/backends/relay.h"
#include "tests/backends/stores_gcs.h"

#define MIB (1024 * 1024)
#define KIND STORE_GCS_MEMORY

static struct store s;
static struct arena *a;
static struct relay relay;

static void open_twisted(struct store_twist t)
{
	store_open_twisted(&s, KIND, &t);
}

static int set_up(void **state)
{
	a = arena_new();
	open_twisted((struct store_twist){0});
	return 0;
}

static int tear_down(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);

	gcs_gate_fail(g, 0, false);
	g->life_ms = 3600000;
	g->halves = 0;
	backend_free(s.b);
	if (relay.port)
		relay_stop(&relay);
	relay.port = 0;
	arena_free(a);
	return 0;
}

/* The same namespace by another store. */
static void reopen(struct store_twist t)
{
	struct str space = arena_dup(a, s.space);

	backend_free(s.b);
	open_twisted(t);
	snprintf(s.memory, sizeof(s.memory), STR_FMT, STR_ARG(space));
	s.space = str_c(s.memory);
}

/* Keys below the namespace, what the store keeps for itself included. */
static size_t count_all(void)
{
	struct backend_list_entry *v;
	size_t n;
	bool more;

	ok(gcs_list_all(gcs_of(s.b), s.space, STR(""), STR(""), 20000, true, a, &v, &n, &more,
			&test_err));
	assert_false(more);
	return n;
}

/* The object's record. */
static struct json *record(const char *key)
{
	struct object_ptr p = at(&s, key);
	struct gcs_target *t;
	struct http_answer w;
	struct remote_call c;
	struct json *j;

	ok(gcs_aim(a, &p, &t, &test_err));
	gcs_call(gcs_of(s.b), &c, a, "GET", t->bucket, t->key, "");
	ok(remote_ask(&gcs_of(s.b)->r, &c, NULL, &w, &test_err));
	ok(gcs_document(&gcs_of(s.b)->r, &c, &w, &j, &test_err));
	return j;
}

static bool says(const struct json *j, const char *name, const char *value)
{
	return str_eq(json_str(json_member(j, name)), str_c(value));
}

/* Multipart uploads. */

struct upload {
	struct object_ptr to;
	struct str id;
	struct backend_part *parts;
	size_t n, bytes;
};

static struct str part_bytes(size_t i)
{
	return arena_printf(a, "part %zu;", i);
}

static rc put_one(struct upload *u, size_t i, struct str bytes)
{
	const struct backend_put_options o = {.sized = true, .size = bytes.n};
	struct backend_writer *w;
	struct backend_stat st;
	rc r;

	TRY(s.b->blocking->mpu_open_part(s.b, &u->to, u->id, (unsigned)i + 1, &o, &w, &test_err));
	r = s.b->blocking->write(w, bytes.p, bytes.n, &test_err);
	assert_true(rc_ok(r));
	TRY(s.b->blocking->commit(w, a, &st, &test_err));
	u->parts[i] =
	    (struct backend_part){.number = (unsigned)i + 1, .etag = st.etag, .size = st.size};
	return RC_OK;
}

/* In an order that isn't theirs. */
static struct upload begin(const char *key, size_t n, const struct backend_put_options *o)
{
	struct upload u = {
	    .to = at(&s, key), .n = n, .parts = arena_zalloc(a, n * sizeof(*u.parts))};

	ok(s.b->blocking->mpu_create(s.b, &u.to, o, a, &u.id, &test_err));
	for (size_t i = 0; i < n; i++) {
		size_t k = n - 1 - i;

		ok(put_one(&u, k, part_bytes(k)));
		u.bytes += part_bytes(k).n;
	}
	return u;
}

static rc complete(struct upload *u)
{
	struct backend_stat st;

	TRY(s.b->blocking->mpu_complete(s.b, &u->to, u->id, u->parts, u->n, a, &st, &test_err));
	assert_int_equal(st.size, u->bytes);
	return RC_OK;
}

static struct str joined(const struct upload *u)
{
	struct str *v = arena_alloc(a, u->n * sizeof(*v));

	for (size_t i = 0; i < u->n; i++)
		v[i] = part_bytes(i);
	return arena_join(a, v, u->n);
}

/* 32, 33, and more than 32 times 32: one, two and three levels of composing. */
static void test_gcs__many_parts(void **state)
{
	static const size_t counts[] = {1, 32, 33, 1030};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct upload u =
		    begin("many", counts[i],
			  &(struct backend_put_options){.content_type = STR("text/x")});

		ok(complete(&u));
		assert_true(holds(&s, "many", joined(&u)));
		assert_true(says(record("many"), "contentType", "text/x"));
		assert_int_equal(count_all(), 1);
	}
}

static void test_gcs__a_part_put_twice(void **state)
{
	struct upload u = begin("twice", 3, NULL);
	struct backend_part first = u.parts[1];

	ok(put_one(&u, 1, STR("another second")));
	assert_false(str_eq(first.etag, u.parts[1].etag));
	u.parts[1] = first;
	ok(complete(&u));
	assert_true(holds(&s, "twice", joined(&u)));
	assert_int_equal(count_all(), 1);
}

static void test_gcs__parts_are_not_objects(void **state)
{
	struct upload u = begin("hidden", 3, NULL);
	struct backend_list_entry *v;
	size_t n;
	bool more;

	ok(put_bytes(&s, "seen", STR("x")));
	assert_int_equal(count_all(), 5);
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 1, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 1);
	assert_false(more);
	assert_true(str_eq(v[0].key, STR("seen")));
	ok(s.b->blocking->mpu_abort(s.b, &u.to, u.id, &test_err));
	assert_int_equal(count_all(), 1);
}

/* A process ends after each of complete's writes, before or after the service did it; another one
 * repeats it. */
static void crash(size_t n, unsigned nth, bool after, bool *ret_crashed)
{
	struct gcs_gate *g = store_gcs_gate(KIND);
	struct upload u;

	reopen((struct store_twist){.no_retries = true});
	u = begin("crashed", n, NULL);
	gcs_gate_fail(g, nth, after);
	*ret_crashed = !rc_ok(complete(&u));
	assert_int_equal(gcs_gate_failed(g), *ret_crashed);
	gcs_gate_fail(g, 0, false);
	reopen((struct store_twist){0});
	if (*ret_crashed)
		ok(complete(&u));
	assert_true(holds(&s, "crashed", joined(&u)));
	assert_int_equal(count_all(), 1);
	/* Nor does it harm once more. */
	ok(complete(&u));
	ok(s.b->blocking->remove(s.b, &u.to, &test_err));
	fails(complete(&u), NOT_FOUND);
}

static void test_gcs__crashes_of_complete(void **state)
{
	for (int after = 0; after < 2; after++) {
		bool crashed = true;
		unsigned nth;

		/* Two composes, one of both, the mark, and so on. */
		for (nth = 1; crashed; nth += nth < 7 ? 1 : 11)
			crash(34, nth, after, &crashed);
		assert_true(nth > 34);
	}
}

static void test_gcs__crashes_of_abort(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);

	for (int after = 0; after < 2; after++) {
		bool crashed = true;

		for (unsigned nth = 1; crashed; nth++) {
			struct upload u;

			reopen((struct store_twist){.no_retries = true});
			u = begin("aborted", 3, NULL);
			gcs_gate_fail(g, nth, after);
			crashed = !rc_ok(s.b->blocking->mpu_abort(s.b, &u.to, u.id, &test_err));
			gcs_gate_fail(g, 0, false);
			reopen((struct store_twist){0});
			ok(s.b->blocking->mpu_abort(s.b, &u.to, u.id, &test_err));
			assert_int_equal(count_all(), 0);
			fails(complete(&u), NOT_FOUND);
			assert_true(crashed || nth > 4);
		}
	}
}

/* The target is somebody else's: parts that are missing aren't taken for parts that were joined. */
static void test_gcs__a_target_of_another_upload(void **state)
{
	struct upload one = begin("same", 2, NULL), two = begin("same", 2, NULL);

	ok(complete(&one));
	two.parts[0].etag = one.parts[0].etag;
	fails(complete(&two), InvalidPart);
	ok(s.b->blocking->mpu_abort(s.b, &two.to, two.id, &test_err));
	fails(complete(&two), NOT_FOUND);
	ok(complete(&one));
	assert_int_equal(count_all(), 1);
}

/* An upload that ends while one of its parts is on its way leaves nothing of it. */
static void test_gcs__a_part_that_comes_too_late(void **state)
{
	struct upload u = begin("late", 1, NULL);
	struct str bytes = pattern_new(a, 2 * MIB, 1);
	struct backend_writer *w;
	struct backend_stat st;

	ok(s.b->blocking->mpu_open_part(
	    s.b, &u.to, u.id, 2, &(struct backend_put_options){.sized = true, .size = bytes.n}, &w,
	    &test_err));
	ok(s.b->blocking->write(w, bytes.p, bytes.n, &test_err));
	ok(complete(&u));
	fails(s.b->blocking->commit(w, a, &st, &test_err), NOT_FOUND);
	assert_int_equal(count_all(), 1);
	assert_true(holds(&s, "late", joined(&u)));
}

/* Resumable uploads. */

static rc write_some(struct backend_writer *w, size_t from, size_t n)
{
	struct str all = pattern_new(a, from + n, 9);

	return s.b->blocking->write(w, all.p + from, n, &test_err);
}

static struct backend_writer *open_writer(const char *key, struct str storage_class)
{
	const struct backend_put_options o = {.content_type = STR("text/y"),
					      .storage_class = storage_class};
	struct object_ptr to = at(&s, key);
	struct backend_writer *w;

	ok(s.b->blocking->open_writer(s.b, &to, &o, &w, &test_err));
	return w;
}

static bool absent(const char *key)
{
	struct object_ptr p = at(&s, key);
	struct backend_stat st;

	return rc_is(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
}

static void by_relay(struct store_twist t)
{
	relay_start(&relay, s.front);
	t.port = relay.port;
	reopen(t);
}

/* The answers to chunks are lost, in the middle and at the end: they are sent again, and are there
 * once. */
static void test_gcs__session_answers_lost(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);
	unsigned repeated = g->repeated;
	struct backend_writer *w;
	struct backend_stat st;

	by_relay((struct store_twist){0});
	w = open_writer("lost", STR_NONE);
	ok(write_some(w, 0, 6 * MIB));
	relay_cut(&relay, UINT64_MAX, 0, 1);
	ok(write_some(w, 6 * MIB, 6 * MIB));
	assert_true(absent("lost"));
	relay_cut(&relay, UINT64_MAX, 0, 1);
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_int_equal(st.size, 12 * MIB);
	assert_true(g->repeated >= repeated + 2);
	assert_true(holds(&s, "lost", pattern_new(a, 12 * MIB, 9)));
	assert_true(says(record("lost"), "contentType", "text/y"));
}

/* Chunks break off on their way. */
static void test_gcs__session_chunks_break_off(void **state)
{
	struct backend_writer *w;
	struct backend_stat st;

	by_relay((struct store_twist){0});
	w = open_writer("broken", STR_NONE);
	relay_cut(&relay, MIB, UINT64_MAX, 3);
	ok(write_some(w, 0, 12 * MIB));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_true(holds(&s, "broken", pattern_new(a, 12 * MIB, 9)));
}

/* The service keeps half of what it was sent: the rest follows. */
static void test_gcs__session_halves(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);
	struct backend_writer *w = open_writer("halves", STR_NONE);
	struct backend_stat st;
	unsigned chunks = g->chunks;

	g->halves = 4;
	ok(write_some(w, 0, 11 * MIB + 5));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_int_equal(g->halves, 0);
	assert_int_equal(g->chunks, chunks + 3 + 4);
	assert_true(holds(&s, "halves", pattern_new(a, 11 * MIB + 5, 9)));
}

static void test_gcs__session_given_up(void **state)
{
	struct backend_writer *w = open_writer("given up", STR_NONE);

	ok(write_some(w, 0, 11 * MIB));
	s.b->blocking->abort(w);
	assert_int_equal(count_all(), 0);
}

/* As an envelope, by a session, and by a copy of what was composed. */
static void test_gcs__storage_classes(void **state)
{
	static const struct {
		const char *asked, *got;
	} rows[] = {{"NEARLINE", "NEARLINE"}, {"archive", "ARCHIVE"}, {"GLACIER", "STANDARD"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t n = 0; n <= 3 * MIB; n += MIB + 1) {
			const struct backend_put_options o = {.content_type = STR("text/z"),
							      .storage_class = str_c(rows[i].asked),
							      .sized = true,
							      .size = n};
			struct object_ptr to = at(&s, "classy");
			struct str bytes = pattern_new(a, n, 3);
			struct body *body = body_mem_new(a, bytes);
			struct backend_stat st;

			ok(backend_put_now(s.b, &to, &o, body, a, &st, &test_err));
			body_close(body);
			assert_int_equal(st.size, n);
			assert_true(holds(&s, "classy", bytes));
			assert_true(says(record("classy"), "storageClass", rows[i].got));
			assert_true(says(record("classy"), "contentType", "text/z"));
		}
}

static void test_gcs__multipart_of_a_class(void **state)
{
	struct upload u = begin("classy", 40,
				&(struct backend_put_options){.content_type = STR("text/z"),
							      .storage_class = STR("coldline")});

	ok(complete(&u));
	ok(complete(&u));
	assert_true(holds(&s, "classy", joined(&u)));
	assert_true(says(record("classy"), "contentType", "text/z"));
	assert_int_equal(count_all(), 1);
}

/* Tokens. */

static void test_gcs__tokens_end(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);
	int64_t until = mono_ms() + 60000;
	unsigned given;

	g->life_ms = 1000;
	reopen((struct store_twist){0});
	given = g->given;
	while (g->given < given + 4) {
		ok(put_bytes(&s, "short", STR("lived")));
		assert_true(holds(&s, "short", STR("lived")));
		assert_true(mono_ms() < until);
		usleep(20000);
	}
}

/* A token that is refused before its end is replaced at once, by one request, and the call that met
 * it is made again; a stream can't be, but the next one finds the new token. */
static void test_gcs__tokens_revoked(void **state)
{
	struct gcs_gate *g = store_gcs_gate(KIND);
	struct str large = pattern_new(a, MIB, 1);
	unsigned given, away;

	ok(put_bytes(&s, "k", STR("v")));
	given = g->given;
	away = g->turned_away;
	gcs_gate_revoke(g);
	ok(put_bytes(&s, "k", STR("w")));
	assert_true(holds(&s, "k", STR("w")));
	assert_int_equal(g->given, given + 1);
	assert_int_equal(g->turned_away, away + 1);
	gcs_gate_revoke(g);
	assert_true(holds(&s, "k", STR("w")));
	assert_int_equal(g->given, given + 2);
	gcs_gate_revoke(g);
	fails(put_bytes(&s, "large", large), ServiceUnavailable);
	assert_true(absent("large"));
	ok(put_bytes(&s, "large", large));
	assert_true(holds(&s, "large", large));
	assert_int_equal(g->given, given + 3);
}

/* Signed addresses. */

static int fetch(struct str method, struct str url, struct str bytes, struct str *ret)
{
	struct http_pool *p = http_pool_new(&(struct http_pool_options){0});
	const struct http_request q = {.method = method,
				       .url = url,
				       .body = bytes.p ? HTTP_BYTES : HTTP_NO_BODY,
				       .bytes = bytes};
	struct http_answer w;

	ok(http_ask(p, &q, 1 << 20, a, &w, &test_err));
	*ret = w.body;
	http_pool_free(p);
	return w.status;
}

static struct str presigned(const char *key, struct str method, int64_t life_s)
{
	struct object_ptr p = at(&s, key);
	struct str url;

	ok(presign(s.b, &p, method, wall_now().s + life_s, a, &url, &test_err));
	return url;
}

static void test_gcs__signed_addresses(void **state)
{
	static const char *const keys[] = {"plain", "with space/\xc3\xa4+&=?#%41~*'()", "x//y"};
	struct object_ptr p = at(&s, "k");
	struct str url, got;
	char *bent;

	assert_true(s.b->caps & BACKEND_CAP_PRESIGN);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		ok(put_bytes(&s, keys[i], str_c(keys[i])));
		url = presigned(keys[i], STR("GET"), 600);
		assert_int_equal(fetch(STR("GET"), url, STR_NONE, &got), 200);
		assert_true(str_eq(got, str_c(keys[i])));
		assert_int_equal(fetch(STR("PUT"), url, STR("no"), &got), 403);
		bent = arena_cstr(a, url);
		bent[url.n - 1] = bent[url.n - 1] == '0' ? '1' : '0';
		assert_int_equal(fetch(STR("GET"), str_c(bent), STR_NONE, &got), 403);
		assert_int_equal(
		    fetch(STR("PUT"), presigned(keys[i], STR("PUT"), 600), STR("new"), &got), 200);
		assert_true(holds(&s, keys[i], STR("new")));
	}
	fails(presign(s.b, &p, STR("GET"), wall_now().s, a, &url, &test_err), INVALID);
	fails(presign(s.b, &p, STR("GET"), wall_now().s + 7 * 86400 + 60, a, &url, &test_err),
	      INVALID);
}

/* Names. */

static void test_gcs__names(void **state)
{
	static const char *const keys[] = {"o/a",  "o/a/b", "o/x//y",  "/o", "o/",
					   "o/..", "o/%2F", "o/a\x7f", "o/ "};
	static const char *const bad[] = {"line\nend", "line\rend", "\xff\xfe"};
	struct backend_list_entry *v;
	char longest[1100];
	size_t n;
	bool more;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		ok(put_bytes(&s, keys[i], str_c(keys[i])));
		assert_true(holds(&s, keys[i], str_c(keys[i])));
	}
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 100, a, &v, &n, &more, &test_err));
	assert_int_equal(n, sizeof(keys) / sizeof(*keys));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		fails(put_bytes(&s, bad[i], STR("x")), INVALID);
	memset(longest, 'k', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	fails(put_bytes(&s, longest, STR("x")), INVALID);
}

/* What others stored packed is read as it lies there, whole and in ranges. */
static void test_gcs__packed_objects(void **state)
{
	static const unsigned char packed[] = {0x1f, 0x8b, 8,	 0,    0,    0,	   0, 0, 2,
					       3,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86,
					       0xa6, 0x10, 0x36, 5,    0,    0,	   0}; /* "hello" */
	struct object_ptr p = at(&s, "packed");
	struct gcs_target *t;
	struct http_answer w;
	struct remote_call c;
	char part[4];
	size_t n;

	ok(gcs_aim(a, &p, &t, &test_err));
	remote_call_init(&c, a, "POST");
	gcs_upload(gcs_of(s.b), &c, t->bucket, t->key);
	gcs_upload_as(&c, STR("text/plain"), STR_NONE);
	remote_query(&c, "contentEncoding", STR("gzip"));
	c.bytes = str_make(packed, sizeof(packed));
	ok(remote_ask(&gcs_of(s.b)->r, &c, NULL, &w, &test_err));
	assert_true(says(record("packed"), "contentEncoding", "gzip"));
	assert_true(holds(&s, "packed", c.bytes));
	ok(backend_read_now(s.b, &p, 2, part, sizeof(part), &n, &test_err));
	assert_memory_equal(part, packed + 2, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_gcs__##name, set_up, tear_down)
	    T(many_parts),
	    T(a_part_put_twice),
	    T(parts_are_not_objects),
	    T(crashes_of_complete),
	    T(crashes_of_abort),
	    T(a_target_of_another_upload),
	    T(a_part_that_comes_too_late),
	    T(session_answers_lost),
	    T(session_chunks_break_off),
	    T(session_halves),
	    T(session_given_up),
	    T(storage_classes),
	    T(multipart_of_a_class),
	    T(tokens_end),
	    T(tokens_revoked),
	    T(signed_addresses),
	    T(names),
	    T(packed_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
