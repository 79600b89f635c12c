/* Remote stores and what befalls them: wrong keys, no bucket, connections that break off in either
 * direction, services that end and come back, that are slow, that hang. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"
#include "tests/backends/presigned.h"
#include "tests/backends/relay.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"

#define MIB (1024 * 1024)

static struct store s;
static struct relay relay;
static struct arena *a;

static void open_kind(enum store_kind k, const struct store_twist *t)
{
	store_open_twisted(&s, k, t);
	a = arena_new();
}

/* By way of the relay. */
static void open_relayed(enum store_kind k, struct store_twist t)
{
	struct store plain;

	store_open_twisted(&plain, k, &(struct store_twist){0});
	relay_start(&relay, plain.front);
	store_close(&plain);
	t.port = relay.port;
	open_kind(k, &t);
}

static void close_kind(void)
{
	arena_free(a);
	store_close(&s);
	if (relay.port)
		relay_stop(&relay);
	relay.port = 0;
}

/* A put of n bytes as clients' are: in pieces, by way of a writer that knows the length, or
 * doesn't. */
static rc write_pattern(const char *key, uint64_t n, unsigned seed, bool sized,
			struct backend_writer **ret)
{
	struct backend_put_options o = {.sized = sized, .size = n};
	struct object_ptr to = at(&s, key);
	struct str bytes = pattern_new(a, (size_t)n, seed);
	struct backend_writer *w;
	rc r = s.b->blocking->open_writer(s.b, &to, &o, &w, &test_err);

	for (size_t i = 0; rc_ok(r) && i < n; i += 100000) {
		r = s.b->blocking->write(w, bytes.p + i, n - i < 100000 ? (size_t)n - i : 100000,
					 &test_err);
		if (!rc_ok(r))
			s.b->blocking->abort(w);
	}
	if (rc_ok(r))
		*ret = w;
	return r;
}

static rc put_pattern(const char *key, uint64_t n, unsigned seed, bool sized)
{
	struct backend_writer *w;
	struct backend_stat st;

	TRY(write_pattern(key, n, seed, sized, &w));
	return s.b->blocking->commit(w, a, &st, &test_err);
}

static bool holds_pattern(const char *key, size_t n, unsigned seed)
{
	return holds(&s, key, pattern_new(a, n, seed));
}

static bool absent(const char *key)
{
	struct object_ptr p = at(&s, key);
	struct backend_stat st;

	return rc_is(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
}

static void says(const char *text)
{
	if (!strstr(test_err.msg, text))
		fail_msg("\"%s\" doesn't say \"%s\"", test_err.msg, text);
}

static void test_remote__sizes(void **state)
{
	static const uint64_t sizes[] = {0,	      1,       256 * 1024,  256 * 1024 + 1,
					 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 11 * MIB + 3};

	EACH_KIND(k)
	{
		open_kind(k, &(struct store_twist){0});
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			for (int sized = 0; sized < 2; sized++) {
				char key[32];

				snprintf(key, sizeof(key), "sizes/%zu-%d", i, sized);
				ok(put_pattern(key, sizes[i], (unsigned)i, sized));
				assert_true(holds_pattern(key, (size_t)sizes[i], (unsigned)i));
			}
		close_kind();
	}
}

static rc read_range(const char *key, uint64_t offset, uint64_t length, size_t piece,
		     struct str *ret)
{
	struct object_ptr p = at(&s, key);
	struct backend_reader *r;
	struct backend_stat st;
	char *to = arena_alloc(a, 12 * MIB);
	size_t at_ = 0, n = piece;
	rc done = RC_OK;

	TRY(s.b->blocking->open_reader(s.b, &p, offset, length, a, &r, &st, &test_err));
	while (rc_ok(done) && n == piece) {
		done = s.b->blocking->read_next(r, to + at_, piece, &n, &test_err);
		at_ += rc_ok(done) ? n : 0;
	}
	s.b->blocking->close_reader(r);
	*ret = str_make(to, at_);
	return done;
}

static void test_remote__ranges(void **state)
{
	static const struct {
		uint64_t offset, length;
		size_t expected;
	} rows[] = {{0, 1, 1},		{0, UINT64_MAX, 3000000}, {2999999, 1, 1},
		    {2999999, 1000, 1}, {1000, 2000000, 2000000}, {100, UINT64_MAX, 2999900}};

	EACH_KIND(k)
	{
		struct str got, all;

		open_kind(k, &(struct store_twist){0});
		ok(put_pattern("k", 3000000, 7, true));
		all = pattern_new(a, 3000000, 7);
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			ok(read_range("k", rows[i].offset, rows[i].length, 70001, &got));
			assert_int_equal(got.n, rows[i].expected);
			assert_memory_equal(got.p, all.p + rows[i].offset, got.n);
		}
		fails(read_range("k", 3000000, 1, 100, &got), InvalidRange);
		fails(read_range("k", 4000000, UINT64_MAX, 100, &got), InvalidRange);
		fails(read_range("nothing", 0, 1, 100, &got), NOT_FOUND);
		ok(put_pattern("empty", 0, 7, true));
		ok(read_range("empty", 0, 10, 100, &got));
		assert_int_equal(got.n, 0);
		close_kind();
	}
}

/* More than one page, in pages that fit none. */
static void test_remote__thousands(void **state)
{
	enum { N = 2300 };

	EACH_KIND(k)
	{
		struct backend_list_entry *v;
		char after[32] = "", key[32];
		size_t n, seen = 0;
		bool more = true;

		open_kind(k, &(struct store_twist){0});
		for (unsigned i = 0; i < N; i++) {
			snprintf(key, sizeof(key), "l/%c/%05u", 'a' + i % 2, i);
			ok(put_bytes(&s, key, STR("x")));
		}
		ok(s.b->blocking->list(s.b, s.space, STR("l/"), STR(""), 5000, a, &v, &n, &more,
				       &test_err));
		assert_int_equal(n, N);
		assert_false(more);
		for (more = true; more; seen += n) {
			ok(s.b->blocking->list(s.b, s.space, STR("l/"), str_c(after), 1001, a, &v,
					       &n, &more, &test_err));
			assert_true(n > 0);
			snprintf(after, sizeof(after), STR_FMT, STR_ARG(v[n - 1].key));
		}
		assert_int_equal(seen, N);
		close_kind();
	}
}

static void test_remote__odd_keys(void **state)
{
	static const char *const keys[] = {
	    "o/a b",	 "o/a+b", "o/a%20b", "o/a&b=c?d#e", "o/\xc3\xa4\xe2\x82\xac", "o/'\"<>;",
	    "o/(x)*~!,", "o/.x",  "o/$@:",   "o/a%2Fb%zz",  "o/\xf0\x9f\x98\x80"};

	EACH_KIND(k)
	{
		struct backend_list_entry *v;
		size_t n, count = sizeof(keys) / sizeof(*keys);
		struct object_ptr from, to;
		struct backend_stat st;
		bool more;

		open_kind(k, &(struct store_twist){0});
		for (size_t i = 0; i < count; i++) {
			ok(put_bytes(&s, keys[i], str_c(keys[i])));
			assert_true(holds(&s, keys[i], str_c(keys[i])));
			from = at(&s, keys[i]);
			to = at(&s, "copied");
			ok(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err));
			assert_true(holds(&s, "copied", str_c(keys[i])));
		}
		ok(s.b->blocking->list(s.b, s.space, STR("o/"), STR(""), 100, a, &v, &n, &more,
				       &test_err));
		assert_int_equal(n, count);
		for (size_t i = 0; i < n; i++)
			assert_true(holds(&s, arena_cstr(a, v[i].key), v[i].key));
		close_kind();
	}
}

/* A condition is kept, or refused; never dropped. */
static void test_remote__large_if_absent(void **state)
{
	EACH_KIND(k)
	{
		for (int sized = 0; sized < 2; sized++) {
			struct backend_put_options o = {
			    .if_absent = true, .sized = sized, .size = 6 * MIB};
			struct str bytes;
			struct object_ptr to;
			struct backend_writer *w;
			struct backend_stat st;
			rc r;

			open_kind(k, &(struct store_twist){0});
			ok(put_bytes(&s, "k", STR("mine")));
			bytes = pattern_new(a, 6 * MIB, 1);
			to = at(&s, "k");
			ok(s.b->blocking->open_writer(s.b, &to, &o, &w, &test_err));
			r = s.b->blocking->write(w, bytes.p, bytes.n, &test_err);
			if (rc_ok(r))
				r = s.b->blocking->commit(w, a, &st, &test_err);
			else
				s.b->blocking->abort(w);
			assert_true(rc_is(r, EXISTS) || rc_is(r, INVALID));
			assert_true(holds(&s, "k", STR("mine")));
			close_kind();
		}
	}
}

/* Larger than one request copies, where stores have such a limit (the rows set it low). */
static void test_remote__large_copy(void **state)
{
	EACH_KIND(k)
	{
		struct object_ptr from, to;
		struct backend_stat st;

		open_kind(k, &(struct store_twist){0});
		if (!(s.b->caps & BACKEND_CAP_COPY)) {
			close_kind();
			continue;
		}
		ok(put_pattern("from", 11 * MIB + 5, 3, true));
		from = at(&s, "from");
		to = at(&s, "to");
		ok(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err));
		assert_int_equal(st.size, 11 * MIB + 5);
		assert_true(holds_pattern("to", 11 * MIB + 5, 3));
		close_kind();
	}
}

static struct str last_etag; /* of fetch */

static int fetch(const char *method, struct str url, struct str body, struct str *ret)
{
	struct http_pool *pool = http_pool_new(&(struct http_pool_options){0});
	/* Azure wants to be told what kind of blob; the others don't mind. */
	const struct http_header kind = {STR("x-ms-blob-type"), STR("BlockBlob")};
	const struct http_request q = {.method = str_c(method),
				       .url = url,
				       .headers = &kind,
				       .headers_n = str_eq(str_c(method), STR("PUT")) ? 1 : 0,
				       .body = body.p ? HTTP_BYTES : HTTP_NO_BODY,
				       .bytes = body};
	struct http_answer w;

	ok(http_ask(pool, &q, MIB, a, &w, &test_err));
	http_pool_free(pool);
	last_etag = http_answer_header(&w, "etag");
	*ret = w.body;
	return w.status;
}

static void test_remote__presigned(void **state)
{
	EACH_KIND(k)
	{
		int64_t until = wall_now().s + 600;
		struct object_ptr p;
		struct str url, got;

		open_kind(k, &(struct store_twist){0});
		p = at(&s, "presigned key");
		if (!(s.b->caps & BACKEND_CAP_PRESIGN)) {
			fails(presign(s.b, &p, STR("GET"), until, a, &url, &test_err),
			      UNSUPPORTED);
			close_kind();
			continue;
		}
		ok(put_bytes(&s, "presigned key", STR("hello")));
		ok(presign(s.b, &p, STR("GET"), until, a, &url, &test_err));
		assert_int_equal(fetch("GET", url, STR_NONE, &got), 200);
		assert_true(str_eq(got, STR("hello")));
		assert_true(fetch("GET", str_head(url, url.n - 1), STR_NONE, &got) >= 400);
		ok(presign(s.b, &p, STR("HEAD"), until, a, &url, &test_err));
		assert_int_equal(fetch("HEAD", url, STR_NONE, &got), 200);
		ok(presign(s.b, &p, STR("PUT"), until, a, &url, &test_err));
		assert_in_range(fetch("PUT", url, STR("put by the bearer"), &got), 200, 201);
		assert_true(holds(&s, "presigned key", STR("put by the bearer")));
		fails(presign(s.b, &p, STR("GET"), until - 100000, a, &url, &test_err),
		      INVALID);
		close_kind();
	}
}

/* An upload's part that its bearer wrote, and one that the store copied; nobody here knows the first one's size. */
static void put_part(const struct object_ptr *to, struct str id, struct backend_part *part, struct str bytes)
{
	const struct backend_presign q = {.method = STR("PUT"),
					  .expires_s = wall_now().s + 600,
					  .upload_id = id,
					  .part = part->number};
	struct backend_presigned got;
	struct str body;

	ok(s.b->presign(s.b, to, &q, a, &got, &test_err));
	assert_int_equal(fetch("PUT", got.url, bytes, &body), 200);
	part->etag = arena_dup(a, str_make(last_etag.p + 1, last_etag.n - 2));
	part->size = BACKEND_SIZE_UNKNOWN;
}

static void test_remote__presigned_parts(void **state)
{
	EACH_KIND(k)
	{
		struct backend_presign q = {.method = STR("PUT"),
					    .expires_s = wall_now().s + 600,
					    .upload_id = STR("id"),
					    .part = 1};
		struct backend_part parts[2] = {{.number = 3}, {.number = 9, .size = 1000}};
		struct backend_stat st;
		struct backend_presigned got;
		struct object_ptr to, from;
		struct str id;

		open_kind(k, &(struct store_twist){0});
		to = at(&s, "in parts, by others");
		if (!(s.b->caps & BACKEND_CAP_PRESIGN_PART)) {
			fails(s.b->presign(s.b, &to, &q, a, &got, &test_err), UNSUPPORTED);
			close_kind();
			continue;
		}
		from = at(&s, "source");
		ok(put_bytes(&s, "source", pattern_new(a, 6 * MIB, 2)));
		ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
		put_part(&to, id, &parts[0], pattern_new(a, 5 * MIB, 1));
		ok(s.b->blocking->mpu_copy_part(s.b, &from, &to, id, 17, a, &parts[1], &test_err));
		ok(s.b->blocking->mpu_complete(s.b, &to, id, parts, 2, a, &st, &test_err));
		assert_int_equal(st.size, 5 * MIB + 1000);
		assert_true(st.etag.n == 34 && str_ends(st.etag, STR("-2")));
		assert_true(st.mtime_s > wall_now().s - 600);
		/* Whose answer was lost. */
		ok(s.b->blocking->mpu_complete(s.b, &to, id, parts, 2, a, &st, &test_err));
		assert_int_equal(st.size, 5 * MIB + 1000);
		close_kind();
	}
}

static void test_remote__wrong_key(void **state)
{
	EACH_KIND(k)
	{
		struct object_ptr p;
		struct backend_stat st;
		struct backend_list_entry *v;
		struct str id;
		size_t n;
		bool more;
		rc r;

		open_kind(k, &(struct store_twist){.wrong_key = true, .max_retries = 1});
		p = at(&s, "k");
		/* Not AccessDenied: the client has done nothing wrong. */
		fails(put_pattern("k", 10, 1, true), ServiceUnavailable);
		says("store \"store\"");
		/* Who refuses in the middle of a body may reset the connection over its own answer.
		 */
		r = put_pattern("k", 3 * MIB, 1, true);
		assert_true(rc_is(r, ServiceUnavailable) || rc_is(r, IO) ||
			    rc_is(r, UNKNOWN_OUTCOME));
		fails(backend_head_now(s.b, &p, a, &st, &test_err), ServiceUnavailable);
		fails(read_range("k", 0, 10, 10, &id), ServiceUnavailable);
		fails(backend_remove_now(s.b, &p, &test_err), ServiceUnavailable);
		fails(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 9, a, &v, &n, &more,
					  &test_err),
		      ServiceUnavailable);
		says("credentials");
		assert_null(strstr(test_err.msg, "wrong"));
		fails(s.b->blocking->mpu_create(s.b, &p, NULL, a, &id, &test_err),
		      ServiceUnavailable);
		fails(s.b->blocking->probe(s.b, s.space, &test_err), AccessDenied);
		fails(s.b->blocking->probe(s.b, STR_NONE, &test_err), AccessDenied);
		close_kind();
	}
}

static void test_remote__no_bucket(void **state)
{
	EACH_KIND(k)
	{
		struct backend_list_entry *v;
		struct object_ptr p;
		struct str got;
		size_t n;
		bool more;

		open_kind(k, &(struct store_twist){.no_bucket = true, .max_retries = 1});
		p = at(&s, "k");
		fails(put_pattern("k", 10, 1, true), ServiceUnavailable);
		says("no-such-bucket");
		says("make the ");
		fails(read_range("k", 0, 10, 10, &got), ServiceUnavailable);
		fails(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 9, a, &v, &n, &more,
					  &test_err),
		      ServiceUnavailable);
		fails(s.b->blocking->mpu_create(s.b, &p, NULL, a, &got, &test_err),
		      ServiceUnavailable);
		fails(s.b->blocking->probe(s.b, s.space, &test_err), NOT_FOUND);
		ok(s.b->blocking->probe(s.b, STR_NONE, &test_err));
		close_kind();
		open_kind(k, &(struct store_twist){0});
		ok(s.b->blocking->probe(s.b, s.space, &test_err));
		close_kind();
	}
}

/* The answer breaks off again and again, and is taken up where it did. */
static void test_remote__answers_break_off(void **state)
{
	EACH_KIND(k)
	{
		struct str got;

		open_relayed(k, (struct store_twist){0});
		ok(put_pattern("k", 4 * MIB, 3, true));
		relay_cut(&relay, UINT64_MAX, MIB, 3);
		ok(read_range("k", 0, UINT64_MAX, 65536, &got));
		assert_true(str_eq(got, pattern_new(a, 4 * MIB, 3)));
		close_kind();
	}
}

/* The same without the bytes passing through memory: [from, n) of the object. */
static void splices_through(const char *key, uint64_t from, uint64_t n, unsigned seed)
{
	struct object_ptr p = at(&s, key);
	struct backend_reader *r;
	struct backend_stat st;
	char piece[65536];
	int pipes[2];
	size_t k;

	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	ok(s.b->blocking->open_reader(s.b, &p, from, UINT64_MAX, a, &r, &st, &test_err));
	assert_true(s.b->blocking->can_splice(r));
	for (uint64_t i = from; i < n; i += k) {
		ok(s.b->blocking->splice_next(r, pipes[1], MIB, &k, &test_err));
		assert_true(k > 0 && k <= n - i);
		for (size_t seen = 0; seen < k;) {
			size_t left = k - seen;
			ssize_t m = read(pipes[0], piece, left < sizeof(piece) ? left : sizeof(piece));

			assert_true(m > 0);
			for (size_t j = 0; j < (size_t)m; j++)
				assert_int_equal(piece[j], pattern(i + seen + j, seed));
			seen += (size_t)m;
		}
	}
	s.b->blocking->close_reader(r);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_remote__splices(void **state)
{
	EACH_KIND(k)
	{
		open_relayed(k, (struct store_twist){0});
		ok(put_pattern("k", 8 * MIB, 3, true));
		splices_through("k", 0, 8 * MIB, 3);
		splices_through("k", 5000001, 8 * MIB, 3);
		relay_cut(&relay, UINT64_MAX, 2 * MIB, 3);
		splices_through("k", 0, 8 * MIB, 3);
		close_kind();
	}
}

static void test_remote__truncated_answer_without_retries(void **state)
{
	EACH_KIND(k)
	{
		struct str got;

		open_relayed(k, (struct store_twist){0});
		ok(put_pattern("k", 4 * MIB, 3, true));
		store_reopen(&s, k, (struct store_twist){.port = relay.port, .no_retries = true});
		assert_true(absent("other")); /* it has met the service */
		relay_cut(&relay, UINT64_MAX, MIB, 1);
		fails(read_range("k", 0, UINT64_MAX, 65536, &got), IO);
		relay_clear(&relay);
		ok(read_range("k", 0, UINT64_MAX, 65536, &got));
		assert_true(str_eq(got, pattern_new(a, 4 * MIB, 3)));
		close_kind();
	}
}

/* The request breaks off in its middle: an error, and nothing to be seen. */
static void test_remote__requests_break_off(void **state)
{
	EACH_KIND(k)
	{
		rc r;

		open_relayed(k, (struct store_twist){.no_retries = true});
		/* Those that are sent from memory, too. */
		relay_cut(&relay, 150000, UINT64_MAX, 100);
		r = put_pattern("i", 200000, 3, true);
		assert_true(rc_is(r, IO) || rc_is(r, UNKNOWN_OUTCOME));
		r = put_pattern("j", 3 * MIB, 3, true);
		assert_true(rc_is(r, IO) || rc_is(r, UNKNOWN_OUTCOME));
		relay_cut(&relay, 2 * MIB, UINT64_MAX, 100);
		r = put_pattern("k", 12 * MIB, 3, true);
		assert_true(rc_is(r, IO) || rc_is(r, UNKNOWN_OUTCOME));
		r = put_pattern("l", 12 * MIB, 3, false);
		assert_true(rc_is(r, IO) || rc_is(r, UNKNOWN_OUTCOME));
		relay_clear(&relay);
		assert_true(absent("i"));
		assert_true(absent("j"));
		assert_true(absent("k"));
		assert_true(absent("l"));
		ok(put_pattern("k", 12 * MIB, 4, true));
		assert_true(holds_pattern("k", 12 * MIB, 4));
		close_kind();
	}
}

/* All along the last bytes of a stream, what closes its frames among them: nothing to be seen, or all of it. */
static void test_remote__requests_break_off_at_their_end(void **state)
{
	EACH_KIND(k)
	{
		unsigned broken = 0, whole = 0;

		open_relayed(k, (struct store_twist){.no_retries = true});
		ok(put_pattern("warm", 1000, 3, true));
		for (uint64_t n = 299900; n < 302500; n += 53) {
			char key[32];

			snprintf(key, sizeof(key), "e/%u", (unsigned)n);
			relay_cut(&relay, n, UINT64_MAX, 1);
			if (rc_ok(put_pattern(key, 300000, 3, true))) {
				relay_clear(&relay);
				assert_true(holds_pattern(key, 300000, 3));
				whole++;
				continue;
			}
			relay_clear(&relay);
			assert_true(absent(key));
			broken++;
		}
		assert_true(broken > 5);
		assert_true(whole > 5);
		close_kind();
	}
}

/* Where retries are allowed, parts and small objects get through. */
static void test_remote__retries_get_through(void **state)
{
	EACH_KIND(k)
	{
		open_relayed(k, (struct store_twist){0});
		relay_cut(&relay, MIB, UINT64_MAX, 2);
		ok(put_pattern("l", 12 * MIB, 3, false));
		assert_true(holds_pattern("l", 12 * MIB, 3));
		close_kind();
		open_relayed(k, (struct store_twist){0});
		relay_cut(&relay, 100, UINT64_MAX, 3);
		ok(put_pattern("s", 1000, 3, true));
		assert_true(holds_pattern("s", 1000, 3));
		close_kind();
	}
}

/* Whether it was done nobody knows: neither EXISTS nor success may be said of a conditional put. */
static void test_remote__lost_answer_of_a_conditional_put(void **state)
{
	EACH_KIND(k)
	{
		struct backend_put_options o = {.if_absent = true};
		struct object_ptr to;
		struct body *body;
		struct backend_stat st;

		open_relayed(k, (struct store_twist){0});
		assert_true(absent("other"));
		relay_cut(&relay, UINT64_MAX, 0, 1);
		to = at(&s, "k");
		body = body_mem_new(a, STR("mine"));
		fails(backend_put_now(s.b, &to, &o, body, a, &st, &test_err), UNKNOWN_OUTCOME);
		body_close(body);
		relay_clear(&relay);
		if (!absent("k"))
			assert_true(holds(&s, "k", STR("mine")));
		close_kind();
	}
}

/* An upload is completed though its answer is lost, and once more after that. */
static void test_remote__lost_answer_of_a_complete(void **state)
{
	EACH_KIND(k)
	{
		const struct backend_blocking_ops *ops;
		struct str bytes, id;
		struct object_ptr to;
		struct backend_part part = {.number = 1};
		struct backend_writer *w;
		struct backend_stat st;

		open_relayed(k, (struct store_twist){0});
		ops = s.b->blocking;
		bytes = pattern_new(a, 300000, 5);
		to = at(&s, "joined");
		ok(ops->mpu_create(s.b, &to, NULL, a, &id, &test_err));
		ok(ops->mpu_open_part(s.b, &to, id, 1,
				      &(struct backend_put_options){.sized = true, .size = bytes.n},
				      &w, &test_err));
		ok(ops->write(w, bytes.p, bytes.n, &test_err));
		ok(ops->commit(w, a, &st, &test_err));
		part.etag = st.etag;
		part.size = st.size;
		relay_cut(&relay, UINT64_MAX, 0, 1);
		ok(ops->mpu_complete(s.b, &to, id, &part, 1, a, &st, &test_err));
		assert_int_equal(st.size, bytes.n);
		assert_true(holds(&s, "joined", bytes));
		ok(ops->mpu_complete(s.b, &to, id, &part, 1, a, &st, &test_err));
		assert_true(holds(&s, "joined", bytes));
		close_kind();
	}
}

static void test_remote__service_is_killed_and_returns(void **state)
{
	EACH_KIND(k)
	{
		struct backend_writer *w;
		struct backend_reader *r;
		struct backend_stat st;
		struct object_ptr p;
		struct str got;
		char piece[65536];
		size_t n;
		rc done;

		open_kind(k, &(struct store_twist){.max_retries = 2});
		if (s.forgets) {
			close_kind();
			continue;
		}
		ok(put_pattern("before", 8 * MIB, 1, true));
		ok(write_pattern("during", 8 * MIB, 2, true, &w));
		p = at(&s, "before");
		ok(s.b->blocking->open_reader(s.b, &p, 0, UINT64_MAX, a, &r, &st, &test_err));
		ok(s.b->blocking->read_next(r, piece, sizeof(piece), &n, &test_err));
		store_settle(&s);
		service_kill(s.at);
		done = s.b->blocking->commit(w, a, &st, &test_err);
		assert_true(rc_is(done, IO) || rc_is(done, UNKNOWN_OUTCOME) ||
			    rc_is(done, ServiceUnavailable));
		for (done = RC_OK; rc_ok(done);)
			done = s.b->blocking->read_next(r, piece, sizeof(piece), &n, &test_err);
		assert_true(rc_is(done, IO) || rc_is(done, ServiceUnavailable));
		s.b->blocking->close_reader(r);
		fails(put_pattern("down", 10, 3, true), ServiceUnavailable);
		says("127.0.0.1");
		service_start(s.at);
		assert_true(holds_pattern("before", 8 * MIB, 1));
		assert_true(absent("during"));
		ok(put_pattern("after", 8 * MIB, 4, true));
		assert_true(holds_pattern("after", 8 * MIB, 4));
		ok(read_range("before", 0, UINT64_MAX, 65536, &got));
		close_kind();
	}
}

/* A reader goes on when the service comes back soon enough. */
static void test_remote__a_reader_survives_a_restart(void **state)
{
	EACH_KIND(k)
	{
		struct backend_reader *r;
		struct backend_stat st;
		struct object_ptr p;
		char *piece;
		uint64_t at_ = 0;
		size_t n = 1;

		open_kind(k, &(struct store_twist){.max_retries = 100});
		if (s.forgets) {
			close_kind();
			continue;
		}
		ok(put_pattern("k", 16 * MIB, 1, true));
		p = at(&s, "k");
		piece = arena_alloc(a, MIB);
		ok(s.b->blocking->open_reader(s.b, &p, 0, UINT64_MAX, a, &r, &st, &test_err));
		while (n) {
			ok(s.b->blocking->read_next(r, piece, MIB, &n, &test_err));
			for (size_t i = 0; i < n; i += 999)
				assert_int_equal(piece[i], pattern(at_ + i, 1));
			at_ += n;
			if (at_ == 2 * MIB) {
				store_settle(&s);
				service_kill(s.at);
				service_start(s.at);
			}
		}
		assert_int_equal(at_, 16 * MIB);
		s.b->blocking->close_reader(r);
		close_kind();
	}
}

static void test_remote__slow_service(void **state)
{
	EACH_KIND(k)
	{
		struct str got;

		open_relayed(k, (struct store_twist){.stall_ms = 20000});
		relay.delay_us = 3000;
		ok(put_pattern("k", 3 * MIB, 3, true));
		ok(read_range("k", 0, UINT64_MAX, 65536, &got));
		assert_true(str_eq(got, pattern_new(a, 3 * MIB, 3)));
		close_kind();
	}
}

/* It is there and says nothing: an error in bounded time, and all is well when it wakes up. */
static void test_remote__hanging_service(void **state)
{
	EACH_KIND(k)
	{
		struct str got;
		int64_t begun, until;

		open_kind(k, &(struct store_twist){0});
		ok(put_pattern("k", 100000, 3, true));
		store_reopen(&s, k, (struct store_twist){
					.stall_ms = 500, .deadline_ms = 2000, .max_retries = 1});
		until = mono_ms() + 60000;
		while (!rc_ok(read_range("k", 0, 10, 10, &got))) /* it has met the service */
			assert_true(mono_ms() < until);
		service_freeze(s.at, true);
		begun = mono_ms();
		assert_false(rc_ok(read_range("k", 0, UINT64_MAX, 65536, &got)));
		assert_false(rc_ok(put_pattern("l", 1000, 3, true)));
		assert_false(rc_ok(put_pattern("m", 6 * MIB, 3, true)));
		assert_true(mono_ms() - begun < 60000);
		service_freeze(s.at, false);
		close_kind();
		open_kind(k, &(struct store_twist){0});
		ok(put_pattern("k", 100000, 4, true));
		assert_true(holds_pattern("k", 100000, 4));
		close_kind();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_remote__sizes),
	    cmocka_unit_test(test_remote__ranges),
	    cmocka_unit_test(test_remote__thousands),
	    cmocka_unit_test(test_remote__odd_keys),
	    cmocka_unit_test(test_remote__large_if_absent),
	    cmocka_unit_test(test_remote__large_copy),
	    cmocka_unit_test(test_remote__presigned),
	    cmocka_unit_test(test_remote__presigned_parts),
	    cmocka_unit_test(test_remote__wrong_key),
	    cmocka_unit_test(test_remote__no_bucket),
	    cmocka_unit_test(test_remote__answers_break_off),
	    cmocka_unit_test(test_remote__splices),
	    cmocka_unit_test(test_remote__truncated_answer_without_retries),
	    cmocka_unit_test(test_remote__requests_break_off),
	    cmocka_unit_test(test_remote__requests_break_off_at_their_end),
	    cmocka_unit_test(test_remote__retries_get_through),
	    cmocka_unit_test(test_remote__lost_answer_of_a_conditional_put),
	    cmocka_unit_test(test_remote__lost_answer_of_a_complete),
	    cmocka_unit_test(test_remote__service_is_killed_and_returns),
	    cmocka_unit_test(test_remote__a_reader_survives_a_restart),
	    cmocka_unit_test(test_remote__slow_service),
	    cmocka_unit_test(test_remote__hanging_service),
	};

	store_group(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
