#include "versions/task.h"

#include "versions/task_priv.h"

static struct str new_id(struct arena *a, struct str prefix)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	unsigned char random[TASK_ID_CHARS];
	char text[TASK_ID_CHARS];

	rand_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = letters[random[i] & 63];
	return key_join(a, prefix, str_make(text, sizeof(text)));
}

static struct task_record new_record(struct vcall *c, enum task_kind kind, struct str input, struct str subject)
{
	const struct task_kind_ops *ops = task_kind_ops(kind);
	struct task_record rec = {.m = ARENA_NEW(c->a, Pb__TaskStatus)};

	pb__task_status__init(rec.m);
	rec.m->task = ARENA_NEW(c->a, Pb__Task);
	pb__task__init(rec.m->task);
	rec.m->task->id = pb_bytes(new_id(c->a, ops->prefix));
	rec.m->task->operation = pb_bytes(ops->operation);
	rec.m->task->owner_instance_id = pb_bytes(str_c(c->v->tasks->instance));
	rec.m->input = pb_bytes(input);
	rec.m->subject = pb_bytes(subject);
	return rec;
}

/* First that it isn't done, then itself: what a crash leaves is forgotten (task_lost.c). */
static rc write_new(struct vcall *c, const struct repo *r, struct task_record *rec)
{
	struct str index = task_index_key(c->a, r, pb_str(rec->m->task->id));

	TRY(kv_set(c->v->kv, PARTITION_TASKS, index,
		   arena_printf(c->a, "%lld", (long long)wall_ms()), c->err));
	return task_record_write(c, r->partition, rec);
}

const struct repo *task_nowhere(void)
{
	static const struct repo nowhere = {
		.id = STR("sluice"), .instance_uid = STR("backups"), .partition = STR("sluice-backups")};

	return &nowhere;
}

rc task_submit(struct vcall *c, const struct repo *r, enum task_kind kind, struct str input,
	       struct str *ret_id)
{
	return task_submit_about(c, r, kind, input, STR(""), ret_id);
}

rc task_submit_about(struct vcall *c, const struct repo *r, enum task_kind kind, struct str input,
		     struct str subject, struct str *ret_id)
{
	struct tasks *t = c->v->tasks;
	struct task_record rec;
	rc written;

	if (!t)
		return err_set(c->err, ERR_ServiceUnavailable,
			       "tasks are run by a server: this process runs none");
	TRY(tasks_reserve(t, c->err));
	rec = new_record(c, kind, input, subject);
	written = write_new(c, r, &rec);
	*ret_id = pb_str(rec.m->task->id);
	if (rc_ok(written)) {
		tasks_add(t, r, *ret_id, kind);
		return RC_OK;
	}
	tasks_unreserve(t);
	/* It may be there; if it can't be removed, somebody will take it over, and run it. */
	if (!surely_unwritten(written))
		IGNORE_RC(kv_delete(c->v->kv, r->partition, task_key(c->a, *ret_id), NULL));
	return written;
}

rc task_get(struct vcall *c, const struct repo *r, enum task_kind kind, struct str id, struct task *ret)
{
	struct task_record rec;

	if (id.n == 0 || id.n > KV_KEY_MAX / 2 || (kind != TASK_KINDS && task_kind_of(id) != kind))
		return err_set(c->err, ERR_NOT_FOUND, "task " STR_FMT " not found",
			       STR_ARG(str_head(id, 100)));
	TRY(task_record_read(c, r->partition, id, &rec));
	*ret = task_decode(&rec);
	return RC_OK;
}

rc task_list(struct vcall *c, const struct repo *r, struct str after, size_t max, struct task **ret,
	     size_t *ret_n, bool *ret_more)
{
	struct str prefix = STR("tasks/");
	struct str from = scan_from(c->a, prefix, after.p ? key_join(c->a, prefix, after) : STR_NONE);
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct task *list = arena_alloc(c->a, (max + 1) * sizeof(*list));
	struct kv_entry e;
	size_t n = 0;
	bool end;

	*ret_more = false;
	TRY(kv_scan(c->v->kv, r->partition, from, max + 1, &it, c->err));
	for (;;) {
		struct task_record rec;

		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, prefix))
			break;
		*ret_more = n == max;
		if (*ret_more)
			break;
		rec.m = pb_unpack(&pb__task_status__descriptor, e.value, c->a);
		if (rec.m && rec.m->task)
			list[n++] = task_decode(&rec);
	}
	*ret = list;
	*ret_n = n;
	return RC_OK;
}

static rc try_cancel(struct vcall *c, const struct repo *r, enum task_kind kind, struct str id)
{
	struct task_record rec;
	struct task task;

	TRY(task_get(c, r, kind, id, &task));
	TRY(task_record_read(c, r->partition, id, &rec));
	if (rec.m->task->done)
		return err_set(c->err, ERR_OperationAborted, "task " STR_FMT " is done already",
			       STR_ARG(id));
	if (rec.m->cancel_ms && rec.m->started)
		return RC_OK;
	rec.m->cancel_ms = wall_ms();
	if (!rec.m->started)
		task_record_cancelled(&rec);
	return task_record_write(c, r->partition, &rec);
}

rc task_cancel(struct vcall *c, const struct repo *r, enum task_kind kind, struct str id)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		rc res = try_cancel(c, r, kind, id);

		if (rc_is(res, PREDICATE))
			continue;
		if (rc_ok(res) && c->v->tasks)
			tasks_stop_one(c->v->tasks, r->partition, id, STOP_CANCEL);
		return res;
	}
	return err_set(c->err, ERR_SlowDown, "task " STR_FMT " keeps changing; try again",
		       STR_ARG(id));
}
