/* sluice fsck: opens the KV and looks; where a running server has it open, asks that server to look. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/options.h"
#include "versions/fsck.h"

enum { CLEAN = 0, FOUND = 1, CANT_CHECK = 2, POLL_MS = 500 };

struct check {
	struct app app;
	struct arena *a;
	struct progress progress;
	int64_t told_ms;
	const char *repo;
	struct ask server;
	bool bodies, json, terminal;
};

/* Output. */

static void clear_line(struct check *k)
{
	if (k->terminal)
		fputs("\r\033[K", stderr);
}

static void tell_progress(struct check *k, int64_t done)
{
	int64_t now = mono_ms();

	if (!k->terminal || now - k->told_ms < 200)
		return;
	k->told_ms = now;
	fprintf(stderr, "\r%lld looked at", (long long)done);
}

static rc on_tick(struct progress *p, int64_t done, struct err *reterr)
{
	tell_progress((struct check *)((char *)p - offsetof(struct check, progress)), done);
	return RC_OK;
}

/* What is no text is shown as far as it is one: terminals and JSON. */
static struct str text(struct str s)
{
	size_t n = 0, step;

	while (n < s.n && (unsigned char)s.p[n] >= ' ' && (step = str_utf8_len(str_skip(s, n))))
		n += step;
	return str_head(s, n);
}

static void print_json_finding(const struct fsck_finding *f)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out w = {.to = &b};

	jw_object(&w, NULL);
	jw_str(&w, "kind", str_c(fsck_kind_name(f->kind)));
	jw_str(&w, "thing", text(f->thing));
	jw_str(&w, "named_by", text(f->named_by));
	jw_str(&w, "story", text(f->story));
	jw_end_object(&w);
	printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
	buf_deinit(&b);
}

static void print_finding(void *ud, const struct fsck_finding *f)
{
	struct check *k = ud;

	clear_line(k);
	if (k->json) {
		print_json_finding(f);
		return;
	}
	printf("%s " STR_FMT, fsck_kind_name(f->kind), STR_ARG(text(f->thing)));
	if (f->named_by.n)
		printf(", named by " STR_FMT, STR_ARG(text(f->named_by)));
	printf(": " STR_FMT "\n", STR_ARG(text(f->story)));
}

static const struct {
	const char *name;
	size_t offset;
} members[] = {
#define MEMBER(m) {#m, offsetof(struct fsck_counts, m)}
	MEMBER(commits), MEMBER(branches), MEMBER(tags),    MEMBER(tables),	 MEMBER(entries),
	MEMBER(bodies),	 MEMBER(missing),  MEMBER(damaged), MEMBER(unreachable), MEMBER(unreachable_bytes),
#undef MEMBER
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static int64_t *member(struct fsck_counts *n, size_t i)
{
	return (int64_t *)((char *)n + members[i].offset);
}

static void print_json_summary(struct fsck_counts *n)
{
	struct buf b = BUF_INIT(1 << 16);
	struct json_out w = {.to = &b};

	jw_object(&w, NULL);
	jw_object(&w, "summary");
	for (size_t i = 0; i < MEMBERS; i++)
		jw_int(&w, members[i].name, *member(n, i));
	jw_end_object(&w);
	jw_end_object(&w);
	printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
	buf_deinit(&b);
}

/* What is only unreachable takes room and harms nothing. */
static int summary(struct check *k, struct fsck_counts *n)
{
	clear_line(k);
	if (k->json)
		print_json_summary(n);
	else
		printf("%s: %lld missing, %lld damaged, %lld unreachable (%lld bytes); looked at %lld "
		       "commits, %lld branches, %lld tags, %lld tables, %lld entries, %lld bodies\n",
		       k->repo, (long long)n->missing, (long long)n->damaged, (long long)n->unreachable,
		       (long long)n->unreachable_bytes, (long long)n->commits, (long long)n->branches,
		       (long long)n->tags, (long long)n->tables, (long long)n->entries,
		       (long long)n->bodies);
	return n->missing || n->damaged ? FOUND : CLEAN;
}

/* Here. */

static rc check_here(struct check *k, struct fsck_counts *n, struct err *reterr)
{
	struct vcall c = {.v = k->app.versions, .a = k->a, .wait = KV_BLOCK, .err = reterr};
	const struct fsck_options o = {
		.bodies = k->bodies, .found = print_finding, .ud = k, .progress = &k->progress};
	struct repo r;

	TRY(repo_get(&c, str_c(k->repo), &r));
	return fsck_run(&c, &r, &o, n);
}

/* There. */

static enum fsck_kind kind_of(struct str name)
{
	for (int i = FSCK_MISSING; i < FSCK_UNREACHABLE; i++)
		if (str_eq(name, str_c(fsck_kind_name((enum fsck_kind)i))))
			return (enum fsck_kind)i;
	return FSCK_UNREACHABLE;
}

static rc show_answer(struct check *k, const struct json *j, struct fsck_counts *n, struct err *reterr)
{
	const struct json *list = json_member(j, "findings"), *counts = json_member(j, "summary");
	struct str failed = json_str(json_member(j, "error"));

	if (failed.p)
		return err_set(reterr, ERR_ServiceUnavailable, STR_FMT, STR_ARG(failed));
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_at(list, i);
		const struct fsck_finding f = {.kind = kind_of(json_str(json_member(one, "kind"))),
					       .thing = json_str(json_member(one, "thing")),
					       .named_by = json_str(json_member(one, "named_by")),
					       .story = json_str(json_member(one, "story"))};

		print_finding(k, &f);
	}
	for (size_t i = 0; i < MEMBERS; i++)
		*member(n, i) = json_int(json_member(counts, members[i].name));
	if (n->missing + n->damaged + n->unreachable > (int64_t)json_count(list))
		fprintf(stderr, "sluice fsck: the server keeps the first %zu findings; stop it and run "
				"this again to see them all\n",
			json_count(list));
	return RC_OK;
}

static rc check_there(struct check *k, struct fsck_counts *n, struct err *reterr)
{
	struct str path = arena_printf(k->a, "/api/v1/sluice/repositories/%s/fsck", k->repo), status;
	struct json *j;

	TRY(ask_has_key(&k->server, "it must do the check", reterr));
	TRY(ask_json(&k->server, STR("POST"),
		     arena_printf(k->a, STR_FMT "?bodies=%s", STR_ARG(path), k->bodies ? "true" : "false"),
		     k->a, &j, reterr));
	status = arena_printf(k->a, STR_FMT "?task_id=" STR_FMT, STR_ARG(path),
			      STR_ARG(json_str(json_member(j, "id"))));
	for (;;) {
		struct arena *a = arena_new();
		rc r = ask_json(&k->server, STR("GET"), status, a, &j, reterr);
		bool done = rc_ok(r) && json_bool(json_member(j, "done"));

		if (done)
			r = show_answer(k, j, n, reterr);
		else if (rc_ok(r))
			tell_progress(k, json_int(json_member(j, "progress")));
		arena_free(a);
		if (done || !rc_ok(r))
			return r;
		usleep(POLL_MS * 1000);
	}
}

static rc check(struct check *k, struct fsck_counts *n, struct err *reterr)
{
	rc opened;

	if (k->server.endpoint)
		return check_there(k, n, reterr);
	opened = app_open(&k->app, reterr);
	if (rc_ok(opened))
		return check_here(k, n, reterr);
	if (!rc_is(opened, CONFIG))
		return opened;
	k->server.endpoint = ask_configured(k->a, k->app.conf);
	return ask_answers(&k->server, k->a) ? check_there(k, n, reterr) : opened;
}

/* The command line. */

static bool read_options(struct check *k, int argc, char **argv, const char **ret_config)
{
	const struct option_spec specs[] = {{"config", ret_config},
					    {"endpoint", &k->server.endpoint},
					    {"access-key-id", &k->server.user},
					    {"secret-access-key", &k->server.password}};
	const char *words[1];
	size_t n;

	k->bodies = options_flag(&argc, argv, "--bodies");
	k->json = options_flag(&argc, argv, "--json");
	if (!options_parse(argc, argv, specs, 4, words, 1, &n))
		return false;
	if (n != 1 || !rc_ok(valid_repo_name(str_c(words[0]), NULL))) {
		fputs("usage: sluice fsck REPOSITORY [--bodies] [--json] [--config FILE]\n"
		      "       [--endpoint URL] [--access-key-id ID --secret-access-key SECRET]\n",
		      stderr);
		return false;
	}
	k->repo = words[0];
	ask_env(&k->server);
	return true;
}

int cmd_fsck(int argc, char **argv)
{
	struct check k = {.progress = {on_tick}, .terminal = isatty(STDERR_FILENO)};
	const char *config = NULL;
	struct fsck_counts n = {0};
	struct err err = {0};
	int code = CANT_CHECK;
	rc result;

	if (!read_options(&k, argc, argv, &config))
		return CANT_CHECK;
	k.a = arena_new();
	if (k.server.endpoint || app_configure(&k.app, config)) {
		result = check(&k, &n, &err);
		if (rc_ok(result)) {
			code = summary(&k, &n);
		} else {
			clear_line(&k);
			fprintf(stderr, "sluice fsck: %s\n", err.msg);
		}
	}
	if (k.app.a)
		app_close(&k.app);
	arena_free(k.a);
	return code;
}
