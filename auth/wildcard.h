/* Wildcards of actions and resources: '*' is any run, '?' is one UTF-8 character (or one byte of
 * what isn't UTF-8). No escapes in what users write; the two bytes below, which no UTF-8 text has,
 * stand for a literal '*' and '?' (a user's name put into a pattern).
 *
 * Time is at most pattern times text, however many stars there are.
 */
#pragma once

#include "base/str.h"

#define AUTH_LITERAL_STAR '\xfe'
#define AUTH_LITERAL_QUERY '\xff'

bool auth_wildcard(struct str pattern, struct str text);
/* Of all texts that begin with `prefix`: whether it surely matches each; whether it may match one. */
bool auth_wildcard_covers(struct str pattern, struct str prefix);
bool auth_wildcard_touches(struct str pattern, struct str prefix);
