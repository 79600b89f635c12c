/* fs upload. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "cli/ctl/files.h"
#include "cli/ctl/upload.h"

enum { DEPTH_MAX = 128 };

/* One body. */

static struct fault own(struct arena *a, const char *what, struct str name)
{
	return (struct fault){FAULT_OWN, 0, arena_printf(a, STR_FMT ": %s", STR_ARG(name), what)};
}

ssize_t source_more(void *ud, char *dst, size_t n, struct fault *ret_fault)
{
	struct source *s = ud;
	ssize_t got;

	if (s->left >= 0 && (int64_t)n > s->left)
		n = (size_t)s->left;
	if (!n)
		return 0;
	do
		got = s->at < 0 ? read(s->fd, dst, n) : pread(s->fd, dst, n, s->at);
	while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && s->left > 0)) {
		*ret_fault = own(s->a, got < 0 ? strerror(errno) : "it became shorter while it was read", STR("read"));
		return -1;
	}
	digest_set_update(s->digests, dst, (size_t)got);
	s->sent += got;
	if (s->at >= 0)
		s->at += got;
	if (s->left > 0)
		s->left -= got;
	progress_bytes(s->progress, got);
	return got;
}

void source_rewind(struct source *s, int64_t offset, int64_t length)
{
	s->sent = 0;
	s->at = offset;
	s->left = length;
	s->digests = digest_set_new(s->a, 1u << DIGEST_MD5);
}

/* The server says what it has stored. */
static bool is_what_was_sent(struct source *s, const struct answer *w, struct fault *ret_fault)
{
	struct str md5 = hex_encode(s->a, digest_set_value(s->digests, DIGEST_MD5)),
		   theirs = member_str(w->doc, "checksum");

	if (json_int(json_member(w->doc, "size_bytes")) == s->sent && (theirs.n != md5.n || str_eq(theirs, md5)))
		return true;
	*ret_fault = (struct fault){FAULT_OWN, 0,
				    arena_printf(s->a,
						 "the server stored something else: %lld bytes of checksum " STR_FMT
						 ", sent were %lld of " STR_FMT ": upload it again",
						 (long long)json_int(json_member(w->doc, "size_bytes")),
						 STR_ARG(theirs), (long long)s->sent, STR_ARG(md5))};
	return false;
}

/* Repeated where the server was busy, and the source can be read again. */
static bool send_source(struct ctl *c, struct source *s, const struct uri *u, struct str key, int64_t length,
			struct answer *ret, struct fault *ret_fault)
{
	struct str kind = args_text(c->args, "content-type");
	struct upload up = {
		.path = path_query(s->a, PATH(s->a, "/repositories/{}/branches/{}/objects", u->repo, u->ref), "path",
				   key),
		.content_type = kind.n ? kind : STR("application/octet-stream"),
		.length = length,
		.more = source_more,
		.ud = s,
	};
	unsigned attempt = 0;
	bool again;

	for (;;) {
		s->sent = 0;
		s->left = length;
		s->digests = digest_set_new(s->a, 1u << DIGEST_MD5);
		if (client_upload(c->client, s->a, &up, ret, &again, ret_fault))
			return is_what_was_sent(s, ret, ret_fault);
		progress_bytes(s->progress, -s->sent);
		if (!again || (length < 0 && s->sent) || (length > 0 && lseek(s->fd, 0, SEEK_SET) != 0) ||
		    !client_wait(c->client, &attempt))
			return false;
	}
}

static bool send_file(struct ctl *c, struct arena *a, const struct presigned *how, struct progress *p,
		      const struct uri *u, struct str local, struct str key, struct answer *ret,
		      struct fault *ret_fault)
{
	struct source s = {.a = a, .at = -1, .progress = p};
	struct stat st;
	bool good = false;

	s.fd = open(arena_cstr(a, local), O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (s.fd < 0) {
		*ret_fault = own(a, errno == ENOENT ? "no such file or directory" : strerror(errno),
				 arena_printf(a, "open " STR_FMT, STR_ARG(local)));
		return false;
	}
	if (fstat(s.fd, &st) != 0 || S_ISDIR(st.st_mode))
		*ret_fault =
			own(a, "is a directory: use --recursive", arena_printf(a, "read " STR_FMT, STR_ARG(local)));
	else if (how->on && S_ISREG(st.st_mode))
		good = send_presigned(c, how, &s, u, key, st.st_size, ret, ret_fault);
	else
		good = send_source(c, &s, u, key, S_ISREG(st.st_mode) ? st.st_size : -1, ret, ret_fault);
	close(s.fd);
	return good;
}

/* A tree. */

static void run_job(void *ud, void *item)
{
	struct transfer *t = ud;
	struct job *j = item;
	struct arena *a = arena_new();
	struct str shown = str_skip(j->local, t->root.n);
	struct fault f = {0};
	struct answer w;

	if (send_file(t->c, a, &t->presigned, t->progress, &t->u, j->local, j->key, &w, &f))
		transfer_done(t, "upload", shown);
	else
		transfer_failed(t, "upload", shown, &f);
	arena_free(a);
	free(j);
}

static bool walk(struct transfer *t, struct str folder, struct str prefix, unsigned depth);

static bool visit(struct transfer *t, struct arena *a, int fd, struct str folder, struct str prefix, const char *name,
		  unsigned depth)
{
	struct str local = files_join(a, folder, str_c(name)),
		   key = arena_join(a, (const struct str[]){prefix, str_c(name)}, 2);
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return ctl_fail(t->c, STR_FMT ": %s", STR_ARG(local), strerror(errno));
	if (S_ISDIR(st.st_mode))
		return walk(t, local, arena_join(a, (const struct str[]){key, STR("/")}, 2), depth + 1);
	if (S_ISREG(st.st_mode))
		transfer_add(t, job_new(local, key, STR_NONE, st.st_size));
	else
		fprintf(stderr, "skipped " STR_FMT ": no regular file\n", STR_ARG(local));
	return true;
}

static bool walk(struct transfer *t, struct str folder, struct str prefix, unsigned depth)
{
	struct arena *a = arena_new();
	DIR *d = opendir(arena_cstr(a, folder));
	struct dirent *e;
	bool good = true;

	if (!d || depth > DEPTH_MAX)
		good = ctl_fail(t->c, "open " STR_FMT ": %s", STR_ARG(folder),
				d ? "folders are nested too deeply" : strerror(errno));
	while (good && d && !client_stopped(t->c->client) && (e = readdir(d))) {
		struct arena_mark mark = arena_mark(a);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			good = visit(t, a, dirfd(d), folder, prefix, e->d_name, depth);
		arena_rewind(a, mark);
	}
	if (d)
		closedir(d);
	arena_free(a);
	return good;
}

static bool upload_tree(struct ctl *c, struct uri *u, struct presigned presigned, struct str source)
{
	struct transfer t = {.c = c, .u = *u, .presigned = presigned, .root = files_join(c->a, source, STR(""))};
	struct str prefix = u->path.n ? files_join(c->a, u->path, STR("")) : u->path;
	struct stat st;

	if (stat(arena_cstr(c->a, source), &st) != 0)
		return ctl_fail(c, "stat " STR_FMT ": %s", STR_ARG(source),
				errno == ENOENT ? "no such file or directory" : strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return ctl_fail(c, STR_FMT " is no directory: leave --recursive out", STR_ARG(source));
	out_line(c, "\ndiff 'local://" STR_FMT "' <--> '" STR_FMT "'...", STR_ARG(t.root), STR_ARG(u->text));
	transfer_begin(&t, "upload", run_job);
	return transfer_end(&t, "Upload", walk(&t, source, prefix, 0));
}

/* One file. */

static bool upload_one(struct ctl *c, struct uri *u, struct presigned presigned, struct str source)
{
	struct progress *p = progress_new("upload", args_bool(c->args, "no-progress") || str_eq(source, STR("-")));
	struct source in = {.a = c->a, .fd = STDIN_FILENO, .at = -1, .progress = p};
	struct answer w;
	struct stat st;
	bool good;

	if (stat(arena_cstr(c->a, source), &st) == 0)
		progress_expect(p, 1, (uint64_t)st.st_size);
	good = str_eq(source, STR("-")) ? send_source(c, &in, u, u->path, -1, &w, &c->fault)
					: send_file(c, c->a, &presigned, p, u, source, u->path, &w, &c->fault);
	if (good)
		progress_file(p);
	progress_end(p);
	if (good)
		show_stats(c, &w);
	return good;
}

bool cmd_fs_upload(struct ctl *c)
{
	struct str source = args_text(c->args, "source");
	struct presigned presigned;
	struct uri u;

	if (!ctl_uri(c, URI_PATH, 0, &u) || !presigned_mode(c, u.repo, &presigned))
		return false;
	return args_bool(c->args, "recursive") ? upload_tree(c, &u, presigned, source)
					       : upload_one(c, &u, presigned, source);
}
