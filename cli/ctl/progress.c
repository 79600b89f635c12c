#include "cli/ctl/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { EVERY_MS = 100, COLUMNS = 80, BAR_MAX = 40, BAR_MIN = 10, FIGURES = 62 };

struct progress {
	const char *verb;
	bool shown, stdout_is_terminal, open;
	pthread_mutex_t lock;
	uint64_t files, files_all, bytes, bytes_all;
	int64_t begun_ms, drawn_ms;
};

struct progress *progress_new(const char *verb, bool silent)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->verb = verb;
	p->shown = !silent && isatty(STDERR_FILENO);
	p->stdout_is_terminal = isatty(STDOUT_FILENO);
	p->begun_ms = mono_ms();
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

bool progress_is_shown(const struct progress *p)
{
	return p->shown;
}

static void add_size(struct buf *b, uint64_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double v = (double)n;
	int i = 0;

	for (; v >= 1024 && i < 5; i++)
		v /= 1024;
	buf_printf(b, i ? "%.1f %s" : "%.0f %s", v, units[i]);
}

static void add_bar(struct buf *b, const struct progress *p)
{
	struct winsize size = {0};
	unsigned columns, wide, full;

	columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS;
	if (columns < FIGURES + BAR_MIN)
		return; /* no room beside the figures */
	wide = columns - FIGURES > BAR_MAX ? BAR_MAX : columns - FIGURES;
	full = p->bytes_all   ? (unsigned)(p->bytes * wide / p->bytes_all)
	       : p->files_all ? (unsigned)(p->files * wide / p->files_all)
			      : 0;
	buf_add_c(b, '[');
	for (unsigned i = 0; i < wide; i++)
		buf_add_c(b, i < full ? '#' : '.');
	buf_add_cstr(b, "] ");
}

static void draw(struct progress *p, int64_t now)
{
	struct buf b = BUF_INIT(1024);
	int64_t ms = now - p->begun_ms;

	buf_printf(&b, "\r\033[K%s ", p->verb);
	add_bar(&b, p);
	if (p->bytes_all)
		buf_printf(&b, "%u%% ", (unsigned)((double)p->bytes * 100 / (double)p->bytes_all));
	buf_printf(&b, "%llu/%llu files, ", (unsigned long long)p->files, (unsigned long long)p->files_all);
	add_size(&b, p->bytes);
	buf_add_cstr(&b, ", ");
	add_size(&b, p->bytes * 1000 / (uint64_t)(ms > 0 ? ms : 1));
	buf_add_cstr(&b, "/s");
	fwrite(buf_str(&b).p, 1, b.n, stderr);
	fflush(stderr);
	buf_deinit(&b);
	p->drawn_ms = now;
	p->open = true;
}

static void changed(struct progress *p)
{
	int64_t now;

	if (!p->shown)
		return;
	now = mono_ms();
	if (now - p->drawn_ms >= EVERY_MS)
		draw(p, now);
}

void progress_expect(struct progress *p, uint64_t files, uint64_t bytes)
{
	pthread_mutex_lock(&p->lock);
	p->files_all += files;
	p->bytes_all += bytes;
	changed(p);
	pthread_mutex_unlock(&p->lock);
}

void progress_bytes(struct progress *p, int64_t n)
{
	pthread_mutex_lock(&p->lock);
	p->bytes += (uint64_t)n;
	changed(p);
	pthread_mutex_unlock(&p->lock);
}

void progress_file(struct progress *p)
{
	pthread_mutex_lock(&p->lock);
	p->files++;
	changed(p);
	pthread_mutex_unlock(&p->lock);
}

void progress_say(struct progress *p, struct str line)
{
	pthread_mutex_lock(&p->lock);
	if (p->open && p->stdout_is_terminal) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	fwrite(line.p, 1, line.n, stdout);
	putchar('\n');
	if (p->open && p->stdout_is_terminal) {
		fflush(stdout);
		draw(p, mono_ms());
	}
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p)
{
	if (p->shown) {
		draw(p, mono_ms());
		fputc('\n', stderr);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}
