/* Long work with a name: a record in the KV (lakeFS's Task: FORMATS.md 5 and 6.4), run on a pool of its own.
 *
 *   submitted --claim--> started --tick, heartbeat--> ... --finish--> done: a result, or a status and an error
 *        ^                  |
 *        +---- released ----+   its server stops: whoever sees it next goes on
 *
 * Each arrow is one compare-and-set of the record, so that of two who try one wins. A process writes the update
 * times of its tasks every few seconds. A record that wasn't updated for lost_ms has lost its owner: what may be
 * repeated, or hadn't been started, is taken over by another process; the rest ends with an error that says what
 * may have happened. A task that was started TASK_STARTS times is not started again.
 *
 * KV: partition <repository>-<uid>, key tasks/<id>, the status message (TaskStatus in records.proto); partition
 * "catalog", key instances/<xid>, while that process has tasks; partition "sluice-tasks", key
 * <repository>/<uid>/<id>, value milliseconds since 1970: tasks that aren't done, for whoever looks for lost
 * ones. Hygiene removes records TASK_EXPIRY_S after they were done.
 */
#pragma once

#include "versions/dump.h"
#include "versions/gc_commits.h"
#include "versions/head.h"

enum { TASK_LOST_MS = 60 * 1000, TASK_EXPIRY_S = 24 * 3600, TASK_STARTS = 3, TASK_COUNTS = 10 };

enum task_kind {
	TASK_DUMP,    /* "DR..." */
	TASK_RESTORE, /* "RR..." */
	TASK_COMMIT,  /* "CA..." */
	TASK_MERGE,   /* "MA..." */
	TASK_FSCK,    /* "FS...": fsck.h */
	TASK_GC,      /* "GCPC...": gc_commits.h */
	TASK_BACKUP,  /* "BK...": backup.h */
	TASK_VERIFY,  /* "BV...": backup.h; of no repository */
	TASK_KINDS,   /* a record of some other program: told, and left alone */
};

struct task {
	struct str id, operation, owner;
	enum task_kind kind;
	bool started, done;
	bool cancelled; /* somebody asked for it; done, and with an error: it was */
	struct timestamp updated;
	int64_t progress;
	int64_t counts[TASK_COUNTS]; /* each kind's own */
	struct str subject;          /* what it is about, where that isn't its repository; "" */
	int status;       /* HTTP status of a failure; 0: none */
	struct str error; /* "" without a failure; "Canceled" of a cancelled one */
	struct str result; /* encoded: task_*_result below; "" before it is done, and of a failure */
};

/* Submitting: the id, of the arena. SlowDown: as many wait already as may (nothing was written);
 * ServiceUnavailable: the server is stopping, or runs no tasks. What can be refused at once (names, a repository that
 * isn't bare) is; everything else is told by the task. The same errors as refs_dump ... branch_merge. */
rc task_submit_dump(struct vcall *c, const struct repo *r, struct str *ret_id);
rc task_submit_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		       struct str *ret_id);
rc task_submit_commit(struct vcall *c, const struct repo *r, const struct commit_request *q,
		      struct str *ret_id);
rc task_submit_merge(struct vcall *c, const struct repo *r, const struct merge_request *q,
		     struct str *ret_id);
rc task_submit_gc(struct vcall *c, const struct repo *r, struct str *ret_id);
/* For other kinds: `input` is what the kind's run gets. */
rc task_submit(struct vcall *c, const struct repo *r, enum task_kind kind, struct str input,
	       struct str *ret_id);

/* The same of a subject. */
rc task_submit_about(struct vcall *c, const struct repo *r, enum task_kind kind, struct str input,
		     struct str subject, struct str *ret_id);
/* Where the tasks are that aren't of a repository: in place of one, for the calls here alone. */
const struct repo *task_nowhere(void);

/* NOT_FOUND; kind TASK_KINDS: of any. */
rc task_get(struct vcall *c, const struct repo *r, enum task_kind kind, struct str id, struct task *ret);
/* Of a task of that kind that is done without an error. CORRUPT. */
rc task_dump_result(struct vcall *c, const struct task *t, struct refs_dump *ret);
rc task_commit_result(struct vcall *c, const struct task *t, struct commit *ret);
rc task_merge_result(struct vcall *c, const struct task *t, struct str *ret_commit_id);
rc task_gc_result(struct vcall *c, const struct task *t, struct gc_run *ret);

/* Ascending by id, ids > after, at most max. */
rc task_list(struct vcall *c, const struct repo *r, struct str after, size_t max, struct task **ret,
	     size_t *ret_n, bool *ret_more);
/* One that hasn't been started is over at once, another one within seconds, unless it is done before.
 * NOT_FOUND; OperationAborted: it is done already. */
rc task_cancel(struct vcall *c, const struct repo *r, enum task_kind kind, struct str id);

/* ---- running them: a server ---- */

struct tasks_options {
	unsigned workers;  /* threads */
	size_t max;        /* tasks that run or wait in this process */
	/* 0: 5 seconds, 1 second, TASK_LOST_MS; for tests. */
	int64_t heartbeat_ms, poll_ms, lost_ms;
};

/* Once, before the first submission; looks for lost tasks at once, and from then on. */
void versions_start_tasks(struct versions *v, const struct tasks_options *o);
/* Refuses new ones and tells those that run to end at their next tick; doesn't wait. */
void versions_stop_tasks(struct versions *v);
/* Waits for those that run. Before the pools that they use are freed; versions_free does it, too. */
void versions_end_tasks(struct versions *v);
