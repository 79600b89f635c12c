/* Long work with a name: a record in the KV (lakeFS's Task: <repository>/tasks/<id>), its owner's heartbeat,
 * progress, cancelling and expiry, run on a pool of its own.
 *
 *   submitted --claimed by a process--> running --tick--> running ... --> done (result, or error and status)
 *
 * The owner writes the record's update time every few seconds; one that hasn't been updated for
 * TASK_LOST_MS has lost its owner: what can be repeated is taken over by another process, the rest ends with
 * an error that says so. Records expire 24 hours after they were done. */
#pragma once

#include "base/work.h"
#include "versions/dump.h"

enum { TASK_LOST_MS = 60 * 1000, TASK_EXPIRY_S = 24 * 3600 };

struct task {
	struct str id, operation, owner, error;
	bool done;
	struct timestamp updated;
	int64_t progress;
	int status; /* HTTP status of a failure */
	struct str payload; /* the whole status message, for the operation's own fields */
};
