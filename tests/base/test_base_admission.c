#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/admission.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "fake_loop.h"

/* A mailbox that delivers when the test says so: one thread, each step seen. */
struct box {
	struct mailbox mailbox;
	struct mail *first, **last;
};

static void box_post(struct mailbox *mb, struct mail *m)
{
	struct box *b = (struct box *)mb;

	m->next = NULL;
	*b->last = m;
	b->last = &m->next;
}

static const struct mailbox_ops box_ops = {.post = box_post};

static void box_init(struct box *b)
{
	*b = (struct box){.mailbox.ops = &box_ops};
	b->last = &b->first;
}

static void box_deliver(struct box *b)
{
	while (b->first) {
		struct mail *m = b->first;

		if (!(b->first = m->next))
			b->last = &b->first;
		m->deliver(m);
	}
}

struct guest {
	struct ticket ticket;
	int told; /* 0: not; 1: admitted; -1: refused */
	int order;
};

static int told_n;

static void told(struct ticket *t, bool admitted)
{
	struct guest *g = (struct guest *)t;

	assert_int_equal(g->told, 0);
	g->told = admitted ? 1 : -1;
	g->order = ++told_n;
}

static struct admission *open_with(size_t running, size_t waiting, unsigned share)
{
	struct admission_options o = {.share = share};

	for (int c = 0; c < ADMIT_CLASSES; c++)
		o.of[c] = (struct admission_limits){running, waiting, "raise it"};
	told_n = 0;
	return admission_new(&o);
}

static enum admission_answer enter(struct admission *a, struct box *b, const char *party,
				   struct guest *g, bool ahead)
{
	*g = (struct guest){.ticket = {.home = &b->mailbox, .told = told, .ahead = ahead}};
	return admission_enter(a, ADMIT_METADATA, str_c(party), &g->ticket);
}

static void expect_counts(struct admission *a, size_t running, size_t waiting)
{
	struct admission_counts n = admission_counts(a, ADMIT_METADATA);

	assert_int_equal(n.running, running);
	assert_int_equal(n.waiting, waiting);
}

static void test_admission__bounds(void **state)
{
	struct metric *refused = metric_get(METRIC_COUNTER, "admission_refused_total", "",
					    "class=\"metadata\",reason=\"full\"");
	struct metric *admitted = metric_get(METRIC_COUNTER, "admission_admitted_total", "",
					     "class=\"metadata\"");
	struct metric *waits = metric_get(METRIC_HISTOGRAM, "admission_wait_seconds", "",
					  "class=\"metadata\"");
	struct admission *a = open_with(2, 3, 100);
	int64_t refused_before = metric_value(refused), admitted_before = metric_value(admitted),
		waits_before = metric_value(waits);
	struct guest g[7];
	struct box b;

	box_init(&b);
	assert_int_equal(enter(a, &b, "u", &g[0], false), ADMISSION_IN);
	assert_int_equal(enter(a, &b, "u", &g[1], false), ADMISSION_IN);
	for (int i = 2; i < 5; i++)
		assert_int_equal(enter(a, &b, "u", &g[i], false), ADMISSION_WAIT);
	assert_int_equal(enter(a, &b, "u", &g[5], false), ADMISSION_REFUSED);
	expect_counts(a, 2, 3);
	assert_int_equal(metric_value(refused), refused_before + 1);
	/* Other classes have their own. */
	g[6] = (struct guest){.ticket = {.home = &b.mailbox, .told = told}};
	assert_int_equal(admission_enter(a, ADMIT_LONG, STR("u"), &g[6].ticket), ADMISSION_IN);
	admission_leave(&g[6].ticket);
	/* A place that is given back is the next one's, before he knows. */
	admission_leave(&g[0].ticket);
	expect_counts(a, 2, 2);
	assert_int_equal(g[2].told, 0);
	box_deliver(&b);
	assert_int_equal(g[2].told, 1);
	assert_int_equal(g[3].told, 0);
	admission_leave(&g[1].ticket);
	admission_leave(&g[2].ticket);
	box_deliver(&b);
	admission_leave(&g[3].ticket);
	admission_leave(&g[4].ticket);
	admission_leave(&g[4].ticket); /* it has none: nothing happens */
	admission_leave(&g[5].ticket);
	expect_counts(a, 0, 0);
	assert_int_equal(metric_value(admitted), admitted_before + 5);
	assert_int_equal(metric_value(waits), waits_before + 3);
	admission_free(a);
}

static void test_admission__nobody_waits(void **state)
{
	struct admission *a = open_with(1, 0, 75);
	struct guest g[2];
	struct box b;

	box_init(&b);
	assert_int_equal(enter(a, &b, "u", &g[0], false), ADMISSION_IN);
	assert_int_equal(enter(a, &b, "v", &g[1], false), ADMISSION_REFUSED);
	admission_leave(&g[0].ticket);
	assert_int_equal(enter(a, &b, "v", &g[1], false), ADMISSION_IN);
	admission_leave(&g[1].ticket);
	admission_free(a);
}

/* Of one party, what goes on with something begun comes first, each kind in order. */
static void test_admission__ahead(void **state)
{
	struct admission *a = open_with(1, 10, 100);
	struct guest in, g[6];
	struct box b;
	static const int order[6] = {4, 1, 5, 2, 6, 3};

	box_init(&b);
	assert_int_equal(enter(a, &b, "u", &in, false), ADMISSION_IN);
	for (int i = 0; i < 6; i++)
		assert_int_equal(enter(a, &b, "u", &g[i], i % 2), ADMISSION_WAIT);
	admission_leave(&in.ticket);
	for (int i = 0; i < 6; i++) {
		struct guest *next = NULL;

		box_deliver(&b);
		for (int k = 0; k < 6; k++)
			if (g[k].order == i + 1)
				next = &g[k];
		assert_non_null(next);
		admission_leave(&next->ticket);
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(g[i].order, order[i]);
	expect_counts(a, 0, 0);
	admission_free(a);
}

/* One party has its share, of places and of the line; others find room, and are served in turn. */
static void test_admission__share(void **state)
{
	struct admission *a = open_with(4, 4, 75);
	struct guest hog[8], one, two, three;
	struct box b;

	box_init(&b);
	for (int i = 0; i < 3; i++)
		assert_int_equal(enter(a, &b, "hog", &hog[i], false), ADMISSION_IN);
	for (int i = 3; i < 6; i++)
		assert_int_equal(enter(a, &b, "hog", &hog[i], false), ADMISSION_WAIT);
	assert_int_equal(enter(a, &b, "hog", &hog[6], false), ADMISSION_REFUSED);
	expect_counts(a, 3, 3);
	/* Though the hog waits: there is a place that isn't the hog's. */
	assert_int_equal(enter(a, &b, "one", &one, false), ADMISSION_IN);
	assert_int_equal(enter(a, &b, "two", &two, false), ADMISSION_WAIT);
	assert_int_equal(enter(a, &b, "three", &three, false), ADMISSION_REFUSED);
	/* A place of the hog's may be anybody's: who came first of other parties has his turn. */
	admission_leave(&hog[0].ticket);
	box_deliver(&b);
	assert_int_equal(two.told, 1);
	assert_int_equal(hog[3].told, 0);
	admission_leave(&one.ticket);
	box_deliver(&b);
	assert_int_equal(hog[3].told, 1);
	/* The hog has its three again: this one stays free for others. */
	admission_leave(&two.ticket);
	box_deliver(&b);
	assert_int_equal(hog[4].told, 0);
	expect_counts(a, 3, 2);
	admission_leave(&hog[1].ticket);
	admission_leave(&hog[2].ticket);
	box_deliver(&b);
	assert_int_equal(hog[4].told, 1);
	assert_int_equal(hog[5].told, 1);
	for (int i = 3; i < 6; i++)
		admission_leave(&hog[i].ticket);
	expect_counts(a, 0, 0);
	admission_free(a);
}

static void test_admission__parties_in_turn(void **state)
{
	struct admission *a = open_with(1, 20, 100);
	struct guest in, many[5], few[2];
	struct guest *all[7];
	struct box b;
	int served = 0;

	box_init(&b);
	assert_int_equal(enter(a, &b, "x", &in, false), ADMISSION_IN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(enter(a, &b, "many", all[i] = &many[i], false), ADMISSION_WAIT);
	for (int i = 0; i < 2; i++)
		assert_int_equal(enter(a, &b, "few", all[5 + i] = &few[i], false), ADMISSION_WAIT);
	admission_leave(&in.ticket);
	while (served < 7) {
		box_deliver(&b);
		served++;
		for (int k = 0; k < 7; k++)
			if (all[k]->order == served)
				admission_leave(&all[k]->ticket);
	}
	assert_int_equal(many[0].order, 1);
	assert_int_equal(few[0].order, 2);
	assert_int_equal(many[1].order, 3);
	assert_int_equal(few[1].order, 4);
	assert_int_equal(many[4].order, 7);
	admission_free(a);
}

static void test_admission__cancel(void **state)
{
	struct admission *a = open_with(1, 10, 100);
	struct guest in, g[4];
	struct box b;

	box_init(&b);
	assert_int_equal(enter(a, &b, "u", &in, false), ADMISSION_IN);
	assert_false(admission_cancel(&in.ticket));
	for (int i = 0; i < 4; i++)
		assert_int_equal(enter(a, &b, i == 2 ? "v" : "u", &g[i], false), ADMISSION_WAIT);
	assert_true(admission_cancel(&g[1].ticket)); /* in the middle */
	assert_false(admission_cancel(&g[1].ticket));
	assert_true(admission_cancel(&g[2].ticket)); /* all of its party */
	expect_counts(a, 1, 2);
	admission_leave(&in.ticket);
	/* On its way already: told() comes. */
	assert_false(admission_cancel(&g[0].ticket));
	box_deliver(&b);
	assert_int_equal(g[0].told, 1);
	admission_leave(&g[0].ticket);
	box_deliver(&b);
	assert_int_equal(g[3].told, 1);
	assert_true(g[1].told == 0 && g[2].told == 0);
	admission_leave(&g[3].ticket);
	expect_counts(a, 0, 0);
	admission_free(a);
}

static void test_admission__stop(void **state)
{
	struct admission *a = open_with(2, 10, 100);
	struct guest in[2], g[3], late;
	struct box b;

	box_init(&b);
	for (int i = 0; i < 2; i++)
		assert_int_equal(enter(a, &b, "u", &in[i], false), ADMISSION_IN);
	for (int i = 0; i < 3; i++)
		assert_int_equal(enter(a, &b, i ? "u" : "v", &g[i], i == 2), ADMISSION_WAIT);
	admission_stop(a);
	box_deliver(&b);
	for (int i = 0; i < 3; i++)
		assert_int_equal(g[i].told, -1);
	expect_counts(a, 2, 0);
	assert_int_equal(enter(a, &b, "u", &late, false), ADMISSION_REFUSED);
	admission_leave(&in[0].ticket);
	assert_int_equal(enter(a, &b, "u", &late, false), ADMISSION_IN);
	/* in[1] never comes back. */
	admission_free(a);
}

static void test_admission__retry_after(void **state)
{
	struct admission *a = open_with(1, 1000, 100);
	struct guest *g = calloc(1000, sizeof(*g)), in;
	unsigned least, most;
	int64_t left_us;
	struct box b;
	int gone = 0;

	box_init(&b);
	assert_int_equal(enter(a, &b, "u", &in, false), ADMISSION_IN);
	assert_in_range(admission_retry_s(a, ADMIT_METADATA), 1, 2); /* nothing is known yet */
	for (int i = 0; i < 600; i++)
		assert_int_equal(enter(a, &b, "u", &g[i], false), ADMISSION_WAIT);
	/* Ten a second or fewer, and 200 wait or more. Once nobody has left for a second, nothing is known again:
	 * where the machine stood still for so long, it is asked anew. */
	do {
		for (int i = 0; i < 12; i++) {
			struct ticket *t = gone ? &g[gone - 1].ticket : &in.ticket;

			usleep(100 * 1000);
			left_us = mono_us();
			admission_leave(t);
			box_deliver(&b);
			admission_retry_s(a, ADMIT_METADATA);
			gone++;
		}
		least = ADMISSION_RETRY_MAX;
		most = 0;
		for (int i = 0; i < 200; i++) {
			unsigned s = admission_retry_s(a, ADMIT_METADATA);

			least = s < least ? s : least;
			most = s > most ? s : most;
		}
	} while (mono_us() - left_us >= 1000000 && gone < 400);
	assert_in_range(least, 5, most);
	assert_in_range(most, least + 1, ADMISSION_RETRY_MAX); /* not the same for everybody */
	for (int i = gone; i < 600; i++)
		assert_true(admission_cancel(&g[i].ticket));
	admission_free(a);
	free(g);
}

/* Threads: several loops at once; those who wait, cancel and leave, whoever wins. */
enum { LOOPS = 3, GUESTS = 40, ROUNDS = 200, PLACES = 5 };

struct crowd;

struct visitor {
	struct ticket ticket;
	struct crowd *crowd;
	struct mail mail;
	int rounds, number;
};

struct crowd {
	struct admission *a;
	struct fake_loop *loops[LOOPS];
	struct visitor v[GUESTS];
	atomic_int inside, most, served, refused, cancelled, ended;
};

static void come(struct visitor *v);

static void again(struct mail *m)
{
	come((struct visitor *)((char *)m - offsetof(struct visitor, mail)));
}

static void next_round(struct visitor *v)
{
	if (!v->rounds--) {
		atomic_fetch_add(&v->crowd->ended, 1);
		return;
	}
	v->mail.deliver = again;
	mailbox_post(v->ticket.home, &v->mail);
}

static void visit(struct visitor *v)
{
	struct crowd *c = v->crowd;
	int now = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);

	while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
		;
	atomic_fetch_add(&c->served, 1);
	sched_yield();
	atomic_fetch_sub(&c->inside, 1);
	admission_leave(&v->ticket);
	next_round(v);
}

static void visitor_told(struct ticket *t, bool admitted)
{
	struct visitor *v = (struct visitor *)t;

	if (admitted) {
		visit(v);
		return;
	}
	atomic_fetch_add(&v->crowd->refused, 1);
	next_round(v);
}

static void come(struct visitor *v)
{
	char party[2] = {(char)('a' + v->number % 4), 0};

	switch (admission_enter(v->crowd->a, ADMIT_DATA, str_c(party), &v->ticket)) {
	case ADMISSION_IN:
		visit(v);
		break;
	case ADMISSION_REFUSED:
		atomic_fetch_add(&v->crowd->refused, 1);
		next_round(v);
		break;
	case ADMISSION_WAIT:
		if ((v->rounds + v->number) % 3 == 0 && admission_cancel(&v->ticket)) {
			atomic_fetch_add(&v->crowd->cancelled, 1);
			next_round(v);
		}
		break;
	}
}

static struct crowd *crowd_new(void)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct admission_options o = {.share = 75};

	for (int i = 0; i < ADMIT_CLASSES; i++)
		o.of[i] = (struct admission_limits){PLACES, 10, NULL};
	c->a = admission_new(&o);
	for (int i = 0; i < LOOPS; i++)
		c->loops[i] = fake_loop_new();
	for (int i = 0; i < GUESTS; i++) {
		struct visitor *v = &c->v[i];

		*v = (struct visitor){.crowd = c, .rounds = ROUNDS, .number = i};
		v->ticket.home = fake_loop_mailbox(c->loops[i % LOOPS]);
		v->ticket.told = visitor_told;
		v->mail.deliver = again;
		mailbox_post(v->ticket.home, &v->mail);
	}
	return c;
}

static void crowd_free(struct crowd *c)
{
	while (atomic_load(&c->ended) < GUESTS)
		usleep(1000);
	for (int i = 0; i < LOOPS; i++)
		fake_loop_free(c->loops[i]);
	assert_int_equal(admission_counts(c->a, ADMIT_DATA).running, 0);
	assert_int_equal(admission_counts(c->a, ADMIT_DATA).waiting, 0);
	assert_int_equal(c->served + c->refused + c->cancelled, GUESTS * (ROUNDS + 1));
	assert_in_range(c->most, 1, PLACES);
	assert_true(c->served > 0);
	admission_free(c->a);
	free(c);
}

static void test_admission__threads(void **state)
{
	crowd_free(crowd_new());
}

static void test_admission__stop_among_threads(void **state)
{
	struct crowd *c = crowd_new();

	usleep(2000);
	admission_stop(c->a);
	crowd_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admission__bounds),
		cmocka_unit_test(test_admission__nobody_waits),
		cmocka_unit_test(test_admission__ahead),
		cmocka_unit_test(test_admission__share),
		cmocka_unit_test(test_admission__parties_in_turn),
		cmocka_unit_test(test_admission__cancel),
		cmocka_unit_test(test_admission__stop),
		cmocka_unit_test(test_admission__retry_after),
		cmocka_unit_test(test_admission__threads),
		cmocka_unit_test(test_admission__stop_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
