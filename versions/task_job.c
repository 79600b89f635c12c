/* A task in this process. Its record is changed by compare-and-set alone, and only while it names this process
 * as its owner and isn't done: whoever finds it otherwise has lost it, and writes nothing more. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "versions/task_priv.h"

static struct job *of_work(struct work *w)
{
	return (struct job *)((char *)w - offsetof(struct job, work));
}

void task_job_set_stop(struct job *j, enum job_stop why)
{
	int now = atomic_load(&j->stop);

	while (now < (int)why && !atomic_compare_exchange_weak(&j->stop, &now, (int)why))
		;
}

static enum job_stop stop_of(const struct job *j)
{
	return (enum job_stop)atomic_load(&j->stop);
}

static rc job_tick(struct progress *p, int64_t done, struct err *reterr)
{
	struct job *j = (struct job *)((char *)p - offsetof(struct job, progress));

	atomic_store_explicit(&j->done, done, memory_order_relaxed);
	if (stop_of(j) == STOP_NO)
		return RC_OK;
	return err_set(reterr, ERR_CANCELLED, "task " STR_FMT " was told to end", STR_ARG(j->id));
}

/* The record. */

typedef void job_change(struct job *j, struct vcall *c, struct task_record *rec);

static bool is_ours(const struct job *j, const struct task_record *rec)
{
	return str_eq(pb_str(rec->m->task->owner_instance_id), str_c(j->engine->instance));
}

/* Whose the record was found to be: ours, somebody else's by now or ended by somebody else, nobody's. */
enum found_as { OURS, LOST, GONE };

static rc look(struct job *j, struct vcall *c, struct task_record *ret, enum found_as *ret_as)
{
	rc found = task_record_read(c, j->partition, j->id, ret);

	*ret_as = rc_is(found, NOT_FOUND) ? GONE
		  : rc_ok(found) && (ret->m->task->done || !is_ours(j, ret)) ? LOST
									     : OURS;
	return *ret_as == GONE ? RC_OK : found;
}

static rc try_update(struct job *j, struct vcall *c, job_change *change, enum found_as *ret)
{
	struct task_record rec;

	TRY(look(j, c, &rec, ret));
	if (*ret == LOST && rec.m->task->done && is_ours(j, &rec) && atomic_load(&j->unsure)) {
		*ret = OURS; /* the end that wasn't known to have been written */
		return RC_OK;
	}
	if (*ret != OURS) {
		task_job_set_stop(j, STOP_LOST);
		return RC_OK;
	}
	if (rec.m->cancel_ms)
		task_job_set_stop(j, STOP_CANCEL);
	if (!change)
		return RC_OK;
	change(j, c, &rec);
	return task_record_write(c, j->partition, &rec);
}

/* RC_OK: it was done, or the record isn't ours, and STOP_LOST is set. change NULL: only looks. */
static rc update(struct job *j, struct vcall *c, job_change *change, enum found_as *ret)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		rc r = try_update(j, c, change, ret);

		if (!rc_is(r, PREDICATE))
			return r;
	}
	return err_default(c->err, ERR_SlowDown);
}

static void claim(struct job *j, struct vcall *c, struct task_record *rec)
{
	rec->m->started = true;
	rec->m->starts++;
	j->again = rec->m->starts > 1;
	j->input = arena_dup(j->a, pb_str(rec->m->input));
}

static void beat(struct job *j, struct vcall *c, struct task_record *rec)
{
	rec->m->task->progress = atomic_load_explicit(&j->done, memory_order_relaxed);
	rec->m->n_counts = TASK_COUNTS;
	rec->m->counts = arena_alloc(c->a, TASK_COUNTS * sizeof(*rec->m->counts));
	for (unsigned i = 0; i < TASK_COUNTS; i++)
		rec->m->counts[i] = atomic_load_explicit(&j->counts[i], memory_order_relaxed);
}

static void release(struct job *j, struct vcall *c, struct task_record *rec)
{
	rec->m->task->owner_instance_id = (ProtobufCBinaryData){0};
	if (rec->m->started && rec->m->starts)
		rec->m->starts--;
	rec->m->started = false;
}

static void end(struct job *j, struct vcall *c, struct task_record *rec)
{
	beat(j, c, rec);
	switch (j->how) {
	case END_RELEASE:
		release(j, c, rec);
		break;
	case END_CANCELLED:
		task_record_cancelled(rec);
		break;
	case END_FAILURE:
		task_record_end(c, rec, j->failure, j->err.msg);
		break;
	default:
		task_record_end(c, rec, RC_OK, "");
		rec->m->result = pb_bytes(j->result);
	}
}

/* Its end. */

static void tell(const struct job *j)
{
	static const char *const words[] = {[END_NOT] = "lost", [END_RESULT] = "done",
					    [END_FAILURE] = "failed", [END_CANCELLED] = "cancelled",
					    [END_RELEASE] = "given back"};
	enum job_end how = j->written ? j->how : END_NOT;
	struct str operation = task_kind_ops(j->kind)->operation;
	char labels[128];

	snprintf(labels, sizeof(labels), "operation=\"" STR_FMT "\",result=\"%s\"",
		 STR_ARG(operation), words[how]);
	metric_add(metric_get(METRIC_COUNTER, "sluice_tasks_total", "Tasks that ended.", labels), 1);
	log_event(how == END_FAILURE ? LOG_WARN : LOG_INFO, "tasks", "task ended",
		  F_STR("id", j->id), F_STR("operation", operation), F_STR("repository", j->repo_id),
		  F_CSTR("result", words[how]), F_CSTR("error", how == END_FAILURE ? j->err.msg : ""));
}

/* The entry through which it is found by who looks for lost ones: it goes with the task's end alone. Of one that was
 * given back, or that is another process's, it must stay, or nobody would ever take it up again. */
static void forget(struct job *j, struct vcall *c, enum found_as as)
{
	if (as == GONE || (as == OURS && j->how != END_RELEASE))
		IGNORE_RC(task_index_delete(c, j->index_key)); /* who looks for lost ones does it, later */
}

/* Of one that was lost: with its repository? */
static rc is_gone(struct job *j, struct vcall *c, enum found_as *ret)
{
	struct task_record rec;

	TRY(look(j, c, &rec, ret));
	if (*ret != GONE)
		*ret = LOST;
	return RC_OK;
}

/* False when it must be tried again. Whether it was written is told by this write alone: a heartbeat may see our own
 * end meanwhile, and take the task for lost. */
static bool write_end(struct job *j)
{
	struct arena *a = arena_new();
	struct err err = {0};
	struct vcall c = {.v = j->engine->v, .a = a, .wait = KV_BLOCK, .err = &err};
	enum found_as as = LOST;
	rc r = stop_of(j) == STOP_LOST ? is_gone(j, &c, &as) : update(j, &c, end, &as);

	if (rc_is(r, UNKNOWN_OUTCOME))
		atomic_store(&j->unsure, true);
	j->written = rc_ok(r) && as == OURS;
	if (rc_ok(r))
		forget(j, &c, as);
	if (!rc_ok(r) && !atomic_load(&j->ending))
		log_event(LOG_WARN, "tasks", "the end of a task was not written; it will be tried again",
			  F_STR("id", j->id), F_CSTR("error", err.msg));
	arena_free(a);
	return rc_ok(r);
}

/* Running. */

static rc find_repo(struct job *j, struct vcall *c, struct repo *ret)
{
	TRY(task_repo(c, j->kind, j->repo_id, j->partition, ret));
	return task_kind_ops(j->kind)->nowhere ? RC_OK : repo_get(c, j->repo_id, ret);
}

static rc run_kind(struct job *j, struct vcall *c)
{
	const struct task_run t = {
		.input = j->input, .again = j->again, .progress = &j->progress, .counts = j->counts};
	struct str result = STR("");
	struct repo r;

	c->progress = &j->progress;
	TRY(find_repo(j, c, &r));
	TRY(task_kind_ops(j->kind)->run(c, &r, &t, &result));
	j->result = arena_dup(j->a, result);
	return RC_OK;
}

static enum job_end execute(struct job *j, struct vcall *c)
{
	enum found_as as;

	/* Unclaimed for sure, or claimed by whom nobody else will find running it. */
	if (stop_of(j) == STOP_SHUTDOWN || !rc_ok(update(j, c, claim, &as)))
		return END_RELEASE;
	if (stop_of(j) == STOP_NO) {
		j->failure = run_kind(j, c);
		if (rc_ok(j->failure))
			return END_RESULT;
		if (!rc_is(j->failure, CANCELLED) || stop_of(j) == STOP_NO)
			return END_FAILURE;
	}
	/* It ends at ticks alone, and none comes after what can't be undone. */
	return stop_of(j) == STOP_SHUTDOWN ? END_RELEASE : END_CANCELLED;
}

static void job_run(struct work *w)
{
	struct job *j = of_work(w);
	struct arena *a = arena_new();
	struct vcall c = {.v = j->engine->v, .a = a, .wait = KV_BLOCK, .err = &j->err};

	j->how = execute(j, &c);
	arena_free(a);
	if (write_end(j)) {
		tell(j);
		tasks_remove(j->engine, j);
	} else {
		atomic_store(&j->ending, true);
	}
}

static void job_done(struct work *w)
{
	task_job_unref(of_work(w));
}

void task_job_refused(struct job *j)
{
	j->how = END_RELEASE;
	atomic_store(&j->ending, true);
	task_job_unref(j);
}

void task_job_beat(struct job *j, int64_t now_ms)
{
	const struct tasks_options *o = &j->engine->o;
	int64_t done = atomic_load_explicit(&j->done, memory_order_relaxed);
	bool write = done != j->written_done || now_ms - j->written_ms >= o->heartbeat_ms;
	enum found_as as;
	struct arena *a;
	struct vcall c;

	if (atomic_load(&j->ending)) {
		if (write_end(j)) {
			tell(j);
			tasks_remove(j->engine, j);
		}
		return;
	}
	if (stop_of(j) == STOP_LOST)
		return;
	a = arena_new();
	c = (struct vcall){.v = j->engine->v, .a = a, .wait = KV_BLOCK};
	if (rc_ok(update(j, &c, write ? beat : NULL, &as)) && write) {
		j->written_ms = now_ms;
		j->written_done = done;
	}
	arena_free(a);
}

struct job *task_job_new(struct tasks *t, const struct repo *r, struct str id, enum task_kind kind)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct job){
		.work = {.run = job_run, .done = job_done},
		.progress = {.tick = job_tick},
		.engine = t,
		.a = arena_new(),
		.kind = kind,
		.written_ms = mono_ms(),
		.refs = 2, /* the list's, the pool's */
	};
	j->repo_id = arena_dup(j->a, r->id);
	j->partition = arena_dup(j->a, r->partition);
	j->id = arena_dup(j->a, id);
	j->index_key = task_index_key(j->a, r, id);
	return j;
}

void task_job_free(struct job *j)
{
	arena_free(j->a);
	free(j);
}
