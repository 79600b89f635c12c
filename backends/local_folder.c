/* Open folders, kept (at most FOLDERS_CACHED that nobody uses) so that an ordinary put walks no path
 * and makes no folder, and their syncs.
 *
 * Durability of a folder itself: the first writer that uses it in this process syncs its parent, up
 * to the root, even when the folder was there: who made it may have died before its sync.
 *
 * Shared syncs: whoever finds no sync running starts one for all that are waiting; what arrives while
 * one runs waits for the next, since the running one may have begun before its change.
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
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed;
		bool running;
		uint64_t started, finished;
	} sync;
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

	if (!f)
		abort();
	memcpy(f->path, path, n);
	f->n = n;
	f->fd = fd;
	f->refs = 1;
	f->hash = hash_of(path, n);
	pthread_mutex_init(&f->sync.lock, NULL);
	pthread_cond_init(&f->sync.changed, NULL);
	return f;
}

static void folder_free(struct folder *f)
{
	close(f->fd);
	pthread_mutex_destroy(&f->sync.lock);
	pthread_cond_destroy(&f->sync.changed);
	free(f);
}

int folder_fd(const struct folder *f)
{
	return f->fd;
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

static bool sync_now(struct local *l, struct folder *f)
{
	metric_add(l->folder_syncs, 1);
	if (fsync(f->fd) == 0)
		return true;
	atomic_store(&l->broken, true);
	return false;
}

rc folder_sync(struct local *l, struct folder *f, struct err *reterr)
{
	uint64_t mine;

	if (!l->sync)
		return RC_OK;
	pthread_mutex_lock(&f->sync.lock);
	mine = f->sync.started + 1;
	while (f->sync.finished < mine) {
		if (f->sync.running) {
			pthread_cond_wait(&f->sync.changed, &f->sync.lock);
			continue;
		}
		f->sync.running = true;
		f->sync.started++;
		pthread_mutex_unlock(&f->sync.lock);
		sync_now(l, f);
		pthread_mutex_lock(&f->sync.lock);
		f->sync.running = false;
		f->sync.finished = f->sync.started;
		pthread_cond_broadcast(&f->sync.changed);
	}
	pthread_mutex_unlock(&f->sync.lock);
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
