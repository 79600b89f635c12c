/* What the tests of stores share. Include after cmocka.h. */
#pragma once

#include "backends/filters.h"

#define ok(call) check_rc((call), &test_err, __FILE__, __LINE__)
#define fails(call, name) check_code((call), ERR_##name, &test_err, __FILE__, __LINE__)
extern struct err test_err;
void check_rc(rc r, const struct err *e, const char *file, int line);
void check_code(rc r, enum err_code code, const struct err *e, const char *file, int line);

/* Local ones first: what a program without an argument goes through. */
enum store_kind { STORE_LOCAL, STORE_LOCAL_NAMED, STORE_MEM, STORE_FAULT, STORE_LOCAL_KINDS,
		  STORE_S3_VERSITYGW = STORE_LOCAL_KINDS, STORE_S3_S3PROXY, STORE_AZURE,
		  STORE_GCS_MEMORY, STORE_GCS_FILES, STORE_KINDS };
const char *store_kind_name(enum store_kind k);
/* Before anything else in main(): which kinds EACH_KIND goes through, those of the group that argv[1] names
 * ("s3", "azure", "gcs"). Remote ones need their service's program under build/, which tools/test brings there. */
void store_group(int argc, char **argv);
extern enum store_kind store_first, store_end;
#define EACH_KIND(k) for (enum store_kind k = store_first; k < store_end; k++)

/* How a remote store is opened otherwise than well. */
struct store_twist {
	unsigned port;     /* a relay's, instead of the service's own */
	bool wrong_key, no_bucket;
	unsigned stall_ms, deadline_ms; /* 0: generous */
	unsigned max_retries;
	bool no_retries;
};

struct remote_options;
struct remote_options store_remote(const struct store_twist *t);

struct service;
struct store {
	struct backend *b;
	struct str space;
	char root[64];      /* of local ones */
	struct service *at; /* of remote ones */
	unsigned front;     /* the port that stores use: the service's, or of what stands before it */
	bool forgets;       /* the service has nothing any more when it was killed */
	bool remote;        /* what isn't there may be told at a commit only; sizes of parts aren't checked */
	bool lax_uploads;   /* takes parts of uploads that have ended; of missing parts it says NoSuchUpload */
	char memory[128];   /* of space */
};
/* Of a remote kind the first one starts the service, for all that follow; each has a namespace of
 * its own. */
void store_open(struct store *s, enum store_kind k, struct work_pool *pool);
void store_open_twisted(struct store *s, enum store_kind k, const struct store_twist *t);
void store_close(struct store *s);
/* Before its service is killed: what was stored so far is on disk. */
void store_settle(struct store *s);
/* Another store of a remote kind over the same namespace. */
void store_reopen(struct store *s, enum store_kind k, struct store_twist t);
/* A row of the table of kinds: one for each remote store, in a file of its own. */
struct store_row {
	const char *name, *group;
	void (*open)(struct store *s, enum store_kind k, const struct store_twist *t);
};
void store_open_s3(struct store *s, enum store_kind k, const struct store_twist *t);
void store_open_azure(struct store *s, enum store_kind k, const struct store_twist *t);
void store_open_gcs(struct store *s, enum store_kind k, const struct store_twist *t);
void store_dir_new(char out[64]);
void store_dir_remove(const char *path);
/* Files below the path; what the local store keeps for itself included. */
size_t store_files(const char *path);

struct object_ptr at(const struct store *s, const char *key);
/* Byte i of every test object. */
char pattern(uint64_t i, unsigned seed);
struct str pattern_new(struct arena *a, size_t n, unsigned seed);
rc put_bytes(struct store *s, const char *key, struct str bytes);
/* The whole object, or its error. */
rc get_bytes(struct store *s, struct arena *a, const char *key, struct str *ret);
bool holds(struct store *s, const char *key, struct str bytes);
