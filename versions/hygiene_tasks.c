/* Records of tasks a day after they were done (lakeFS forgets them then, too), and of processes that wrote no
 * heartbeat for a day. A task of some other program is kept as long, whether it is done or not: what it is can't be
 * known, and its owner would have written it since. One that isn't done is the tasks' own business
 * (task_lost.c). And leases on heads (turn.h) an hour after they were written. */
#include "versions/hygiene_kinds.h"
#include "versions/task_priv.h"

enum { LEASE_OLD_S = 3600 };

static bool is_old(const struct sweep *s, struct timestamp t)
{
	return s->now_ms / 1000 - t.s >= TASK_EXPIRY_S;
}

static rc visit_task(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	struct str *partition = ud;
	struct task_record rec;
	struct task t;

	/* Tasks are the last of a repository's partition. */
	if (!str_starts(e.key, STR("tasks/"))) {
		s->resume = STR("tasks/");
		return RC_OK;
	}
	rec.m = pb_unpack(&pb__task_status__descriptor, e.value, c->a);
	if (!rec.m || !rec.m->task)
		return err_set(c->err, ERR_CORRUPT, "the task's record can't be decoded");
	t = task_decode(&rec);
	if (!is_old(s, t.updated) || !(t.done || t.kind == TASK_KINDS))
		return RC_OK;
	TRY(sweep_delete(s, c, *partition, e.key));
	s->counts->tasks++;
	return RC_OK;
}

static rc visit_repo(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	struct repo r;

	if (!str_starts(e.key, STR("repos/")))
		return RC_OK;
	TRY(repo_decode(e.value, c->a, &r, c->err));
	sweep_each(s, r.partition, visit_task, &r.partition);
	s->resume = STR_NONE; /* that was the inner one's */
	return RC_OK;
}

static rc visit_instance(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	Pb__InstanceHeartbeat *m;

	if (!str_starts(e.key, STR("instances/")))
		return RC_OK;
	m = pb_unpack(&pb__instance_heartbeat__descriptor, e.value, c->a);
	if (m && m->updated_at && !is_old(s, pb_time(m->updated_at)))
		return RC_OK;
	return sweep_delete(s, c, PARTITION_CATALOG, e.key);
}

/* Of servers that died; who works renews it every second. */
static rc visit_lease(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	size_t at = e.value.n;
	uint64_t when;

	while (at && e.value.p[at - 1] != ' ')
		at--;
	if (str_to_u64(str_skip(e.value, at), &when) && s->now_ms / 1000 < (int64_t)when + LEASE_OLD_S)
		return RC_OK;
	return sweep_delete(s, c, PARTITION_LEASES, e.key);
}

void sweep_tasks(struct sweep *s)
{
	struct str nowhere = task_nowhere()->partition;

	sweep_each(s, PARTITION_GRAVELER, visit_repo, NULL);
	sweep_each(s, PARTITION_CATALOG, visit_instance, NULL);
	sweep_each(s, PARTITION_LEASES, visit_lease, NULL);
	sweep_each(s, nowhere, visit_task, &nowhere);
}
