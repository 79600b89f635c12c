/* What the files of the task engine share. Private to versions/task*.c.
 *
 * task.c         what callers ask: submit, get, list, cancel
 * task_record.c  the record
 * task_kinds.c   what can be run
 * task_job.c     a task in this process: its work item, its stop flag, its end
 * task_engine.c  the pool, and the thread that writes heartbeats
 * task_lost.c    tasks whose owner is lost
 */
#pragma once

#include <stdatomic.h>

#include "base/work.h"
#include "versions/internal.h"
#include "versions/metarange.h"
#include "versions/pb.h"
#include "versions/task.h"

#define PARTITION_TASKS STR("sluice-tasks")
#define PARTITION_CATALOG STR("catalog")
enum { TASK_ID_CHARS = 20 };

/* ---- kinds ---- */

struct task_run {
	struct str input;
	bool again; /* it may have been done before, wholly or in part */
	struct progress *progress;
	_Atomic int64_t *counts; /* TASK_COUNTS: told to who asks, as they are now */
};

struct task_kind_ops {
	struct str prefix, operation;
	bool repeatable; /* also when it was done in part */
	bool nowhere;    /* of task_nowhere() */
	/* *ret: field 2 of the status, encoded; in c->a. */
	rc (*run)(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret);
};

const struct task_kind_ops *task_kind_ops(enum task_kind k);
/* By the id's prefix and length; TASK_KINDS. */
enum task_kind task_kind_of(struct str id);

/* The repository of a task of that kind: NOT_FOUND when it isn't there any more. */
rc task_repo(struct vcall *c, enum task_kind kind, struct str repo_id, struct str partition, struct repo *ret);

/* backup_task.c */
rc task_run_backup(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret);
rc task_run_verify(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret);
/* fsck_task.c */
rc task_run_fsck(struct vcall *c, const struct repo *r, const struct task_run *t, struct str *ret);

/* ---- records ---- */

struct task_record {
	Pb__TaskStatus *m; /* m->task is there; of the call's arena */
	struct str raw;    /* as it was read */
};

struct str task_key(struct arena *a, struct str id);
/* In PARTITION_TASKS. */
struct str task_index_key(struct arena *a, const struct repo *r, struct str id);
/* NOT_FOUND, CORRUPT. */
rc task_record_read(struct vcall *c, struct str partition, struct str id, struct task_record *ret);
/* In place of what was read: PREDICATE when it is another by now. Sets the update time. */
rc task_record_write(struct vcall *c, struct str partition, struct task_record *rec);
/* Sets done, and the failure or the result. */
void task_record_end(struct vcall *c, struct task_record *rec, rc result, const char *story);
/* Ended as cancelled. */
void task_record_cancelled(struct task_record *rec);
struct task task_decode(const struct task_record *rec);

/* ---- jobs ---- */

enum job_stop { STOP_NO, STOP_SHUTDOWN, STOP_CANCEL, STOP_LOST }; /* the greater one stays */

enum job_end { END_NOT, END_RESULT, END_FAILURE, END_CANCELLED, END_RELEASE };

/* One reference for the engine's list and one for each who looks at it. */
struct job {
	struct work work;
	struct progress progress;
	struct tasks *engine;
	struct arena *a;
	struct str repo_id, partition, id, index_key;
	enum task_kind kind;
	_Atomic int64_t done;
	_Atomic int64_t counts[TASK_COUNTS];
	_Atomic int stop; /* enum job_stop */
	/* worker; once `ending` is set: heartbeat thread, which tries to write the end again */
	_Atomic bool ending;
	struct str input, result;
	bool again, written; /* written: its end is in the record */
	_Atomic bool unsure; /* its end may be written */
	enum job_end how;
	rc failure;
	struct err err;
	/* heartbeat thread */
	int64_t written_ms, written_done;
	/* engine's lock */
	unsigned refs;
	bool listed;
	struct job *next, *prev;
};

struct tasks {
	struct versions *v;
	struct tasks_options o;
	char instance[XID_CHARS + 1];
	struct work_pool *pool;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct {
		struct job *jobs;
		size_t n, reserved; /* of n: places without a job yet */
		bool stopping, quit;
	} locked;
	/* heartbeat thread */
	bool instance_written;
	int64_t instance_ms, looked_ms; /* monotonic: last heartbeat, last search */
};

/* A place for one more. SlowDown, ServiceUnavailable. */
rc tasks_reserve(struct tasks *t, struct err *reterr);
void tasks_unreserve(struct tasks *t);
bool tasks_have(struct tasks *t, struct str partition, struct str id);
/* Runs a task whose record this process owns, in a place that was reserved. */
void tasks_add(struct tasks *t, const struct repo *r, struct str id, enum task_kind kind);
/* Sets the flag of the task if it is in this process. */
void tasks_stop_one(struct tasks *t, struct str partition, struct str id, enum job_stop why);

struct job *task_job_new(struct tasks *t, const struct repo *r, struct str id, enum task_kind kind);
void task_job_free(struct job *j);
void task_job_set_stop(struct job *j, enum job_stop why);
/* The pool has refused it. */
void task_job_refused(struct job *j);
/* Heartbeat thread: the record's update time and progress, when it is time; or its end. Notices what
 * others have asked for. */
void task_job_beat(struct job *j, int64_t now_ms);
/* Out of the list; once more is nothing. */
void tasks_remove(struct tasks *t, struct job *j);
void task_job_unref(struct job *j);

/* Looks at everything that isn't done; heartbeat thread. */
void tasks_find_lost(struct tasks *t);
bool tasks_stopping(struct tasks *t);
void tasks_free(struct tasks *t); /* NULL is allowed */
/* Forgets that it isn't done. */
rc task_index_delete(struct vcall *c, struct str key);
