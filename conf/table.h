/* The table of conf.def as data, for the reader, the sample and the reference page. */
#pragma once

#include "base/arena.h"

enum conf_type {
	CONF_STR,
	CONF_ADDRESS, /* host:port */
	CONF_PATH,    /* "~/" is the home folder */
	CONF_BOOL,
	CONF_INT,
	CONF_SIZE,     /* bytes; 20MiB, 1GB */
	CONF_DURATION, /* milliseconds; Go syntax */
	CONF_FLOAT,
	CONF_STRS,
	CONF_NETWORKS, /* addresses and CIDR blocks */
	CONF_ANY,      /* ignored keys: nothing looks at the value */
};

enum conf_flag {
	KEY_SECRET = 1,         /* its value never appears in a finding */
	KEY_REQUIRED = 2,
	KEY_OWN = 4,            /* sluice's, not lakeFS's */
	KEY_MULTI = 8,          /* in blockstores.stores[] only */
	KEY_SINGLE_DEFAULT = 16, /* the default counts for `blockstore` only */
	KEY_IGNORED = 32,
	KEY_UNREAD = 64, /* checked, and nothing reads it yet: the page and the sample say so */
};

struct conf_key {
	const char *path;
	enum conf_type type;
	bool store; /* of struct conf_store, its path relative to the store */
	size_t offset;
	const char *preset; /* the default, as a user would write it, or NULL */
	int64_t min, max;   /* checked when min < max */
	const char *choices;
	unsigned flags;
	const char *doc;
};

enum {
	CONF_KEYS = 0
#define KEY(...) +1
#define STORE_KEY(...) +1
#define IGNORED(...) +1
#define STORE_IGNORED(...) +1
#define ALIAS(...)
#define STORE_ALIAS(...)
#include "conf/conf.def"
#undef KEY
#undef STORE_KEY
#undef IGNORED
#undef STORE_IGNORED
#undef ALIAS
#undef STORE_ALIAS
};

extern const struct conf_key conf_keys[CONF_KEYS];

#define CONF_MULTI_PREFIX "blockstores.stores"
#define CONF_SINGLE_PREFIX "blockstore"
/* What lakeFS publishes as the default of blockstore.signing.secret_key. */
#define CONF_SIGNING_DEFAULT "OVERRIDE_THIS_SIGNING_SECRET_DEFAULT"

/* `path` in lower case (lakeFS ignores it), its beginning replaced where it is another name: gcs.x
 * becomes gs.x. */
struct str conf_key_canonical(struct str path, bool store, struct arena *a);
/* NULL when there is no such key. The path is canonical. */
const struct conf_key *conf_key_find(struct str path, bool store);
/* Keys lie below this (canonical) path. */
bool conf_key_is_section(struct str path, bool store);
/* The key whose environment name (without LAKEFS_ or SLUICE_) this is. */
const struct conf_key *conf_key_by_env(struct str name, bool store, struct arena *a);
/* database.local.path becomes DATABASE_LOCAL_PATH. */
struct str conf_env_name(struct str path, struct arena *a);
/* The key or section that a (canonical) path probably meant, or STR_NONE. Slow: for a bounded number of findings. */
struct str conf_key_nearest(struct str path, bool store);
const char *conf_type_name(const struct conf_key *k);
