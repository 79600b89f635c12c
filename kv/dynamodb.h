/* What the files of the DynamoDB driver share; kv/dynamodb.c says how it works. */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "base/json.h"
#include "http/aws_credentials.h"
#include "http/client.h"
#include "kv/kv.h"

enum {
	DDB_PARTITION_MAX = 2048, /* DynamoDB's own */
	DDB_KEY_MAX = 1024,
	DDB_ITEM_MAX = 400 * 1024, /* names of attributes and all */
	DDB_MARK = 12,		   /* bytes of a write's mark */
	DDB_BODY_MAX = 32 << 20,
};

/* lakeFS's attributes, and one of ours: random bytes of each write, by which its writer knows it
 * again. */
#define DDB_PARTITION "PartitionKey"
#define DDB_KEY "ItemKey"
#define DDB_VALUE "ItemValue"
#define DDB_WRITE "SluiceWrite"

struct dynamodb {
	struct kv kv;
	struct arena *a; /* of the texts */
	struct str table, region, url, host, path;
	struct aws_credentials *keys;
	struct http_pool *http;
	size_t scan_limit;
	size_t names_bytes;    /* of partitions' names in memory at once */
	unsigned max_attempts; /* 0: until call_ms is over */
	int64_t call_ms, wait_ms, open_ms;
	/* Requests under way: each has a connection. */
	struct {
		pthread_mutex_t lock;
		pthread_cond_t freed;
		unsigned free;
	} slots;
	struct ddb_health *health; /* NULL: nobody looks */
};

enum ddb_fate {
	DDB_DONE,
	DDB_CONDITION, /* it doesn't hold: nothing was done */
	DDB_THROTTLED, /* nothing was done; later it may be */
	DDB_UNSENT,    /* nothing was sent, or no keys were had to sign it */
	DDB_REFUSED,   /* the service said no: nothing was done */
	DDB_LOST,      /* sent, and no answer that tells: it may have been done */
};

/* Kinds of our own, beside the service's. */
#define DDB_NO_KEYS "NoCredentials"
#define DDB_NO_PLACE "NoConnection"

/* A request, and what became of it. */
struct ddb_call {
	const char *operation; /* "GetItem" */
	struct str body;
	struct arena *a; /* for the answer */
	bool reads;	 /* changes nothing: may be sent again whatever became of it */
	unsigned tries;	 /* at most; 0: as configured */
	enum ddb_fate fate;
	struct json *doc; /* DDB_DONE */
	char kind[64];	  /* the exception's name, or "" */
	char why[200];	  /* for operators; no key, value or secret */
};

/* Sends it, again where that is sound, until it is settled, its attempts or its time are over. */
void ddb_run(struct dynamodb *d, struct ddb_call *c);
/* What the fate means: nothing for DDB_DONE, PREDICATE, SlowDown ... Failures are logged. */
rc ddb_result(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr);
bool ddb_is(const struct ddb_call *c, const char *kind);
/* Sets fate and why. */
void ddb_tell(struct ddb_call *c, enum ddb_fate fate, const char *why);
/* Sets what an answer says. */
void ddb_judge(struct ddb_call *c, const struct http_answer *w);
/* DDB_REFUSED, because of what it was signed with. */
bool ddb_keys_refused(const struct ddb_call *c);
/* Waits before attempt n + 1 (n from 1), by chance between nothing and a bound that doubles. */
void ddb_pause(unsigned n);

/* INVALID, before anything is sent, with the limit. value NULL: a key alone. */
rc ddb_check(const struct dynamodb *d, struct str partition, struct str key,
	     const struct str *value, struct err *reterr);

/* Pieces of requests. A body begins with ddb_begin ({"TableName": ...) and is ended by ddb_end. */
struct ddb_body {
	struct arena *a;
	struct buf buf;
	struct json_out w;
};
void ddb_begin(struct ddb_body *b, const struct dynamodb *d, struct arena *a, size_t size);
/* The body, in the arena. */
struct str ddb_end(struct ddb_body *b);
/* "name": {"B": base64} */
void ddb_binary(struct ddb_body *b, const char *name, struct str bytes);
/* "name": {PartitionKey, ItemKey} */
void ddb_key(struct ddb_body *b, const char *name, struct str partition, struct str key);
void ddb_item(struct ddb_body *b, struct str partition, struct str key, struct str value,
	      const uint8_t mark[DDB_MARK]);
/* A binary attribute of an item; false: it isn't there, or is something else. */
bool ddb_bytes(struct arena *a, const struct json *item, const char *name, struct str *ret);

/* Whether a write whose answer was lost is there: looks for its mark, for a short while. False: it
 * isn't, yet, or another one came after it. */
bool ddb_landed(struct dynamodb *d, struct str partition, struct str key,
		const uint8_t mark[DDB_MARK]);

/* kv_ops, by files. */
void ddb_write_many(struct kv *kv, struct kv_write *w, size_t n);
rc ddb_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
	    struct kv_iter **ret, struct err *reterr);
kv_scan_moment_fn ddb_scan_moment;
rc ddb_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr);

/* Where it is, and its region: options, environment, profile. CONFIG. */
rc ddb_locate(struct dynamodb *d, const struct kv_dynamodb_options *o, struct err *reterr);
/* Finds the table, or makes it, and waits for it. CONFIG, NOT_FOUND (existing). */
rc ddb_table_open(struct dynamodb *d, bool existing, struct err *reterr);
void ddb_health_start(struct dynamodb *d, int64_t every_ms);
void ddb_health_stop(struct dynamodb *d);
