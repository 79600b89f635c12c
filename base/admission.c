/* A class: places, and a line for each party that waits. The parties whose turn it may be (they wait, and have
 * fewer places than their share) stand in a ring, served in turn:
 *
 *   enter: a place is free, of the class and of the party's share ---> IN
 *          else there is room in line: WAITING ---leave of others---> TOLD ---mail---> IN
 *                                         \--cancel--> NONE      \--stop--> TOLD --> NONE
 *
 * While somebody stands in the ring, no place of the class is free: so whoever enters can't overtake.
 */
#include "base/admission.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"

enum {
	PARTIES = 256, /* what the hash of a party's name is cut to */
	LOG_US = 1000000,
	RATE_US = 1000000,
	RATE_OLD_US = 10 * RATE_US,
};

struct line {
	struct ticket *first, *last;
};

struct party {
	size_t running, waiting;
	struct line lines[2]; /* [ahead] */
	struct party *next, *prev; /* in the ring; NULL: not there */
};

struct class {
	struct admission_limits limits;
	size_t share_running, share_waiting; /* of one party */
	const char *name;
	struct metric *running_now, *waiting_now, *admitted, *refused, *late, *waited;
	pthread_mutex_t mutex;
	struct {
		size_t running, waiting;
		struct party parties[PARTIES];
		struct party *turn; /* the ring: whose turn is next */
		bool stopping;
		/* Of the log: refused since the last line. */
		uint64_t refused;
		int64_t logged_us;
		/* Places given back since rate_us, and the rate of the time before it; 0: not known. */
		uint64_t left;
		int64_t rate_us;
		double rate; /* a second */
	} locked;
};

struct admission {
	struct class of[ADMIT_CLASSES];
};

static const char *const names[ADMIT_CLASSES] = {"metadata", "data", "long"};

const char *admission_class_name(enum admission_class c)
{
	return names[c];
}

static size_t share_of(size_t n, unsigned per_cent)
{
	size_t share = (n * per_cent + 99) / 100;

	return share ? share : 1;
}

static void class_init(struct class *k, const char *name, const struct admission_limits *limits,
		       unsigned share)
{
	char labels[64], late[64];

	assert(limits->running > 0);
	k->limits = *limits;
	k->name = name;
	k->share_running = share_of(limits->running, share);
	k->share_waiting = share_of(limits->waiting, share);
	snprintf(labels, sizeof(labels), "class=\"%s\"", name);
	snprintf(late, sizeof(late), "class=\"%s\",reason=\"late\"", name);
	k->running_now = metric_get(METRIC_GAUGE, "admission_in_progress",
				    "Requests that have a place.", labels);
	k->waiting_now = metric_get(METRIC_GAUGE, "admission_waiting",
				    "Requests that wait for a place.", labels);
	k->admitted = metric_get(METRIC_COUNTER, "admission_admitted_total",
				 "Requests that got a place.", labels);
	k->late = metric_get(METRIC_COUNTER, "admission_refused_total",
			     "Requests answered SlowDown: the line was full, or they had waited too long.",
			     late);
	snprintf(late, sizeof(late), "class=\"%s\",reason=\"full\"", name);
	k->refused = metric_get(METRIC_COUNTER, "admission_refused_total", "", late);
	k->waited = metric_get(METRIC_HISTOGRAM, "admission_wait_seconds",
			       "How long those waited for a place who didn't get it at once.", labels);
	pthread_mutex_init(&k->mutex, NULL);
}

struct admission *admission_new(const struct admission_options *o)
{
	struct admission *a = calloc(1, sizeof(*a));

	assert(o->share >= 1 && o->share <= 100);
	if (!a)
		abort();
	for (int c = 0; c < ADMIT_CLASSES; c++)
		class_init(&a->of[c], names[c], &o->of[c], o->share);
	return a;
}

void admission_free(struct admission *a)
{
	if (!a)
		return;
	for (int c = 0; c < ADMIT_CLASSES; c++) {
		assert(a->of[c].locked.waiting == 0);
		pthread_mutex_destroy(&a->of[c].mutex);
	}
	free(a);
}

/* FNV-1a */
static unsigned party_of(struct str name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 16777619u;
	return (h ^ (h >> 16)) % PARTIES;
}

/* The ring. */

static bool may_stand(const struct class *k, const struct party *p)
{
	return p->waiting && p->running < k->share_running;
}

static void ring_add_locked(struct class *k, struct party *p)
{
	struct party *turn = k->locked.turn;

	if (p->next)
		return;
	if (!turn) {
		k->locked.turn = p->next = p->prev = p;
		return;
	}
	p->next = turn;
	p->prev = turn->prev;
	p->prev->next = turn->prev = p;
}

static void ring_remove_locked(struct class *k, struct party *p)
{
	if (!p->next)
		return;
	if (k->locked.turn == p)
		k->locked.turn = p->next == p ? NULL : p->next;
	p->prev->next = p->next;
	p->next->prev = p->prev;
	p->next = p->prev = NULL;
}

/* After its numbers changed. */
static void ring_settle_locked(struct class *k, struct party *p)
{
	if (may_stand(k, p))
		ring_add_locked(k, p);
	else
		ring_remove_locked(k, p);
}

/* The lines. */

static void show_locked(struct class *k)
{
	metric_set(k->running_now, (int64_t)k->locked.running);
	metric_set(k->waiting_now, (int64_t)k->locked.waiting);
}

static void enqueue_locked(struct class *k, struct party *p, struct ticket *t)
{
	struct line *l = &p->lines[t->ahead];

	t->next = NULL;
	t->prev = l->last;
	if (t->prev)
		t->prev->next = t;
	else
		l->first = t;
	l->last = t;
	t->state = TICKET_WAITING;
	p->waiting++;
	k->locked.waiting++;
	ring_settle_locked(k, p);
}

static void unlink_locked(struct class *k, struct party *p, struct ticket *t)
{
	struct line *l = &p->lines[t->ahead];

	if (t->prev)
		t->prev->next = t->next;
	else
		l->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		l->last = t->prev;
	t->next = t->prev = NULL;
	p->waiting--;
	k->locked.waiting--;
	ring_settle_locked(k, p);
}

static struct class *class_of(struct ticket *t)
{
	return &t->of->of[t->class];
}

static struct party *party_locked(struct class *k, const struct ticket *t)
{
	return &k->locked.parties[t->party];
}

static void deliver_told(struct mail *m)
{
	struct ticket *t = (struct ticket *)((char *)m - offsetof(struct ticket, mail));

	t->state = t->admitted ? TICKET_IN : TICKET_NONE;
	t->told(t, t->admitted);
}

static void tell_locked(struct ticket *t, bool admitted)
{
	t->state = TICKET_TOLD;
	t->admitted = admitted;
	t->mail.deliver = deliver_told;
	mailbox_post(t->home, &t->mail);
}

static void take_place_locked(struct class *k, struct party *p)
{
	k->locked.running++;
	p->running++;
	metric_add(k->admitted, 1);
}

/* Those whose turn it is, as long as there are places. */
static void serve_locked(struct class *k)
{
	while (k->locked.turn && k->locked.running < k->limits.running) {
		struct party *p = k->locked.turn;
		struct ticket *t = p->lines[true].first ? p->lines[true].first : p->lines[false].first;

		k->locked.turn = p->next;
		take_place_locked(k, p);
		unlink_locked(k, p, t);
		metric_observe_us(k->waited, mono_us() - t->entered_us);
		tell_locked(t, true);
	}
}

/* Refusals. */

struct refusals {
	uint64_t n;
	size_t running, waiting;
};

/* Whether it is time for a line of the log, and what is to stand in it. */
static bool note_refusal_locked(struct class *k, int64_t now, struct refusals *ret)
{
	k->locked.refused++;
	if (k->locked.logged_us && now - k->locked.logged_us < LOG_US)
		return false;
	k->locked.logged_us = now;
	*ret = (struct refusals){k->locked.refused, k->locked.running, k->locked.waiting};
	k->locked.refused = 0;
	return true;
}

static void log_refusals(const struct class *k, const struct refusals *r)
{
	log_event(LOG_WARN, "admission", "requests are refused (SlowDown): more come than can be served",
		  F_CSTR("class", k->name), F_INT("refused", (int64_t)r->n),
		  F_INT("in_progress", (int64_t)r->running), F_INT("waiting", (int64_t)r->waiting),
		  F_CSTR("remedy", k->limits.remedy ? k->limits.remedy : ""));
}

void admission_refused_late(struct admission *a, enum admission_class c)
{
	struct class *k = &a->of[c];
	int64_t now = mono_us();
	struct refusals told;
	bool log;

	metric_add(k->late, 1);
	pthread_mutex_lock(&k->mutex);
	log = note_refusal_locked(k, now, &told);
	pthread_mutex_unlock(&k->mutex);
	if (log)
		log_refusals(k, &told);
}

static enum admission_answer enter_locked(struct class *k, struct ticket *t)
{
	struct party *p = party_locked(k, t);

	if (k->locked.running < k->limits.running && p->running < k->share_running && !p->waiting) {
		take_place_locked(k, p);
		t->state = TICKET_IN;
		return ADMISSION_IN;
	}
	if (k->locked.stopping || k->locked.waiting >= k->limits.waiting ||
	    p->waiting >= k->share_waiting)
		return ADMISSION_REFUSED;
	enqueue_locked(k, p, t);
	return ADMISSION_WAIT;
}

enum admission_answer admission_enter(struct admission *a, enum admission_class c, struct str party,
				      struct ticket *t)
{
	struct class *k = &a->of[c];
	enum admission_answer answer;
	struct refusals told;
	bool log = false;

	assert(t->home && t->told);
	t->of = a;
	t->class = c;
	t->state = TICKET_NONE;
	t->party = party_of(party);
	t->entered_us = mono_us();
	pthread_mutex_lock(&k->mutex);
	answer = enter_locked(k, t);
	if (answer == ADMISSION_REFUSED)
		log = note_refusal_locked(k, t->entered_us, &told);
	show_locked(k);
	pthread_mutex_unlock(&k->mutex);
	if (answer == ADMISSION_REFUSED)
		metric_add(k->refused, 1);
	if (log)
		log_refusals(k, &told);
	return answer;
}

bool admission_cancel(struct ticket *t)
{
	struct class *k;
	bool out;

	if (!t->of)
		return false;
	k = class_of(t);
	pthread_mutex_lock(&k->mutex);
	out = t->state == TICKET_WAITING;
	if (out) {
		unlink_locked(k, party_locked(k, t), t);
		t->state = TICKET_NONE;
		show_locked(k);
	}
	pthread_mutex_unlock(&k->mutex);
	return out;
}

void admission_leave(struct ticket *t)
{
	struct class *k;
	struct party *p;

	if (!t->of || t->state != TICKET_IN)
		return;
	k = class_of(t);
	p = party_locked(k, t);
	t->state = TICKET_NONE;
	pthread_mutex_lock(&k->mutex);
	assert(k->locked.running && p->running);
	k->locked.running--;
	p->running--;
	k->locked.left++;
	ring_settle_locked(k, p);
	serve_locked(k);
	show_locked(k);
	pthread_mutex_unlock(&k->mutex);
}

static void stop_class(struct class *k)
{
	pthread_mutex_lock(&k->mutex);
	k->locked.stopping = true;
	for (int i = 0; i < PARTIES; i++)
		for (int ahead = 0; ahead < 2; ahead++) {
			struct party *p = &k->locked.parties[i];
			struct ticket *t;

			while ((t = p->lines[ahead].first)) {
				unlink_locked(k, p, t);
				tell_locked(t, false);
			}
		}
	show_locked(k);
	pthread_mutex_unlock(&k->mutex);
}

void admission_stop(struct admission *a)
{
	for (int c = 0; c < ADMIT_CLASSES; c++)
		stop_class(&a->of[c]);
}

/* The rate of the last whole second or more; what is older says nothing. */
static double rate_locked(struct class *k, int64_t now)
{
	int64_t since = now - k->locked.rate_us;

	if (since < RATE_US)
		return k->locked.rate;
	k->locked.rate = since < RATE_OLD_US ? (double)k->locked.left * 1e6 / (double)since : 0;
	k->locked.left = 0;
	k->locked.rate_us = now;
	return k->locked.rate;
}

unsigned admission_retry_s(struct admission *a, enum admission_class c)
{
	struct class *k = &a->of[c];
	double rate, s = 1;
	uint8_t jitter;

	pthread_mutex_lock(&k->mutex);
	rate = rate_locked(k, mono_us());
	if (rate > 0)
		s += (double)k->locked.waiting / rate;
	pthread_mutex_unlock(&k->mutex);
	if (s > ADMISSION_RETRY_MAX / 2)
		s = ADMISSION_RETRY_MAX / 2;
	/* Up to twice as long: those who are refused together don't come back together. */
	rand_bytes(&jitter, 1);
	return (unsigned)(s + s * jitter / 255);
}

struct admission_counts admission_counts(struct admission *a, enum admission_class c)
{
	struct class *k = &a->of[c];
	struct admission_counts n;

	pthread_mutex_lock(&k->mutex);
	n = (struct admission_counts){k->locked.running, k->locked.waiting};
	pthread_mutex_unlock(&k->mutex);
	return n;
}
