/* Many files at once, between a folder and a prefix: what upload and download have in common. */
#pragma once

#include <pthread.h>

#include "cli/ctl/crew.h"
#include "cli/ctl/presign.h"
#include "cli/ctl/progress.h"

struct transfer {
	struct ctl *c;
	struct uri u;
	struct str root; /* the local folder */
	struct presigned presigned;
	struct progress *progress;
	struct crew *crew;
	pthread_mutex_t lock;
	size_t done, failed;
};

/* One file; freed by whoever takes it. */
struct job {
	struct str local, key;
	struct str checksum; /* of a download */
	int64_t size;	     /* -1: unknown */
	char bytes[];	     /* of the three */
};

struct job *job_new(struct str local, struct str key, struct str checksum, int64_t size);

/* verb: "upload". run gets the transfer and a job. */
void transfer_begin(struct transfer *t, const char *verb, void (*run)(void *ud, void *item));
void transfer_add(struct transfer *t, struct job *j);
/* By the job's thread, at its end: `shown` is the file's name below the folder. */
void transfer_done(struct transfer *t, const char *verb, struct str shown);
void transfer_failed(struct transfer *t, const char *verb, struct str shown, const struct fault *f);
/* Waits for all, and shows the summary. False: c->fault; some failed. good: the list of files was whole. */
bool transfer_end(struct transfer *t, const char *title, bool good);
