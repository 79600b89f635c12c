/* How far files are, on stderr while that is a terminal: one bar for all of them. Any thread. */
#pragma once

#include "base/str.h"

struct progress;

/* verb: "upload"; silent: never anything. */
struct progress *progress_new(const char *verb, bool silent);
/* More that is to be done. */
void progress_expect(struct progress *p, uint64_t files, uint64_t bytes);
/* Fewer, too: what has to be sent again. */
void progress_bytes(struct progress *p, int64_t n);
void progress_file(struct progress *p);
/* Is a bar drawn? */
bool progress_is_shown(const struct progress *p);
/* A line on stdout, above the bar. Whole lines of threads don't mix. */
void progress_say(struct progress *p, struct str line);
/* The last state stays, as a line. */
void progress_end(struct progress *p);
