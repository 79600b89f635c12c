/* Who guesses is slowed down: attempts at proving who one is that failed, by source address and by access key.
 *
 * An address may fail so many times in a row, and gets one more attempt back each `recovery`; beyond it, it waits.
 * Under an access key that fails from everywhere, an address has a quarter of that. Nobody is kept out for what
 * others did: an access key alone is never refused, and an access key that has proved right from an address
 * within a day goes on being tried there, whatever else comes from it (many share an address), with failures of
 * its own.
 *
 * IPv6 addresses count by their /64. State is a table of a fixed size, the longest unused out first: who has more
 * addresses than it has rows gets what they have together. It lives in this process alone.
 * Any thread; nothing blocks.
 */
#pragma once

#include "base/str.h"

struct auth_guard;

/* failures 0: nothing is ever refused. */
struct auth_guard *auth_guard_new(unsigned failures, int64_t recovery_ms);
void auth_guard_free(struct auth_guard *g);
/* 0: it may be tried; else after so many milliseconds. access_key: "" for what names none. */
int64_t auth_guard_wait_ms(struct auth_guard *g, struct str source, struct str access_key);
/* True when that was the last one: from now on the address waits. */
bool auth_guard_failed(struct auth_guard *g, struct str source, struct str access_key);
void auth_guard_succeeded(struct auth_guard *g, struct str source, struct str access_key);
