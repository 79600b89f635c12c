/* lakefs:// addresses, as people type them: lakefs://repository[/ref[/path]]. Pure.
 *
 * Nothing is percent-encoded: what follows the ref's slash is the object's path as it is, so that every
 * key can be written. Messages are lakectl's, without "<what> URI " in front (uri_want adds that).
 */
#pragma once

#include "base/arena.h"

struct uri {
	struct str text; /* with the base, as it was taken */
	struct str repo, ref, path;
	bool has_path; /* there was a slash after the ref; the path may be empty */
};

enum uri_kind {
	URI_REPO,
	URI_BRANCH, /* its name is checked */
	URI_TAG,
	URI_REF,
	URI_COMMIT,
	URI_PATH, /* the path may be empty: all of the ref */
};

/* What doesn't begin with lakefs:// is appended to the base first (STR_NONE: none). False: no such
 * address; *ret_why says why, for people. What is returned is in the arena. */
bool uri_want(enum uri_kind kind, struct str text, struct str base, struct arena *a, struct uri *ret,
	      struct str *ret_why);
/* "repository URI" and so on. */
const char *uri_noun(enum uri_kind kind);
