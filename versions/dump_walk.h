/* Walking over all that a dump names: dump_check looks, backups copy. Private to versions/. */
#pragma once

#include "versions/fsck_priv.h"

struct dump_walk {
	struct fsck f; /* r, o, n, store, and what fsck_priv.h has for walks from a dump are the caller's to set */
	const struct refs_dump *d;
	bool heads;
	_Atomic int64_t *counts; /* or NULL */
	/* private */
	struct err err;
	struct vcall call;
	struct id_set *commits; /* ids of those that are in the dump */
	struct id_set *reached; /* from branches and tags */
	bool lacking;           /* some commit's parents */
	size_t read;
	struct progress *progress, ticks;
};

/* Commits, then what each of them names, then branches, tags, and commits' parents. */
rc dump_walk(struct dump_walk *w, struct vcall *c);
/* Notes all objects below the prefix in `to`, as fsck_listed or, with keys_only, by their keys; nothing where the
 * store has no listing. *ret_all: that is all there are. */
rc dump_list(struct vcall *c, struct backend *store, struct str space, struct str prefix, bool keys_only,
	     struct id_set *to, struct progress *p_or_null, bool *ret_all);
