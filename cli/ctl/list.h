/* Lists of the API: one page of them as people ask for it, or all pages for a command's own use. */
#pragma once

#include "cli/ctl/out.h"

/* Shows one page of `path` as --amount, --after and --prefix say (those that the command has). row: adds a
 * result's cells. */
bool list_show(struct ctl *c, struct str path, const char *const *headers, size_t columns,
	       void (*row)(struct arena *a, const struct json *result, struct table *t));
/* path with the flags of pages. */
struct str list_path(struct ctl *c, struct str path);

/* All results of all pages, in order; path without amount and after. each returns false to stop, with c->fault set
 * (then so does this), and gets an arena that lives as long as its page. */
bool list_each(struct ctl *c, struct str path,
	       bool (*each)(struct ctl *c, struct arena *a, const struct json *result, void *ud), void *ud);
/* For members of results. */
struct str member_str(const struct json *j, const char *key);
