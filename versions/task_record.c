#include "versions/task_priv.h"

struct str task_key(struct arena *a, struct str id)
{
	return key_join(a, STR("tasks/"), id);
}

struct str task_index_key(struct arena *a, const struct repo *r, struct str id)
{
	const struct str pieces[] = {r->id, STR("/"), r->instance_uid, STR("/"), id};

	return arena_join(a, pieces, 5);
}

rc task_index_delete(struct vcall *c, struct str key)
{
	return kv_delete(c->v->kv, PARTITION_TASKS, key, c->err);
}

rc task_record_read(struct vcall *c, struct str partition, struct str id, struct task_record *ret)
{
	rc r = kv_get(c->v->kv, c->wait, partition, task_key(c->a, id), c->a, &ret->raw, c->err);

	if (rc_is(r, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "task " STR_FMT " not found", STR_ARG(id));
	TRY(r);
	ret->m = pb_unpack(&pb__task_status__descriptor, ret->raw, c->a);
	if (!ret->m || !ret->m->task)
		return err_set(c->err, ERR_CORRUPT, "task " STR_FMT ": its record can't be decoded",
			       STR_ARG(id));
	return RC_OK;
}

static void set_updated(struct vcall *c, Pb__Task *t)
{
	struct timestamp now = wall_now();
	Pb__Timestamp *at = ARENA_NEW(c->a, Pb__Timestamp);

	pb__timestamp__init(at);
	at->seconds = now.s;
	at->nanos = now.ns;
	t->updated_at = at;
}

rc task_record_write(struct vcall *c, struct str partition, struct task_record *rec)
{
	struct str key = task_key(c->a, pb_str(rec->m->task->id));

	set_updated(c, rec->m->task);
	return kv_set_if(c->v->kv, partition, key, pb_pack(&rec->m->base, c->a),
			 rec->raw.p ? KV_IF_VALUE : KV_IF_ABSENT, rec->raw, c->err);
}

/* Text of records is UTF-8; a story may quote what isn't, or be cut within a character. */
static struct str clean(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; i < s.n;) {
		size_t n = str_utf8_len(str_skip(s, i));

		if (!n)
			p[i] = '?';
		i += n ? n : 1;
	}
	return str_make(p, s.n);
}

void task_record_end(struct vcall *c, struct task_record *rec, rc result, const char *story)
{
	Pb__Task *t = rec->m->task;

	t->done = true;
	rec->m->input = (ProtobufCBinaryData){0};
	if (rc_ok(result))
		return;
	t->status_code = err_status(result.code);
	t->error_msg = pb_bytes(clean(c->a, str_c(*story ? story : err_text(result.code))));
}

void task_record_cancelled(struct task_record *rec)
{
	rec->m->task->done = true;
	rec->m->input = (ProtobufCBinaryData){0};
	rec->m->task->status_code = err_status(ERR_OperationAborted);
	rec->m->task->error_msg = pb_bytes(STR("Canceled"));
}

struct task task_decode(const struct task_record *rec)
{
	const Pb__Task *t = rec->m->task;
	struct task ret = {
		.id = pb_str(t->id),
		.operation = pb_str(t->operation),
		.owner = pb_str(t->owner_instance_id),
		.kind = task_kind_of(pb_str(t->id)),
		.started = rec->m->started,
		.done = t->done,
		.cancelled = rec->m->cancel_ms != 0 && (!t->done || t->error_msg.len),
		.updated = pb_time(t->updated_at),
		.progress = t->progress,
		.status = t->status_code,
		.error = pb_str(t->error_msg),
		.result = pb_str(rec->m->result),
		.subject = pb_str(rec->m->subject),
	};

	for (size_t i = 0; i < rec->m->n_counts && i < TASK_COUNTS; i++)
		ret.counts[i] = rec->m->counts[i];
	return ret;
}
