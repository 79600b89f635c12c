#include "cli/ctl/task.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/ctl/cmd.h"

enum { FIRST_LOOK_MS = 100, LOOK_MS = 1000, SLICE_MS = 50 };

static struct str task_path(struct ctl *c, const struct task *t)
{
	return path_query(c->a, t->path, "task_id", t->id);
}

/* In slices: another thread may be the one that the signal wakes. */
static void nap(struct ctl *c, int64_t ms)
{
	for (; ms > 0 && !client_stopped(c->client); ms -= SLICE_MS)
		usleep(SLICE_MS * 1000);
}

/* The client that was stopped asks nothing more: another one does. */
static bool cancel(struct ctl *c, const struct task *t)
{
	struct call q = {.method = "DELETE", .path = task_path(c, t)};
	struct fault f = {0};
	struct client *other;
	struct answer w;
	struct str why;

	c->fault = (struct fault){.kind = FAULT_REACH};
	if (!client_new(&c->settings, c->a, &other, &why)) {
		c->fault.text = why;
		return false;
	}
	if (client_ask(other, c->a, &q, &w, &f))
		c->fault.text = arena_printf(c->a, "stopped; the %s was cancelled: %s", t->noun, t->when_cancelled);
	else if (f.status == 404 || f.status == 409)
		c->fault.text =
			arena_printf(c->a, "stopped; too late to cancel the %s: it was over already", t->noun);
	else
		c->fault.text = arena_printf(c->a,
					     "stopped; the %s (task " STR_FMT
					     ") couldn't be cancelled and may go on in the server: " STR_FMT,
					     t->noun, STR_ARG(t->id), STR_ARG(f.text));
	client_free(other);
	return false;
}

static bool lost(struct ctl *c, const struct task *t)
{
	c->fault.text = arena_printf(c->a, STR_FMT "; the %s (task " STR_FMT ") may go on in the server",
				     STR_ARG(c->fault.text), t->noun, STR_ARG(t->id));
	return false;
}

static void draw(struct ctl *c, const struct task *t, const struct answer *w)
{
	fprintf(stderr, "\r\033[K%s: ", t->noun);
	t->show(c, w);
	fflush(stderr);
}

static bool is_over(const struct answer *w)
{
	return json_bool(json_member(w->doc, "done")) || member_str(w->doc, "error").n;
}

/* False: no answer, or stopped. */
static bool look_until_over(struct ctl *c, const struct task *t, bool drawn, struct answer *ret)
{
	for (int64_t wait = FIRST_LOOK_MS;; wait = wait * 2 < LOOK_MS ? wait * 2 : LOOK_MS) {
		struct arena_mark mark = arena_mark(c->a);

		nap(c, wait);
		if (client_stopped(c->client) || !ctl_get(c, c->a, task_path(c, t), ret))
			return false;
		if (drawn)
			draw(c, t, ret);
		if (is_over(ret))
			return true;
		arena_rewind(c->a, mark);
	}
}

bool task_follow(struct ctl *c, const struct task *t, struct answer *ret)
{
	bool drawn = !args_bool(c->args, "no-progress") && isatty(STDERR_FILENO);
	bool good;

	fflush(stdout);
	good = look_until_over(c, t, drawn, ret);
	if (drawn)
		fputc('\n', stderr);
	if (good)
		return true;
	return client_stopped(c->client) ? cancel(c, t) : lost(c, t);
}
