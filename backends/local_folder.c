/* Open folders, kept (at most FOLDERS_CACHED that nobody uses) so that an ordinary put walks no path
 * and makes no folder, and their syncs.
 *
 * Durability of a folder itself: the first writer that uses it in this process syncs its parent, up
 * to the root, even when the folder was there: who made it may have died before its sync.
 *
 * A failed sync leaves the kernel with clean pages that never reached the disk, so a later success
 * proves nothing: the store then refuses all writes until it is opened anew.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local.h"
#include "base/metrics.h"

struct folder {
	struct folder *next; /* bucket */
	struct folder *newer, *older;
	int fd;
	unsigned refs;
	bool durable, cached;
	uint32_t hash;
	struct shared_sync sync;
	uint64_t dev;
	size_t n;
	char path[];
};

static uint32_t hash_of(const char *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 16777619u;
	return h;
}

static struct folder *folder_new(const char *path, size_t n, int fd)
{
	struct folder *f = calloc(1, sizeof(*f) + n + 1);
	struct stat st;

	if (!f)
		abort();
	if (fstat(fd, &st) == 0)
		f->dev = st.st_dev;
	memcpy(f->path, path, n);
	f->n = n;
	f->fd = fd;
	f->refs = 1;
	f->hash = hash_of(path, n);
	shared_sync_init(&f->sync);
	return f;
}

static void folder_free(struct folder *f)
{
	close(f->fd);
	shared_sync_deinit(&f->sync);
	free(f);
}

int folder_fd(const struct folder *f)
{
	return f->fd;
}

uint64_t folder_dev(const struct folder *f)
{
	return f->dev;
}

static struct folder **bucket(struct local *l, uint32_t hash)
{
	return &l->folders.buckets[hash % FOLDER_BUCKETS];
}

static struct folder *find_locked(struct local *l, const char *path, size_t n)
{
	uint32_t hash = hash_of(path, n);
	struct folder *f = *bucket(l, hash);

	while (f && (f->hash != hash || f->n != n || memcmp(f->path, path, n) != 0))
		f = f->next;
	return f;
}

static void order_remove_locked(struct local *l, struct folder *f)
{
	*(f->newer ? &f->newer->older : &l->folders.newest) = f->older;
	*(f->older ? &f->older->newer : &l->folders.oldest) = f->newer;
	f->newer = f->older = NULL;
}

static void order_add_locked(struct local *l, struct folder *f)
{
	f->older = l->folders.newest;
	*(f->older ? &f->older->newer : &l->folders.oldest) = f;
	l->folders.newest = f;
}

/* Out of the cache; freed now or by its last user. */
static void drop_locked(struct local *l, struct folder *f)
{
	struct folder **at = bucket(l, f->hash);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	order_remove_locked(l, f);
	f->cached = false;
	l->folders.n--;
	if (f->refs == 0)
		folder_free(f);
}

static void trim_locked(struct local *l)
{
	struct folder *f = l->folders.oldest;

	while (f && l->folders.n > FOLDERS_CACHED) {
		struct folder *newer = f->newer;

		if (f->refs == 0)
			drop_locked(l, f);
		f = newer;
	}
}

static void insert_locked(struct local *l, struct folder *f)
{
	struct folder **at = bucket(l, f->hash);

	f->next = *at;
	*at = f;
	f->cached = true;
	order_add_locked(l, f);
	l->folders.n++;
	trim_locked(l);
}

static struct folder *lookup(struct local *l, const char *path, size_t n, bool durable)
{
	struct folder *f;

	pthread_mutex_lock(&l->folders.lock);
	f = find_locked(l, path, n);
	if (f && durable && !f->durable)
		f = NULL;
	if (f) {
		f->refs++;
		if (f != l->folders.newest) {
			order_remove_locked(l, f);
			order_add_locked(l, f);
		}
	}
	pthread_mutex_unlock(&l->folders.lock);
	return f;
}

/* The cached folder of that path, which is `fd`'s unless another was quicker. */
static struct folder *adopt(struct local *l, const char *path, size_t n, int fd, bool durable)
{
	struct folder *f;

	pthread_mutex_lock(&l->folders.lock);
	f = find_locked(l, path, n);
	if (f) {
		close(fd);
		f->refs++;
	} else {
		f = folder_new(path, n, fd);
		insert_locked(l, f);
	}
	f->durable |= durable;
	pthread_mutex_unlock(&l->folders.lock);
	return f;
}

void folder_put(struct local *l, struct folder *f)
{
	pthread_mutex_lock(&l->folders.lock);
	assert(f->refs > 0);
	if (--f->refs == 0 && !f->cached)
		folder_free(f);
	pthread_mutex_unlock(&l->folders.lock);
}

void folder_forget(struct local *l, const char *path, size_t n)
{
	struct folder *f;

	pthread_mutex_lock(&l->folders.lock);
	f = find_locked(l, path, n);
	if (f && n > 0)
		drop_locked(l, f);
	pthread_mutex_unlock(&l->folders.lock);
}

void folder_put_gone(struct local *l, struct folder *f)
{
	pthread_mutex_lock(&l->folders.lock);
	if (f->cached && f->n > 0)
		drop_locked(l, f);
	pthread_mutex_unlock(&l->folders.lock);
	folder_put(l, f);
}

bool folder_in_use(struct local *l, const char *path, size_t n)
{
	struct folder *f;
	bool used;

	pthread_mutex_lock(&l->folders.lock);
	f = find_locked(l, path, n);
	used = f && f->refs > 0;
	pthread_mutex_unlock(&l->folders.lock);
	return used;
}

static rc look(struct local *l, const char *path, size_t n, struct folder **ret,
	       struct err *reterr)
{
	char name[PATH_MAX];
	int fd;

	memcpy(name, path, n);
	name[n] = 0;
	fd = local_open_beneath(l->root_fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return local_read_error(-fd, name, reterr);
	*ret = adopt(l, path, n, fd, false);
	return RC_OK;
}

/* Opens or makes `name` in `parent`; NOT_FOUND when the parent itself was removed. */
static rc open_or_make(struct local *l, struct folder *parent, const char *name, int *ret_fd,
		       struct err *reterr)
{
	int fd;

	for (int tries = 0;; tries++) {
		fd = local_open_beneath(parent->fd, name, O_RDONLY | O_DIRECTORY, 0);
		if (fd != -ENOENT || tries == 4)
			break;
		if (mkdirat(parent->fd, name, 0755) != 0 && errno != EEXIST) {
			fd = -errno;
			break;
		}
		local_step("mkdir");
	}
	if (fd == -ENOENT)
		return err_set(reterr, ERR_NOT_FOUND, "folder \"%s\" was removed", parent->path);
	if (fd < 0)
		return local_write_error(l, -fd, "making the folder", name, reterr);
	*ret_fd = fd;
	return RC_OK;
}

static rc make(struct local *l, const char *path, size_t n, struct folder **ret,
	       struct err *reterr)
{
	struct folder *parent;
	char name[NAME_MAX + 1];
	size_t at = n;
	int fd = -1;
	rc r;

	while (at > 0 && path[at - 1] != '/')
		at--;
	memcpy(name, path + at, n - at);
	name[n - at] = 0;
	at = at ? at - 1 : 0;
	TRY(folder_get(l, path, at, FOLDER_MAKE, &parent, reterr));
	r = open_or_make(l, parent, name, &fd, reterr);
	if (rc_ok(r)) {
		r = folder_sync(l, parent, reterr);
		if (!rc_ok(r))
			close(fd);
	}
	if (rc_is(r, NOT_FOUND))
		folder_put_gone(l, parent);
	else
		folder_put(l, parent);
	if (rc_ok(r))
		*ret = adopt(l, path, n, fd, true);
	return r;
}

rc folder_get(struct local *l, const char *path, size_t n, enum folder_want want,
	      struct folder **ret, struct err *reterr)
{
	rc r;

	assert(n < PATH_MAX);
	for (int tries = 0; tries < FOLDER_TRIES; tries++) {
		*ret = lookup(l, path, n, want == FOLDER_MAKE);
		if (*ret)
			return RC_OK;
		if (want == FOLDER_LOOK)
			return look(l, path, n, ret, reterr);
		r = make(l, path, n, ret, reterr);
		if (!rc_is(r, NOT_FOUND))
			return r;
	}
	return err_set(reterr, ERR_IO, "the folder \"%.*s\" is removed again and again", (int)n,
		       path);
}

struct folder_job {
	struct local *l;
	struct folder *f;
};

static void sync_now(void *ud)
{
	struct folder_job *job = ud;

	metric_add(job->l->folder_syncs, 1);
	if (fsync(job->f->fd) != 0)
		atomic_store(&job->l->broken, true);
}

rc folder_sync(struct local *l, struct folder *f, struct err *reterr)
{
	struct folder_job job = {l, f};

	if (!l->sync)
		return RC_OK;
	shared_sync_run(&f->sync, sync_now, &job);
	if (atomic_load(&l->broken))
		return err_set(reterr, ERR_UNKNOWN_OUTCOME,
			       "syncing the folder \"%s\" of the store at " STR_FMT
			       " failed: check the disk, then restart the server",
			       f->path, STR_ARG(l->root));
	return RC_OK;
}

/* The root is always there, under the empty path. */
void folders_init(struct local *l)
{
	pthread_mutex_init(&l->folders.lock, NULL);
	adopt(l, "", 0, dup(l->root_fd), true);
}

void folders_deinit(struct local *l)
{
	struct folder *f = l->folders.newest;

	while (f) {
		struct folder *older = f->older;

		assert(f->refs == (f->n == 0));
		folder_free(f);
		f = older;
	}
	pthread_mutex_destroy(&l->folders.lock);
}
