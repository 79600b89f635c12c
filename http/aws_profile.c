/* The shared files: sections in brackets, "name = value" lines, comments with # or ;. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "http/aws_credentials_priv.h"

enum { FILE_MAX = 256 * 1024 };

struct profile {
	struct str id, secret, token, role, role_session, identity_file, region;
	struct str unsupported; /* a setting that sluice doesn't follow */
	bool seen;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trimmed(struct str s)
{
	while (s.n && is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

rc aws_read_file(struct arena *a, struct str path, size_t max, struct str *ret, struct err *reterr)
{
	char *p = arena_alloc(a, max + 1);
	int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = 0;
	ssize_t k = -1;

	if (fd < 0)
		return err_errno(reterr, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
				 "reading \"" STR_FMT "\"", STR_ARG(path));
	while (n <= max && (k = read(fd, p + n, max + 1 - n)) > 0)
		n += (size_t)k;
	close(fd);
	if (k < 0)
		return err_errno(reterr, ERR_IO, errno, "reading \"" STR_FMT "\"", STR_ARG(path));
	if (n > max)
		return err_set(reterr, ERR_IO, "\"" STR_FMT "\" has more than %zu bytes",
			       STR_ARG(path), max);
	*ret = trimmed(str_make(p, n));
	return RC_OK;
}

static void take(struct profile *p, struct str name, struct str value)
{
	static const char *const not_ours[] = {"credential_process", "sso_session",
					       "sso_start_url",	     "source_profile",
					       "credential_source",  "login_session"};
	const struct {
		const char *name;
		struct str *to;
	} rows[] = {{"aws_access_key_id", &p->id},
		    {"aws_secret_access_key", &p->secret},
		    {"aws_session_token", &p->token},
		    {"role_arn", &p->role},
		    {"role_session_name", &p->role_session},
		    {"web_identity_token_file", &p->identity_file},
		    {"region", &p->region}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_eq_nocase(name, str_c(rows[i].name)) && !rows[i].to->n)
			*rows[i].to = value;
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		if (str_eq_nocase(name, str_c(not_ours[i])))
			p->unsupported = str_c(not_ours[i]);
}

/* "[profile NAME]" in the config file (but "[default]"), "[NAME]" in the credentials file. */
static bool is_ours(struct str line, struct str name, bool config)
{
	struct str rest;

	line = trimmed(str_cut(str_skip(line, 1), ']', &rest));
	if (config && str_starts(line, STR("profile ")))
		return str_eq(trimmed(str_skip(line, 8)), name);
	return str_eq(line, name) && (!config || str_eq(name, STR("default")));
}

static void scan(struct profile *p, struct str text, struct str name, bool config)
{
	bool inside = false;

	while (text.p) {
		struct str raw = str_cut(text, '\n', &text), line = trimmed(raw), value, key;

		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[') {
			inside = is_ours(line, name, config);
			p->seen |= inside;
			continue;
		}
		if (!inside || is_space(raw.p[0])) /* indented: of a nested section */
			continue;
		key = trimmed(str_cut(line, '=', &value));
		if (value.p)
			take(p, key, trimmed(value));
	}
}

static struct str path_of(const struct aws_credentials *c, struct arena *a, const char *variable,
			  const char *usual)
{
	struct str path = aws_env(c, variable), home = aws_env(c, "HOME");

	if (path.n)
		return path;
	return home.n ? arena_printf(a, STR_FMT "/.aws/%s", STR_ARG(home), usual) : STR_NONE;
}

/* A file that isn't there is only missed when the configuration names it. */
static rc scan_file(struct profile *p, struct arena *a, struct str path, struct str name,
		    bool config, bool must, struct err *reterr)
{
	struct str text;
	rc r;

	if (!path.n)
		return RC_OK;
	r = aws_read_file(a, path, FILE_MAX, &text, reterr);
	if (rc_is(r, NOT_FOUND) && !must)
		return RC_OK;
	TRY(r);
	scan(p, text, name, config);
	return RC_OK;
}

rc aws_from_profile(struct aws_credentials *c, struct arena *a, struct aws_found *ret, bool *found,
		    struct err *reterr)
{
	struct str name = c->o.profile.n ? c->o.profile : aws_env(c, "AWS_PROFILE");
	struct profile p = {0};
	bool named = name.n > 0;

	name = named ? name : STR("default");
	TRY(scan_file(&p, a,
		      c->o.credentials_file.n
			  ? c->o.credentials_file
			  : path_of(c, a, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
		      name, false, c->o.credentials_file.n > 0, reterr));
	TRY(scan_file(&p, a, path_of(c, a, "AWS_CONFIG_FILE", "config"), name, true, false,
		      reterr));
	if (named && !p.seen)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "there is no AWS profile \"" STR_FMT
			       "\" in the credentials and configuration files",
			       STR_ARG(str_head(name, 100)));
	if (p.id.n && p.secret.n) {
		*found = true;
		ret->keys = (struct aws_keys){p.id, p.secret, p.token.n ? p.token : STR_NONE};
		return RC_OK;
	}
	if (p.identity_file.n && p.role.n) {
		*found = true;
		return aws_assume_role(c, a, p.identity_file, p.role, p.role_session, ret, reterr);
	}
	if (p.unsupported.n)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the AWS profile \"" STR_FMT "\" has " STR_FMT
			       ", which isn't supported: use keys, web_identity_token_file, or the "
			       "metadata of a container or an instance",
			       STR_ARG(str_head(name, 100)), STR_ARG(p.unsupported));
	return RC_OK;
}

struct str aws_credentials_region(const struct aws_credentials *c, struct arena *a)
{
	struct str name = c->o.profile.n ? c->o.profile : aws_env(c, "AWS_PROFILE"), region;
	struct profile p = {0};

	region = aws_env(c, "AWS_REGION");
	if (!region.n)
		region = aws_env(c, "AWS_DEFAULT_REGION");
	if (region.n)
		return arena_dup(a, region);
	/* A file that can't be read has no region; whoever wants its keys says what is wrong. */
	IGNORE_RC(scan_file(&p, a, path_of(c, a, "AWS_CONFIG_FILE", "config"), name.n ? name : STR("default"),
			    true, false, NULL));
	return p.region.n ? p.region : STR_NONE;
}
