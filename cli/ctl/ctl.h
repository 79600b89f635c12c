/* One run of the program: what was asked, whom, and how its answers are shown. Handlers of the table get it;
 * they return false with c->fault set, and the program ends with 1. */
#pragma once

#include "base/json.h"
#include "cli/ctl/args.h"
#include "cli/ctl/client.h"
#include "cli/ctl/settings.h"
#include "cli/ctl/uri.h"

struct ctl {
	struct arena *a; /* lives as long as the run */
	const struct args *args;
	struct settings settings;
	struct client *client;
	struct fault fault;
	bool json;	  /* -o json: documents alone on stdout */
	bool interactive; /* tables and colours */
	int exit;	  /* of a run that didn't fail; 0 */
};

/* The i-th word. */
static inline struct str ctl_word(const struct ctl *c, size_t i)
{
	return i < c->args->words_n ? c->args->words[i] : STR_NONE;
}

/* The i-th word as an address; false: c->fault. */
bool ctl_uri(struct ctl *c, enum uri_kind kind, size_t i, struct uri *ret);
bool ctl_uri_of(struct ctl *c, enum uri_kind kind, struct str text, struct uri *ret);
/* A fault of our own; returns false. */
bool ctl_fail(struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The question on stderr, the answer from stdin; true at once with --yes. */
bool ctl_confirm(struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* key=value pairs of a flag as members of the object that is open in w, under `key`; nothing when there are none. */
bool ctl_write_pairs(struct ctl *c, struct json_out *w, const char *key, const char *flag);
/* A file's whole text, "-": stdin's; at most `max` bytes. */
bool ctl_read_text(struct ctl *c, struct str file, size_t max, struct str *ret);

/* Requests, with c->fault. */
bool ctl_get(struct ctl *c, struct arena *a, struct str path, struct answer *ret);
/* doc: the JSON body, or STR_NONE. */
bool ctl_send(struct ctl *c, struct arena *a, const char *method, struct str path, struct str doc, struct answer *ret);
