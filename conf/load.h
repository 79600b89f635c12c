/* One reading of a configuration: defaults, then the file, then the environment, then the checks.
 * Inside conf/ only. */
#pragma once

#include "conf/conf.h"
#include "conf/table.h"

enum { CONF_MAX_STORES = 256, CONF_MAX_FINDINGS = 200 };

/* Where something was said: what a finding about it names. */
struct origin {
	struct str file;
	unsigned line;
	struct str key; /* as its author wrote it: a path, or a variable's name */
};

/* What was said about one key of one struct. */
struct said {
	struct origin at;   /* without it: where the section is, if anywhere */
	bool set, from_env;
};

/* One struct that keys set: the configuration itself, or one store. */
struct scope {
	bool store;
	void *base;         /* struct conf or struct conf_store */
	struct str prefix;  /* of its keys: "", "blockstore.", "blockstores.stores[0]." */
	struct origin at;   /* of the store itself */
	bool refused;       /* it is no section: nothing more to say about it */
	struct said *said;  /* CONF_KEYS of them, by row of the table */
};

struct loader {
	struct arena *a;       /* findings, and what the loader needs itself */
	struct arena *own;     /* the configuration's */
	struct conf *conf;
	struct str name;       /* of the file */
	char *const *env;
	struct conf_findings *findings;
	size_t errors;
	struct scope top;
	struct scope *single;  /* of `blockstore`: NULL until a key of it is set */
	struct origin single_at;
	struct scope *stores[CONF_MAX_STORES];
	size_t stores_n;       /* one past the highest; the environment can leave gaps */
	struct origin multi;   /* of `blockstores.stores`; key STR_NONE: not given */
	bool multi_refused;    /* what it holds is no list */
};

/* finding.c */
struct origin conf_origin(struct loader *l, unsigned line, struct str key);
void conf_error(struct loader *l, struct origin at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warning(struct loader *l, struct origin at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* `path` is canonical; `prefix` stands before what is suggested. */
void conf_error_unknown(struct loader *l, struct origin at, struct str prefix, struct str path,
			bool store);

/* scope.c */
void conf_scope_init(struct loader *l, struct scope *s, void *base, struct str prefix);
/* The store of `blockstore`, or number i (below CONF_MAX_STORES) of the list; made when new. */
struct scope *conf_scope_single(struct loader *l, struct origin at);
struct scope *conf_scope_store(struct loader *l, size_t i, struct origin at);
struct said *conf_said(struct scope *s, const struct conf_key *k);
/* Where a finding about the key points, said or not. */
struct origin conf_where(struct loader *l, struct scope *s, const struct conf_key *k);
/* Each sets a member, or leaves a finding. */
void conf_set_text(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		   struct str text);
void conf_set_list(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		   const struct str *v, size_t n);
/* Remembers that a key was said; a warning when it has no effect. */
void conf_say(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
	      bool from_env);

/* file.c, env.c, home.c, check.c: the steps. */
bool conf_read_file(struct loader *l, struct str yaml);
void conf_read_env(struct loader *l);
struct str conf_env_get(char *const *env, const char *name);
void conf_expand_home(struct loader *l);
void conf_check(struct loader *l);

/* snapshot.c: a configuration with one reference, in an arena of its own. */
struct conf *conf_new(struct arena **ret_own);
