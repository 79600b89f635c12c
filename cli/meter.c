#include "cli/meter.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000, BAR_MAX = 40, DEFAULT_COLUMNS = 80 };

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

void meter_init(struct meter *m, const char *command, const char *copying)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	*m = (struct meter){.command = command, .copying = copying, .terminal = isatty(STDERR_FILENO)};
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const char *step_name(const struct meter *m, enum kv_step step)
{
	switch (step) {
	case KV_STEP_SURVEY:
		return "surveying";
	case KV_STEP_CLEAR:
		return "clearing";
	case KV_STEP_COPY:
		return m->copying;
	case KV_STEP_VERIFY:
		return "verifying";
	}
	return "";
}

/* 1,234,567 */
static void add_count(struct buf *b, uint64_t n)
{
	if (n >= 1000) {
		add_count(b, n / 1000);
		buf_printf(b, ",%03u", (unsigned)(n % 1000));
	} else {
		buf_printf(b, "%u", (unsigned)n);
	}
}

static void add_eta(struct buf *b, uint64_t seconds)
{
	if (seconds >= 3600)
		buf_printf(b, ", %u h %02u min left", (unsigned)(seconds / 3600), (unsigned)(seconds / 60 % 60));
	else if (seconds >= 60)
		buf_printf(b, ", %u min %02u s left", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
	else
		buf_printf(b, ", %u s left", (unsigned)seconds);
}

static void add_bar(struct buf *b, const struct kv_progress *p)
{
	struct winsize size = {.ws_col = DEFAULT_COLUMNS};
	unsigned width, full;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col)
		size.ws_col = DEFAULT_COLUMNS;
	if (size.ws_col < DEFAULT_COLUMNS)
		return; /* no room beside the figures */
	width = size.ws_col - DEFAULT_COLUMNS + 20u;
	width = width > BAR_MAX ? BAR_MAX : width;
	full = (unsigned)(p->done * width / p->total);
	buf_add_c(b, '[');
	for (unsigned i = 0; i < width; i++)
		buf_add_c(b, i < full ? '#' : '.');
	buf_add_cstr(b, "] ");
}

static void add_figures(struct buf *b, const struct meter *m, const struct kv_progress *p)
{
	int64_t ms = mono_ms() - m->step_ms;
	uint64_t rate = (p->done - m->first) * 1000 / (uint64_t)(ms > 0 ? ms : 1);

	if (p->total)
		buf_printf(b, "%u%% ", (unsigned)(p->done * 100 / p->total));
	add_count(b, p->done);
	if (p->total) {
		buf_add_cstr(b, " of ");
		add_count(b, p->total);
	}
	buf_add_cstr(b, " records, ");
	add_count(b, rate);
	buf_add_cstr(b, "/s");
	if (p->total && p->done < p->total && rate)
		add_eta(b, (p->total - p->done) / rate);
}

static void show(struct meter *m, const struct kv_progress *p)
{
	struct buf b = BUF_INIT(512);
	bool done = p->total && p->done >= p->total;

	if (m->terminal)
		buf_add_cstr(&b, "\r\033[K");
	else
		buf_printf(&b, "sluice %s: ", m->command);
	buf_printf(&b, "%-9s ", step_name(m, p->step));
	if (m->terminal && p->total)
		add_bar(&b, p);
	add_figures(&b, m, p);
	if (!m->terminal || done)
		buf_add_c(&b, '\n');
	m->line_open = m->terminal && !done;
	fwrite(buf_str(&b).p, 1, b.n, stderr);
	fflush(stderr);
	buf_deinit(&b);
}

rc meter_tick(void *ud, const struct kv_progress *p, struct err *reterr)
{
	struct meter *m = ud;
	int64_t now = mono_ms();

	if (stopped)
		return err_set(reterr, ERR_CANCELLED, "stopped by a signal");
	if (!m->begun || m->step != p->step) {
		meter_clear(m);
		m->begun = true;
		m->step = p->step;
		m->step_ms = m->told_ms = now;
		m->first = p->total && p->done == p->total ? 0 : p->done;
	}
	if ((p->total && p->done >= p->total) ||
	    now - m->told_ms >= (m->terminal ? BAR_EVERY_MS : LINE_EVERY_MS)) {
		m->told_ms = now;
		show(m, p);
	}
	return RC_OK;
}

void meter_clear(struct meter *m)
{
	if (m->line_open)
		fputs("\r\033[K", stderr);
	m->line_open = false;
}

void meter_say(void *ud, const char *line)
{
	struct meter *m = ud;

	meter_clear(m);
	fprintf(stderr, "sluice %s: %s\n", m->command, line);
}
