/* Resumable uploads that know what they have: fake-gcs-server's append whatever comes. */
#include "tests/backends/gcs_gate_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/loopback.h"

static struct gate_session *session_of(struct visit *v, struct str id)
{
	struct gcs_gate *g = v->g;
	struct gate_session *s = NULL;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < GATE_SESSIONS; i++)
		if (str_eq(str_c(g->sessions[i].id), id))
			s = &g->sessions[i];
	if (!s) {
		s = &g->sessions[g->sessions_n++ % GATE_SESSIONS];
		free(s->answer);
		*s = (struct gate_session){0};
		snprintf(s->id, sizeof(s->id), STR_FMT, STR_ARG(id));
	}
	pthread_mutex_unlock(&g->lock);
	return s;
}

static void has(struct visit *v, const struct gate_session *s)
{
	char range[64] = "";

	if (s->kept)
		snprintf(range, sizeof(range), "Range: bytes=0-%llu\r\n",
			 (unsigned long long)s->kept - 1);
	gate_answer(v, 308, range, STR(""));
}

/* "bytes A-B/T", "bytes * /T"; T may be "*". */
static void parse_range(struct str r, uint64_t *from, uint64_t *end, struct str *total)
{
	struct str span = str_cut(str_skip(r, 6), '/', total), last;

	*from = *end = 0;
	if (!str_to_u64(str_cut(span, '-', &last), from) || !str_to_u64(last, end))
		return;
	++*end;
}

void gate_chunk(struct visit *v, struct str id)
{
	struct gate_session *s = session_of(v, id);
	uint64_t from, end, take_to;
	struct str total;
	unsigned halves = v->g->halves;

	parse_range(gate_header(v, "content-range"), &from, &end, &total);
	atomic_fetch_add(&v->g->chunks, 1);
	if (end && from < s->kept)
		atomic_fetch_add(&v->g->repeated, 1);
	if (s->answer) {
		if (gate_take_all(v, NULL, v->left))
			loopback_send(v->near, str_c(s->answer));
		return;
	}
	if (str_eq(total, STR("*")) && end <= s->kept) {
		has(v, s);
		return;
	}
	if (end && from < s->kept && !gate_take_all(v, NULL, s->kept - from))
		return;
	from = end && from < s->kept ? s->kept : from;
	take_to = end;
	if (end && halves && end - from >= 2 * HALF_OF &&
	    atomic_compare_exchange_strong(&v->g->halves, &halves, halves - 1)) {
		take_to = from + (end - from) / 2 / HALF_OF * HALF_OF;
		total = STR("*");
	}
	if (end)
		v->range = arena_printf(v->a, "bytes %llu-%llu/" STR_FMT, (unsigned long long)from,
					(unsigned long long)take_to - 1, STR_ARG(total));
	v->mute = true;
	if (!gate_forward(v, take_to - (end ? from : 0)))
		return;
	if (gate_status(v) == 308 || gate_status(v) == 200)
		s->kept = take_to > s->kept ? take_to : s->kept;
	if (gate_status(v) != 308) {
		if (gate_status(v) == 200)
			s->answer = strndup(v->answer.p, v->answer.n);
		loopback_send(v->near, buf_str(&v->answer));
	} else {
		has(v, s);
	}
}
