/* The KV interface: (partition, key) -> value, all byte strings; keys ordered bytewise in a partition.
 *
 * What the whole server knows about repositories, branches, tags, commits and staged objects is kept
 * behind these few calls, so a driver needs no more than get, set, set_if, delete and scan (see
 * docs/kv-drivers.md, the guide for writers of drivers). Partition and key are never empty; a value
 * may be. There are no transactions over several keys but the optional guarded set.
 *
 * Threads: every call may come from any thread at once. All may block, so they are for workers
 * (each asserts !on_loop()), except get with KV_NOWAIT.
 *
 * Durability: when set, set_if, set_guarded or delete return RC_OK, the change survives a crash of
 * the process and the machine (database.local.sync_writes: false relaxes that, as in lakeFS).
 *
 * Visibility: no call shows a change that isn't durable yet, so that what was read (and what was done
 * outside because of it) outlives a crash.
 *
 * Errors: NOT_FOUND (get), PREDICATE (set_if, set_guarded: nothing was written), WOULD_BLOCK,
 * INVALID (past the limits below), SlowDown (throttled: nothing was written), ServiceUnavailable (a store
 * that can't be reached, or refuses, at the moment: nothing was written), IO and CORRUPT (reads,
 * and the read of a conditional write: nothing was written), and, for writes, UNKNOWN_OUTCOME: the
 * change may or may not be there. An unknown outcome is never treated as failure: what the value
 * names must not be removed.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct kv;
struct kv_iter;

enum {
	KV_PARTITION_MAX = 2048, /* bytes; 1 to that many */
	KV_KEY_MAX = 8192,	 /* 1 to that many; a scan may begin at any bytes */
	KV_VALUE_MAX = 16 << 20,
	KV_WRITES_MAX = 256, /* of one kv_write_many */
	KV_MOMENT_PREFIXES = 2,
	KV_MOMENT_BYTES = 64 << 20,
};

enum kv_wait {
	KV_BLOCK,
	/* Answer from memory or WOULD_BLOCK; allowed on loops. */
	KV_NOWAIT,
};

/* What must hold for a conditional write. */
enum kv_cond {
	KV_IF_ABSENT,
	KV_IF_PRESENT,
	KV_IF_VALUE, /* the current value is, byte for byte, the one given (as read, never re-encoded) */
};

struct kv_entry {
	struct str key, value;
};

typedef rc kv_get_fn(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		     struct arena *a, struct str *ret_value, struct err *reterr);
typedef rc kv_set_fn(struct kv *kv, struct str partition, struct str key, struct str value,
		     struct err *reterr);
typedef rc kv_set_if_fn(struct kv *kv, struct str partition, struct str key, struct str value,
			enum kv_cond cond, struct str current, struct err *reterr);
typedef rc kv_delete_fn(struct kv *kv, struct str partition, struct str key, struct err *reterr);
/* Entries of the partition with key >= from, ascending. `batch` hints how many the caller wants
 * (0: unknown). An iterator sees at least everything acknowledged before it was made; what is written
 * meanwhile may or may not be seen. One thread at a time; it lives for one page of output, at most. */
typedef rc kv_scan_fn(struct kv *kv, struct str partition, struct str from, size_t batch,
		      struct kv_iter **ret, struct err *reterr);
/* The partitions that have an entry, each as an entry's key (the value is empty), those >= from,
 * ascending bytewise. As a scan's iterator, but for the whole of a migration. */
typedef rc kv_partitions_fn(struct kv *kv, struct str from, struct kv_iter **ret,
			    struct err *reterr);
/* Entries of the partition that begin with one of the prefixes, all of them as they were at one moment. The prefixes
 * ascend, neither is the other's beginning, and their last bytes aren't 0xff. UNSUPPORTED: there are more of them than
 * KV_MOMENT_BYTES (keys, values and a little for each). */
typedef rc kv_scan_moment_fn(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
			     struct kv_iter **ret, struct err *reterr);
/* Sets only while the guard key's value is exactly `guard_value` at the instant of the write, in one
 * step against every set_if on the guard key. PREDICATE when it isn't. */
typedef rc kv_set_guarded_fn(struct kv *kv, struct str partition, struct str key, struct str value,
			     struct str guard_partition, struct str guard_key,
			     struct str guard_value, struct err *reterr);
/* One of several writes: a set, with has_guard a guarded set, with remove a delete (never both). */
struct kv_write {
	struct str partition, key, value;
	bool has_guard, remove;
	struct str guard_partition, guard_key, guard_value;
	struct err *err; /* its own; NULL: nobody wants the story */
	rc result;       /* in: an error takes it out of the batch; out: its own */
};
typedef void kv_write_many_fn(struct kv *kv, struct kv_write *w, size_t n);
/* One of the reads behind writes. */
struct kv_read {
	struct str partition, key;
	struct arena *a;  /* for the value */
	struct str value; /* out */
	struct err *err;  /* its own, or NULL */
	rc result;	  /* out: as kv_get's */
};
typedef void kv_write_then_read_fn(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r,
				   size_t m);
typedef void kv_free_fn(struct kv *kv);

struct kv_ops {
	const char *name;
	kv_get_fn *get;
	kv_set_fn *set;
	kv_set_if_fn *set_if;
	kv_delete_fn *delete;
	kv_scan_fn *scan;
	kv_free_fn *free;
	kv_set_guarded_fn *set_guarded; /* optional: NULL */
	kv_write_many_fn *write_many;   /* optional: NULL, where it would be no cheaper than one by one */
	kv_partitions_fn *partitions;	/* optional: NULL, then nothing can be dumped or migrated from it */
	kv_write_then_read_fn *write_then_read; /* optional: NULL, where it would be no cheaper than both */
	kv_scan_moment_fn *scan_moment; /* optional: NULL, where there is no such thing, and where scans are that */
	/* False: KV_NOWAIT always answers WOULD_BLOCK. */
	bool has_nowait;
	/* The driver's process is the data's only owner: what it remembers can't go stale. */
	bool sole_owner;
	/* An iterator shows what there was when it was made, wherever in its partition it is sought. */
	bool snapshots;
};

/* First member of each driver's struct. */
struct kv {
	const struct kv_ops *ops;
};

typedef rc kv_iter_seek_fn(struct kv_iter *it, struct str from, struct err *reterr);
typedef rc kv_iter_next_fn(struct kv_iter *it, struct kv_entry *ret, bool *ret_end,
			   struct err *reterr);
typedef void kv_iter_close_fn(struct kv_iter *it);

struct kv_iter_ops {
	/* The next entry is the first with key >= from; from must not lie before where the iterator
	 * stands. */
	kv_iter_seek_fn *seek;
	/* The entry's bytes live until the next call on the iterator. At the end, and for every
	 * call after it until a seek: *ret_end, and *ret is untouched. */
	kv_iter_next_fn *next;
	kv_iter_close_fn *close;
};

struct kv_iter {
	const struct kv_iter_ops *ops;
};

/* The calls; they check the arguments and count (metrics kv_requests_total{operation,result},
 * kv_request_seconds{operation}). A value given without a pointer is an empty one; one returned
 * always has a pointer. */
rc kv_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key, struct arena *a,
	  struct str *ret_value, struct err *reterr);
rc kv_set(struct kv *kv, struct str partition, struct str key, struct str value, struct err *reterr);
rc kv_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
	     enum kv_cond cond, struct str current, struct err *reterr);
/* Deleting what isn't there is no error. */
rc kv_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr);
rc kv_scan(struct kv *kv, struct str partition, struct str from, size_t batch,
	   struct kv_iter **ret, struct err *reterr);
/* To be sought at each prefix: others may lie between. Where the driver can't, too: UNSUPPORTED. */
rc kv_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		  struct kv_iter **ret, struct err *reterr);
/* Where the driver has none: UNSUPPORTED. */
rc kv_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr);
/* Where the driver has none: UNSUPPORTED; ask kv_has_guarded first. */
rc kv_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
		  struct str guard_partition, struct str guard_key, struct str guard_value,
		  struct err *reterr);
bool kv_has_guarded(const struct kv *kv);
/* Several writes at the price of one, where the driver can: each as kv_set, kv_set_guarded or kv_delete
 * would have done it, with its own result, in this order (of two of the same key the last one stays). They are no
 * transaction: some may fail, and others may see some of them first. An item that is guarded by what
 * another one writes may see it before or after. */
void kv_write_many(struct kv *kv, struct kv_write *w, size_t n);
/* kv_write_many, and when each write has its result, kv_get of each read: in one round trip, where the
 * driver can. Who wrote under what a record names learns so whether the record still named it, at a lower price
 * than with a guard that others have to wait for. n, m: up to KV_WRITES_MAX. */
void kv_write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r, size_t m);
rc kv_iter_next(struct kv_iter *it, struct kv_entry *ret, bool *ret_end, struct err *reterr);
rc kv_iter_seek(struct kv_iter *it, struct str from, struct err *reterr);
void kv_iter_close(struct kv_iter *it); /* NULL is allowed */
void kv_iter_closep(struct kv_iter **it);
void kv_free(struct kv *kv); /* NULL is allowed; no call may be under way */

/* Drivers; kv/drivers.h opens one by its name. A folder in use by another process, or one that Badger
 * wrote, or that isn't a KV's, is a clear error (CONFIG) with its remedy, and nothing is written. */
struct kv_rocksdb_options {
	struct str path; /* made when missing, parents too */
	bool existing;	 /* NOT_FOUND when there is no KV yet: nothing is made */
	bool sync_writes;
	size_t block_cache_bytes;  /* 0: 32 MiB */
	size_t write_buffer_bytes; /* 0: 16 MiB; up to three of them are in memory */
};
rc kv_rocksdb_open(const struct kv_rocksdb_options *o, struct kv **ret, struct err *reterr);
/* lakeFS's table in a PostgreSQL, or in what speaks its protocol (CockroachDB, YugabyteDB), shared by any
 * number of processes; the table is made where there is none. Zeros are defaults. */
struct kv_postgres_options {
	struct str connection_string; /* empty: the PG* environment variables decide */
	unsigned max_open_connections; /* 25 */
	unsigned max_idle_connections; /* 0: none is kept */
	int64_t connection_max_lifetime_ms; /* 0: for ever */
	size_t scan_page_size; /* 1000 rows; a page has 8 MiB at most, and one row more */
	bool metrics;
	/* The longest that a call takes, waits for a connection of the pool, tries to open one: 30 s, 10 s, 10 s. */
	int64_t call_ms, wait_ms, connect_ms;
	bool existing; /* NOT_FOUND when there is no table yet: none is made */
};
rc kv_postgres_open(const struct kv_postgres_options *o, struct kv **ret, struct err *reterr);
/* A filter over a driver whose reads cost a round trip: concurrent gets of one key share one, but only one that
 * was sent after they came, so that nobody sees what was there before their call. Nobody waits for others to
 * come: a get goes out at once, unless two of the same key are on their way, and then with all who wait for
 * the first of them to return. Owns `next`. */
struct kv *kv_share_new(struct kv *next);
/* lakeFS's table in a DynamoDB, or in what speaks its protocol (ScyllaDB Alternator), shared by any number of
 * processes; the table is made where there is none. Zeros are defaults. Narrower limits than above: keys of 1024 bytes,
 * values of about 400 KB. */
struct kv_dynamodb_options {
	struct str table_name; /* kvstore */
	struct str endpoint;   /* a URL; STR_NONE: AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, else AWS's own */
	struct str region;     /* STR_NONE: the environment's or the profile's */
	struct str profile, access_key, secret, token; /* as http/aws_credentials.h has them */
	bool existing;	       /* NOT_FOUND when there is no table yet: none is made */
	size_t scan_limit;     /* 1024 items of a page at most */
	unsigned max_attempts; /* of one request; 0: until its time is over */
	unsigned max_connections; /* 64 */
	int64_t health_check_ms;  /* 0: nobody looks */
	/* The longest that a call takes, waits for a connection, waits for the table: 30 s, 10 s, 2 min. */
	int64_t call_ms, wait_ms, open_ms;
};
rc kv_dynamodb_open(const struct kv_dynamodb_options *o, struct kv **ret, struct err *reterr);
/* In memory, sorted: the executable specification. KV_NOWAIT answers WOULD_BLOCK while somebody
 * writes. */
struct kv *kv_mem_new(void);

/* A filter over a driver for tests: the n-th call from now (1 is the next; counting calls of `mask`)
 * fails with `code`, once; `after`: the call is carried out first (an unknown outcome). A new arming
 * replaces the old one; nth 0 disarms. Owns `next`. */
enum kv_call {
	KV_CALL_GET = 1,
	KV_CALL_SET = 2,
	KV_CALL_SET_IF = 4,
	KV_CALL_DELETE = 8,
	KV_CALL_SCAN = 16,    /* of partitions, too */
	KV_CALL_GUARDED = 32, /* as KV_CALL_SET, each item of kv_write_many, too */
	KV_CALL_NEXT = 64, /* an iterator's next and seek */
	KV_CALL_WRITES = 2 | 4 | 8 | 32,
	KV_CALL_ANY = 127,
};
struct kv *kv_fault_new(struct kv *next);
void kv_fault_arm(struct kv *fault, unsigned mask, uint64_t nth, enum err_code code, bool after);
/* hook(ud) just before the n-th get from now, once, on whichever thread it comes; nth 0: none. */
void kv_fault_hook(struct kv *fault, uint64_t nth, void (*hook)(void *ud), void *ud);
/* From now on each call takes so many ms longer, and nothing can be had without waiting; 0: no more. */
void kv_fault_slow(struct kv *fault, unsigned ms);
/* Calls of any kind so far: a sweep fails the 1st, 2nd, ... until a run passes untouched. */
uint64_t kv_fault_calls(const struct kv *fault, unsigned mask);
