/* Backups: a repository's namespace copied to another one, on this store or another, so that a bare repository there is
 * restored from its manifest (dump.h).
 *
 *   [commit] -> dump -> take the target -> copy bodies, tables, rules -> [verify] -> manifest
 *
 * What is copied: every body that a commit names by a RELATIVE address, every table that the dump names, the rules of
 * garbage collection. What a listing of the target shows with its size isn't copied again. The manifest is written last
 * and in one piece: until then the target restores as its last backup, and nothing of that is ever removed. So a backup
 * that failed, or whose server died, is simply made again, and goes on where the other one was.
 *
 * Bodies at FULL addresses lie outside of the namespace: they stay where they are, and are counted.
 *
 * Copies are the store's own where source and target are one store that can (BACKEND_CAP_COPY), else streamed, counted,
 * and compared with their MD5 where the ETag is one. BACKUP_WORKERS at once. Memory: as dump_check.h, and a buffer for
 * each worker.
 */
#pragma once

#include "versions/dump_check.h"

enum { BACKUP_WORKERS = 8 };

struct backup_request {
	struct str storage_id; /* "": the store that takes namespaces like this one */
	struct str storage_namespace;
	bool commit; /* what is staged, on every branch, first */
	bool verify; /* the copy's tables and the sizes of its bodies, before the manifest is written */
	bool allow_missing;   /* also when the source itself has lost something */
	bool refuse_external; /* INVALID when a body lies outside of the namespace */
	struct str committer, message; /* of commits; message "": one is made up */
};

enum backup_count {
	BACKUP_OBJECTS, /* bodies that were looked at, and their bytes */
	BACKUP_BYTES,
	BACKUP_NEW, /* bodies and tables that were copied, and their bytes */
	BACKUP_NEW_BYTES,
	BACKUP_SKIPPED, /* that were there */
	BACKUP_TABLES,
	BACKUP_COMMITTED, /* branches */
	BACKUP_EXTERNAL,
	BACKUP_MISSING, /* and damaged, in the source */
	BACKUP_COUNTS
};

struct backup_result {
	struct refs_dump refs;
	struct fsck_finding *findings; /* of source or copy: the first ones */
	size_t n;
};

/* As tasks. INVALID: no such store, a namespace that it can't have, that is taken, or that overlaps that of a
 * repository; ReadOnlyRepository (commit). Fails as a task with DumpNotWhole, naming it, when something is missing in the
 * source and that isn't allowed, or in the copy. */
rc task_submit_backup(struct vcall *c, const struct repo *r, const struct backup_request *q, struct str *ret_id);
/* The counts are the task's, in the order of enum backup_count. */
rc task_backup_result(struct vcall *c, const struct task *t, struct backup_result *ret);

/* Whether a namespace can be restored, from what is there alone. */
struct backup_verify {
	struct str storage_id, storage_namespace;
	const struct refs_dump *refs; /* NULL: what the manifest there says */
	bool content;                 /* bodies are read, else only their sizes compared */
};
struct backup_verified {
	bool restorable; /* nothing is missing or damaged */
	struct backup_result of;
};
/* A task of task_nowhere(), whose subject is the namespace. It fails only where it can't look; what it finds, a
 * manifest that isn't there or is damaged, too, is its result. The counts: DUMP_CHECK_*. */
rc task_submit_verify(struct vcall *c, const struct backup_verify *q, struct str *ret_id);
rc task_verify_result(struct vcall *c, const struct task *t, struct backup_verified *ret);

/* A repository that isn't one: a namespace on a store, to read dumps of. INVALID. */
rc backup_namespace(struct vcall *c, struct str storage_id, struct str space, struct repo *ret);
