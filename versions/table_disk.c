/* <dir>/<store>/<namespace>/<table>: immutable files, renamed in from <dir>/tmp. What is unlinked while somebody
 * reads it stays readable to him. */
#include "versions/table_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/lru.h"
#include "base/rand.h"

struct file {
	struct lru_node node; /* key: the name, in `text` */
	char text[];
};

struct table_disk {
	int dir;
	uint64_t max_bytes;
	pthread_mutex_t lock;
	struct lru files;
};

static struct file *file_new(struct str name, uint64_t size)
{
	struct file *f = calloc(1, sizeof(*f) + name.n + 1);

	if (!f)
		abort();
	memcpy(f->text, name.p, name.n);
	f->node.key = str_make(f->text, name.n);
	f->node.weight = size;
	return f;
}

/* With the lock. */
static void forget(struct table_disk *d, struct lru_node *n)
{
	lru_remove(&d->files, n);
	free((struct file *)n);
}

static void evict(struct table_disk *d)
{
	struct lru_node *n;

	while (d->files.weight > d->max_bytes && (n = lru_oldest(&d->files))) {
		unlinkat(d->dir, ((struct file *)n)->text, 0);
		forget(d, n);
	}
}

static void take(struct table_disk *d, struct str name, uint64_t size)
{
	struct lru_node *n = lru_get(&d->files, name);

	if (n)
		forget(d, n);
	lru_add(&d->files, &file_new(name, size)->node);
	evict(d);
}

static bool is_hex(const char *s)
{
	return s[0] && strspn(s, "0123456789abcdef") == strlen(s);
}

/* What lies in a folder of tables. */
static void take_folder(struct table_disk *d, const char *store, const char *space)
{
	char name[512];
	int fd;
	DIR *dir;
	struct dirent *e;
	struct stat st;

	snprintf(name, sizeof(name), "%s/%s", store, space);
	fd = openat(d->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (e = readdir(dir))) {
		if (!is_hex(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			continue;
		snprintf(name, sizeof(name), "%s/%s/%s", store, space, e->d_name);
		take(d, str_c(name), (uint64_t)st.st_size);
	}
	if (dir)
		closedir(dir);
}

static void each_name(int at, const char *name, void (*fn)(struct table_disk *, const char *, const char *),
		      struct table_disk *d)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			fn(d, name, e->d_name);
	if (dir)
		closedir(dir);
}

static void take_store(struct table_disk *d, const char *dot, const char *store)
{
	(void)dot;
	if (is_hex(store) || !strcmp(store, "-"))
		each_name(d->dir, store, take_folder, d);
}

/* Nobody else's: two processes don't share a cache (their accounts would differ). A temporary of a
 * process that died is of no use. */
static void drop_temporary(struct table_disk *d, const char *tmp, const char *file)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/%s", tmp, file);
	unlinkat(d->dir, name, 0);
}

static rc make_folder(const char *path, struct err *reterr)
{
	char *p = strdup(path), *slash;

	if (!p)
		abort();
	for (slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(p, 0777);
		*slash = '/';
	}
	free(p);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(reterr, ERR_IO, "%s: the folder can't be made: %s", path, strerror(errno));
	return RC_OK;
}

rc table_disk_new(struct str dir, uint64_t max_bytes, struct table_disk **ret, struct err *reterr)
{
	struct table_disk *d;
	char *path = strndup(dir.p, dir.n);
	int fd = -1;
	rc made;

	if (!path)
		abort();
	made = make_folder(path, reterr);
	if (rc_ok(made)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || (mkdirat(fd, "tmp", 0700) && errno != EEXIST))
			made = err_set(reterr, ERR_IO, "%s: the folder can't be used: %s", path,
				       strerror(errno));
	}
	free(path);
	if (!rc_ok(made)) {
		if (fd >= 0)
			close(fd);
		return made;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->dir = fd;
	d->max_bytes = max_bytes;
	pthread_mutex_init(&d->lock, NULL);
	lru_init(&d->files);
	each_name(d->dir, "tmp", drop_temporary, d);
	each_name(d->dir, ".", take_store, d);
	*ret = d;
	return RC_OK;
}

void table_disk_free(struct table_disk *d)
{
	struct lru_node *n;

	if (!d)
		return;
	while ((n = lru_oldest(&d->files)))
		forget(d, n);
	lru_deinit(&d->files);
	pthread_mutex_destroy(&d->lock);
	close(d->dir);
	free(d);
}

int table_disk_open(struct table_disk *d, struct str name)
{
	struct lru_node *n;
	int fd = -1;

	pthread_mutex_lock(&d->lock);
	n = lru_get(&d->files, name);
	if (n) {
		fd = openat(d->dir, ((struct file *)n)->text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			forget(d, n);
	}
	pthread_mutex_unlock(&d->lock);
	return fd;
}

void table_disk_drop(struct table_disk *d, struct str name)
{
	struct lru_node *n;

	pthread_mutex_lock(&d->lock);
	n = lru_get(&d->files, name);
	if (n) {
		unlinkat(d->dir, ((struct file *)n)->text, 0);
		forget(d, n);
	}
	pthread_mutex_unlock(&d->lock);
}

rc table_spool_open(struct table_disk *d, struct table_spool *ret, struct err *reterr)
{
	char id[XID_CHARS + 1];

	*ret = (struct table_spool){.fd = -1};
	if (d) {
		xid_now(id);
		snprintf(ret->name, sizeof(ret->name), "tmp/%s", id);
		ret->fd = openat(d->dir, ret->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (ret->fd >= 0)
		return RC_OK;
	ret->name[0] = 0;
	ret->fd = memfd_create("sluice-table", MFD_CLOEXEC);
	if (ret->fd < 0)
		return err_set(reterr, ERR_IO, "no file to write a table to: %s", strerror(errno));
	return RC_OK;
}

/* <dir>/<store>/<namespace> of a name. */
static void make_parents(struct table_disk *d, struct str name)
{
	char path[512];

	for (size_t i = 0; i < name.n && i < sizeof(path); i++) {
		if (name.p[i] == '/') {
			memcpy(path, name.p, i);
			path[i] = 0;
			mkdirat(d->dir, path, 0700);
		}
	}
}

void table_spool_keep(struct table_disk *d, struct table_spool *s, struct str name, uint64_t size)
{
	char path[512];

	if (!d || !s->name[0] || size > d->max_bytes || name.n >= sizeof(path))
		return;
	memcpy(path, name.p, name.n);
	path[name.n] = 0;
	if (renameat(d->dir, s->name, d->dir, path)) {
		make_parents(d, name);
		if (renameat(d->dir, s->name, d->dir, path)) {
			log_event(LOG_WARN, "tables", "a table can't be kept in the cache",
				  F_STR("error", str_c(strerror(errno))));
			return;
		}
	}
	s->name[0] = 0;
	pthread_mutex_lock(&d->lock);
	take(d, name, size);
	pthread_mutex_unlock(&d->lock);
}

void table_spool_close(struct table_disk *d, struct table_spool *s)
{
	if (s->name[0])
		unlinkat(d->dir, s->name, 0);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct table_spool){.fd = -1};
}
