/* The local store, inside: see local.c for its shape. */
#pragma once

#include <limits.h>
#include <pthread.h>

#include "backends/impl.h"

struct metric;
struct folder;

/* One sync for all who wait: whoever finds none running runs it; what arrives while one runs waits for
 * the next, since the running one may have begun before its change. */
struct shared_sync {
	pthread_mutex_t lock;
	pthread_cond_t done[2]; /* by the sync's number, odd or even: nobody is woken for another's */
	bool running;
	uint64_t started, finished;
};
void shared_sync_init(struct shared_sync *s);
void shared_sync_deinit(struct shared_sync *s);
/* Returns once a run(ud) that began after this call has ended. */
void shared_sync_run(struct shared_sync *s, void (*run)(void *ud), void *ud);

enum { FOLDER_BUCKETS = 512, FOLDERS_CACHED = 256 };

struct local {
	struct backend b;
	struct arena *a;
	struct str root;  /* canonical */
	struct str given; /* as configured */
	int root_fd, tmp_fd;
	bool sync;
	_Atomic bool named;    /* no O_TMPFILE here: temporaries have names, in .sluice/tmp */
	_Atomic bool direct;   /* large objects bypass the page cache: see local_direct.c */
	uint64_t direct_bytes;
	_Atomic bool proc_link; /* linkat of a descriptor needs /proc */
	_Atomic bool broken;   /* a folder's sync failed: see local_folder.c */
	struct metric *file_syncs, *folder_syncs, *store_syncs;
	struct {
		struct shared_sync sync;
		bool able;               /* this kernel and file system */
		bool clones_not;         /* a file system that shares no blocks between files */
		_Atomic int64_t again_ms; /* not before: the last one took too long */
		uint64_t dev;
	} whole;
	struct {
		pthread_mutex_t lock;
		struct folder *buckets[FOLDER_BUCKETS];
		struct folder *newest, *oldest;
		size_t n;
	} folders;
};

#define LOCAL_TMP ".sluice/tmp"
#define LOCAL_UPLOADS ".sluice/multipart"

/* A checked path relative to the root: no segment is empty, "." or "..", none has a NUL. */
struct local_path {
	char p[PATH_MAX];
	size_t n;
	size_t folder_n; /* what is before the last slash */
	size_t space_n;  /* the namespace; 0 for a full address */
};

static inline const char *local_name(const struct local_path *p)
{
	return p->p + p->folder_n + 1;
}

rc local_path_of(const struct local *l, const struct object_ptr *ptr, struct local_path *ret,
		 struct err *reterr);
/* The namespace's folder: folder_n is not set. */
rc local_path_of_space(struct str space, struct local_path *ret, struct err *reterr);

/* Opens below `at` without following any symbolic link or leaving it; -errno on failure. */
int local_open_beneath(int at, const char *path, int flags, unsigned mode);
/* The same if everything needed is cached, else -EAGAIN. */
int local_open_cached(int at, const char *path, int flags);
/* What an errno of these means for an object's reader. */
rc local_read_error(int errnum, const char *path, struct err *reterr);
rc local_write_error(const struct local *l, int errnum, const char *doing, const char *path,
		     struct err *reterr);

/* The whole store's file system, synced at once for every small object that waits (local_sync.c). */
void store_sync_init(struct local *l);
void store_sync_deinit(struct local *l);
/* Whether that is the way for an object of `size` bytes in a folder that is on device `dev`. */
bool store_sync_serves(struct local *l, uint64_t size, uint64_t dev);
rc store_sync(struct local *l, struct err *reterr);

/* A file's bytes from `at` on, written past the page cache. p NULL: not begun. */
struct direct {
	struct local *l;
	char *p;
	size_t n;
	uint64_t at;
	int fd;
};
/* False: go on as before. */
bool direct_start(struct direct *d, struct local *l, int fd, uint64_t at);
/* 0 or an errno. */
int direct_write(struct direct *d, const void *from, size_t n);
int direct_end(struct direct *d);
/* All of another file behind what is there; *ret_n: its bytes. 0 or an errno. */
int direct_copy(struct direct *d, int from, uint64_t *ret_n);
void direct_free(struct direct *d);

/* Folders: open descriptors of those in use lately, and their syncs, shared. */
enum folder_want {
	FOLDER_LOOK, /* NOT_FOUND when it isn't there */
	FOLDER_MAKE, /* made if missing, and durable */
};
rc folder_get(struct local *l, const char *path, size_t n, enum folder_want want,
	      struct folder **ret, struct err *reterr);
void folder_put(struct local *l, struct folder *f);
int folder_fd(const struct folder *f);
uint64_t folder_dev(const struct folder *f);
/* Makes every change in the folder so far durable; several callers share one sync. */
rc folder_sync(struct local *l, struct folder *f, struct err *reterr);
/* It was removed. */
void folder_forget(struct local *l, const char *path, size_t n);
/* folder_put of one that was found to be removed; then folder_get again, FOLDER_TRIES times in all:
 * each time takes another's removal at the wrong moment. */
void folder_put_gone(struct local *l, struct folder *f);
enum { FOLDER_TRIES = 16 };
bool folder_in_use(struct local *l, const char *path, size_t n);
void folders_init(struct local *l);
void folders_deinit(struct local *l);

/* Writers. `part`: the folder must exist (NOT_FOUND), and the answer has an etag. */
struct local_write {
	const char *folder;
	size_t folder_n;
	const char *name;
	bool if_absent, part;
	struct str etag;
};
rc local_writer_new(struct local *l, const struct local_write *w, struct backend_writer **ret,
		    struct err *reterr);
int local_writer_fd(const struct backend_writer *w);
/* Bytes written past the writer (copy_file_range). */
void local_writer_count(struct backend_writer *w, uint64_t n);
/* All of the open file `fd` into w. */
rc local_writer_append(struct backend_writer *w, int fd, uint64_t *ret_n, struct err *reterr);
rc local_write(struct backend_writer *w, const void *p, size_t n, struct err *reterr);
rc local_commit(struct backend_writer *w, struct arena *a, struct backend_stat *ret,
		struct err *reterr);
/* As many as there are, with one sync of the store for all that it serves. */
void local_commit_many(struct backend *b, struct backend_commit *c, size_t n);
/* Not where each must be synced by itself. */
bool local_commit_many_pays(struct backend *b);
void local_abort(struct backend_writer *w);
/* 32 characters of random hex. */
void local_random_name(char out[33]);

rc local_open_object(struct local *l, const struct local_path *p, int *ret_fd,
		     struct backend_stat *ret, struct err *reterr);
rc local_open_writer(struct backend *b, const struct object_ptr *to,
		     const struct backend_put_options *o, struct backend_writer **ret,
		     struct err *reterr);

rc local_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	      struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	      struct err *reterr);

rc local_mpu_create(struct backend *b, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		    struct err *reterr);
rc local_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
		       unsigned number, const struct backend_put_options *o,
			    struct backend_writer **ret, struct err *reterr);
rc local_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		      const struct backend_part *parts, size_t n, struct arena *a,
		      struct backend_stat *ret, struct err *reterr);
rc local_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   struct err *reterr);
bool local_upload_id_ok(struct str id);
/* Removes the folder `name` of .sluice/tmp and its files. */
void local_remove_gone(struct local *l, const char *name);

rc local_sweep(struct backend *b, struct backend_sweep *s);
/* Its writer's mark on a temporary with a name: as long as the file is open no sweep takes it. */
void local_claim_temporary(int fd);

/* Tests stop here: called with the name of each step that a crash could follow; NULL: nobody. */
extern void (*local_step_hook)(const char *step);
static inline void local_step(const char *step)
{
	if (local_step_hook)
		local_step_hook(step);
}
