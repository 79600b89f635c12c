/* A fixed number of threads that take items from a bounded queue: whoever adds waits while it is full. */
#pragma once

#include "base/str.h"

struct crew;

/* run: on the crew's threads; the item is its own from there on. */
struct crew *crew_new(unsigned threads, void (*run)(void *ud, void *item), void *ud);
void crew_add(struct crew *c, void *item);
/* Waits for all that was added, ends the threads, frees. */
void crew_end(struct crew *c);
