/* What the tests of the KV have in common: the table of drivers that must pass them all (a new driver
 * is a row in conformance.c), and a fresh, empty KV for each test.
 *
 * CHECK is for threads other than cmocka's: it ends the program. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kv/kv.h"

struct kv_row {
	const char *name;
	struct kv *(*open)(const char *folder);
	/* Each write waits for a disk or a network: do less of them. */
	bool slow;
	/* What it takes, where that is less than KV_KEY_MAX and KV_VALUE_MAX; else 0. */
	size_t key_max, value_max;
	int moment_max; /* what kv_scan_moment takes, if that is few entries; else 0 */
};

struct kv_fixture {
	const struct kv_row *row;
	struct kv *kv;
	struct arena *arena;
	struct err err;
	char folder[64]; /* for the driver's files; removed afterwards */
};

/* A cmocka setup and teardown for the row that kv_run_rows is at; *state is the fixture. */
int kv_setup(void **state);
int kv_teardown(void **state);
/* Runs the tests once for each row, as a group of the row's name; the number that failed. SLUICE_KV_ROW=name: that
 * row alone, for who is at work on it. */
int kv_run_rows(const struct CMUnitTest *tests, size_t n);

/* A new empty folder below $TMPDIR or /tmp. */
void scratch_new(char folder[64]);
void scratch_remove(const char *folder);

rc kv_text_set(struct kv_fixture *f, const char *partition, const char *key, const char *value);
/* NULL when the key isn't there. */
const char *kv_text_get(struct kv_fixture *f, const char *partition, const char *key);
/* All entries from `from` on, as "key=value key=value". */
const char *kv_text_scan(struct kv_fixture *f, struct str partition, struct str from);

#define assert_rc(call, name)                                                                      \
	do {                                                                                       \
		rc rc_ = (call);                                                                   \
		if (!rc_is(rc_, name))                                                             \
			fail_msg("%s: %s, expected %s", #call, err_name(rc_.code), #name);         \
	} while (0)
#define assert_ok(call, f)                                                                         \
	do {                                                                                       \
		rc rc_ = (call);                                                                   \
		if (!rc_ok(rc_))                                                                   \
			fail_msg("%s: %s: %s", #call, err_name(rc_.code), (f)->err.msg);           \
	} while (0)
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
