/* Names and addresses of blobs. */
#include "backends/azure_priv.h"

#include "base/encode.h"

enum { CONTAINER_MAX = 63, BLOB_MAX = 4 * 1024 };

static rc invalid(struct str url, struct err *reterr, const char *why)
{
	return err_set(reterr, ERR_INVALID,
		       "\"" STR_FMT
		       "\": %s; a namespace is https://<account>.<domain>/<container>[/prefix]",
		       STR_ARG(str_head(url, 200)), why);
}

static bool only(struct str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(more, c)) || !c)
			return false;
	}
	return s.n > 0;
}

static bool container_ok(struct str s)
{
	if (str_starts(s, STR("$"))) /* $root, $web */
		s = str_skip(s, 1);
	return s.n <= CONTAINER_MAX && only(s, "-");
}

static bool cut_scheme(struct str *url, bool *ret_tls)
{
	static const struct str schemes[] = {STR("http://"), STR("https://")};

	for (int tls = 0; tls < 2; tls++)
		if (str_starts(*url, schemes[tls])) {
			*url = str_skip(*url, schemes[tls].n);
			*ret_tls = tls;
			return true;
		}
	return false;
}

/* As it was encoded, or else as it is. */
static struct str decoded(struct arena *a, struct str s)
{
	struct str d;

	return s.p && uri_decode(a, s, false, &d) ? d : s.p ? s : STR("");
}

static rc parse(struct azure *s, struct arena *a, struct str url, struct azure_place *ret,
		struct err *reterr)
{
	struct str rest = url, host, domain;

	if (!cut_scheme(&rest, &ret->tls))
		return invalid(url, reterr, "not an address of Azure's");
	if (str_index(rest, '?') < rest.n || str_index(rest, '#') < rest.n)
		return invalid(
		    url, reterr,
		    "an address has no query and no fragment (encode ? as %3F, # as %23)");
	host = str_cut(rest, '/', &rest);
	ret->account = str_cut(host, '.', &domain);
	if (!only(ret->account, "-_"))
		return invalid(url, reterr, "it names no storage account");
	if (!domain.p || !str_eq_nocase(domain, s->domain))
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" is not in this store's domain, \"" STR_FMT
			       "\": see azure.domain",
			       STR_ARG(str_head(url, 200)), STR_ARG(s->domain));
	ret->container = decoded(a, str_cut(rest, '/', &rest));
	if (!container_ok(ret->container))
		return invalid(url, reterr, "it names no container");
	if (s->account.n && !str_eq(ret->account, s->account))
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" is in the storage account \"" STR_FMT
			       "\", the store \"" STR_FMT "\" is \"" STR_FMT
			       "\": see azure.storage_account",
			       STR_ARG(str_head(url, 200)), STR_ARG(ret->account),
			       STR_ARG(s->r.b.id), STR_ARG(s->account));
	ret->blob = decoded(a, rest);
	return RC_OK;
}

rc azure_space(struct azure *s, struct arena *a, struct str space, struct azure_place *ret,
	       struct err *reterr)
{
	TRY(parse(s, a, space, ret, reterr));
	while (ret->blob.n && ret->blob.p[ret->blob.n - 1] == '/')
		ret->blob.n--;
	return RC_OK;
}

/* Those that URL libraries and servers on the way take for steps in a path. */
static bool has_dots(struct str name)
{
	while (name.p) {
		struct str part = str_cut(name, '/', &name);

		if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return true;
	}
	return false;
}

rc azure_object(struct azure *s, struct arena *a, const struct object_ptr *p,
		struct azure_place *ret, struct err *reterr)
{
	if (p->type == ADDRESS_FULL) {
		TRY(parse(s, a, p->key, ret, reterr));
	} else {
		TRY(azure_space(s, a, p->space, ret, reterr));
		if (p->key.n && ret->blob.n)
			ret->blob = arena_join(a, (struct str[]){ret->blob, STR("/"), p->key}, 3);
		else
			ret->blob = p->key;
	}
	if (ret->blob.n == 0)
		return invalid(p->type == ADDRESS_FULL ? p->key : p->space, reterr,
			       "no object is named in it");
	if (ret->blob.n > BLOB_MAX || !str_is_utf8(ret->blob) ||
	    str_index(ret->blob, 0) < ret->blob.n ||
	    str_index(ret->blob, '\\') < ret->blob.n /* which Azure makes a slash */ ||
	    has_dots(ret->blob))
		return err_set(
		    reterr, ERR_INVALID,
		    "\"" STR_FMT
		    "\" can't be a blob's name: UTF-8, no zero bytes, no backslashes, no "
		    "segments \".\" and \"..\"",
		    STR_ARG(str_head(ret->blob, 200)));
	return RC_OK;
}

rc azure_check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct arena *a = arena_new();
	struct azure_place at;
	rc r = azure_space(azure_of(b), a, space, &at, reterr);

	arena_free(a);
	return r;
}

bool azure_same(const struct azure_place *a, const struct azure_place *b)
{
	return str_eq(a->account, b->account) && str_eq(a->container, b->container) &&
	       str_eq(a->blob, b->blob);
}
