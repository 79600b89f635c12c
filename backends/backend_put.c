/* put and part, derived from the blocking form: a job pulls the body and writes until the body has
 * nothing more at hand, the loop arms the body, its wake-up submits the next job. One job at a time.
 *
 *   submitted --WAIT--> armed --ready--> submitted     --END, FAIL, cancelled--> done()
 *                         \--cancel, full pool--> dropping (a job that aborts the writer) --> done()
 */
#include <assert.h>

#include "backends/impl.h"

struct put {
	struct job job;
	struct backend_writer *writer; /* the job's while it runs, else the loop's */
	bool part, wait, armed, dropping;
};

static rc put_open(struct put *p)
{
	const struct backend_blocking_ops *ops = p->job.b->blocking;
	struct backend_op *op = p->job.op;

	if (p->writer)
		return RC_OK;
	backend_size_from(&op->put, op->body);
	if (!p->part)
		return ops->open_writer(p->job.b, &op->to, &op->put, &p->writer, &op->err);
	if (!ops->mpu_open_part)
		return err_default(&op->err, ERR_UNSUPPORTED);
	return ops->mpu_open_part(p->job.b, &op->to, op->upload_id, op->part, &op->put, &p->writer,
				  &op->err);
}

static rc put_commit(struct put *p)
{
	struct backend_op *op = p->job.op;
	struct backend_writer *w;

	TRY(put_open(p));
	w = p->writer;
	p->writer = NULL;
	return p->job.b->blocking->commit(w, op->a, &op->stat, &op->err);
}

static rc put_pull(struct put *p)
{
	struct backend_op *op = p->job.op;
	char chunk[64 * 1024];

	for (;;) {
		size_t n = 0;

		if (work_cancelled(&op->work))
			return err_default(&op->err, ERR_CANCELLED);
		switch (body_pull(op->body, chunk, sizeof(chunk), &n, &op->err)) {
		case BODY_MORE:
			TRY(put_open(p));
			TRY(p->job.b->blocking->write(p->writer, chunk, n, &op->err));
			break;
		case BODY_END:
			return put_commit(p);
		case BODY_WAIT:
			p->wait = true;
			return RC_OK;
		case BODY_FAIL:
			assert(op->err.code != ERR_NONE);
			return (rc){op->err.code};
		}
	}
}

static void put_run(struct work *w)
{
	struct backend_op *op = CONTAINER(w, struct backend_op, work);
	struct put *p = op->impl;

	p->job.ran = true;
	backend_reap(p->job.b);
	if (!p->dropping) {
		p->wait = false;
		op->result = put_pull(p);
	}
	if (p->writer && (p->dropping || !rc_ok(op->result))) {
		p->job.b->blocking->abort(p->writer);
		p->writer = NULL;
	}
}

/* The result stands; what was written goes first. */
static void put_end(struct put *p)
{
	if (p->writer && !p->dropping) {
		p->dropping = true;
		if (job_submit(&p->job))
			return;
	}
	if (p->writer)
		backend_orphan(p->job.b, p->writer);
	p->writer = NULL;
	job_finish(&p->job);
}

static void put_end_mail(struct mail *m)
{
	put_end(CONTAINER(m, struct put, job.mail));
}

static void put_ready(void *ud)
{
	struct put *p = ud;

	if (!p->armed)
		return;
	p->armed = false;
	if (job_submit(&p->job))
		return;
	p->job.op->result = backend_busy(p->job.b, &p->job.op->err);
	job_post(&p->job, put_end_mail);
}

static void put_done(struct work *w)
{
	struct backend_op *op = CONTAINER(w, struct backend_op, work);
	struct put *p = op->impl;

	p->job.submitted = false;
	if (p->dropping) {
		put_end(p);
		return;
	}
	if (!p->job.ran || (p->wait && op->cancelled)) {
		op->result = err_default(&op->err, ERR_CANCELLED);
	} else if (p->wait && rc_ok(op->result)) {
		p->armed = true;
		body_arm(op->body, put_ready, p);
		return;
	}
	put_end(p);
}

static void put_cancel(struct backend_op *op)
{
	struct put *p = op->impl;

	if (p->armed) {
		p->armed = false;
		op->result = err_default(&op->err, ERR_CANCELLED);
		job_post(&p->job, put_end_mail);
	} else if (p->job.submitted && !p->dropping) {
		work_cancel(&op->work);
	}
}

void backend_derived_put(struct backend *b, struct backend_op *op, bool part)
{
	struct put *p = job_new(b, op, sizeof(*p));

	assert(op->body);
	p->job.flight.cancel = put_cancel;
	p->part = part;
	op->err.code = ERR_NONE;
	op->work.run = put_run;
	op->work.done = put_done;
	op->work.begun = true; /* a client's bytes are here or on their way */
	job_begin(&p->job);
}
