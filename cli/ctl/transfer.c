#include "cli/ctl/transfer.h"

#include <stdio.h>
#include <stdlib.h>

struct job *job_new(struct str local, struct str key, struct str checksum, int64_t size)
{
	struct job *j = malloc(sizeof(*j) + local.n + key.n + checksum.n);
	char *at;

	if (!j)
		abort();
	at = j->bytes;
	memcpy(at, local.p, local.n);
	j->local = str_make(at, local.n);
	at += local.n;
	memcpy(at, key.p, key.n);
	j->key = str_make(at, key.n);
	at += key.n;
	if (checksum.n)
		memcpy(at, checksum.p, checksum.n);
	j->checksum = str_make(at, checksum.n);
	j->size = size;
	return j;
}

static unsigned threads(struct ctl *c)
{
	int64_t n = args_given(c->args, "parallelism") ? args_number(c->args, "parallelism") : c->settings.parallelism;

	return n < 1 ? 1 : n > 256 ? 256 : (unsigned)n;
}

void transfer_begin(struct transfer *t, const char *verb, void (*run)(void *ud, void *item))
{
	pthread_mutex_init(&t->lock, NULL);
	t->progress = progress_new(verb, args_bool(t->c->args, "no-progress"));
	t->crew = crew_new(threads(t->c), run, t);
}

void transfer_add(struct transfer *t, struct job *j)
{
	progress_expect(t->progress, 1, j->size > 0 ? (uint64_t)j->size : 0);
	crew_add(t->crew, j);
}

static void count(struct transfer *t, size_t *what)
{
	pthread_mutex_lock(&t->lock);
	++*what;
	pthread_mutex_unlock(&t->lock);
}

void transfer_done(struct transfer *t, const char *verb, struct str shown)
{
	char line[5000];

	count(t, &t->done);
	progress_file(t->progress);
	if (t->c->json || progress_is_shown(t->progress))
		return;
	/* lakectl has columns where it uploads. */
	snprintf(line, sizeof(line), verb[0] == 'u' ? "%s %-33.*s ... done!" : "%s %.*s ... done!", verb,
		 STR_ARG(str_head(shown, 4096)));
	progress_say(t->progress, str_c(line));
}

void transfer_failed(struct transfer *t, const char *verb, struct str shown, const struct fault *f)
{
	count(t, &t->failed);
	progress_file(t->progress);
	if (client_stopped(t->c->client))
		return;
	pthread_mutex_lock(&t->lock);
	fprintf(stderr, "%s%s " STR_FMT ": " STR_FMT, progress_is_shown(t->progress) ? "\r\033[K" : "", verb,
		STR_ARG(shown), STR_ARG(f->text));
	if (f->kind == FAULT_ANSWER)
		fprintf(stderr, " (%d %s)", f->status, status_text(f->status));
	fputc('\n', stderr);
	pthread_mutex_unlock(&t->lock);
}

bool transfer_end(struct transfer *t, const char *title, bool good)
{
	bool up = title[0] == 'U';

	crew_end(t->crew);
	progress_end(t->progress);
	pthread_mutex_destroy(&t->lock);
	if (t->c->json)
		printf("{\n  \"downloaded\": %zu,\n  \"uploaded\": %zu,\n  \"removed\": 0,\n  \"failed\": %zu\n}\n",
		       up ? 0 : t->done, up ? t->done : 0, t->failed);
	else
		printf("\n%s Summary:\n\nDownloaded: %zu\nUploaded: %zu\nRemoved: 0\n\n", title, up ? 0 : t->done,
		       up ? t->done : 0);
	if (!good)
		return false;
	if (client_stopped(t->c->client))
		return ctl_fail(t->c, "stopped");
	return !t->failed || ctl_fail(t->c, "%zu of %zu files failed", t->failed, t->done + t->failed);
}
