/* fsck, sluice's own: for `sluice fsck` beside a running server, which alone may open its KV. */
#include "api/rest.h"
#include "versions/fsck.h"

static rc parse_submit(struct api_req *r)
{
	bool *bodies = ARENA_NEW(r->a, bool);

	r->op_state = bodies;
	return api_query_bool(r, "bodies", false, bodies);
}

static rc run_submit(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str id;

	TRY(task_submit_fsck(&c, &r->repo, *(bool *)r->op_state, &id));
	api_begin(r);
	jw_str(&r->w, "id", id);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_sluiceFsckSubmit = {.parse = parse_submit, .run = run_submit};

static rc parse_status(struct api_req *r)
{
	return api_query_required(r, "task_id", &r->id);
}

static void show_counts(struct json_out *w, const struct fsck_counts *n)
{
	jw_object(w, "summary");
	jw_int(w, "commits", n->commits);
	jw_int(w, "branches", n->branches);
	jw_int(w, "tags", n->tags);
	jw_int(w, "tables", n->tables);
	jw_int(w, "entries", n->entries);
	jw_int(w, "bodies", n->bodies);
	jw_int(w, "missing", n->missing);
	jw_int(w, "damaged", n->damaged);
	jw_int(w, "unreachable", n->unreachable);
	jw_int(w, "unreachable_bytes", n->unreachable_bytes);
	jw_end_object(w);
}

/* Names of things are a client's bytes: what is no text is shown as far as it is one. */
static struct str text(struct str s)
{
	size_t n = 0, step;

	while (n < s.n && (step = str_utf8_len(str_skip(s, n))))
		n += step;
	return str_head(s, n);
}

void api_show_findings(struct json_out *w, const struct fsck_finding *list, size_t n)
{
	jw_array(w, "findings");
	for (size_t i = 0; i < n; i++) {
		jw_object(w, NULL);
		jw_str(w, "kind", str_c(fsck_kind_name(list[i].kind)));
		jw_str(w, "thing", text(list[i].thing));
		jw_str(w, "named_by", text(list[i].named_by));
		jw_str(w, "story", text(list[i].story));
		jw_end_object(w);
	}
	jw_end_array(w);
}

static rc show_result(struct api_req *r, struct vcall *c, const struct task *t)
{
	struct fsck_finding *list;
	struct fsck_counts n;
	size_t found;

	TRY(task_fsck_result(c, t, &n, &list, &found));
	show_counts(&r->w, &n);
	api_show_findings(&r->w, list, found);
	return RC_OK;
}

static rc run_status(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct task t;

	TRY(task_get(&c, &r->repo, TASK_FSCK, r->id, &t));
	api_begin(r);
	jw_str(&r->w, "id", t.id);
	jw_bool(&r->w, "done", t.done);
	jw_int(&r->w, "progress", t.progress);
	if (t.error.n)
		jw_str(&r->w, "error", t.error);
	else if (t.done)
		TRY(show_result(r, &c, &t));
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_sluiceFsckStatus = {.parse = parse_status, .run = run_status};
