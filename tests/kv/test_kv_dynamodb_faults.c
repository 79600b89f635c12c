/* What DynamoDB may answer, and what comes of it: throttling, batches that are done in part,
 * failures, lost and damaged answers, refused keys. */
#include <pthread.h>
#include <string.h>

#include "kv/dynamodb.h"
#include "tests/kv/conformance.h"
#include "tests/kv/ddb_proxy.h"
#include "tests/kv/ddb_service.h"

static const struct str P = STR("p"), K = STR("k");

enum { ATTEMPTS = 4 };

static struct ddb_proxy proxy;
static struct kv *kv;	  /* through the proxy */
static struct kv *direct; /* beside it */
static struct arena *arena;
static struct err err;
static char table[32];

static struct kv *open_kv(int port)
{
	struct kv_dynamodb_options o =
	    ddb_service_options(ddb_service_shared(), arena, port, table);
	struct kv *ret = NULL;

	o.max_attempts = ATTEMPTS;
	if (!rc_ok(kv_dynamodb_open(&o, &ret, &err)))
		fail_msg("%s", err.msg);
	return ret;
}

static int setup(void **state)
{
	static unsigned n;

	snprintf(table, sizeof(table), "faults-%u", n++);
	arena = arena_new();
	direct = open_kv(0);
	ddb_proxy_start(&proxy, ddb_service_shared()->port);
	kv = open_kv((int)proxy.fake.port);
	return 0;
}

static int teardown(void **state)
{
	kv_free(kv);
	kv_free(direct);
	ddb_proxy_stop(&proxy);
	arena_free(arena);
	return 0;
}

static const char *value_of(struct str key)
{
	struct str v;
	rc r = kv_get(direct, KV_BLOCK, P, key, arena, &v, NULL);

	if (rc_is(r, NOT_FOUND))
		return NULL;
	assert_true(rc_ok(r));
	return arena_cstr(arena, v);
}

static void assert_is(const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s instead of %s", got ? got : "nothing", want ? want : "nothing");
}

static void assert_told(const char *words)
{
	if (!strstr(err.msg, words))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, words);
	assert_null(strstr(err.msg, "nobody-may-see-me"));
}

static bool take_one(struct ddb_proxy *p)
{
	unsigned left = atomic_load(&p->left);

	while (left && !atomic_compare_exchange_weak(&p->left, &left, left - 1))
		;
	return left > 0;
}

static void arm(ddb_proxy_fn *answer, unsigned times)
{
	proxy.answer = NULL;
	proxy.left = times;
	proxy.n = 0;
	proxy.answer = answer;
}

/* The calls. */

static rc call_get(void)
{
	struct str v;

	return kv_get(kv, KV_BLOCK, P, K, arena, &v, &err);
}

static rc call_set(void)
{
	return kv_set(kv, P, K, STR("new"), &err);
}

static rc call_create(void)
{
	return kv_set_if(kv, P, K, STR("new"), KV_IF_ABSENT, STR_NONE, &err);
}

static rc call_swap(void)
{
	return kv_set_if(kv, P, K, STR("new"), KV_IF_VALUE, STR("old"), &err);
}

static rc call_delete(void)
{
	return kv_delete(kv, P, K, &err);
}

static rc call_scan(void)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(kv_scan(kv, P, STR_NONE, 0, &it, &err));
	return kv_iter_next(it, &e, &end, &err);
}

static rc call_partitions(void)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	TRY(kv_partitions(kv, STR_NONE, &it, &err));
	return kv_iter_next(it, &e, &end, &err);
}

static rc call_many(void)
{
	struct kv_write w[] = {
	    {.partition = P, .key = K, .value = STR("new"), .err = &err},
	    {.partition = P, .key = STR("k2"), .value = STR("new")},
	};

	kv_write_many(kv, w, 2);
	assert_int_equal(w[0].result.code, w[1].result.code);
	return w[0].result;
}

static const struct call {
	const char *name, *before, *after;
	rc (*make)(void);
	bool reads;
} calls[] = {
    {"get", "old", "old", call_get, true},
    {"scan", "old", "old", call_scan, true},
    {"partitions", "old", "old", call_partitions, true},
    {"set", "old", "new", call_set, false},
    {"create", NULL, "new", call_create, false},
    {"swap", "old", "new", call_swap, false},
    {"delete", "old", NULL, call_delete, false},
    {"many", "old", "new", call_many, false},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void prepare(const struct call *c)
{
	assert_true(rc_ok(c->before ? kv_set(direct, P, K, str_c(c->before), &err)
				    : kv_delete(direct, P, K, &err)));
	err = (struct err){0};
}

/* Throttling. */

static const char *kind;

static bool throttle(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		     struct fake_answer *w)
{
	if (!take_one(p))
		return false;
	ddb_proxy_refuse(q, 400, kind, w);
	return true;
}

static void test_faults__throttled(void **state)
{
	static const char *const kinds[] = {"ProvisionedThroughputExceededException",
					    "ThrottlingException", "RequestLimitExceeded",
					    "TransactionConflictException"};

	for (size_t i = 0; i < CALLS; i++) {
		const struct call *c = &calls[i];

		kind = kinds[i % 4];
		prepare(c);
		arm(throttle, ATTEMPTS - 1);
		if (!rc_ok(c->make()))
			fail_msg("%s: %s", c->name, err.msg);
		assert_int_equal(proxy.n, ATTEMPTS);
		assert_is(value_of(K), c->after);
		/* For ever. */
		prepare(c);
		arm(throttle, 1000);
		assert_rc(c->make(), SlowDown);
		assert_int_equal(proxy.n, ATTEMPTS);
		assert_is(value_of(K), c->before);
		assert_told(table);
		assert_told(kind);
		assert_told("raise the table's capacity");
		arm(NULL, 0);
	}
}

/* All but the first request of a batch are left, `left` times. */
static bool leave_some(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		       struct fake_answer *w)
{
	const struct str between = STR(",{\"PutRequest\"");
	size_t first = str_find(q->body, between);
	struct str head = str_head(q->body, first), rest;

	if (!str_eq(operation, STR("BatchWriteItem")) || first == q->body.n || !take_one(p))
		return false;
	ddb_proxy_forward(p, q, arena_join(q->a, (struct str[]){head, STR("]}}")}, 2), w);
	assert_int_equal(w->status, 200);
	rest = str_skip(q->body, first + 1);
	w->headers = STR("");
	w->body = arena_join(
	    q->a, (struct str[]){STR("{\"UnprocessedItems\":{\""), str_c(table), STR("\":["), rest},
	    4);
	return true;
}

enum { MANY = 10 };

static void write_ten(struct kv_write w[MANY], const char *value)
{
	for (int i = 0; i < MANY; i++)
		w[i] = (struct kv_write){.partition = P,
					 .key = arena_printf(arena, "many%d", i),
					 .value = str_c(value),
					 .err = i == MANY - 1 ? &err : NULL};
	kv_write_many(kv, w, MANY);
}

static void test_faults__unprocessed_items(void **state)
{
	struct kv_write w[MANY];

	arm(leave_some, ATTEMPTS - 1);
	write_ten(w, "one");
	for (int i = 0; i < MANY; i++) {
		assert_true(rc_ok(w[i].result));
		assert_is(value_of(w[i].key), "one");
	}
	assert_int_equal(proxy.n, ATTEMPTS);
	/* More than it has attempts for: those that were done are told apart from those that
	 * weren't. */
	arm(leave_some, 1000);
	write_ten(w, "two");
	for (int i = 0; i < MANY; i++) {
		if (i < ATTEMPTS)
			assert_true(rc_ok(w[i].result));
		else
			assert_rc(w[i].result, SlowDown);
		assert_is(value_of(w[i].key), i < ATTEMPTS ? "two" : "one");
	}
	assert_told("UnprocessedItems");
	arm(NULL, 0);
}

/* Failures and lost answers: `left` times; carried out before that, or not. */

static enum { HANG_UP, ERROR_500, ERROR_503, BAD_CRC, NO_JSON, HOWS } how;
static bool carried_out;
static void (*meanwhile)(void);

static bool lose(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		 struct fake_answer *w)
{
	static const char *const kinds[] = {
	    [ERROR_500] = "InternalServerError", [ERROR_503] = "ServiceUnavailable"};

	if (!take_one(p))
		return false;
	if (carried_out)
		ddb_proxy_forward(p, q, q->body, w);
	if (meanwhile)
		meanwhile();
	w->hang_up = how == HANG_UP;
	if (how == ERROR_500 || how == ERROR_503)
		ddb_proxy_refuse(q, how == ERROR_500 ? 500 : 503, kinds[how], w);
	if (how == BAD_CRC || how == NO_JSON) {
		w->status = 200;
		w->headers = how == BAD_CRC ? STR("x-amz-crc32: 1\r\n") : STR("");
		w->body = how == BAD_CRC ? STR("{}") : STR("<html>");
	}
	return true;
}

static void lose_one(const struct call *c)
{
	rc r;

	prepare(c);
	arm(lose, 1);
	r = c->make();
	if (c->reads || (carried_out && c->after)) {
		/* The mark tells that it was done. */
		if (!rc_ok(r))
			fail_msg("%s, %d: %s", c->name, (int)how, err.msg);
		assert_is(value_of(K), c->after);
	} else {
		assert_rc(r, UNKNOWN_OUTCOME);
		assert_told(table);
		assert_is(value_of(K), carried_out ? c->after : c->before);
	}
	arm(NULL, 0);
}

static void test_faults__lost_answers(void **state)
{
	for (how = HANG_UP; how < HOWS; how++)
		for (int i = 0; i < 2; i++) {
			carried_out = i;
			for (size_t k = 0; k < CALLS; k++)
				lose_one(&calls[k]);
		}
}

static void test_faults__reads_end(void **state)
{
	how = ERROR_500;
	carried_out = false;
	prepare(&calls[0]);
	arm(lose, 1000);
	assert_rc(call_get(), ServiceUnavailable);
	assert_int_equal(proxy.n, ATTEMPTS);
	assert_told("GetItem");
	arm(NULL, 0);
}

static void overwrite(void)
{
	assert_true(rc_ok(kv_set(direct, P, K, STR("another's"), NULL)));
}

static void overwrite_alike(void)
{
	assert_true(rc_ok(kv_set(direct, P, K, STR("new"), NULL)));
}

/* What others wrote since, be it the same bytes, isn't taken for ours. */
static void test_faults__overwritten_meanwhile(void **state)
{
	how = HANG_UP;
	carried_out = true;
	for (int alike = 0; alike < 2; alike++)
		for (size_t i = 3; i < CALLS; i++) {
			prepare(&calls[i]);
			meanwhile = alike ? overwrite_alike : overwrite;
			arm(lose, 1);
			if (calls[i].make == call_many) {
				struct kv_write w[] = {
				    {.partition = P, .key = K, .value = STR("new"), .err = &err},
				    {.partition = P, .key = STR("k2"), .value = STR("new")},
				};

				kv_write_many(kv, w, 2);
				assert_rc(w[0].result, UNKNOWN_OUTCOME);
			} else {
				assert_rc(calls[i].make(), UNKNOWN_OUTCOME);
			}
			arm(NULL, 0);
			meanwhile = NULL;
			assert_is(value_of(K), alike ? "new" : "another's");
		}
}

/* Many who want to create one key with the same bytes, and lose most answers: one of them at most
 * is told that it did. */
enum { RIVALS = 8, ROUNDS = 6 };

static _Atomic int won;
static pthread_barrier_t barrier;

static bool lose_some(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		      struct fake_answer *w)
{
	if (!str_eq(operation, STR("PutItem")) || atomic_fetch_add(&p->left, 1) % 4 == 3)
		return false;
	ddb_proxy_forward(p, q, q->body, w);
	w->hang_up = true;
	return true;
}

static void *create_alike(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct arena *a = arena_new();
		rc r;

		pthread_barrier_wait(&barrier);
		r = kv_set_if(kv, P, arena_printf(a, "race%d", i), STR("alike"), KV_IF_ABSENT,
			      STR_NONE, NULL);
		CHECK(rc_ok(r) || rc_is(r, PREDICATE) || rc_is(r, UNKNOWN_OUTCOME));
		atomic_fetch_add(&won, rc_ok(r));
		arena_free(a);
	}
	return NULL;
}

static void test_faults__one_creates_whatever_is_lost(void **state)
{
	pthread_t threads[RIVALS];

	pthread_barrier_init(&barrier, NULL, RIVALS);
	arm(lose_some, 0);
	for (int i = 0; i < RIVALS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, create_alike, NULL), 0);
	for (int i = 0; i < RIVALS; i++)
		pthread_join(threads[i], NULL);
	arm(NULL, 0);
	pthread_barrier_destroy(&barrier);
	/* Who wrote it sees its mark: nobody overwrites it here. */
	assert_int_equal(won, ROUNDS);
}

/* Refusals. */

static void test_faults__refused_keys(void **state)
{
	static const char *const kinds[] = {"UnrecognizedClientException",
					    "InvalidSignatureException", "AccessDeniedException"};
	struct kv_dynamodb_options o =
	    ddb_service_options(ddb_service_shared(), arena, (int)proxy.fake.port, table);
	struct kv *none = NULL;

	for (size_t i = 0; i < 3; i++) {
		kind = kinds[i];
		prepare(&calls[3]);
		arm(throttle, 1000); /* answers that kind */
		assert_rc(call_set(), ServiceUnavailable);
		assert_told("refuses the credentials");
		assert_told(kind);
		assert_rc(kv_dynamodb_open(&o, &none, &err), CONFIG);
		assert_told(kind);
		arm(NULL, 0);
		assert_is(value_of(K), "old");
	}
	assert_null(none);
}

static void test_faults__other_refusals(void **state)
{
	kind = "ValidationException";
	prepare(&calls[3]);
	arm(throttle, 1000);
	assert_rc(call_set(), IO);
	assert_int_equal(proxy.n, 1);
	assert_told("ValidationException");
	kind = "ResourceNotFoundException";
	assert_rc(call_set(), ServiceUnavailable);
	assert_told("it isn't there any more");
	arm(NULL, 0);
	assert_is(value_of(K), "old");
}

/* What is signed, and for whom. */
static struct str authorization, date;

static bool look(struct ddb_proxy *p, struct str operation, const struct fake_request *q,
		 struct fake_answer *w)
{
	authorization = arena_dup(arena, fake_header(q, "authorization"));
	date = arena_dup(arena, fake_header(q, "x-amz-date"));
	return false;
}

static void test_faults__signed(void **state)
{
	struct str want;

	arm(look, 0);
	prepare(&calls[0]);
	assert_true(rc_ok(call_get()));
	arm(NULL, 0);
	want = arena_printf(arena,
			    "AWS4-HMAC-SHA256 Credential=testkey/" STR_FMT
			    "/us-east-1/dynamodb/aws4_request, "
			    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=",
			    STR_ARG(str_head(date, 8)));
	assert_true(str_starts(authorization, want));
	assert_int_equal(authorization.n, want.n + 64);
}

/* Reading at one moment: somebody is at work just before the transaction (left times), or there are
 * none. */
static bool beside_transaction(struct ddb_proxy *p, struct str operation,
			       const struct fake_request *q, struct fake_answer *w)
{
	if (!str_eq(operation, STR("TransactGetItems")) || atomic_load(&p->left) == 0)
		return false;
	atomic_fetch_sub(&p->left, 1);
	if (!meanwhile) {
		ddb_proxy_refuse(q, 400, "UnknownOperationException", w);
		return true;
	}
	meanwhile();
	return false;
}

static void add_another(void)
{
	static unsigned n;

	assert_true(
	    rc_ok(kv_set(direct, P, arena_printf(arena, "k-%u", n++), STR("one more"), NULL)));
}

static void remove_one(void)
{
	assert_true(rc_ok(kv_delete(direct, P, STR("k2"), NULL)));
}

static rc scan_moment(struct kv_iter **ret)
{
	const struct str prefixes[KV_MOMENT_PREFIXES] = {K, STR("none")};

	return kv_scan_moment(kv, P, prefixes, ret, &err);
}

static int count_moment(void)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	assert_true(rc_ok(scan_moment(&it)));
	for (int n = 0;; n++) {
		assert_true(rc_ok(kv_iter_next(it, &e, &end, &err)));
		if (end)
			return n;
		assert_true(str_eq(e.value, STR("new")) || str_eq(e.value, STR("another's")) ||
			    str_eq(e.value, STR("one more")));
	}
}

static void test_faults__moments(void **state)
{
	struct kv_iter *none = NULL;

	assert_true(rc_ok(kv_set(direct, P, K, STR("new"), NULL)));
	assert_true(rc_ok(kv_set(direct, P, STR("k2"), STR("new"), NULL)));
	proxy.watched = "TransactGetItems";
	/* What changes is no trouble. */
	meanwhile = overwrite;
	arm(beside_transaction, 1);
	assert_int_equal(count_moment(), 2);
	assert_int_equal(proxy.watched_n, 1);
	/* What comes or goes is seen; then it is tried again. */
	meanwhile = remove_one;
	arm(beside_transaction, 1);
	assert_int_equal(count_moment(), 1);
	assert_int_equal(proxy.watched_n, 1 + 2);
	meanwhile = add_another;
	arm(beside_transaction, 2);
	assert_int_equal(count_moment(), 3);
	assert_int_equal(proxy.watched_n, 1 + 2 + 3);
	arm(beside_transaction, 1000);
	assert_rc(scan_moment(&none), UNSUPPORTED);
	assert_told("come and go");
	/* A service without transactions, as ScyllaDB's. */
	meanwhile = NULL;
	arm(beside_transaction, 1);
	assert_rc(scan_moment(&none), UNSUPPORTED);
	assert_told("UnknownOperation");
	arm(NULL, 0);
	kind = "UnrecognizedClientException";
	arm(throttle, 1000);
	assert_rc(scan_moment(&none), ServiceUnavailable);
	arm(NULL, 0);
	assert_null(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_faults__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(throttled),	TEST(unprocessed_items),     TEST(lost_answers),
	    TEST(reads_end),	TEST(overwritten_meanwhile), TEST(one_creates_whatever_is_lost),
	    TEST(refused_keys), TEST(other_refusals),	     TEST(signed),
	    TEST(moments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
