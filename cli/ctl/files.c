#include "cli/ctl/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/rand.h"

bool files_key_is_safe(struct str key)
{
	struct str rest = key;

	if (!key.n || str_index(key, '\0') < key.n)
		return false;
	while (rest.p) {
		struct str part = str_cut(rest, '/', &rest);
		bool last = !rest.p;

		if (str_eq(part, STR(".")) || str_eq(part, STR("..")) || (!part.n && (!last || part.p == key.p)))
			return false;
	}
	return true;
}

struct str files_join(struct arena *a, struct str folder, struct str key)
{
	bool slash = folder.n && folder.p[folder.n - 1] != '/';

	return arena_join(a, (const struct str[]){folder, slash ? STR("/") : STR(""), key}, 3);
}

bool files_make_folders(struct arena *a, struct str path)
{
	char *p = arena_cstr(a, path);
	struct stat st;

	for (size_t i = 1; i < path.n; i++) {
		if (p[i] != '/' || p[i - 1] == '/')
			continue;
		p[i] = '\0';
		if (mkdir(p, 0777) != 0 && (errno != EEXIST || stat(p, &st) != 0))
			return false;
		p[i] = '/';
	}
	return true;
}

struct str files_absolute(struct arena *a, struct str path)
{
	char cwd[4096];

	if ((path.n && path.p[0] == '/') || !getcwd(cwd, sizeof(cwd)))
		return path;
	while (str_starts(path, STR("./")))
		path = str_skip(path, 2);
	return files_join(a, str_c(cwd), path);
}

bool files_begin(struct arena *a, struct str path, struct new_file *ret)
{
	size_t folder = path.n;
	uint8_t id[8];

	while (folder && path.p[folder - 1] != '/')
		folder--;
	rand_bytes(id, sizeof(id));
	ret->path = str_c(arena_cstr(a, path));
	ret->temp = arena_printf(a, STR_FMT ".sluicectl-" STR_FMT, STR_ARG(str_head(path, folder)),
				 STR_ARG(hex_encode(a, str_make(id, sizeof(id)))));
	ret->fd = open(ret->temp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	return ret->fd >= 0;
}

void files_abandon(struct new_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	unlink(f->temp.p);
}

bool files_write(struct arena *a, struct str path, struct str text, unsigned mode, struct new_file *ret)
{
	int error;

	ret->path = str_c(arena_cstr(a, path));
	ret->temp = arena_printf(a, STR_FMT ".new", STR_ARG(path));
	ret->fd = open(ret->temp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (ret->fd >= 0 && write(ret->fd, text.p, text.n) == (ssize_t)text.n && fsync(ret->fd) == 0)
		return true;
	error = errno;
	files_abandon(ret);
	errno = error;
	return false;
}

bool files_commit(struct new_file *f)
{
	bool good = close(f->fd) == 0 && rename(f->temp.p, f->path.p) == 0;
	int error = errno;

	if (!good)
		unlink(f->temp.p);
	errno = error;
	return good;
}
