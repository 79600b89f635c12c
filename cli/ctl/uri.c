#include "cli/ctl/uri.h"

static const struct str scheme = {"lakefs://", 9};

enum { REPO_MIN = 3, REPO_MAX = 63 };

const char *uri_noun(enum uri_kind kind)
{
	static const char *const nouns[] = {
		[URI_REPO] = "repository URI", [URI_BRANCH] = "branch URI", [URI_TAG] = "tag URI",
		[URI_REF] = "ref URI",	       [URI_COMMIT] = "commit URI", [URI_PATH] = "path URI",
	};

	return nouns[kind];
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
	return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/* lakeFS's: ^[a-z0-9][a-z0-9-]{2,62}$ */
static bool repo_name(struct str s)
{
	if (s.n < REPO_MIN || s.n > REPO_MAX || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_lower_or_digit(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

/* lakeFS's: ^\w[-\w]*$ */
static bool branch_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_word(s.p[i]) && (s.p[i] != '-' || i == 0))
			return false;
	return s.n > 0;
}

static bool split(struct str text, struct uri *ret)
{
	struct str rest;

	if (!str_starts(text, scheme))
		return false;
	*ret = (struct uri){.text = text};
	ret->repo = str_cut(str_skip(text, scheme.n), '/', &rest);
	if (rest.p)
		ret->ref = str_cut(rest, '/', &rest);
	if (rest.p) {
		ret->path = rest;
		ret->has_path = true;
	}
	return ret->repo.n > 0;
}

/* STR_NONE when it is what was wanted. */
static struct str refused(enum uri_kind kind, const struct uri *u, struct arena *a)
{
	if (!repo_name(u->repo))
		return arena_printf(a, "contains invalid repository name (repo=" STR_FMT "): not a valid %s URI",
				    STR_ARG(str_head(u->repo, 200)), kind == URI_REPO ? "repo" : "ref");
	if (kind == URI_REPO && u->ref.n)
		return arena_printf(a, "repository URI includes a ref part (ref=" STR_FMT "): not a valid repo URI",
				    STR_ARG(str_head(u->ref, 200)));
	if (kind == URI_REPO)
		return u->path.n ? STR("repository URI includes a path: not a valid repo URI") : STR_NONE;
	if (!u->ref.n)
		return STR("missing reference part: not a valid ref URI");
	if (kind == URI_PATH)
		return u->has_path ? STR_NONE : STR("missing path part: not a valid path URI");
	if (u->path.n)
		return arena_printf(a, "includes a path part (path=" STR_FMT "): not a valid ref URI",
				    STR_ARG(str_head(u->path, 200)));
	if (kind == URI_BRANCH && !branch_name(u->ref))
		return STR("contains invalid branch name: not a valid branch URI");
	return STR_NONE;
}

bool uri_want(enum uri_kind kind, struct str text, struct str base, struct arena *a, struct uri *ret,
	      struct str *ret_why)
{
	struct str whole = base.n && !str_starts(text, scheme) ? arena_join(a, (const struct str[]){base, text}, 2)
							       : arena_dup(a, text);
	struct str why;

	if (!split(whole, ret)) {
		*ret_why = arena_printf(a, "%s malformed lakefs URI", uri_noun(kind));
		return false;
	}
	why = refused(kind, ret, a);
	if (!why.p)
		return true;
	*ret_why = arena_printf(a, "%s " STR_FMT, uri_noun(kind), STR_ARG(why));
	return false;
}
