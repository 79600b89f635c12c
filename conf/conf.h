/* Configuration: lakeFS's keys and defaults, read strictly, into one immutable, counted snapshot.
 *
 * conf/conf.def is the one table of keys (path, type, default, bounds, offset, flags, a sentence): from
 * it come the YAML reader, the environment (LAKEFS_..., SLUICE_..., the latter wins; lists too:
 * SLUICE_BLOCKSTORES_STORES_0_ID), `sluice config sample` and docs/reference/configuration.md.
 * The struct's members follow the key paths: database.local.path is conf->database.local.path.
 *
 * A reload builds a new snapshot and swaps the pointer (conf_current_set); whoever works with the old
 * one holds a reference.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct conf_strs {
	struct str *v;
	size_t n;
};

struct conf_store {
	struct str id; /* "" for the single store of `blockstore` */
	bool backward_compatible;
	struct str description;
	struct str type; /* local, s3, azure, gs, mem; gcs becomes gs, transient becomes mem */
	struct str default_namespace_prefix;
	struct {
		struct str path;
		bool import_enabled, import_hidden;
		struct conf_strs allowed_external_prefixes;
	} local;
	struct {
		struct str region, profile, credentials_file, endpoint, pre_signed_endpoint;
		struct str server_side_encryption, server_side_encryption_kms_key_id;
		struct {
			struct str access_key_id, secret_access_key, session_token;
		} credentials;
		struct {
			int64_t session_duration, session_expiry_window; /* ms */
		} web_identity;
		int64_t max_retries, pre_signed_expiry /* ms */;
		bool force_path_style, discover_bucket_region, skip_verify_certificate_test_only;
		bool disable_pre_signed, disable_pre_signed_ui, disable_pre_signed_multipart;
		bool client_log_retries, client_log_request;
	} s3;
	struct {
		struct str storage_account, storage_access_key, auth_method, domain, test_endpoint_url;
		int64_t try_timeout, pre_signed_expiry; /* ms */
		bool disable_pre_signed, disable_pre_signed_ui, china_cloud;
	} azure;
	struct {
		struct str s3_endpoint, credentials_file, credentials_json, bucket_project_id, endpoint;
		struct str server_side_encryption_customer_supplied,
			server_side_encryption_kms_key_id;
		struct str data_credentials_file, data_credentials_json;
		int64_t pre_signed_expiry; /* ms */
		bool disable_pre_signed, disable_pre_signed_ui;
	} gs;
};

/* Durations are in milliseconds, sizes in bytes. Strings without a value are STR_NONE. Only what sluice
 * uses is here; keys that lakeFS has and sluice has no use for are rows of the table without an offset. */
struct conf {
	struct str listen_address;
	struct {
		bool enabled;
		struct str cert_file, key_file;
	} tls;
	struct {
		struct str format, level, audit_log_level;
		struct conf_strs output;
		int64_t file_max_size_mb, files_keep;
		bool trace_request_headers;
	} logging;
	struct {
		struct str type;
		struct {
			struct str path;
			bool sync_writes;
			int64_t block_cache_bytes, write_buffer_bytes; /* sluice's own */
		} local;
		struct {
			struct str connection_string;
			int64_t max_open_connections, max_idle_connections,
				connection_max_lifetime, scan_page_size;
			bool metrics;
		} postgres;
		struct {
			struct str table_name, endpoint, aws_region, aws_profile, aws_access_key_id,
				aws_secret_access_key;
			int64_t scan_limit, max_attempts, max_connections, health_check_interval;
		} dynamodb;
	} database;
	struct {
		struct {
			struct str secret_key;
		} signing;
		struct conf_store *stores;
		size_t stores_n;
		bool single; /* came from `blockstore` */
	} blockstores;
	struct {
		struct {
			bool enabled;
			int64_t size, ttl, jitter;
		} cache;
		struct {
			struct str secret_key;
		} encrypt;
		struct {
			struct str rbac; /* internal (default), none, ... */
		} ui_config;
		int64_t login_duration, login_max_duration;
		struct {
			int64_t max_duration;
		} sts;
		struct {
			int64_t failures, recovery;
		} limits;
		struct str logout_redirect_url;
	} auth;
	struct {
		struct {
			struct conf_strs domain_name;
			struct str region, fallback_url;
			bool verify_unsupported, list_branch_buckets, verify_region;
			int64_t abandoned_uploads_after;
		} s3;
	} gateways;
	struct {
		struct {
			int64_t size_bytes, max_uploaders_per_writer;
			struct str dir;
			double range_proportion, metarange_proportion;
		} local_cache;
		struct str block_storage_prefix;
		struct {
			int64_t min_range_size_bytes, max_range_size_bytes;
			double range_raggedness_entries;
		} permanent;
		struct {
			struct {
				int64_t cache_size_bytes;
			} memory;
		} sstable;
	} committed;
	struct {
		int64_t prepare_max_file_size, prepare_interval;
	} ugc;
	struct {
		bool ensure_readable_root_namespace;
		int64_t dropped_tokens_after;
		struct {
			int64_t size, expiry, jitter;
		} repository_cache;
		struct {
			int64_t size, expiry, jitter;
		} commit_cache;
	} graveler;
	struct {
		struct str fixed_id, user_name, access_key_id, secret_access_key;
	} installation;
	struct {
		bool enabled;
	} actions;
	/* sluice's own: limits of the process, each with a default that suits a team. */
	struct {
		int64_t loops;          /* 0: one a core */
		int64_t data_workers, meta_workers, heavy_workers, task_workers, tasks;
		int64_t queue;          /* new items a pool holds before it refuses with SlowDown */
		struct {
			int64_t metadata, data, long_work, queue;
			int64_t wait;  /* ms; 0: for ever */
			int64_t share; /* per cent */
		} admission;
		int64_t connections;
		int64_t head_bytes, headers;
		int64_t head_timeout, idle_timeout, body_timeout, write_timeout; /* ms */
		int64_t stop_grace;     /* ms */
		int64_t hygiene_interval, temporaries_after; /* ms; 0: never */
		int64_t body_slot_bytes; /* 262144: half of an upload's buffer */
		int64_t direct_io_bytes; /* from here on a large object bypasses the page cache; 0: never */
		struct {
			int64_t down_after, probe_interval /* ms */;
			int64_t share /* percent */, patience /* ms */, local_retries;
			int64_t connections, queue; /* of each remote store */
		} stores;
		struct conf_strs trusted_proxies;
	} server;
};

/* One finding: file, line (0: environment or whole file), key, what is wrong and the remedy. */
struct conf_finding {
	struct str file;
	unsigned line;
	struct str key;
	struct str text;
	bool warning;
};

struct conf_findings {
	struct conf_finding *v;
	size_t n;
};

/* Reads `path` (STR_NONE: the environment alone), applies `env` (an environ-like array), checks all.
 * Findings (in `a`) hold every error and warning at once; CONFIG when there is an error, and *ret NULL. */
rc conf_load(struct str path, char *const *env, struct arena *a, struct conf_findings *findings,
	     struct conf **ret, struct err *reterr);
/* The same from text, `name` standing for the file in findings. */
rc conf_load_text(struct str name, struct str yaml, char *const *env, struct arena *a,
		  struct conf_findings *findings, struct conf **ret, struct err *reterr);
/* Where lakeFS looks when no --config is given: ./config.yaml, ~/.lakefs/config.yaml,
 * /etc/lakefs/config.yaml, ~/.lakefs.yaml; STR_NONE when there is none. */
struct str conf_default_path(struct arena *a);
/* "file:line: key: text" */
struct str conf_finding_line(const struct conf_finding *f, struct arena *a);

struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c);
/* The snapshot that new work takes: a new reference, NULL before the first set; any thread. */
struct conf *conf_current(void);
/* Takes a reference of its own and lets go of the one before; NULL at the end of the process. */
void conf_current_set(struct conf *c);

/* What opening the store takes from its configuration (kind, its block, the state of the files that it names),
 * as a hash: two of one fingerprint are one store. In hex. */
enum { CONF_FINGERPRINT = 64 };
void conf_store_fingerprint(const struct conf_store *s, char out[CONF_FINGERPRINT + 1]);

/* From the table: an annotated sample file, and the reference page. */
void conf_sample(struct buf *out);
void conf_reference(struct buf *out);
