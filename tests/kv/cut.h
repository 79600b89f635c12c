/* Connections that break in the middle of a call, after more and more bytes in either direction:
 * reads go through, and a write says OK only when it is there, and UNKNOWN_OUTCOME when it may be.
 * What the tests of each driver that is reached over a network have in common. */
#pragma once

#include "tests/kv/conformance.h"
#include "tests/kv/cutter.h"

#define CUT_P STR("p")
#define CUT_K STR("k")

struct cut_driver {
	/* A KV through that port of loopback (0: the service's own), with the table of this test.
	 */
	struct kv *(*open)(int port, int64_t call_ms);
	/* Waits until nobody carries out what a cut call has sent; NULL: nobody does. */
	void (*settle)(void);
	/* Sweeps: every byte up to the first, then every so many. */
	uint64_t head, step;
};

/* One call: it begins with k = before, and leaves k = after if it is carried out. */
struct cut_call {
	const char *name, *before, *after;
	rc (*make)(struct err *e);
};

struct cut_outcome {
	uint64_t bytes; /* of the whole call */
	int done, unknown_new, unknown_old;
};

extern struct cut {
	const struct cut_driver *driver;
	struct cutter *cutter;
	struct kv *kv;	   /* through the cutter */
	struct kv *direct; /* beside it */
	bool hasty;	   /* kv's calls have little time, which a slow machine may use up */
	struct arena *arena;
} cut;

void cut_setup(const struct cut_driver *d, int server_port, int64_t call_ms);
void cut_teardown(void);

/* What is there, seen from beside. */
const char *cut_value(const char *key);
void cut_prepare(const char *key, const char *value);
bool cut_is(const char *got, const char *want);
bool cut_reads(const struct cut_call *c);
/* Some call makes sure that there is a connection, which isn't cut. */
void cut_warm_up(void);

rc cut_set(struct err *e);
rc cut_create(struct err *e);
rc cut_replace(struct err *e);
rc cut_swap(struct err *e);
rc cut_delete(struct err *e);
rc cut_get(struct err *e);
rc cut_get_nothing(struct err *e);
rc cut_scan(struct err *e);
rc cut_moment(struct err *e);

/* Rows of a driver's table of calls. */
#define CUT_CHANGES                                                                                \
	{"set", "old", "new", cut_set}, {"set_if absent", NULL, "new", cut_create},                \
	    {"set_if present", "old", "new", cut_replace},                                         \
	    {"set_if value", "old", "new", cut_swap},                                              \
	{                                                                                          \
		"delete", "old", NULL, cut_delete                                                  \
	}
#define CUT_READS                                                                                  \
	{"get", "old", "old", cut_get}, {"get nothing", "old", "old", cut_get_nothing},            \
	    {"scan", "old", "old", cut_scan},                                                      \
	{                                                                                          \
		"moment", "old", "old", cut_moment                                                 \
	}

/* The call, cut after more and more bytes until it isn't any more; what it says is true each time.
 */
void cut_sweep(const struct cut_call *c, enum cutter_way way, struct cut_outcome *ret);
/* The calls after their connections broke while idle: nobody notices, or a write doesn't know. */
void cut_idle(const struct cut_call *calls, size_t n);
/* The call, with silence instead of an end; it is to end so. */
void cut_silence(const struct cut_call *c, enum cutter_way way, enum err_code want);
