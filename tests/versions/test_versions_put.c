/* Putting objects and parts: bodies that come in one piece or in many, refusals, cancellation, and a
 * stop of the store or the KV at each call. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "tests/base/fake_loop.h"
#include "versions/multipart.h"

enum { SLOT = 64 * 1024 };

/* A source on the loop: `left` bytes, nothing at hand at every other pull; stuck: never anything. */
struct source {
	struct body body;
	size_t left;
	bool dry, stuck, broken;
	struct mail mail;
	struct mailbox *home;
	body_ready_fn *ready;
	void *ud;
	sem_t armed;
};

static enum body_state source_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				   struct err *reterr)
{
	struct source *s = (struct source *)b;
	size_t n = s->left < cap ? s->left : cap;

	s->dry = !s->dry;
	if (s->dry || s->stuck)
		return BODY_WAIT;
	if (s->broken) {
		IGNORE_RC(err_default(reterr, ERR_IncompleteBody));
		return BODY_FAIL;
	}
	if (!n)
		return BODY_END;
	memset(dst, 'x', n);
	s->left -= n;
	*ret_n = n;
	return BODY_MORE;
}

static void source_deliver(struct mail *m)
{
	struct source *s = (struct source *)((char *)m - offsetof(struct source, mail));

	if (s->ready)
		s->ready(s->ud);
}

static void source_close(struct body *b)
{
	((struct source *)b)->ready = NULL;
}

static void source_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct source *s = (struct source *)b;

	if (s->stuck) {
		sem_post(&s->armed);
		return;
	}
	s->ready = fn;
	s->ud = ud;
	s->mail.deliver = source_deliver;
	mailbox_post(s->home, &s->mail);
}

static const struct body_ops source_ops = {
	.name = "source", .pull = source_pull, .arm = source_arm, .close = source_close};

struct job {
	struct world w;
	struct fake_loop *loop;
	struct repo r;
	struct source source;
	struct arena *a;
	struct object_put put;
	struct upload_part_put part;
	struct upload upload;
	struct body *chain;
	unsigned times;
	rc refuse;
	sem_t done;
};

static void job_open(struct job *j, size_t bytes)
{
	*j = (struct job){.refuse = RC_OK};
	world_open(&j->w, GUARDED);
	j->r = world_repo(&j->w);
	j->loop = fake_loop_new();
	j->source = (struct source){.left = bytes, .home = fake_loop_mailbox(j->loop)};
	sem_init(&j->source.armed, 0, 0);
	sem_init(&j->done, 0, 0);
}

static void job_close(struct job *j)
{
	fake_loop_free(j->loop);
	world_close(&j->w);
	arena_free(j->a);
	sem_destroy(&j->source.armed);
	sem_destroy(&j->done);
}

static rc complete(struct object_put *p, struct entry *e)
{
	struct job *j = p->ud;

	assert_false(on_loop());
	e->checksum[DIGEST_CRC32] = digest_set_value(p->digests, DIGEST_CRC32);
	return rc_ok(j->refuse) ? RC_OK : err_default(&p->err, j->refuse.code);
}

static void put_done(struct object_put *p)
{
	struct job *j = p->ud;

	assert_true(on_loop());
	assert_int_equal(j->times++, 0);
	body_close(j->chain);
	sem_post(&j->done);
}

static struct digest_set *make_chain(struct job *j, struct body **ret_relay)
{
	struct digest_set *digests;

	if (!j->a)
		j->a = arena_new();
	digests = digest_set_new(j->a, 1u << DIGEST_MD5 | 1u << DIGEST_CRC32);
	body_init(&j->source.body, &source_ops, NULL, (int64_t)j->source.left);
	*ret_relay = body_relay_new(j->a, &j->source.body, SLOT, j->source.home);
	j->chain = body_digest_new(j->a, *ret_relay, digests);
	return digests;
}

static void start(void *ud)
{
	struct job *j = ud;

	j->put.digests = make_chain(j, &j->put.relay);
	j->put.body = j->chain;
	j->put.done = put_done;
	j->put.home = j->source.home;
	j->put.v = j->w.v;
	j->put.a = j->a;
	j->put.repo = &j->r;
	if (!j->put.branch.p)
		j->put.branch = STR("main");
	j->put.path = STR("a/b");
	j->put.complete = complete;
	j->put.ud = j;
	object_put_start(&j->put);
	assert_int_equal(j->times, 0);
}

static void cancel(void *ud)
{
	struct job *j = ud;

	if (!j->times)
		object_put_cancel(&j->put);
	if (!j->times)
		object_put_cancel(&j->put);
}

static void run(struct job *j)
{
	fake_loop_call(j->loop, start, j);
	while (sem_wait(&j->done))
		;
}

static size_t bodies(struct job *j)
{
	struct backend_list_entry *list;
	size_t n;
	bool more;

	assert_ok(j->w.store->blocking->list(j->w.store, STR("mem://repo1"), STR("data/"), STR(""),
					     100, j->w.a, &list, &n, &more, &j->w.err));
	return n;
}

static void check_stored(struct job *j, size_t bytes)
{
	char *got = malloc(bytes + 1);
	struct object_ptr p;
	uint8_t md5[DIGEST_MAX];
	struct entry e;
	size_t n;

	assert_ok(j->put.result);
	assert_ok(object_stat(&j->w.c, &j->r, STR("main"), STR("a/b"), &e));
	assert_int_equal(e.size, bytes);
	assert_str(e.etag, j->put.entry.etag);
	assert_str(e.address, j->put.entry.address);
	assert_str(e.content_type, STR("application/octet-stream"));
	assert_int_equal(e.checksum[DIGEST_CRC32].n, 4);
	p = object_pointer(&j->r, &e);
	assert_ok(backend_read_now(j->w.store, &p, 0, got, bytes + 1, &n, &j->w.err));
	assert_int_equal(n, bytes);
	digest_of(DIGEST_MD5, str_make(got, n), md5);
	assert_str(e.etag, arena_printf(j->w.a, "%02x%02x%.*s", md5[0], md5[1], 28, e.etag.p + 4));
	free(got);
}

static void test_put__sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 1000, SLOT - 1, SLOT, SLOT + 1, 3 * SLOT + 5};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct job j;

		job_open(&j, sizes[i]);
		run(&j);
		check_stored(&j, sizes[i]);
		assert_int_equal(bodies(&j), 1);
		job_close(&j);
	}
}

static void test_put__refused(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct job j;

		job_open(&j, i % 2 ? 10 : 2 * SLOT);
		switch (i) {
		case 0:
		case 1:
			j.refuse = RC(BadDigest);
			break;
		case 2:
		case 3:
			j.put.branch = STR("nosuch");
			break;
		case 4:
			j.r.read_only = true;
			break;
		case 5:
			j.source.broken = true;
		}
		run(&j);
		assert_false(rc_ok(j.put.result));
		assert_int_equal(j.put.err.code, j.put.result.code);
		assert_int_equal(bodies(&j), 0);
		job_close(&j);
	}
}

static void test_put__condition(void **state)
{
	struct job j;

	job_open(&j, 10);
	run(&j);
	assert_ok(j.put.result);
	j.times = 0;
	j.source.left = 20;
	j.put.cond = STAGE_IF_ABSENT;
	run(&j);
	assert_rc(j.put.result, PREDICATE);
	assert_int_equal(bodies(&j), 1);
	job_close(&j);
}

/* Whenever it comes: done() once; then the object is there, or nothing is. */
static void test_put__cancelled(void **state)
{
	for (unsigned i = 0; i < 60; i++) {
		struct entry e;
		struct job j;
		rc seen;

		job_open(&j, i % 2 ? 100 : 5 * SLOT);
		fake_loop_call(j.loop, start, &j);
		for (volatile unsigned k = 0; k < i * 300; k++)
			;
		fake_loop_call(j.loop, cancel, &j);
		while (sem_wait(&j.done))
			;
		seen = object_stat(&j.w.c, &j.r, STR("main"), STR("a/b"), &e);
		assert_int_equal(rc_ok(seen), rc_ok(j.put.result));
		assert_int_equal(bodies(&j), rc_ok(j.put.result));
		job_close(&j);
	}
}

static void test_put__cancelled_while_stuck(void **state)
{
	struct job j;

	job_open(&j, 100);
	j.source.stuck = true;
	fake_loop_call(j.loop, start, &j);
	sem_wait(&j.source.armed);
	fake_loop_call(j.loop, cancel, &j);
	while (sem_wait(&j.done))
		;
	assert_rc(j.put.result, CANCELLED);
	job_close(&j);
}

/* A body is removed when no write that names it was sent, and never when one may have been. */
static void put_stopped(bool in_store, bool after, size_t bytes)
{
	const enum err_code code = after ? ERR_UNKNOWN_OUTCOME : ERR_SlowDown;

	for (uint64_t nth = 1; nth < 12; nth++) {
		struct entry e;
		struct job j;

		job_open(&j, bytes);
		if (in_store)
			backend_fault_arm(j.w.store, BACKEND_CALL_ALL, nth, code, after);
		else
			kv_fault_arm(j.w.kv, KV_CALL_ANY, nth, code, after);
		run(&j);
		backend_fault_arm(j.w.store, BACKEND_CALL_ALL, 0, code, after);
		kv_fault_arm(j.w.kv, KV_CALL_ANY, 0, code, after);
		if (rc_ok(object_stat(&j.w.c, &j.r, STR("main"), STR("a/b"), &e))) {
			struct object_ptr p = object_pointer(&j.r, &e);
			struct backend_stat stat;

			assert_ok(backend_head_now(j.w.store, &p, j.w.a, &stat, &j.w.err));
			assert_int_equal(stat.size, bytes);
		} else {
			assert_false(rc_ok(j.put.result));
			assert_int_equal(bodies(&j), 0);
		}
		job_close(&j);
	}
}

static void test_put__stopped(void **state)
{
	for (int i = 0; i < 8; i++)
		put_stopped(i & 1, i & 2, i & 4 ? 100 : 3 * SLOT);
}

static sem_t hold, held;

static void run_held(struct work *w)
{
	sem_post(&held);
	while (sem_wait(&hold))
		;
}

static void test_put__workers_busy(void **state)
{
	struct work first = {.run = run_held}, second = {.run = run_held};
	struct job j;

	sem_init(&hold, 0, 0);
	sem_init(&held, 0, 0);
	job_open(&j, 3 * SLOT);
	work_pool_free(j.w.meta);
	j.w.meta = work_pool_new("meta", 1, 1);
	world_restart(&j.w);
	/* One at work, one in the queue, which is full then. */
	assert_true(work_submit(j.w.meta, &first));
	sem_wait(&held);
	assert_true(work_submit(j.w.meta, &second));
	run(&j);
	assert_rc(j.put.result, SlowDown);
	assert_int_equal(bodies(&j), 0);
	sem_post(&hold);
	sem_post(&hold);
	job_close(&j);
}

/* Parts. */

static void part_done(struct upload_part_put *p)
{
	struct job *j = p->ud;

	assert_true(on_loop());
	assert_int_equal(j->times++, 0);
	body_close(j->chain);
	sem_post(&j->done);
}

static void start_part(void *ud)
{
	struct job *j = ud;

	j->part.digests = make_chain(j, &j->part.relay);
	j->part.body = j->chain;
	j->part.done = part_done;
	j->part.home = j->source.home;
	j->part.v = j->w.v;
	j->part.a = j->a;
	j->part.repo = &j->r;
	j->part.upload = &j->upload;
	j->part.ud = j;
	upload_part_start(&j->part);
	assert_int_equal(j->times, 0);
}

static void cancel_part(void *ud)
{
	struct job *j = ud;

	if (!j->times)
		upload_part_cancel(&j->part);
}

static void run_part(struct job *j, unsigned number, size_t bytes)
{
	j->source.left = bytes;
	j->times = 0;
	j->part.number = number;
	fake_loop_call(j->loop, start_part, j);
	while (sem_wait(&j->done))
		;
}

static void open_upload(struct job *j)
{
	const struct upload in = {.path = STR("a/b"), .branch = STR("main"), .checksum = DIGEST_KINDS};

	job_open(j, 0);
	assert_ok(upload_create(&j->w.c, &j->r, &in, &j->upload));
}

static void test_put__part(void **state)
{
	struct upload_part given[2];
	const struct upload_completion how = {.parts = given, .n = 2};
	struct job j;
	struct entry e;

	open_upload(&j);
	run_part(&j, 1, 5 << 20);
	assert_ok(j.part.result);
	given[0] = j.part.part;
	assert_int_equal(given[0].size, 5 << 20);
	run_part(&j, 2, 7);
	assert_ok(j.part.result);
	given[1] = j.part.part;
	run_part(&j, 10001, 7);
	assert_rc(j.part.result, InvalidArgument);
	assert_ok(upload_complete(&j.w.c, &j.r, STR("main"), STR("a/b"), j.upload.id, &how, &e));
	assert_int_equal(e.size, (5 << 20) + 7);
	run_part(&j, 3, 7);
	assert_rc(j.part.result, NoSuchUpload);
	job_close(&j);
}

static void test_put__part_cancelled(void **state)
{
	for (unsigned i = 0; i < 30; i++) {
		struct upload_part *list;
		struct job j;
		size_t n;
		bool more;

		open_upload(&j);
		j.source.left = 3 * SLOT;
		j.part.number = 1;
		fake_loop_call(j.loop, start_part, &j);
		for (volatile unsigned k = 0; k < i * 600; k++)
			;
		fake_loop_call(j.loop, cancel_part, &j);
		while (sem_wait(&j.done))
			;
		assert_ok(upload_parts(&j.w.c, &j.upload, 0, 10, &list, &n, &more));
		assert_int_equal(n, rc_ok(j.part.result));
		job_close(&j);
	}
}

static void test_put__part_stopped(void **state)
{
	for (int after = 0; after < 2; after++) {
		for (uint64_t nth = 1; nth < 6; nth++) {
			struct upload_part *list;
			struct job j;
			size_t n;
			bool more;

			open_upload(&j);
			kv_fault_arm(j.w.kv, KV_CALL_ANY, nth,
				     after ? ERR_UNKNOWN_OUTCOME : ERR_SlowDown, after);
			run_part(&j, 1, 10);
			kv_fault_arm(j.w.kv, KV_CALL_ANY, 0, ERR_IO, false);
			assert_ok(upload_parts(&j.w.c, &j.upload, 0, 10, &list, &n, &more));
			assert_true(n == 1 || !rc_ok(j.part.result));
			assert_ok(upload_abort(&j.w.c, &j.r, &j.upload));
			job_close(&j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put__sizes),
		cmocka_unit_test(test_put__refused),
		cmocka_unit_test(test_put__condition),
		cmocka_unit_test(test_put__cancelled),
		cmocka_unit_test(test_put__cancelled_while_stuck),
		cmocka_unit_test(test_put__stopped),
		cmocka_unit_test(test_put__workers_busy),
		cmocka_unit_test(test_put__part),
		cmocka_unit_test(test_put__part_cancelled),
		cmocka_unit_test(test_put__part_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
