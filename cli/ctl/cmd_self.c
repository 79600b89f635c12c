/* doctor, identity, config, usage. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/ctl/cmd.h"
#include "cli/ctl/files.h"

enum { KEY_ID_CHARS = 20, SECRET_CHARS = 40, LINE = 1000 };

static bool all_of(struct str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9') || strchr(more, s.p[i])))
			return false;
	return true;
}

/* What doesn't look like one of lakeFS's or AWS's key pairs. */
static void look_at_keys(struct ctl *c)
{
	struct str id = c->settings.access_key_id, secret = c->settings.secret_access_key;

	/* As lakeFS makes them: AKIAI... or AKIAJ..., and a Q at the end. */
	if (id.n != KEY_ID_CHARS || !str_starts(id, STR("AKIA")) || !strchr("IJ", id.p[4]) ||
	    id.p[KEY_ID_CHARS - 1] != 'Q' || !all_of(id, ""))
		printf("access_key_id value looks suspicious: " STR_FMT "\n", STR_ARG(id));
	if (secret.n != SECRET_CHARS || !all_of(secret, "abcdefghijklmnopqrstuvwxyz/+="))
		puts("secret_access_key value looks suspicious...");
}

bool cmd_doctor(struct ctl *c)
{
	struct answer w;

	if (args_bool(c->args, "verbose"))
		out_line(c, "Trying to get endpoint URL and parse it as a URL format.\n"
			    "Trying to run a sanity command using current configuration.");
	if (ctl_get(c, c->a, STR("/repositories?amount=1"), &w)) {
		if (c->json)
			puts("{\n  \"valid\": true\n}");
		else
			puts("Valid configuration");
		return true;
	}
	if (c->json)
		return false;
	if (c->fault.kind == FAULT_ANSWER && c->fault.status == 401)
		puts("It seems like the `access_key_id` or `secret_access_key` you supplied are wrong.");
	else if (c->fault.kind == FAULT_REACH || c->fault.kind == FAULT_OWN)
		puts("It looks like endpoint url is wrong.");
	printf(STR_FMT "\n", STR_ARG(c->fault.text));
	look_at_keys(c);
	return true; /* as lakectl has it: the diagnosis was made */
}

bool cmd_identity(struct ctl *c)
{
	const struct json *user;
	struct answer w;

	if (!ctl_get(c, c->a, STR("/user"), &w))
		return false;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	user = json_member(w.doc, "user");
	fputs("User ID:          ", stdout);
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(user, "id"));
	printf("\nEmail:            " STR_FMT "\nCreation Date:    " STR_FMT "\n", STR_ARG(member_str(user, "email")),
	       STR_ARG(out_date(c->a, json_int(json_member(user, "creation_date")))));
	return true;
}

bool cmd_usage_summary(struct ctl *c)
{
	static const char *const headers[] = {"YEAR", "MONTH", "USAGE"}, *const keys[] = {"year", "month", "count"};
	const struct json *reports;
	struct answer w;
	struct table t;

	if (!ctl_get(c, c->a, STR("/usage-report/summary"), &w))
		return false;
	if (c->json) {
		out_document(w.body);
		return true;
	}
	reports = json_member(w.doc, "reports");
	printf("Usage report for installation ID: " STR_FMT "\n\n", STR_ARG(member_str(w.doc, "installation_id")));
	table_init(&t, headers, 3);
	t.numbers = 7;
	for (size_t i = 0; i < json_count(reports); i++)
		for (size_t k = 0; k < 3; k++)
			table_add(&t, arena_printf(c->a, "%lld",
						   (long long)json_int(json_member(json_at(reports, i), keys[k]))));
	table_end(c, &t, NULL, 0);
	return true;
}

/* The configuration file. */

static bool ask(struct ctl *c, const char *question, struct str have, bool secret, struct str *ret)
{
	char *line = arena_alloc(c->a, LINE);
	size_t n;

	fflush(stdout);
	fprintf(stderr, "%s%s" STR_FMT "%s: ", question, have.n ? " [" : "",
		STR_ARG(have.n && secret ? STR("***") : have), have.n ? "]" : "");
	fflush(stderr);
	if (!fgets(line, LINE, stdin))
		return ctl_fail(c, "no answer: the configuration is as it was");
	n = strcspn(line, "\r\n");
	*ret = n ? str_make(line, n) : have;
	return true;
}

/* YAML's double-quoted scalars have JSON's escapes. */
static void write_value(struct buf *b, const char *key, struct str value)
{
	struct buf text = BUF_INIT(1 << 16);
	struct json_out w = {&text, false};

	jw_str(&w, NULL, value);
	buf_printf(b, "    %s: " STR_FMT "\n", key, STR_ARG(buf_str(&text)));
	buf_deinit(&text);
}

/* What else stood in the file before is kept beside it. */
static bool keep_old(struct ctl *c, struct str path)
{
	struct str old = arena_printf(c->a, STR_FMT ".old", STR_ARG(path));

	if (access(arena_cstr(c->a, path), F_OK) != 0)
		return true;
	if (rename(arena_cstr(c->a, path), old.p) != 0)
		return ctl_fail(c, "rename " STR_FMT ": %s", STR_ARG(path), strerror(errno));
	printf("What it was is in " STR_FMT "\n", STR_ARG(old));
	return true;
}

static bool write_whole(struct ctl *c, struct str path, struct str text)
{
	struct new_file f;

	if (files_write(c->a, path, text, 0600, &f)) {
		if (!keep_old(c, path)) {
			files_abandon(&f);
			return false;
		}
		if (files_commit(&f))
			return true;
	}
	return ctl_fail(c, "write " STR_FMT ": %s", STR_ARG(path), strerror(errno));
}

bool cmd_config(struct ctl *c)
{
	struct settings *s = &c->settings;
	struct buf b = BUF_INIT(1 << 20);
	struct str id, secret, endpoint;
	bool good;

	if (!s->file.n)
		return ctl_fail(c, "there is no home directory: say where with --config FILE");
	printf("Config file " STR_FMT " will be used\n", STR_ARG(s->file));
	if (!ask(c, "Access key ID", s->access_key_id, false, &id) ||
	    !ask(c, "Secret access key", s->secret_access_key, true, &secret) ||
	    !ask(c, "Server endpoint URL", s->endpoint, false, &endpoint))
		return false;
	buf_add_cstr(&b, "credentials:\n");
	write_value(&b, "access_key_id", id);
	write_value(&b, "secret_access_key", secret);
	buf_add_cstr(&b, "server:\n");
	write_value(&b, "endpoint_url", endpoint);
	good = write_whole(c, s->file, buf_str(&b));
	buf_deinit(&b);
	return good;
}
