#include "backends/gcs_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/rsa.h"

#define TOKEN_URI STR("https://oauth2.googleapis.com/token")
#define REMEDY "take a new key file of the service account from Google's console"

enum { FILE_MAX = 64 * 1024 };

static rc read_file(struct arena *a, struct str path, struct str *ret, struct err *reterr)
{
	int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC), failed;
	char *p = arena_alloc(a, FILE_MAX);
	ssize_t n, all = 0;

	if (fd < 0)
		return err_errno(reterr, ERR_CONFIG, errno, "it can't be opened");
	while ((n = read(fd, p + all, (size_t)(FILE_MAX - all))) > 0)
		all += n;
	failed = errno;
	close(fd);
	if (n < 0)
		return err_errno(reterr, ERR_CONFIG, failed, "it can't be read");
	if (all == FILE_MAX)
		return err_set(reterr, ERR_CONFIG, "it is larger than a key file can be; " REMEDY);
	*ret = str_make(p, (size_t)all);
	return RC_OK;
}

static struct str member(struct arena *a, const struct json *j, const char *name)
{
	struct str s = json_str(json_member(j, name));

	return s.n ? arena_dup(a, s) : STR_NONE;
}

static rc lacks(struct err *reterr, const char *what)
{
	return err_set(reterr, ERR_CONFIG, "it lacks \"%s\"; " REMEDY, what);
}

/* What is sent there is as good as a password for an hour, or for ever. */
static rc token_uri(struct arena *a, const struct json *j, struct str *ret, struct err *reterr)
{
	static const struct str local[] = {STR("http://127.0.0.1"), STR("http://localhost"),
					   STR("http://[::1]")};
	struct str after;

	*ret = member(a, j, "token_uri");
	if (!ret->n)
		*ret = TOKEN_URI;
	if (str_starts(*ret, STR("https://")))
		return RC_OK;
	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
		after = str_starts(*ret, local[i]) ? str_skip(*ret, local[i].n) : STR_NONE;
		if (after.p && (after.n == 0 || after.p[0] == ':' || after.p[0] == '/'))
			return RC_OK;
	}
	return err_set(reterr, ERR_CONFIG, "its token_uri must begin with https://; " REMEDY);
}

static rc service_account(struct arena *a, const struct json *j, struct gcs_credentials *c,
			  struct err *reterr)
{
	struct str signature;
	struct arena *own;
	rc r;

	c->kind = GCS_SERVICE_ACCOUNT;
	c->email = member(a, j, "client_email");
	c->key = member(a, j, "private_key");
	c->key_id = member(a, j, "private_key_id");
	if (!c->email.n || !c->key.n)
		return lacks(reterr, c->email.n ? "private_key" : "client_email");
	TRY(token_uri(a, j, &c->token_uri, reterr));
	own = arena_new();
	r = rsa_sha256_sign(own, c->key, STR("a key that can't sign is better known at the start"),
			    &signature, reterr);
	arena_free(own);
	return rc_ok(r) ? r : err_wrap(r, reterr, "its private_key is of no use (" REMEDY ")");
}

static rc authorized_user(struct arena *a, const struct json *j, struct gcs_credentials *c,
			  struct err *reterr)
{
	c->kind = GCS_AUTHORIZED_USER;
	c->client_id = member(a, j, "client_id");
	c->client_secret = member(a, j, "client_secret");
	c->refresh_token = member(a, j, "refresh_token");
	if (!c->client_id.n || !c->refresh_token.n)
		return lacks(reterr, c->client_id.n ? "refresh_token" : "client_id");
	return token_uri(a, j, &c->token_uri, reterr);
}

static rc take(struct arena *a, struct str text, struct gcs_credentials *c, struct err *reterr)
{
	struct json *j;
	struct str type;

	if (!rc_ok(json_parse(a, text, &j, NULL)) || json_type(j) != JSON_OBJECT)
		return err_set(reterr, ERR_CONFIG, "it is no JSON object; " REMEDY);
	type = json_str(json_member(j, "type"));
	if (!type.n)
		return lacks(reterr, "type");
	if (str_eq(type, STR("service_account")))
		return service_account(a, j, c, reterr);
	if (str_eq(type, STR("authorized_user")))
		return authorized_user(a, j, c, reterr);
	return err_set(reterr, ERR_CONFIG,
		       "its type \"" STR_FMT
		       "\" isn't known here: use a service account's key file, whose type is "
		       "\"service_account\"",
		       STR_ARG(str_head(type, 50)));
}

/* The file that Google's SDKs would take; *ret_why: who named it. */
static struct str usual_file(struct arena *a, const char **ret_why)
{
	const char *v = getenv("GOOGLE_APPLICATION_CREDENTIALS");
	struct str path;

	*ret_why = "GOOGLE_APPLICATION_CREDENTIALS";
	if (v && *v)
		return str_c(v);
	*ret_why = "gcloud's credentials";
	v = getenv("HOME");
	if (!v)
		return STR_NONE;
	path = arena_printf(a, "%s/.config/gcloud/application_default_credentials.json", v);
	return access(path.p, R_OK) == 0 ? path : STR_NONE;
}

rc gcs_credentials_find(struct str file, struct str json, bool anonymous, struct arena *a,
			struct gcs_credentials *ret, struct err *reterr)
{
	const char *why = "gs.credentials_file";
	struct str text = json;
	rc r = RC_OK;

	*ret = (struct gcs_credentials){0};
	if (!json.n && !file.n && anonymous)
		return RC_OK;
	if (!json.n && !file.n)
		file = usual_file(a, &why);
	if (!json.n && !file.n) {
		ret->kind = GCS_METADATA;
		return RC_OK;
	}
	if (!json.n)
		r = read_file(a, file, &text, reterr);
	if (rc_ok(r))
		r = take(a, text, ret, reterr);
	if (rc_ok(r))
		return r;
	return json.n
		   ? err_wrap(r, reterr, "gs.credentials_json")
		   : err_wrap(r, reterr, "%s \"" STR_FMT "\"", why, STR_ARG(str_head(file, 200)));
}
