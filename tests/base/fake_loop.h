/* An event loop with nothing but a mailbox, on a thread of its own. */
#pragma once

#include "base/work.h"

struct fake_loop;

struct fake_loop *fake_loop_new(void);
/* Delivers what has been posted, then joins. */
void fake_loop_free(struct fake_loop *l);
struct mailbox *fake_loop_mailbox(struct fake_loop *l);
/* fn(ud) on the loop; returns when it has run. */
void fake_loop_call(struct fake_loop *l, void (*fn)(void *ud), void *ud);
