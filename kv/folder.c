#include "kv/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct kv_folder {
	struct kv_folder *next;
	dev_t dev;
	ino_t ino;
	char path[];
};

/* POSIX locks don't hold against one's own process, and vanish when it closes any descriptor of the
 * file: so the claims of this process are a list, and it is asked before the lock is looked at. */
static struct {
	pthread_mutex_t lock;
	struct kv_folder *claimed;
} claims = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static rc sync_folder(const char *path, struct err *reterr)
{
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return err_errno(reterr, ERR_CONFIG, errno, "database.local.path: syncing %s",
				 path);
	return RC_OK;
}

/* path[0..n) as a folder, and its name durable in the folder above, which `parent` names. */
static rc make_one(char *path, size_t n, const char *parent, struct err *reterr)
{
	char saved = path[n];
	int made;

	path[n] = 0;
	made = mkdir(path, 0700);
	if (made != 0 && errno != EEXIST)
		return err_errno(reterr, ERR_CONFIG, errno,
				 "database.local.path: making the folder %s (make it yourself, or "
				 "give sluice the right to)",
				 path);
	path[n] = saved;
	return made == 0 ? sync_folder(parent, reterr) : RC_OK;
}

static rc make_all(char *path, struct err *reterr)
{
	size_t n = strlen(path);
	char *parent = strdup(path[0] == '/' ? "/" : ".");
	rc r = RC_OK;

	if (!parent)
		abort();
	for (size_t i = 1; rc_ok(r) && i <= n; i++) {
		if ((path[i] != '/' && path[i] != 0) || path[i - 1] == '/')
			continue;
		r = make_one(path, i, parent, reterr);
		free(parent);
		parent = strndup(path, i);
		if (!parent)
			abort();
	}
	free(parent);
	return r;
}

static rc not_a_folder(const char *path, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG,
		       "database.local.path: %s is not a folder; name one that is empty or missing",
		       path);
}

static rc no_kv(const char *path, struct err *reterr)
{
	return err_set(reterr, ERR_NOT_FOUND,
		       "database.local.path: there is no KV in %s; name the folder of one", path);
}

static rc make_or_find(char *path, bool existing, struct stat *ret, struct err *reterr)
{
	if (stat(path, ret) != 0) {
		if (errno == ENOTDIR)
			return not_a_folder(path, reterr);
		if (errno != ENOENT)
			return err_errno(reterr, ERR_CONFIG, errno, "database.local.path: %s", path);
		if (existing)
			return no_kv(path, reterr);
		TRY(make_all(path, reterr));
		if (stat(path, ret) != 0)
			return err_errno(reterr, ERR_CONFIG, errno, "database.local.path: %s", path);
	}
	if (!S_ISDIR(ret->st_mode))
		return not_a_folder(path, reterr);
	if (access(path, R_OK | W_OK | X_OK) != 0)
		return err_errno(reterr, ERR_CONFIG, errno,
				 "database.local.path: sluice needs to read and write the folder %s "
				 "(check its owner and mode)",
				 path);
	return RC_OK;
}

struct contents {
	bool current, badger, data, foreign;
	char foreign_name[256];
};

static bool ends(const char *name, const char *with)
{
	return str_ends(str_c(name), str_c(with));
}

static bool is_badgers(const char *name)
{
	return strcmp(name, "MANIFEST") == 0 || strcmp(name, "KEYREGISTRY") == 0 ||
	       strcmp(name, "DISCARD") == 0 || ends(name, ".vlog") || ends(name, ".mem");
}

/* What RocksDB leaves when it is stopped while it makes its first files. */
static bool is_rocksdbs(const char *name)
{
	static const char *const begins[] = {"MANIFEST-", "OPTIONS-", "LOG", "LOCK", "IDENTITY"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return true;
	return ends(name, ".dbtmp");
}

static void classify(const char *name, struct contents *c)
{
	if (name[0] == '.' || strcmp(name, "lost+found") == 0)
		return;
	if (strcmp(name, "CURRENT") == 0) {
		c->current = true;
	} else if (is_badgers(name)) {
		c->badger = true;
	} else if (ends(name, ".sst") || ends(name, ".log") || ends(name, ".blob")) {
		c->data = true;
	} else if (!is_rocksdbs(name)) {
		c->foreign = true;
		snprintf(c->foreign_name, sizeof(c->foreign_name), "%s", name);
	}
}

static rc list(const char *path, struct contents *ret, struct err *reterr)
{
	CLEANUP(close_dir) DIR *d = opendir(path);
	struct dirent *e;

	*ret = (struct contents){0};
	if (!d)
		return err_errno(reterr, ERR_CONFIG, errno, "database.local.path: reading %s",
				 path);
	errno = 0;
	while ((e = readdir(d)))
		classify(e->d_name, ret);
	if (errno)
		return err_errno(reterr, ERR_CONFIG, errno, "database.local.path: reading %s",
				 path);
	return RC_OK;
}

static rc check_contents(const char *path, bool existing, struct err *reterr)
{
	struct contents c;

	TRY(list(path, &c, reterr));
	if (c.current)
		return RC_OK;
	if (c.badger)
		return err_set(reterr, ERR_CONFIG,
			       "database.local.path: %s holds a lakeFS KV (Badger), which sluice "
			       "doesn't open. Start lakeFS on it and dump each repository's refs "
			       "(lakectl refs-dump), then give sluice an empty folder and restore "
			       "them there (lakectl refs-restore)",
			       path);
	if (c.data)
		return err_set(reterr, ERR_CONFIG,
			       "database.local.path: %s holds a KV's tables or logs but no CURRENT "
			       "file: it is damaged. Restore the whole folder from a backup, or name "
			       "an empty one",
			       path);
	if (c.foreign)
		return err_set(reterr, ERR_CONFIG,
			       "database.local.path: %s holds other files (%.100s); name a folder "
			       "that is empty or missing",
			       path, c.foreign_name);
	return existing ? no_kv(path, reterr) : RC_OK;
}

/* The lock that RocksDB holds while it has the folder open. */
static rc check_lock(const char *path, struct err *reterr)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	CLEANUP(close_fd) int fd = -1;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		fd = openat(dir, "LOCK", O_RDWR | O_CLOEXEC);
		close(dir);
	}
	if (fd < 0)
		return RC_OK; /* none was made yet, or opening the KV tells why not */
	if (fcntl(fd, F_GETLK, &l) != 0 || l.l_type == F_UNLCK)
		return RC_OK;
	return err_set(reterr, ERR_CONFIG,
		       "database.local.path: %s is in use by process %ld (another sluice?). Stop it, "
		       "or go through the running server; one folder serves one process",
		       path, (long)l.l_pid);
}

static rc claim_locked(struct kv_folder *f, struct err *reterr)
{
	for (const struct kv_folder *c = claims.claimed; c; c = c->next)
		if (c->dev == f->dev && c->ino == f->ino)
			return err_set(reterr, ERR_CONFIG,
				       "database.local.path: %s is open in this process already",
				       f->path);
	TRY(check_lock(f->path, reterr));
	f->next = claims.claimed;
	claims.claimed = f;
	return RC_OK;
}

static rc look_and_claim(struct kv_folder *f, bool existing, struct err *reterr)
{
	struct stat st;
	rc r;

	TRY(make_or_find(f->path, existing, &st, reterr));
	TRY(check_contents(f->path, existing, reterr));
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	pthread_mutex_lock(&claims.lock);
	r = claim_locked(f, reterr);
	pthread_mutex_unlock(&claims.lock);
	return r;
}

rc kv_folder_claim(struct str path, bool existing, struct kv_folder **ret, struct err *reterr)
{
	struct kv_folder *f;
	rc r;

	if (path.n == 0 || memchr(path.p, 0, path.n))
		return err_set(reterr, ERR_CONFIG, "database.local.path: name a folder");
	f = calloc(1, sizeof(*f) + path.n + 1);
	if (!f)
		abort();
	memcpy(f->path, path.p, path.n);
	r = look_and_claim(f, existing, reterr);
	if (rc_ok(r))
		*ret = f;
	else
		free(f);
	return r;
}

void kv_folder_release(struct kv_folder *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&claims.lock);
	for (struct kv_folder **at = &claims.claimed; *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	pthread_mutex_unlock(&claims.lock);
	free(f);
}

const char *kv_folder_path(const struct kv_folder *f)
{
	return f->path;
}
