/* Putting a part of a multipart upload. On home's loop but for the job:
 *
 *   start --> STREAMING --stored--> RECORDING (job) --> ENDED, done()
 *
 * A part that is stored and not recorded is nobody's; it goes with the upload. A part that is put again
 * lies beside the old one in the store: the record says, by the store's ETag, which one counts.
 */
#include <assert.h>

#include "base/encode.h"
#include "versions/internal.h"
#include "versions/upload_record.h"

enum { STREAMING = 1, RECORDING, ENDED };

#define OF(ptr, member)                                                                            \
	((struct upload_part_put *)((char *)(ptr) - offsetof(struct upload_part_put, member)))

static rc make_part(struct upload_part_put *p)
{
	p->part = (struct upload_part){
		.number = p->number,
		.size = digest_set_bytes(p->digests),
		.etag = hex_encode(p->a, digest_set_value(p->digests, DIGEST_MD5)),
		.modified = wall_now(),
		.store_etag = p->op.stat.etag,
	};
	return p->complete ? p->complete(p, &p->part) : RC_OK;
}

static rc set_part(struct upload_part_put *p, const struct upload_record *now)
{
	struct str key = part_key(p->a, p->upload->id, p->number);
	struct str value = part_encode(&p->part, p->a);

	if (!kv_has_guarded(p->v->kv))
		return kv_set(p->v->kv, PARTITION_PARTS, key, value, &p->err);
	return kv_set_guarded(p->v->kv, PARTITION_PARTS, key, value, PARTITION_MULTIPARTS,
			      p->upload->id, now->raw, &p->err);
}

/* While nobody completes or aborts the upload: a Complete that is repeated must find the parts that it
 * found first. */
static rc record(struct upload_part_put *p)
{
	struct vcall c = {.v = p->v, .a = p->a, .err = &p->err};
	const struct upload *u = p->upload;
	struct upload_record now;
	rc res = RC_OK;

	if (work_cancelled(&p->work))
		return err_default(&p->err, ERR_CANCELLED);
	TRY(make_part(p));
	TRY(upload_read(&c, p->repo, u->branch, u->path, u->id, &now));
	if (!now.completing.n)
		res = set_part(p, &now);
	if (now.completing.n || rc_is(res, PREDICATE))
		return err_set(&p->err, ERR_NoSuchUpload,
			       "the upload is being completed or was aborted");
	return res;
}

static void run_record(struct work *w)
{
	struct upload_part_put *p = OF(w, work);

	p->ran = true;
	p->result = record(p);
}

static void finish(struct upload_part_put *p)
{
	p->state = ENDED;
	if (rc_ok(p->result))
		p->err = (struct err){0};
	p->done(p);
}

static void recorded(struct work *w)
{
	struct upload_part_put *p = OF(w, work);

	if (!p->ran)
		p->result = err_default(&p->err, ERR_CANCELLED);
	finish(p);
}

static void streamed(struct backend_op *op)
{
	struct upload_part_put *p = OF(op, op);

	p->result = op->result;
	if (!rc_ok(op->result)) {
		p->err = op->err;
		if (rc_is(op->result, NOT_FOUND))
			p->result = err_default(&p->err, ERR_NoSuchUpload);
		finish(p);
		return;
	}
	p->work = (struct work){.run = run_record, .done = recorded, .home = p->home, .begun = true};
	p->state = RECORDING;
	if (work_submit(p->v->meta, &p->work))
		return;
	p->result = err_set(&p->err, ERR_SlowDown, "the workers have too much to do; try again");
	finish(p);
}

static void refused(struct mail *m)
{
	finish(OF(m, mail));
}

static rc prepare(struct upload_part_put *p)
{
	struct vcall c = {.v = p->v, .a = p->a, .wait = KV_NOWAIT, .err = &p->err};

	if (p->number < 1 || p->number > MULTIPART_MAX_PARTS)
		return err_set(&p->err, ERR_InvalidArgument,
			       "Part number must be an integer between 1 and %d, inclusive",
			       MULTIPART_MAX_PARTS);
	return repo_backend(&c, p->repo, &p->backend);
}

void upload_part_start(struct upload_part_put *p)
{
	assert(p->done && p->home && p->body && digest_set_has(p->digests, DIGEST_MD5));
	p->cancelled = p->ran = false;
	p->result = prepare(p);
	if (!rc_ok(p->result)) {
		p->state = ENDED;
		p->mail.deliver = refused;
		mailbox_post(p->home, &p->mail);
		return;
	}
	p->state = STREAMING;
	p->op = (struct backend_op){
		.done = streamed,
		.home = p->home,
		.a = p->a,
		.to = p->upload->to,
		.body = p->body,
		.upload_id = p->upload->store_upload_id,
		.part = p->number,
	};
	backend_mpu_put_part(p->backend, &p->op);
}

void upload_part_cancel(struct upload_part_put *p)
{
	p->cancelled = true;
	if (p->state == STREAMING)
		backend_cancel(&p->op);
	else if (p->state == RECORDING)
		work_cancel(&p->work);
}
