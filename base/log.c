/* The queue between those who log and those who write.
 *
 *   any thread --log_write--> queue --drain--> outputs
 *
 * Two locks, always taken in this order: `writer` (may be held across write(2), never taken on a loop)
 * and `mutex` (short). Drain swaps the queue's memory for the writer's and writes that.
 */
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log_file.h"
#include "base/log_line.h"
#include "base/metrics.h"
#include "base/work.h"

enum {
	QUEUE_BYTES = 1 << 20,
	/* Room for the line that tells of lost ones. */
	BATCH_BYTES = QUEUE_BYTES + LOG_LINE_MAX,
	/* Lines gather so long before the thread looks again: waking it for each costs a busy loop more
	 * than writing the line. */
	GATHER_MS = 5,
};

static _Atomic int level = LOG_INFO;
static _Atomic int format = LOG_TEXT;

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct buf queue;
	unsigned dropped; /* lines that didn't fit since the last batch was taken */
	bool thread;
} locked = {.mutex = PTHREAD_MUTEX_INITIALIZER,
	    .wake = PTHREAD_COND_INITIALIZER,
	    .queue = {.max = BATCH_BYTES}};

static struct {
	pthread_mutex_t mutex;
	struct buf batch;
	struct log_outputs outputs;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER,
	    .batch = {.max = BATCH_BYTES},
	    .outputs = {.at = {{.fd = STDERR_FILENO}}, .n = 1}};

bool log_enabled(enum log_level l)
{
	return (int)l >= atomic_load_explicit(&level, memory_order_relaxed);
}

bool log_level_parse(struct str s, enum log_level *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {{"trace", LOG_TRACE}, {"debug", LOG_DEBUG},  {"info", LOG_INFO},
		     {"warn", LOG_WARN},   {"warning", LOG_WARN}, {"error", LOG_ERROR},
		     {"fatal", LOG_ERROR}, {"panic", LOG_ERROR}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!str_eq_nocase(s, str_c(names[i].name)))
			continue;
		*ret = names[i].level;
		return true;
	}
	return false;
}

static void count(const char *name, const char *help)
{
	metric_add(metric_get(METRIC_COUNTER, name, help, NULL), 1);
}

/* After the lines that did fit. */
static void tell_dropped(struct buf *to, unsigned dropped)
{
	char line[LOG_LINE_MAX];
	size_t n = log_line(line, (enum log_format)atomic_load(&format), wall_now(), LOG_WARN, "log",
			    "lines were lost because the queue was full",
			    &F_INT("lines", dropped), 1);

	buf_add(to, str_make(line, n));
}

/* Writes one batch. The caller holds writer.mutex. */
static void drain_once(void)
{
	struct buf swap;
	unsigned dropped;

	pthread_mutex_lock(&locked.mutex);
	swap = locked.queue;
	locked.queue = writer.batch;
	writer.batch = swap;
	dropped = locked.dropped;
	locked.dropped = 0;
	pthread_mutex_unlock(&locked.mutex);
	if (dropped)
		tell_dropped(&writer.batch, dropped);
	if (writer.batch.n == 0)
		return;
	if (!log_outputs_write(&writer.outputs, buf_str(&writer.batch)))
		count("log_write_errors_total", "Writes of log lines that failed.");
	buf_reset(&writer.batch);
}

void log_flush(void)
{
	pthread_mutex_lock(&writer.mutex);
	drain_once();
	pthread_mutex_unlock(&writer.mutex);
}

static void *write_for_loops(void *unused)
{
	pthread_setname_np(pthread_self(), "log");
	for (;;) {
		pthread_mutex_lock(&locked.mutex);
		while (locked.queue.n == 0)
			pthread_cond_wait(&locked.wake, &locked.mutex);
		pthread_mutex_unlock(&locked.mutex);
		log_flush();
		nanosleep(&(struct timespec){.tv_nsec = GATHER_MS * 1000000L}, NULL);
	}
	return NULL;
}

/* Only programs with event loops get the thread. It lives until the process ends. */
static void start_thread_locked(void)
{
	sigset_t all, old;
	pthread_t t;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	locked.thread = pthread_create(&t, NULL, write_for_loops, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!locked.thread)
		return; /* the next line tries again; whoever is off the loops writes meanwhile */
	pthread_detach(t);
	atexit(log_flush);
}

static bool enqueue(struct str line, bool from_loop)
{
	bool queued;

	pthread_mutex_lock(&locked.mutex);
	queued = locked.queue.n + line.n <= QUEUE_BYTES && buf_add(&locked.queue, line);
	if (!queued && from_loop)
		locked.dropped++;
	if (from_loop && !locked.thread)
		start_thread_locked();
	if (from_loop)
		pthread_cond_signal(&locked.wake);
	pthread_mutex_unlock(&locked.mutex);
	return queued;
}

void log_write(enum log_level l, const char *component, const char *msg,
	       const struct log_field *fields, size_t n)
{
	char line[LOG_LINE_MAX];
	size_t len;

	if (!log_enabled(l))
		return;
	len = log_line(line, (enum log_format)atomic_load_explicit(&format, memory_order_relaxed),
		       wall_now(), l, component, msg, fields, n);
	if (on_loop()) {
		if (!enqueue(str_make(line, len), true))
			count("log_dropped_total", "Log lines lost because the queue was full.");
		return;
	}
	while (!enqueue(str_make(line, len), false))
		log_flush();
	log_flush();
}

rc log_setup(const struct log_options *o, struct err *reterr)
{
	struct log_outputs fresh;

	TRY(log_outputs_open(o, &fresh, reterr));
	pthread_mutex_lock(&writer.mutex);
	drain_once();
	log_outputs_close(&writer.outputs);
	writer.outputs = fresh;
	pthread_mutex_unlock(&writer.mutex);
	atomic_store(&format, o->format);
	atomic_store(&level, o->level);
	return RC_OK;
}

void log_reopen(void)
{
	bool ok;

	pthread_mutex_lock(&writer.mutex);
	drain_once();
	ok = log_outputs_reopen(&writer.outputs);
	pthread_mutex_unlock(&writer.mutex);
	if (!ok)
		log_event(LOG_ERROR, "log", "a log file can't be opened again; the old one goes on");
}
