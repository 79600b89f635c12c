/* Tasks: what they do, and what becomes of them when a server dies, stops, or loses them; two servers over one KV. */
#include "tests/versions/world.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "versions/head.h"
#include "versions/hygiene.h"
#include "versions/object.h"
#include "versions/tag.h"
#include "versions/task_priv.h"

/* A KV that lets a chosen read wait, over the world's. */
struct gate {
	struct kv kv;
	struct kv_ops ops;
	struct kv *next;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *at; /* partitions, keys, and beginnings of scans that begin with it wait; NULL: none */
	unsigned waiting;
	_Atomic unsigned tarry_ms; /* after each conditional write */
	_Atomic bool cut; /* every write fails: the process is as good as dead */
};

static void pass(struct kv *kv, struct str partition, struct str key)
{
	struct gate *g = (struct gate *)kv;

	pthread_mutex_lock(&g->lock);
	if (g->at && (str_starts(key, str_c(g->at)) || str_starts(partition, str_c(g->at)))) {
		g->waiting++;
		pthread_cond_broadcast(&g->changed);
		while (g->at)
			pthread_cond_wait(&g->changed, &g->lock);
		g->waiting--;
	}
	pthread_mutex_unlock(&g->lock);
}

static struct kv *below(struct kv *kv)
{
	return ((struct gate *)kv)->next;
}

static bool is_cut(struct kv *kv)
{
	return atomic_load(&((struct gate *)kv)->cut);
}

static rc gate_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		   struct arena *a, struct str *ret, struct err *reterr)
{
	pass(kv, partition, key);
	return kv_get(below(kv), wait, partition, key, a, ret, reterr);
}

static rc gate_set(struct kv *kv, struct str partition, struct str key, struct str value,
		   struct err *reterr)
{
	return is_cut(kv) ? err_default(reterr, ERR_IO)
			  : kv_set(below(kv), partition, key, value, reterr);
}

static rc gate_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
		      enum kv_cond cond, struct str current, struct err *reterr)
{
	rc res = is_cut(kv) ? err_default(reterr, ERR_IO)
			    : kv_set_if(below(kv), partition, key, value, cond, current, reterr);

	usleep(atomic_load(&((struct gate *)kv)->tarry_ms) * 1000);
	return res;
}

static rc gate_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	return is_cut(kv) ? err_default(reterr, ERR_IO) : kv_delete(below(kv), partition, key, reterr);
}

static rc gate_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
		    struct kv_iter **ret, struct err *reterr)
{
	pass(kv, partition, from);
	return kv_scan(below(kv), partition, from, batch, ret, reterr);
}

static const struct kv_ops gate_ops = {
	.name = "gate",
	.get = gate_get,
	.set = gate_set,
	.set_if = gate_set_if,
	.delete = gate_delete,
	.scan = gate_scan,
	.has_nowait = true,
};

static void close_gate(struct gate *g, const char *at)
{
	pthread_mutex_lock(&g->lock);
	g->at = at;
	pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->at = NULL;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void wait_at_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->waiting)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

/* One server of the world's. */
struct server {
	struct gate gate;
	struct versions *v;
	struct arena *a;
	struct err err;
	struct vcall c;
};

enum { LOST_MS = 1000, PATIENCE_MS = 120 * 1000 };

static const struct tasks_options quick = {
	.workers = 2, .max = 10, .heartbeat_ms = 100, .poll_ms = 20, .lost_ms = LOST_MS};
/* Takes nobody for lost: what it takes up was given back. */
static const struct tasks_options patient = {
	.workers = 2, .max = 10, .heartbeat_ms = 100, .poll_ms = 20, .lost_ms = 3600 * 1000};

static void server_open(struct world *w, struct server *s)
{
	const struct versions_options o = {
		.kv = &s->gate.kv,
		.registry = w->registry,
		.meta = w->meta,
		.data = w->data,
		.repo_cache_ms = 5000,
		.repo_cache_size = 100,
		.block_prefix = STR("_lakefs"),
		.max_range_bytes = 4096,
		.range_raggedness = 10,
		.ranges = w->ranges,
		.alone = w->alone,
	};
	const struct tables_options tables = {.block_cache_bytes = 64 * 1024, .open_max = 20};

	*s = (struct server){.gate = {.kv = {&gate_ops}, .next = w->kv}, .a = arena_new()};
	pthread_mutex_init(&s->gate.lock, NULL);
	pthread_cond_init(&s->gate.changed, NULL);
	s->v = versions_new(&o);
	versions_open_tables(s->v, &tables);
	s->c = (struct vcall){.v = s->v, .a = s->a, .wait = KV_BLOCK, .err = &s->err};
}

static void server_start(struct world *w, struct server *s, const struct tasks_options *o)
{
	server_open(w, s);
	versions_start_tasks(s->v, o);
}

static void server_close(struct server *s)
{
	versions_free(s->v);
	arena_free(s->a);
	pthread_mutex_destroy(&s->gate.lock);
	pthread_cond_destroy(&s->gate.changed);
}

/* As a crash leaves it. */
static void server_kill(struct server *s)
{
	atomic_store(&s->gate.cut, true);
	versions_stop_tasks(s->v);
	open_gate(&s->gate);
	server_close(s);
}

static void stage_some(struct vcall *c, const struct repo *r, struct str branch, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct entry e = some_entry(c->a, i);
		bool sent;

		assert_ok(object_stage(c, r, branch, arena_printf(c->a, "dir/%05u", i), &e, STAGE_ALWAYS, STR_NONE, &sent));
	}
}

static struct task wait_done(struct vcall *c, const struct repo *r, struct str id)
{
	int64_t begun = mono_ms();
	struct task t;

	while (mono_ms() - begun < PATIENCE_MS) {
		assert_ok(task_get(c, r, TASK_KINDS, id, &t));
		if (t.done)
			return t;
		usleep(10000);
	}
	fail_msg("task " STR_FMT " isn't done", STR_ARG(id));
	return t;
}

static void wait_no_index(struct world *w)
{
	int64_t begun = mono_ms();

	while (mono_ms() - begun < PATIENCE_MS && world_keys(w, PARTITION_TASKS))
		usleep(10000);
	assert_int_equal(world_keys(w, PARTITION_TASKS), 0);
}

static struct str submit_commit(struct vcall *c, const struct repo *r)
{
	struct meta meta[] = {{STR("k"), STR("v")}};
	const struct commit_request q = {.branch = STR("main"),
					 .committer = STR("somebody"),
					 .message = STR("made by a task"),
					 .metadata = meta,
					 .metadata_n = 1,
					 .has_date = true,
					 .date = 1795000000};
	struct str id;

	assert_ok(task_submit_commit(c, r, &q, &id));
	return id;
}

/* What they do. */

static void test_task__commit(void **state)
{
	struct world w;
	struct server s;
	struct repo r;
	struct branch b;
	struct commit made, got;
	struct task t;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	stage_some(&w.c, &r, STR("main"), 300);
	server_start(&w, &s, &quick);
	id = submit_commit(&s.c, &r);
	assert_int_equal(id.n, 22);
	assert_true(str_starts(id, STR("CA")));
	t = wait_done(&s.c, &r, id);
	assert_str(t.error, STR(""));
	assert_int_equal(t.status, 0);
	assert_int_equal(t.kind, TASK_COMMIT);
	assert_true(t.started && !t.cancelled && t.progress >= 256);
	assert_ok(task_commit_result(&s.c, &t, &made));
	assert_ok(branch_get(&s.c, &r, STR("main"), &b));
	assert_str(b.commit_id, made.id);
	assert_ok(commit_get(&s.c, &r, made.id, &got));
	assert_str(got.message, STR("made by a task"));
	assert_str(got.metadata[0].value, STR("v"));
	assert_int_equal(got.created.s, 1795000000);
	/* nothing to commit any more */
	t = wait_done(&s.c, &r, submit_commit(&s.c, &r));
	assert_int_equal(t.status, 400);
	assert_str(t.error, STR("commit: no changes"));
	assert_str(t.result, STR(""));
	wait_no_index(&w);
	server_close(&s);
	assert_int_equal(world_keys(&w, PARTITION_CATALOG), 0);
	world_close(&w);
}

static void test_task__merge(void **state)
{
	const struct merge_request q = {.source = STR("dev"),
					.destination = STR("main"),
					.committer = STR("somebody"),
					.with = {.message = STR("merged")}};
	struct world w;
	struct server s;
	struct repo r;
	struct branch b;
	struct commit made;
	struct task t;
	struct str id, head;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_start(&w, &s, &quick);
	assert_ok(branch_create(&s.c, &r, STR("dev"), STR("main")));
	stage_some(&s.c, &r, STR("dev"), 10);
	assert_ok(branch_commit(&s.c, &r,
				&(struct commit_request){.branch = STR("dev"),
							 .committer = STR("x"),
							 .message = STR("m")},
				&made));
	assert_ok(task_submit_merge(&s.c, &r, &q, &id));
	t = wait_done(&s.c, &r, id);
	assert_str(t.error, STR(""));
	assert_ok(task_merge_result(&s.c, &t, &head));
	assert_ok(branch_get(&s.c, &r, STR("main"), &b));
	assert_str(head, b.commit_id);
	assert_ok(commit_get(&s.c, &r, head, &made));
	assert_str(made.message, STR("merged"));
	server_close(&s);
	world_close(&w);
}

static struct repo bare_repo(struct vcall *c)
{
	const struct repo_create in = {
		.id = STR("copy"), .storage_namespace = STR("mem://repo1"), .bare = true};
	struct repo r;

	assert_ok(repo_create(c, &in, &r));
	return r;
}

static void test_task__dump_and_restore(void **state)
{
	struct world w;
	struct server s;
	struct repo r, copy;
	struct refs_dump d;
	struct branch here, there;
	struct task t;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_start(&w, &s, &quick);
	stage_some(&s.c, &r, STR("main"), 10);
	wait_done(&s.c, &r, submit_commit(&s.c, &r));
	assert_ok(task_submit_dump(&s.c, &r, &id));
	t = wait_done(&s.c, &r, id);
	assert_str(t.error, STR(""));
	assert_ok(task_dump_result(&s.c, &t, &d));
	copy = bare_repo(&s.c);
	assert_ok(task_submit_restore(&s.c, &copy, &d, false, &id));
	t = wait_done(&s.c, &copy, id);
	assert_str(t.error, STR(""));
	assert_ok(branch_get(&s.c, &r, STR("main"), &here));
	assert_ok(branch_get(&s.c, &copy, STR("main"), &there));
	assert_str(there.commit_id, here.commit_id);
	/* what can be refused at once is */
	assert_rc(task_submit_restore(&s.c, &copy, &d, false, &id), INVALID);
	server_close(&s);
	world_close(&w);
}

static void test_task__not_found(void **state)
{
	struct world w;
	struct server s;
	struct repo r;
	struct task t, *list;
	struct str id;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	/* the world's own versions run none */
	assert_rc(task_submit_dump(&w.c, &r, &id), ServiceUnavailable);
	server_start(&w, &s, &quick);
	assert_ok(task_submit_dump(&s.c, &r, &id));
	wait_done(&s.c, &r, id);
	assert_rc(task_get(&s.c, &r, TASK_RESTORE, id, &t), NOT_FOUND);
	assert_ok(task_get(&s.c, &r, TASK_DUMP, id, &t));
	assert_rc(task_get(&s.c, &r, TASK_DUMP, STR("DR12345678901234567890"), &t), NOT_FOUND);
	assert_rc(task_get(&s.c, &r, TASK_DUMP, STR(""), &t), NOT_FOUND);
	assert_rc(task_cancel(&s.c, &r, TASK_DUMP, id), OperationAborted);
	assert_rc(task_submit_commit(
			  &s.c, &r,
			  &(struct commit_request){
				  .branch = STR("gone"), .committer = STR("x"), .message = STR("m")},
			  &id),
		  NOT_FOUND);
	assert_ok(task_list(&s.c, &r, STR_NONE, 10, &list, &n, &more));
	assert_int_equal(n, 1);
	assert_false(more);
	assert_str(list[0].operation, STR("dump_refs"));
	server_close(&s);
	world_close(&w);
}

/* Cancelling. */

/* The server's own worker knows by now. */
static void wait_told_to_end(struct server *s, struct str id)
{
	struct tasks *t = s->v->tasks;
	int64_t begun = mono_ms();
	bool told = false;

	while (!told) {
		assert_true(mono_ms() - begun < PATIENCE_MS);
		usleep(10000);
		pthread_mutex_lock(&t->lock);
		for (struct job *j = t->locked.jobs; j; j = j->next)
			told |= str_eq(j->id, id) && atomic_load(&j->stop) == STOP_CANCEL;
		pthread_mutex_unlock(&t->lock);
	}
}

static void test_task__cancel(void **state)
{
	struct world w;
	struct server s, other;
	struct repo r;
	struct branch before, after;
	struct task t;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	stage_some(&w.c, &r, STR("main"), 600);
	assert_ok(branch_get(&w.c, &r, STR("main"), &before));
	server_start(&w, &s, &quick);
	server_open(&w, &other);
	for (int remote = 0; remote < 2; remote++) {
		close_gate(&s.gate, "repo1-main:");
		id = submit_commit(&s.c, &r);
		wait_at_gate(&s.gate);
		assert_ok(task_cancel(remote ? &other.c : &s.c, &r, TASK_COMMIT, id));
		assert_ok(task_get(&other.c, &r, TASK_COMMIT, id, &t));
		assert_true(t.cancelled && !t.done);
		wait_told_to_end(&s, id); /* from elsewhere: its heartbeat notices */
		open_gate(&s.gate);
		t = wait_done(&other.c, &r, id);
		assert_true(t.cancelled);
		assert_str(t.error, STR("Canceled"));
		assert_int_equal(t.status, 409);
		assert_ok(branch_get(&w.c, &r, STR("main"), &after));
		assert_str(after.commit_id, before.commit_id);
	}
	t = wait_done(&s.c, &r, submit_commit(&s.c, &r));
	assert_str(t.error, STR(""));
	server_close(&other);
	server_close(&s);
	world_close(&w);
}

/* One that waits for a worker is over at once, and its worker leaves it alone. */
static void test_task__cancel_waiting(void **state)
{
	struct tasks_options one = quick;
	struct world w;
	struct server s;
	struct repo r;
	struct task t;
	struct str running, waiting, id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	one.workers = 1;
	one.max = 2;
	server_start(&w, &s, &one);
	close_gate(&s.gate, "branches/");
	assert_ok(task_submit_dump(&s.c, &r, &running));
	wait_at_gate(&s.gate);
	assert_ok(task_submit_dump(&s.c, &r, &waiting));
	assert_rc(task_submit_dump(&s.c, &r, &id), SlowDown);
	assert_int_equal(world_keys(&w, PARTITION_TASKS), 2);
	assert_ok(task_cancel(&s.c, &r, TASK_DUMP, waiting));
	assert_ok(task_get(&s.c, &r, TASK_DUMP, waiting, &t));
	assert_true(t.done && t.cancelled && !t.started);
	open_gate(&s.gate);
	t = wait_done(&s.c, &r, running);
	assert_str(t.error, STR(""));
	wait_no_index(&w);
	assert_ok(task_submit_dump(&s.c, &r, &id));
	wait_done(&s.c, &r, id);
	server_close(&s);
	world_close(&w);
}

/* Heartbeats. */

static int64_t updated_ms(const struct task *t)
{
	return t->updated.s * 1000 + t->updated.ns / 1000000;
}

/* A task that runs somewhere, as its record shows it. */
struct watched {
	struct task first, now;
	int64_t silence_ms; /* the longest without a heartbeat */
};

static bool has_moved(const struct watched *x)
{
	return !str_eq(x->now.owner, x->first.owner);
}

/* Until its heartbeats have gone on for so long, it is done, or somebody else has it. */
static void watch(struct vcall *c, const struct repo *r, struct watched *x, int64_t ms)
{
	int64_t begun = mono_ms(), age;

	while (!x->now.done && !has_moved(x) &&
	       (mono_ms() - begun < ms || updated_ms(&x->now) - updated_ms(&x->first) <= ms / 2)) {
		struct task was = x->now;

		assert_true(mono_ms() - begun < PATIENCE_MS);
		usleep(5000);
		assert_ok(task_get(c, r, TASK_DUMP, x->first.id, &x->now));
		age = updated_ms(&x->now) - updated_ms(&was);
		x->silence_ms = age > x->silence_ms ? age : x->silence_ms;
	}
}

/* Another server doesn't take what lives. False: this machine stood still for so long that its server counted as lost,
 * as it should. */
static bool left_alone_while_it_lives(void)
{
	struct watched x = {0};
	struct server s, other;
	struct world w;
	struct repo r;
	struct task t;
	struct str id;
	size_t keys;
	bool moved;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_start(&w, &s, &quick);
	close_gate(&s.gate, "branches/");
	assert_ok(task_submit_dump(&s.c, &r, &id));
	wait_at_gate(&s.gate);
	assert_ok(task_get(&w.c, &r, TASK_DUMP, id, &x.first));
	x.now = x.first;
	server_start(&w, &other, &quick);
	watch(&w.c, &r, &x, LOST_MS + 500);
	keys = world_keys(&w, PARTITION_CATALOG);
	open_gate(&s.gate);
	watch(&w.c, &r, &x, PATIENCE_MS);
	t = wait_done(&w.c, &r, id);
	assert_str(t.error, STR(""));
	moved = has_moved(&x);
	if (moved)
		assert_true(x.silence_ms >= LOST_MS - 1);
	else
		assert_int_equal(keys, 1);
	server_close(&other);
	server_close(&s);
	world_close(&w);
	return !moved;
}

static void test_task__heartbeat(void **state)
{
	int64_t begun = mono_ms();

	while (!left_alone_while_it_lives())
		assert_true(mono_ms() - begun < PATIENCE_MS);
}

/* Servers that end. */

/* tarry_ms: so long the worker that gives back doesn't know yet that it has, while heartbeats see it. */
static void stop_and_go_on(unsigned tarry_ms)
{
	struct world w;
	struct server s, next;
	struct repo r;
	struct task t;
	struct str dump, commit, id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	stage_some(&w.c, &r, STR("main"), 600);
	server_start(&w, &s, &quick);
	close_gate(&s.gate, "branches/");
	assert_ok(task_submit_dump(&s.c, &r, &dump));
	wait_at_gate(&s.gate);
	open_gate(&s.gate);
	wait_done(&s.c, &r, dump);
	close_gate(&s.gate, "repo1-main:");
	commit = arena_dup(w.a, submit_commit(&s.c, &r));
	wait_at_gate(&s.gate);
	atomic_store(&s.gate.tarry_ms, tarry_ms);
	versions_stop_tasks(s.v);
	assert_rc(task_submit_dump(&s.c, &r, &id), ServiceUnavailable);
	open_gate(&s.gate);
	server_close(&s);
	assert_ok(task_get(&w.c, &r, TASK_COMMIT, commit, &t));
	assert_true(!t.done && !t.started);
	assert_str(t.owner, STR(""));
	server_start(&w, &next, &patient);
	t = wait_done(&next.c, &r, commit);
	assert_str(t.error, STR(""));
	server_close(&next);
	world_close(&w);
}

static void test_task__stopping_gives_back(void **state)
{
	stop_and_go_on(0);
	stop_and_go_on(300);
}

/* A dump goes on elsewhere, a commit that was begun doesn't. */
static void test_task__lost(void **state)
{
	struct world w;
	struct server s, next;
	struct repo r;
	struct task t;
	struct str dump, commit;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	stage_some(&w.c, &r, STR("main"), 600);
	server_start(&w, &s, &quick);
	close_gate(&s.gate, "branches/");
	assert_ok(task_submit_dump(&s.c, &r, &dump));
	wait_at_gate(&s.gate);
	dump = arena_dup(w.a, dump);
	server_kill(&s);
	server_start(&w, &s, &patient); /* leaves it to the next one */
	close_gate(&s.gate, "repo1-main:");
	commit = arena_dup(w.a, submit_commit(&s.c, &r));
	wait_at_gate(&s.gate);
	server_kill(&s);
	assert_ok(task_get(&w.c, &r, TASK_COMMIT, commit, &t));
	assert_true(!t.done && t.started);
	server_start(&w, &next, &quick);
	t = wait_done(&next.c, &r, dump);
	assert_str(t.error, STR(""));
	assert_str(t.owner, str_c(next.v->tasks->instance));
	t = wait_done(&next.c, &r, commit);
	assert_int_equal(t.status, 503);
	assert_true(str_find(t.error, STR("may have been done or not")) < t.error.n);
	wait_no_index(&w);
	t = wait_done(&next.c, &r, submit_commit(&next.c, &r));
	assert_str(t.error, STR(""));
	server_close(&next);
	world_close(&w);
}

/* Restores that were done but for their record, and those that weren't. */
static void test_task__restore_again(void **state)
{
	struct world w;
	struct server s;
	struct repo r, copy;
	struct refs_dump d;
	struct task_run again = {.again = true};
	Pb__RestoreInput m = PB__RESTORE_INPUT__INIT;
	Pb__RepositoryDumpInfo refs = PB__REPOSITORY_DUMP_INFO__INIT;
	struct str result;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_open(&w, &s);
	assert_ok(refs_dump(&s.c, &r, NULL, &d));
	refs.commits_metarange_id = pb_bytes(d.commits);
	refs.tags_metarange_id = pb_bytes(d.tags);
	refs.branches_metarange_id = pb_bytes(d.branches);
	m.refs = &refs;
	again.input = pb_pack(&m.base, s.a);
	copy = bare_repo(&s.c);
	for (int i = 0; i < 2; i++)
		assert_ok(task_kind_ops(TASK_RESTORE)->run(&s.c, &copy, &again, &result));
	again.again = false;
	assert_rc(task_kind_ops(TASK_RESTORE)->run(&s.c, &copy, &again, &result), INVALID);
	server_close(&s);
	world_close(&w);
}

/* Each write in turn fails, carried out or not; whatever was accepted is done in the end, once. */
static void fail_each(struct world *w, bool after)
{
	struct repo r = world_repo(w);

	for (unsigned nth = 1; nth < 12; nth++) {
		struct server s;
		struct branch b;
		struct task t;
		struct str id;
		rc submitted;

		server_start(w, &s, &quick);
		kv_fault_arm(w->kv, KV_CALL_WRITES, nth, after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
		submitted = task_submit_dump(&s.c, &r, &id);
		if (rc_ok(submitted)) {
			t = wait_done(&s.c, &r, id);
			assert_str(t.error, STR(""));
		}
		kv_fault_arm(w->kv, KV_CALL_WRITES, 0, ERR_IO, false);
		wait_no_index(w);
		assert_ok(branch_get(&s.c, &r, STR("main"), &b));
		server_close(&s);
	}
}

static void test_task__failing_writes(void **state)
{
	for (int after = 0; after < 2; after++) {
		struct world w;

		world_open(&w, GUARDED);
		fail_each(&w, after);
		world_close(&w);
	}
}

/* What brings its server down each time isn't started for ever. */
static void test_task__poison(void **state)
{
	struct world w;
	struct server s;
	struct repo r;
	struct task t;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_start(&w, &s, &quick);
	close_gate(&s.gate, "branches/");
	assert_ok(task_submit_dump(&s.c, &r, &id));
	id = arena_dup(w.a, id);
	for (int i = 0; i < TASK_STARTS; i++) {
		wait_at_gate(&s.gate);
		server_kill(&s);
		w.alone = true;
		server_open(&w, &s);
		if (i + 1 < TASK_STARTS)
			close_gate(&s.gate, "branches/");
		versions_start_tasks(s.v, &quick);
	}
	t = wait_done(&s.c, &r, id);
	assert_int_equal(t.status, 503);
	assert_true(str_find(t.error, STR("several times")) < t.error.n);
	server_close(&s);
	world_close(&w);
}

static void test_task__expiry(void **state)
{
	struct world w;
	struct server s;
	struct repo r;
	struct hygiene_counts n;
	struct hygiene_options o = {.max = 1000};
	struct task *list;
	size_t tasks;
	bool more;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	server_start(&w, &s, &quick);
	o.versions = s.v;
	for (int i = 0; i < 3; i++) {
		struct str id;

		assert_ok(task_submit_dump(&s.c, &r, &id));
		wait_done(&s.c, &r, id);
	}
	assert_ok(kv_set(w.kv, PARTITION_CATALOG, STR("instances/d86idg2te4sn02dlb3f0"), STR(""), NULL));
	assert_ok(hygiene_sweep(&o, wall_ms() + (TASK_EXPIRY_S - 60) * 1000LL, &n, &w.err));
	assert_int_equal(n.tasks, 0);
	assert_ok(hygiene_sweep(&o, wall_ms() + (TASK_EXPIRY_S + 60) * 1000LL, &n, &w.err));
	assert_int_equal(n.tasks, 3);
	assert_ok(task_list(&s.c, &r, STR_NONE, 10, &list, &tasks, &more));
	assert_int_equal(tasks, 0);
	server_close(&s);
	assert_int_equal(world_keys(&w, PARTITION_CATALOG), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task__commit),
		cmocka_unit_test(test_task__merge),
		cmocka_unit_test(test_task__dump_and_restore),
		cmocka_unit_test(test_task__not_found),
		cmocka_unit_test(test_task__cancel),
		cmocka_unit_test(test_task__cancel_waiting),
		cmocka_unit_test(test_task__heartbeat),
		cmocka_unit_test(test_task__stopping_gives_back),
		cmocka_unit_test(test_task__lost),
		cmocka_unit_test(test_task__restore_again),
		cmocka_unit_test(test_task__failing_writes),
		cmocka_unit_test(test_task__poison),
		cmocka_unit_test(test_task__expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
