/* Admission: how many requests of each class are in progress, who waits for a place, and who is refused.
 *
 * A request enters with a ticket once it is known what it is, before anything else is spent on it. It has a
 * place at once, waits in a short line, or is refused; who has a place gives it back with admission_leave
 * when its answer is known. So a server that can't keep up keeps finishing what it has begun, at its full
 * rate, and says no to the rest in microseconds: there is no backlog to work off when whatever was slow
 * is fast again.
 *
 * Bounds, each per class: `running` places, `waiting` in line. Of both, one party (whoever the caller says
 * sent the request) has at most `share` per cent, so that the next one finds room. Parties that wait are
 * served in turn; of one party, those that are `ahead` (they go on with what was begun earlier, such as
 * parts of an upload) before others, each in order of arrival. Parties are told apart by a hash of few bits:
 * two of them may share a share.
 *
 * Any thread, unless said otherwise. Nothing here blocks longer than a few instructions of others.
 */
#pragma once

#include "base/str.h"
#include "base/work.h"

enum admission_class { ADMIT_METADATA, ADMIT_DATA, ADMIT_LONG, ADMIT_CLASSES };

struct admission_limits {
	size_t running; /* at least 1 */
	size_t waiting; /* 0: nobody waits */
	const char *remedy; /* for the log: what to raise; static */
};

struct admission_options {
	struct admission_limits of[ADMIT_CLASSES];
	unsigned share; /* per cent, 1 to 100 */
};

struct admission;

enum ticket_state { TICKET_NONE, TICKET_WAITING, TICKET_TOLD, TICKET_IN };

/* Embedded in the request. Set before admission_enter: */
struct ticket {
	struct mailbox *home; /* the request's loop */
	/* On home, once, if admission_enter answered WAIT and admission_cancel didn't take it out. admitted:
	 * it has a place; else the server stops and it is refused. */
	void (*told)(struct ticket *t, bool admitted);
	bool ahead;
	/* private */
	struct admission *of;
	enum admission_class class;
	enum ticket_state state; /* WAITING and TOLD under the lock; else home's */
	bool admitted;
	unsigned party;
	int64_t entered_us;
	struct ticket *next, *prev;
	struct mail mail;
};

enum admission_answer { ADMISSION_IN, ADMISSION_WAIT, ADMISSION_REFUSED };

struct admission *admission_new(const struct admission_options *o);
/* Nobody may be waiting any more (admission_stop); places that were never given back are forgotten. */
void admission_free(struct admission *a);

/* party: who sends it, "" where that isn't known (those share one party). */
enum admission_answer admission_enter(struct admission *a, enum admission_class c, struct str party,
				      struct ticket *t);
/* On home. True: it waited, and is out of the line; told() won't come. False: it isn't waiting; if it was,
 * told() is on its way. */
bool admission_cancel(struct ticket *t);
/* On home. Gives the place back, if it has one. */
void admission_leave(struct ticket *t);
/* Counts one that gave up or was given up because it had waited too long. */
void admission_refused_late(struct admission *a, enum admission_class c);
/* The server stops: those that wait are refused, and nobody waits any more. What is running goes on, and
 * where there is a place there still is one. */
void admission_stop(struct admission *a);

/* For Retry-After: in how many seconds it may be worth to try again, by how many wait and how fast places
 * were given back lately; 1 to ADMISSION_RETRY_MAX, not the same for everybody. */
enum { ADMISSION_RETRY_MAX = 30 };
unsigned admission_retry_s(struct admission *a, enum admission_class c);

struct admission_counts {
	size_t running, waiting;
};
struct admission_counts admission_counts(struct admission *a, enum admission_class c);
const char *admission_class_name(enum admission_class c);
