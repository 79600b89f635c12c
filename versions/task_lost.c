/* Tasks that aren't done, and whose owner is gone. Found through PARTITION_TASKS, whose entries are written before
 * the record and deleted after its end; one that leads nowhere is deleted once it is old enough for its record to be
 * there. Clocks are compared across machines, so lost_ms is far longer than they are apart; where one is further
 * off, a task that lives is taken over, its owner notices at its next heartbeat and ends, and what may be repeated
 * may be done by two at once. */
#include "base/log.h"
#include "versions/task_priv.h"

enum { PAGE = 256 };

struct lost {
	struct tasks *t;
	struct vcall *c;
	struct str index; /* the entry's key */
	struct str repo_id, partition, id;
	struct task_record rec;
};

/* <repository>/<uid>/<id> */
static bool parse(struct lost *l)
{
	struct str rest, uid, pieces[3];

	l->repo_id = str_cut(l->index, '/', &rest);
	if (!rest.p)
		return false;
	uid = str_cut(rest, '/', &l->id);
	if (!uid.n || !l->id.n)
		return false;
	pieces[0] = l->repo_id;
	pieces[1] = STR("-");
	pieces[2] = uid;
	l->partition = arena_join(l->c->a, pieces, 3);
	return true;
}

static bool has_lost_owner(const struct lost *l)
{
	struct timestamp updated = pb_time(l->rec.m->task->updated_at);
	struct str owner = pb_str(l->rec.m->task->owner_instance_id);
	int64_t age = wall_ms() - updated.s * 1000 - updated.ns / 1000000;

	if (!owner.n || (l->t->v->alone_since_ms && !str_eq(owner, str_c(l->t->instance))))
		return true;
	/* One that was written in the future: by a clock that was ahead. */
	return age >= l->t->o.lost_ms || -age >= l->t->o.lost_ms;
}

static rc forget(struct lost *l)
{
	return task_index_delete(l->c, l->index);
}

static rc write_end(struct lost *l)
{
	TRY(task_record_write(l->c, l->partition, &l->rec));
	log_event(LOG_WARN, "tasks", "a task whose server was lost has ended", F_STR("id", l->id),
		  F_STR("repository", l->repo_id),
		  F_STR("error", pb_str(l->rec.m->task->error_msg)));
	return forget(l);
}

static rc end_with(struct lost *l, const char *story)
{
	task_record_end(l->c, &l->rec, RC(ServiceUnavailable), story);
	return write_end(l);
}

static rc take_over(struct lost *l)
{
	enum task_kind kind = task_kind_of(l->id);
	struct repo r;
	rc found = task_repo(l->c, kind, l->repo_id, l->partition, &r), taken;

	/* Its records go with it. */
	if (rc_is(found, NOT_FOUND))
		return forget(l);
	TRY(found);
	/* Whoever has room for it takes it, later. */
	if (!rc_ok(tasks_reserve(l->t, NULL)))
		return RC_OK;
	l->rec.m->task->owner_instance_id = pb_bytes(str_c(l->t->instance));
	l->rec.m->started = false;
	taken = task_record_write(l->c, l->partition, &l->rec);
	if (!rc_ok(taken)) {
		tasks_unreserve(l->t);
		return taken;
	}
	log_event(LOG_INFO, "tasks", "a task without a server goes on here", F_STR("id", l->id),
		  F_STR("repository", l->repo_id));
	tasks_add(l->t, &r, l->id, kind);
	return RC_OK;
}

static rc decide(struct lost *l)
{
	enum task_kind kind = task_kind_of(l->id);
	const Pb__TaskStatus *m = l->rec.m;

	if (m->task->done || kind == TASK_KINDS)
		return forget(l);
	if (!has_lost_owner(l))
		return RC_OK;
	if (m->cancel_ms) {
		task_record_cancelled(&l->rec);
		return write_end(l);
	}
	if (m->started && !task_kind_ops(kind)->repeatable)
		return end_with(l, "The server that ran this ended before it could tell the result: it may "
				   "have been done or not. Look at the branch's log, and submit it again "
				   "if it isn't there.");
	if (m->starts >= TASK_STARTS)
		return end_with(l, "This was started several times, and each time its server ended "
				   "before it was done. Look into the servers' logs, then submit it again.");
	return take_over(l);
}

static rc visit(struct lost *l, struct str since)
{
	uint64_t ms;
	rc found;

	if (!parse(l))
		return forget(l);
	if (tasks_have(l->t, l->partition, l->id))
		return RC_OK;
	found = task_record_read(l->c, l->partition, l->id, &l->rec);
	if (rc_ok(found))
		return decide(l);
	if (rc_is(found, CORRUPT))
		return forget(l);
	if (!rc_is(found, NOT_FOUND))
		return found;
	if (str_to_u64(since, &ms) && wall_ms() - (int64_t)ms < l->t->o.lost_ms && !l->t->v->alone_since_ms)
		return RC_OK;
	return forget(l);
}

static rc read_page(struct vcall *c, struct str from, struct kv_entry *list, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	*ret_n = 0;
	TRY(kv_scan(c->v->kv, PARTITION_TASKS, from, PAGE, &it, c->err));
	while (*ret_n < PAGE) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end)
			break;
		list[(*ret_n)++] = (struct kv_entry){arena_dup(c->a, e.key), arena_dup(c->a, e.value)};
	}
	return RC_OK;
}

static void visit_page(struct tasks *t, struct vcall *c, const struct kv_entry *list, size_t n)
{
	for (size_t i = 0; i < n && !tasks_stopping(t); i++) {
		struct lost l = {.t = t, .c = c, .index = list[i].key};
		rc r = visit(&l, list[i].value);

		/* PREDICATE: somebody else was faster. */
		if (!rc_ok(r) && !rc_is(r, PREDICATE))
			log_event(LOG_WARN, "tasks", "a task can't be looked at; it will be tried again",
				  F_STR("task", list[i].key), F_CSTR("error", c->err->msg));
	}
}

void tasks_find_lost(struct tasks *t)
{
	struct arena *before = arena_new();
	struct str from = STR("\x01");
	size_t n = PAGE;

	while (n == PAGE && !tasks_stopping(t)) {
		struct arena *a = arena_new();
		struct err err = {0};
		struct vcall c = {.v = t->v, .a = a, .wait = KV_BLOCK, .err = &err};
		struct kv_entry *list = arena_alloc(a, PAGE * sizeof(*list));

		if (!rc_ok(read_page(&c, from, list, &n))) {
			log_event(LOG_WARN, "tasks", "tasks can't be listed; it will be tried again",
				  F_CSTR("error", err.msg));
			n = 0;
		}
		visit_page(t, &c, list, n);
		if (n)
			from = key_join(a, list[n - 1].key, str_make("", 1));
		arena_free(before); /* what `from` was in */
		before = a;
	}
	arena_free(before);
}
