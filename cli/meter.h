/* How far a long command is, on stderr: a bar on a terminal, elsewhere a line every few seconds and one at
 * the end of each step. And SIGINT, SIGTERM: the command stops at its next tick, and can be gone on with. */
#pragma once

#include "kv/migrate.h"

struct meter {
	const char *command; /* "migrate" */
	bool terminal;
	bool line_open; /* a bar stands on the terminal */
	bool begun;
	enum kv_step step;
	int64_t step_ms, told_ms; /* when the step began, when something was last shown */
	uint64_t first;		  /* records that were done when the step was first seen */
	const char *copying;	  /* what that step is called here: "copying" */
};

/* Takes the signals over, too; a second one ends the process as ever. */
void meter_init(struct meter *m, const char *command, const char *copying);
/* For struct kv_migration and struct kv_dump, with ud = the meter: CANCELLED after a signal. */
rc meter_tick(void *ud, const struct kv_progress *p, struct err *reterr);
/* A line of its own. */
void meter_say(void *ud, const char *line);
/* Takes an unfinished bar away: before anything else is printed. */
void meter_clear(struct meter *m);
