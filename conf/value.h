/* Values of keys: text to a typed member, checked against the key's limits. */
#pragma once

#include "conf/conf.h"
#include "conf/table.h"

/* Sets the key's member of the struct at `base` (strings are copied into `own`). False: *ret_wrong, in
 * `a`, says what is wrong and what to write instead; it holds no secret. */
bool conf_value_set(const struct conf_key *k, void *base, struct str text, struct arena *own,
		    struct arena *a, struct str *ret_wrong);
/* The same for a key that takes a list. */
bool conf_value_set_list(const struct conf_key *k, void *base, const struct str *v, size_t n,
			 struct arena *own, struct arena *a, struct str *ret_wrong);
static inline bool conf_value_is_list(const struct conf_key *k)
{
	return k->type == CONF_STRS || k->type == CONF_NETWORKS;
}

/* Go's duration syntax, rounded up to a millisecond: "1h5m", "500ms", "1.5s", "0". */
bool conf_duration_parse(struct str s, int64_t *ret_ms);
/* Bytes: digits, or a number with B, KB, MB, GB, TB, KiB, MiB, GiB, TiB. */
bool conf_size_parse(struct str s, int64_t *ret);
/* The choices of a key, without other spellings: "a, b". */
struct str conf_choices_text(const char *choices, struct arena *a);
/* A number in the key's own unit, as a user would write it. */
struct str conf_limit_text(const struct conf_key *k, int64_t v, struct arena *a);
/* Text from outside, fit for one line: control characters escaped, length bounded. */
struct str conf_shown(struct str s, struct arena *a);
