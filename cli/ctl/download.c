/* fs download. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/encode.h"
#include "cli/ctl/files.h"
#include "cli/ctl/transfer.h"

enum { PIECE = 256 * 1024, PART_MIN = 65536, MD5_HEX = 32 };

static bool own(struct arena *a, struct fault *ret, struct str path, const char *why)
{
	*ret = (struct fault){FAULT_OWN, 0, arena_printf(a, STR_FMT ": %s", STR_ARG(path), why)};
	return false;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return false;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

/* The body into the file; *ret_n bytes came, of this MD5. */
static bool pull(struct ctl *c, struct arena *a, struct client_stream *s, struct new_file *f, struct progress *p,
		 int64_t *ret_n, struct str *ret_md5, struct fault *ret_fault)
{
	struct digest_set *d = digest_set_new(a, 1u << DIGEST_MD5);
	char *piece = malloc(PIECE);
	struct err e = {0};
	size_t n = 0;
	bool good;

	if (!piece)
		abort();
	*ret_n = 0;
	while ((good = rc_ok(http_read(s->x, piece, PIECE, &n, &e))) && n) {
		digest_set_update(d, piece, n);
		*ret_n += (int64_t)n;
		progress_bytes(p, (int64_t)n);
		if (!write_all(f->fd, piece, n)) {
			free(piece);
			return own(a, ret_fault, f->path, strerror(errno));
		}
	}
	free(piece);
	*ret_md5 = hex_encode(a, digest_set_value(d, DIGEST_MD5));
	if (!good)
		client_fault(c->client, a, &e, ret_fault);
	return good;
}

/* Checksums that are no MD5 (of objects uploaded in parts, or staged) can't be compared. */
static bool is_whole(struct ctl *c, struct arena *a, struct str checksum, int64_t size, int64_t got, struct str md5,
		     struct fault *ret)
{
	struct str bytes;

	if (size >= 0 && got != size)
		*ret = (struct fault){FAULT_OWN, 0,
				      arena_printf(a, "%lld bytes came of %lld", (long long)got, (long long)size)};
	else if (checksum.n == MD5_HEX && hex_decode(a, checksum, &bytes) && !args_bool(c->args, "no-verify") &&
		 !str_eq_nocase(checksum, md5))
		*ret = (struct fault){FAULT_OWN, 0,
				      arena_printf(a,
						   "what came has the checksum " STR_FMT ", the object has " STR_FMT
						   " (--no-verify, should its store's checksums be no MD5)",
						   STR_ARG(md5), STR_ARG(checksum))};
	else
		return true;
	return false;
}

static bool into_file(struct ctl *c, struct arena *a, struct client_stream *s, const struct job *j, struct progress *p,
		      struct fault *ret_fault)
{
	struct new_file f;
	struct str md5;
	int64_t got;

	if (!files_make_folders(a, j->local) || !files_begin(a, j->local, &f))
		return own(a, ret_fault, j->local, strerror(errno));
	if (!pull(c, a, s, &f, p, &got, &md5, ret_fault) ||
	    !is_whole(c, a, j->checksum, j->size, got, md5, ret_fault)) {
		progress_bytes(p, -got);
		files_abandon(&f);
		return false;
	}
	return files_commit(&f) || own(a, ret_fault, j->local, strerror(errno));
}

/* Again where the exchange broke off. */
static bool fetch(struct ctl *c, struct arena *a, const struct uri *u, const struct job *j, bool presign,
		  struct progress *p, struct fault *ret_fault)
{
	struct str path = path_query(a, PATH(a, "/repositories/{}/refs/{}/objects", u->repo, u->ref), "path", j->key);
	struct client_stream s;
	unsigned attempt = 0;
	bool good;

	if (presign)
		path = path_query(a, path, "presign", STR("true"));
	do {
		*ret_fault = (struct fault){0};
		if (!client_open(c->client, a, path, &s, ret_fault))
			return false;
		good = into_file(c, a, &s, j, p, ret_fault);
		http_close(s.x);
	} while (!good && ret_fault->kind == FAULT_REACH && client_wait(c->client, &attempt));
	return good;
}

/* A tree. */

static void run_job(void *ud, void *item)
{
	struct transfer *t = ud;
	struct job *j = item;
	struct arena *a = arena_new();
	struct str shown = str_skip(j->key, t->u.path.n);
	struct fault f = {0};
	bool good;

	if (!files_key_is_safe(shown))
		good = own(
			a, &f, shown,
			"no file can have such a name below a folder: download it by itself, with a name of its own");
	else if (str_ends(j->key, STR("/")) && j->size <= 0)
		good = files_make_folders(a, j->local) || own(a, &f, j->local, strerror(errno));
	else if (str_ends(j->key, STR("/")))
		good = own(a, &f, shown, "it is named like a folder, and isn't empty: download it by itself");
	else
		good = fetch(t->c, a, &t->u, j, t->presigned.on, t->progress, &f);
	if (good)
		transfer_done(t, "download", shown);
	else
		transfer_failed(t, "download", shown, &f);
	arena_free(a);
	free(j);
}

static bool add_object(struct ctl *c, struct arena *a, const struct json *o, void *ud)
{
	struct transfer *t = ud;
	struct str key = member_str(o, "path"), below = str_skip(key, t->u.path.n);

	/* The marker of the folder itself. */
	if (!below.n)
		return true;
	if (client_stopped(c->client))
		return ctl_fail(c, "stopped");
	transfer_add(t, job_new(files_join(a, t->root, below), key, member_str(o, "checksum"),
				json_int(json_member(o, "size_bytes"))));
	return true;
}

static bool download_tree(struct ctl *c, struct uri *u, struct presigned presigned)
{
	struct transfer t = {.c = c, .u = *u, .presigned = presigned, .root = c->args->words_n > 1 ? ctl_word(c, 1) : STR(".")};

	if (t.u.path.n)
		t.u.path = files_join(c->a, u->path, STR(""));
	transfer_begin(&t, "download", run_job);
	return transfer_end(
		&t, "Download",
		list_each(c,
			  path_query(c->a, PATH(c->a, "/repositories/{}/refs/{}/objects/ls", u->repo, u->ref), "prefix",
				     t.u.path),
			  add_object, &t));
}

/* One object. */

static struct str last_part(struct str path)
{
	for (size_t i = path.n; i-- > 0;)
		if (path.p[i] == '/')
			return str_skip(path, i + 1);
	return path;
}

/* Where it goes: the file that is named, or one of the object's name in the folder that is. */
static bool destination(struct ctl *c, const struct uri *u, struct str *ret)
{
	struct str to = ctl_word(c, 1), name = last_part(u->path);
	struct stat st;
	bool folder = !to.n || str_ends(to, STR("/")) || (stat(arena_cstr(c->a, to), &st) == 0 && S_ISDIR(st.st_mode));

	if (folder && !files_key_is_safe(name))
		return ctl_fail(
			c, "'" STR_FMT "' names no file: give --recursive for all below it, or say where it shall go",
			STR_ARG(u->path));
	*ret = files_absolute(c->a, folder ? files_join(c->a, to, name) : to);
	return true;
}

static bool download_one(struct ctl *c, struct uri *u, struct presigned presigned)
{
	struct progress *p;
	struct answer w;
	struct str to;
	struct job *j;
	bool good;

	if (!destination(c, u, &to) ||
	    !ctl_get(c, c->a,
		     path_query(c->a, PATH(c->a, "/repositories/{}/refs/{}/objects/stat", u->repo, u->ref), "path",
				u->path),
		     &w))
		return false;
	j = job_new(to, u->path, member_str(w.doc, "checksum"), json_int(json_member(w.doc, "size_bytes")));
	p = progress_new("download", args_bool(c->args, "no-progress"));
	progress_expect(p, 1, (uint64_t)j->size);
	good = fetch(c, c->a, u, j, presigned.on, p, &c->fault);
	if (good)
		progress_file(p);
	progress_end(p);
	free(j);
	if (good && c->json)
		out_document(w.body);
	else if (good)
		printf("download: " STR_FMT " to " STR_FMT "\n", STR_ARG(u->text), STR_ARG(to));
	return good;
}

bool cmd_fs_download(struct ctl *c)
{
	struct presigned presigned;
	struct uri u;

	if (args_number(c->args, "part-size") < PART_MIN)
		return ctl_fail(c, "part size must be at least %d bytes", PART_MIN);
	if (!ctl_uri(c, URI_PATH, 0, &u) || !presigned_mode(c, u.repo, &presigned))
		return false;
	return args_bool(c->args, "recursive") ? download_tree(c, &u, presigned) : download_one(c, &u, presigned);
}
