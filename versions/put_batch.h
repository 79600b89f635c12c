/* Small puts that wait at once: one worker stores, syncs and stages several for little more than the
 * price of one. Each keeps its own result. Private to versions/. */
#pragma once

#include "versions/object.h"

struct put_batch;

struct put_batch *put_batch_new(struct versions *v);
/* Waits for the job that has just ended its last put. */
void put_batch_free(struct put_batch *b);

/* A whole body that is small, no condition, and a store that gains by it. */
bool put_batch_takes(const struct object_put *p);
/* Afterwards, with p->result and p->remove, p->mail comes to p->home. False: too busy, nothing was taken. */
bool put_batch_add(struct put_batch *b, struct object_put *p);
/* On the loop of p->home, of one that was taken: still queued, it never runs; else it learns of it. The
 * mail comes all the same. */
void put_batch_cancel(struct put_batch *b, struct object_put *p);

/* The entry of a put whose body is stored, and its record, once it has one; object_put.c. */
rc object_put_entry(struct object_put *p);
rc object_put_record(struct object_put *p, struct str *ret);
