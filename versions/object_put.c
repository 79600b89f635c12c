/* Putting an object. All on home's loop but what is marked as a job:
 *
 *   start --arm--> FILLING --whole, small---------> BATCHED (put_batch.c) -----------------+
 *                     |------whole, store blocks--> WHOLE (job: store, stage) -------------+
 *                     \------- otherwise --------> STREAMING --stored--> STAGING (job) --+
 *                                                       \--failed----------------------+
 *   done() <-- ENDED <---------------------------------------------------------------- |
 *                \--------- REMOVING <-- a stored body that no sent KV write names ----+
 */
#include "versions/object.h"

#include <assert.h>

#include "base/encode.h"
#include "versions/internal.h"
#include "versions/put_batch.h"
#include "versions/stage_batch.h"

enum { FILLING = 1, BATCHED, WHOLE, STREAMING, STAGING, REMOVING, ENDED };

#define OF(ptr, member) ((struct object_put *)((char *)(ptr) - offsetof(struct object_put, member)))

static struct vcall call_of(struct object_put *p, enum kv_wait wait)
{
	return (struct vcall){.v = p->v, .a = p->a, .wait = wait, .err = &p->err};
}

/* Jobs. */

rc object_put_entry(struct object_put *p)
{
	struct entry *e = &p->entry;

	*e = (struct entry){
		.address = p->to.key,
		.address_type = p->to.type,
		.modified = wall_now(),
		.content_type = p->content_type.n ? p->content_type
						  : STR("application/octet-stream"),
		.metadata = p->metadata,
		.metadata_n = p->metadata_n,
	};
	if (p->digests) {
		e->size = (int64_t)digest_set_bytes(p->digests);
		e->etag = hex_encode(p->a, digest_set_value(p->digests, DIGEST_MD5));
	}
	entry_sort_metadata(e);
	return p->complete ? p->complete(p, e) : RC_OK;
}

rc object_put_record(struct object_put *p, struct str *ret)
{
	TRY(valid_path(p->path, &p->err));
	TRY(read_only_refused(p->repo, &p->err));
	TRY(entry_check(&p->entry, &p->err));
	*ret = staged_encode(p->path, &p->entry, p->a);
	return RC_OK;
}

static rc stage_always(struct object_put *p, bool *ret_sent)
{
	struct stage_item s = {.repo = p->repo, .branch = p->branch, .path = p->path,
			       .seen = p->seen, .err = &p->err};

	TRY(object_put_record(p, &s.value));
	stage_many(p->v, &s, 1);
	*ret_sent = s.sent;
	return s.result;
}

/* The body is stored. Until a write that names it was sent it is ours to remove. */
static void stage(struct object_put *p)
{
	struct vcall c = call_of(p, KV_BLOCK);
	bool sent = false;

	if (work_cancelled(&p->work))
		p->result = err_default(&p->err, ERR_CANCELLED);
	else
		p->result = object_put_entry(p);
	if (rc_ok(p->result) && p->cond == STAGE_ALWAYS)
		p->result = stage_always(p, &sent);
	else if (rc_ok(p->result))
		p->result = object_stage(&c, p->repo, p->branch, p->path, &p->entry, p->cond,
					 p->cond_etag, &sent);
	p->remove = !rc_ok(p->result) && !sent;
}

static void run_stage(struct work *w)
{
	struct object_put *p = OF(w, work);

	p->ran = true;
	stage(p);
}

static void run_whole(struct work *w)
{
	struct object_put *p = OF(w, work);
	struct backend_stat stat;

	p->ran = true;
	p->result = backend_put_now(p->backend, &p->to, &p->op.put, p->body, p->a, &stat, &p->err);
	if (rc_ok(p->result))
		stage(p);
	else
		p->remove = rc_is(p->result, UNKNOWN_OUTCOME);
}

/* The loop. */

static void deliver(struct object_put *p)
{
	p->state = ENDED;
	if (rc_ok(p->result))
		p->err = (struct err){0};
	p->done(p);
}

static void deliver_mail(struct mail *m)
{
	deliver(OF(m, mail));
}

static void end_later(struct object_put *p, rc result)
{
	p->result = result;
	p->state = ENDED;
	p->mail.deliver = deliver_mail;
	mailbox_post(p->home, &p->mail);
}

/* Should this fail, the body is garbage for GC. */
static void removed(struct backend_op *op)
{
	deliver(OF(op, op));
}

static void finish(struct object_put *p)
{
	if (!p->remove) {
		deliver(p);
		return;
	}
	p->state = REMOVING;
	p->op = (struct backend_op){.done = removed, .home = p->home, .a = p->a, .to = p->to};
	backend_remove(p->backend, &p->op);
}

static void worked(struct work *w)
{
	struct object_put *p = OF(w, work);

	if (!p->ran) {
		p->result = err_default(&p->err, ERR_CANCELLED);
		p->remove = p->state == STAGING;
	}
	finish(p);
}

static void batched(struct mail *m)
{
	finish(OF(m, mail));
}

static bool submit_batched(struct object_put *p)
{
	p->state = BATCHED;
	p->gone = false;
	p->mail.deliver = batched;
	return put_batch_add(p->v->puts, p);
}

static bool submit(struct object_put *p, struct work_pool *pool, int state,
		   void (*run)(struct work *w))
{
	p->work = (struct work){.run = run, .done = worked, .home = p->home, .begun = true};
	p->state = state;
	return work_submit(pool, &p->work);
}

static rc too_busy(struct object_put *p)
{
	return err_set(&p->err, ERR_SlowDown, "the workers have too much to do; try again");
}

static void streamed(struct backend_op *op)
{
	struct object_put *p = OF(op, op);

	p->result = op->result;
	if (!rc_ok(op->result)) {
		p->err = op->err;
		p->remove = rc_is(op->result, UNKNOWN_OUTCOME);
		if (p->from && rc_is(op->result, NOT_FOUND))
			p->result = object_gone(&p->err);
	} else if (p->cancelled) {
		p->result = err_default(&p->err, ERR_CANCELLED);
		p->remove = true;
	} else if (submit(p, p->v->meta, STAGING, run_stage)) {
		return;
	} else {
		p->result = too_busy(p);
		p->remove = true;
	}
	finish(p);
}

static void store(struct object_put *p)
{
	bool whole = !p->from && (!p->relay || body_relay_whole(p->relay));

	p->op = (struct backend_op){
		.done = streamed,
		.home = p->home,
		.a = p->a,
		.to = p->to,
		.put = {.content_type = p->content_type, .storage_class = p->storage_class},
		.body = p->body,
	};
	if (p->from) {
		p->op.from = *p->from;
		p->state = STREAMING;
		backend_copy(p->backend, &p->op);
	} else if (!whole || !(p->backend->caps & BACKEND_CAP_BLOCKING)) {
		p->state = STREAMING;
		backend_put(p->backend, &p->op);
	} else if (put_batch_takes(p) ? !submit_batched(p)
				       : !submit(p, p->v->data, WHOLE, run_whole)) {
		end_later(p, too_busy(p));
	}
}

static void filled(void *ud)
{
	struct object_put *p = ud;

	if (p->state == FILLING)
		store(p);
}

static rc prepare(struct object_put *p)
{
	struct vcall c = call_of(p, KV_NOWAIT);

	TRY(valid_path(p->path, &p->err));
	TRY(read_only_refused(p->repo, &p->err));
	TRY(repo_backend(&c, p->repo, &p->backend));
	p->to = repo_pointer(p->repo, object_new_address(p->v, p->a));
	return RC_OK;
}

void object_put_start(struct object_put *p)
{
	rc r;

	assert(p->done && p->home);
	assert(p->from ? p->complete && !p->body && !p->digests
		       : p->body && digest_set_has(p->digests, DIGEST_MD5));
	p->cancelled = p->ran = p->remove = false;
	p->state = FILLING;
	r = prepare(p);
	if (!rc_ok(r)) {
		end_later(p, r);
	} else if (p->relay && !body_relay_whole(p->relay)) {
		body_arm(p->body, filled, p);
	} else {
		store(p);
	}
}

void object_put_cancel(struct object_put *p)
{
	p->cancelled = true;
	if (p->state == FILLING)
		end_later(p, err_default(&p->err, ERR_CANCELLED));
	else if (p->state == BATCHED)
		put_batch_cancel(p->v->puts, p);
	else if (p->state == WHOLE || p->state == STAGING)
		work_cancel(&p->work);
	else if (p->state == STREAMING)
		backend_cancel(&p->op);
}
