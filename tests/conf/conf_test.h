/* Loading small texts, and looking at what was found. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/conf.h"

/* What most texts need besides what they are about. */
#define DATABASE "database: {type: mem}\n"
#define AUTH "auth: {encrypt: {secret_key: a secret}}\n"
#define STORE "blockstore: {type: mem, signing: {secret_key: signs}}\n"
#define SIGNING "  signing: {secret_key: signs}\n"
#define MINIMAL DATABASE AUTH STORE /* three lines */

struct loaded {
	struct arena *a;
	struct conf_findings findings;
	struct conf *conf;
	struct err err;
	rc rc;
};

static inline struct loaded load_with(const char *yaml, char *const *env)
{
	struct loaded l = {.a = arena_new()};

	l.rc = conf_load_text(STR("t.yaml"), str_c(yaml), env, l.a, &l.findings, &l.conf, &l.err);
	assert_true(rc_ok(l.rc) == (l.conf != NULL));
	return l;
}

static inline struct loaded load(const char *yaml)
{
	char *const env[] = {"HOME=/home/me", NULL};

	return load_with(yaml, env);
}

static inline void unload(struct loaded *l)
{
	conf_unref(l->conf);
	arena_free(l->a);
}

static inline void print_findings(const struct loaded *l)
{
	for (size_t i = 0; i < l->findings.n; i++)
		print_message(STR_FMT "\n", STR_ARG(conf_finding_line(&l->findings.v[i], l->a)));
}

/* Loads without an error; conf is there. */
static inline struct loaded load_good(const char *yaml)
{
	struct loaded l = load(yaml);

	if (!l.conf)
		print_findings(&l);
	assert_non_null(l.conf);
	return l;
}

static inline bool has_finding(const struct loaded *l, bool warning, unsigned line, const char *key,
			       const char *words)
{
	for (size_t i = 0; i < l->findings.n; i++) {
		const struct conf_finding *f = &l->findings.v[i];

		if (f->warning == warning && f->line == line && str_eq(f->key, str_c(key)) &&
		    str_find(f->text, str_c(words)) < f->text.n)
			return true;
	}
	print_message("no %s at line %u about '%s' that says \"%s\" among:\n",
		      warning ? "warning" : "error", line, key, words);
	print_findings(l);
	return false;
}

static inline size_t count(const struct loaded *l, bool warning)
{
	size_t n = 0;

	for (size_t i = 0; i < l->findings.n; i++)
		n += l->findings.v[i].warning == warning;
	return n;
}

#define assert_str(got, want)                                                                      \
	do {                                                                                       \
		struct str got_ = (got);                                                           \
		if (!str_eq(got_, str_c(want)))                                                    \
			fail_msg("got \"" STR_FMT "\", want \"%s\"", STR_ARG(got_), (want));       \
	} while (0)
