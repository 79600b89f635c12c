/* Databases that a command opens by themselves: to be moved, dumped, filled or looked at. */
#pragma once

#include "cli/app.h"
#include "cli/meter.h"
#include "kv/hold.h"

/* One configuration's. */
struct database {
	struct app app; /* configuration and KV only */
	struct str name; /* for people: type and the configuration's file */
	struct kv_hold hold;
	bool held;
};

/* Exit code 2 for what the configuration or the command line is to blame for. */
int database_exit_code(rc r);
/* Reads the configuration; findings go to stderr. False: exit code 2. */
bool database_configure(struct database *d, const char *path);
/* Opens its KV. `existing`: nothing is made; one that isn't there is NOT_FOUND. CONFIG when it keeps nothing
 * or is being filled (`filling`: that is what the command is for). */
rc database_open(struct database *d, bool existing, bool filling, struct err *reterr);
/* Nobody writes to it from here on (kv/hold.h), or an error that says why not. */
rc database_hold(struct database *d, bool freeze, const char *why, struct meter *m, struct err *reterr);
rc database_still_held(struct database *d, struct err *reterr);
/* Ends the hold (not one that was there before). A failure is told, it has its remedy. */
void database_release(struct database *d, const char *command);
/* CONFIG when it is frozen: it is no target then. */
rc database_check_thawed(struct database *d, struct err *reterr);
void database_close(struct database *d);
