/* Where the server is and who we are: lakectl's configuration, from the same places.
 *
 * The file: --config, SLUICECTL_CONFIG_FILE, LAKECTL_CONFIG_FILE or ~/.lakectl.yaml (that one need not be there).
 * Keys that lakectl has and this program has no use for are passed over. The environment wins over the
 * file: LAKECTL_<KEY_WITH_UNDERSCORES>, and SLUICECTL_ over LAKECTL_.
 */
#pragma once

#include "base/arena.h"

struct settings {
	struct str file;     /* where the configuration file is, or would be; STR_NONE without a home */
	struct str endpoint; /* as it was given; "" when it wasn't */
	struct str access_key_id, secret_access_key;
	struct str base_uri, ca_file;
	struct {
		bool enabled;
		int64_t max_attempts, min_wait_ms, max_wait_ms;
	} retries;
	int64_t parallelism;
};

/* file: --config, or STR_NONE. env: an environ-like array. False: *ret_why names the key and the remedy.
 * All in `a`. */
bool settings_load(struct str file, char *const *env, struct arena *a, struct settings *ret, struct str *ret_why);
/* Go's notation: 500ms, 3s, 1h30m. False on anything else, negative ones included. */
bool duration_parse(struct str s, int64_t *ret_ms);
/* The value of a variable in an environ-like array, or STR_NONE. */
struct str env_value(char *const *env, struct str name);
