/* fs: ls, stat, cat, presign, rm, stage, update-metadata. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/ctl/presign.h"

enum { DOC_MAX = 16 << 20, PIECE = 256 * 1024, BATCH = 1000 };

static struct str object_path(struct ctl *c, const struct uri *u, const char *what)
{
	struct str path = arena_printf(c->a, STR_FMT "%s",
				       STR_ARG(PATH(c->a, "/repositories/{}/refs/{}/objects", u->repo, u->ref)), what);

	return path_query(c->a, path, "path", u->path);
}

static bool path_word(struct ctl *c, struct uri *ret)
{
	return ctl_uri(c, URI_PATH, 0, ret);
}

/* ls. */

struct listing {
	struct uri u;
	size_t base; /* bytes of the path that aren't shown */
	bool any;
};

static void show_json_entry(struct arena *a, const struct json *o, struct listing *l)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out w = {&b, false};
	const struct json *metadata = json_member(o, "metadata");

	jw_object(&w, NULL);
	jw_str(&w, "path", member_str(o, "path"));
	jw_str(&w, "path_type", member_str(o, "path_type"));
	if (str_eq(member_str(o, "path_type"), STR("object"))) {
		jw_str(&w, "physical_address", member_str(o, "physical_address"));
		jw_str(&w, "checksum", member_str(o, "checksum"));
		jw_int(&w, "size_bytes", json_int(json_member(o, "size_bytes")));
		jw_int(&w, "mtime", json_int(json_member(o, "mtime")));
		jw_str(&w, "content_type", member_str(o, "content_type"));
		jw_object(&w, "metadata");
		for (size_t i = 0; i < json_count(metadata); i++) {
			struct str key;
			struct str value = json_str(json_member_at(metadata, i, &key));

			jw_str_of(&w, key, value);
		}
		jw_end_object(&w);
	}
	jw_end_object(&w);
	printf("%s    " STR_FMT, l->any ? ",\n" : "\n", STR_ARG(buf_str(&b)));
	buf_deinit(&b);
}

static bool show_entry(struct ctl *c, struct arena *a, const struct json *o, void *ud)
{
	struct listing *l = ud;
	struct str path = member_str(o, "path");

	path = path.n >= l->base ? str_skip(path, l->base) : path;
	if (c->json) {
		show_json_entry(a, o, l);
	} else if (str_eq(member_str(o, "path_type"), STR("object"))) {
		printf("object          %-33.*s%-15.*s ", STR_ARG(out_date(a, json_int(json_member(o, "mtime")))),
		       STR_ARG(out_size(a, json_int(json_member(o, "size_bytes")))));
		out_coloured(c, COLOUR_BRIGHT_YELLOW, path);
		putchar('\n');
	} else {
		printf("common_prefix%52s", "");
		out_coloured(c, COLOUR_BRIGHT_YELLOW, path);
		putchar('\n');
	}
	l->any = true;
	return true;
}

bool cmd_fs_ls(struct ctl *c)
{
	struct listing l = {0};
	struct str path;
	bool good;

	if (!path_word(c, &l.u))
		return false;
	/* Names are shown below the folder that was asked for. */
	for (size_t i = 0; i < l.u.path.n; i++)
		if (l.u.path.p[i] == '/')
			l.base = i + 1;
	path = path_query(c->a, PATH(c->a, "/repositories/{}/refs/{}/objects/ls", l.u.repo, l.u.ref), "prefix",
			  l.u.path);
	path = path_query(c->a, path, "delimiter", args_bool(c->args, "recursive") ? STR("") : STR("/"));
	if (c->json)
		fputs("{\n  \"results\": [", stdout);
	good = list_each(c, path, show_entry, &l);
	if (c->json)
		puts(l.any ? "\n  ]\n}" : "]\n}");
	return good;
}

/* stat. */

void show_stats(struct ctl *c, const struct answer *w)
{
	const struct json *metadata = json_member(w->doc, "metadata");
	int64_t size = json_int(json_member(w->doc, "size_bytes")),
		expires = json_int(json_member(w->doc, "physical_address_expiry"));

	if (c->json) {
		out_document(w->body);
		return;
	}
	fputs("Path: ", stdout);
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(w->doc, "path"));
	printf("\nModified Time: " STR_FMT "\nSize: %lld bytes\nHuman Size: " STR_FMT "\nPhysical Address: " STR_FMT
	       "\n",
	       STR_ARG(out_date(c->a, json_int(json_member(w->doc, "mtime")))), (long long)size,
	       STR_ARG(out_size(c->a, size)), STR_ARG(member_str(w->doc, "physical_address")));
	if (expires)
		printf("Physical Address Expires: " STR_FMT "\n", STR_ARG(out_date(c->a, expires)));
	printf("Checksum: " STR_FMT "\nContent-Type: " STR_FMT "\n", STR_ARG(member_str(w->doc, "checksum")),
	       STR_ARG(member_str(w->doc, "content_type")));
	if (!json_count(metadata))
		return;
	fputs("Metadata:\n\t\n", stdout);
	for (size_t i = 0; i < json_count(metadata); i++) {
		struct str key;
		struct str value = json_str(json_member_at(metadata, i, &key));

		printf("\t%-18.*s = " STR_FMT "\n", STR_ARG(key), STR_ARG(value));
	}
}

bool cmd_fs_stat(struct ctl *c)
{
	struct presigned mode;
	struct answer w;
	struct uri u;
	struct str path;

	if (!path_word(c, &u) || !presigned_mode(c, u.repo, &mode))
		return false;
	path = object_path(c, &u, "/stat");
	if (mode.on)
		path = path_query(c->a, path, "presign", STR("true"));
	if (!ctl_get(c, c->a, path, &w))
		return false;
	show_stats(c, &w);
	return true;
}

bool cmd_fs_presign(struct ctl *c)
{
	struct presigned can;
	struct answer w;
	struct uri u;

	if (!path_word(c, &u) || !presigned_support(c, u.repo, &can))
		return false;
	if (!can.on)
		return ctl_fail(c, "Pre-signed URL support is currently disabled for this lakeFS server");
	if (!ctl_get(c, c->a, path_query(c->a, object_path(c, &u, "/stat"), "presign", STR("true")), &w))
		return false;
	if (c->json)
		out_document(w.body);
	else
		printf(STR_FMT "\n", STR_ARG(member_str(w.doc, "physical_address")));
	return true;
}

/* cat. */

static bool copy_out(struct ctl *c, struct client_stream *s)
{
	char *piece = malloc(PIECE);
	int64_t got = 0;
	struct err e = {0};
	size_t n = 0;
	bool good;

	if (!piece)
		abort();
	while ((good = rc_ok(http_read(s->x, piece, PIECE, &n, &e))) && n) {
		got += (int64_t)n;
		if (fwrite(piece, 1, n, stdout) != n) {
			free(piece);
			return ctl_fail(c, "write: %s", strerror(errno));
		}
	}
	free(piece);
	if (!good) {
		client_fault(c->client, c->a, &e, &c->fault);
		return false;
	}
	return s->length < 0 || got == s->length ||
	       ctl_fail(c, "the object ended after %lld of %lld bytes", (long long)got, (long long)s->length);
}

bool cmd_fs_cat(struct ctl *c)
{
	struct presigned mode;
	struct client_stream s;
	struct str path;
	struct uri u;
	bool good;

	if (!path_word(c, &u) || !presigned_mode(c, u.repo, &mode))
		return false;
	path = object_path(c, &u, "");
	if (mode.on)
		path = path_query(c->a, path, "presign", STR("true"));
	if (!client_open(c->client, c->a, path, &s, &c->fault))
		return false;
	good = copy_out(c, &s);
	http_close(s.x);
	return good;
}

/* rm. */

struct removal {
	struct uri u;
	struct buf doc;
	struct json_out w;
	size_t n, failed;
};

static void begin_batch(struct removal *r)
{
	buf_reset(&r->doc);
	r->w = (struct json_out){&r->doc, false};
	r->n = 0;
	jw_object(&r->w, NULL);
	jw_array(&r->w, "paths");
}

static bool send_batch(struct ctl *c, struct removal *r)
{
	struct arena *a = arena_new();
	const struct json *errors;
	struct answer w;
	bool good;

	jw_end_array(&r->w);
	jw_end_object(&r->w);
	good = ctl_send(c, a, "POST", PATH(a, "/repositories/{}/branches/{}/objects/delete", r->u.repo, r->u.ref),
			buf_str(&r->doc), &w);
	errors = good ? json_member(w.doc, "errors") : NULL;
	for (size_t i = 0; i < json_count(errors); i++, r->failed++) {
		const struct json *e = json_at(errors, i);

		fprintf(stderr, "rm " STR_FMT ": [%lld] " STR_FMT "\n", STR_ARG(member_str(e, "path")),
			(long long)json_int(json_member(e, "status_code")), STR_ARG(member_str(e, "message")));
	}
	arena_free(a);
	begin_batch(r);
	return good;
}

static bool add_to_batch(struct ctl *c, struct arena *a, const struct json *o, void *ud)
{
	struct removal *r = ud;

	jw_str(&r->w, NULL, member_str(o, "path"));
	return ++r->n < BATCH || send_batch(c, r);
}

static bool remove_all(struct ctl *c, const struct uri *u)
{
	struct removal r = {.u = *u, .doc = BUF_INIT(DOC_MAX)};
	bool good;

	begin_batch(&r);
	good = list_each(
		c,
		path_query(c->a, PATH(c->a, "/repositories/{}/refs/{}/objects/ls", u->repo, u->ref), "prefix", u->path),
		add_to_batch, &r);
	if (good && r.n)
		good = send_batch(c, &r);
	buf_deinit(&r.doc);
	if (r.failed)
		c->exit = 1;
	return good;
}

bool cmd_fs_rm(struct ctl *c)
{
	struct answer w;
	struct uri u;

	if (!path_word(c, &u))
		return false;
	if (args_bool(c->args, "recursive"))
		return remove_all(c, &u);
	return ctl_send(
		c, c->a, "DELETE",
		path_query(c->a, PATH(c->a, "/repositories/{}/branches/{}/objects", u.repo, u.ref), "path", u.path),
		STR_NONE, &w);
}

/* Entries without bytes of their own. */

bool cmd_fs_stage(struct ctl *c)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri u;
	bool good;

	if (!path_word(c, &u))
		return false;
	jw_object(&w, NULL);
	jw_str(&w, "physical_address", args_text(c->args, "location"));
	jw_str(&w, "checksum", args_text(c->args, "checksum"));
	jw_int(&w, "size_bytes", args_number(c->args, "size"));
	if (args_given(c->args, "mtime"))
		jw_int(&w, "mtime", args_number(c->args, "mtime"));
	if (args_given(c->args, "content-type"))
		jw_str(&w, "content_type", args_text(c->args, "content-type"));
	good = ctl_write_pairs(c, &w, "metadata", "meta");
	jw_end_object(&w);
	good = good && ctl_send(c, c->a, "PUT",
				path_query(c->a, PATH(c->a, "/repositories/{}/branches/{}/objects", u.repo, u.ref),
					   "path", u.path),
				buf_str(&doc), &answer);
	buf_deinit(&doc);
	if (good)
		show_stats(c, &answer);
	return good;
}

bool cmd_fs_update_metadata(struct ctl *c)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct answer answer;
	struct uri u;
	bool good;

	if (!path_word(c, &u))
		return false;
	jw_object(&w, NULL);
	if (args_given(c->args, "metadata") && args_text(c->args, "metadata").n) {
		good = ctl_write_pairs(c, &w, "set", "metadata");
	} else {
		jw_object(&w, "set");
		jw_end_object(&w);
		good = true;
	}
	jw_end_object(&w);
	good = good &&
	       ctl_send(c, c->a, "PUT",
			path_query(c->a,
				   PATH(c->a, "/repositories/{}/branches/{}/objects/stat/user_metadata", u.repo, u.ref),
				   "path", u.path),
			buf_str(&doc), &answer);
	buf_deinit(&doc);
	return good;
}
