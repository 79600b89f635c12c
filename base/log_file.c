#include "base/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, uint64_t *ret_bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	struct stat st;

	if (fd >= 0)
		*ret_bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return fd;
}

static rc output_open(struct log_output *to, struct str name, struct err *reterr)
{
	if (str_eq(name, STR("-")) || str_eq(name, STR("="))) {
		to->fd = name.p[0] == '-' ? STDERR_FILENO : STDOUT_FILENO;
		return RC_OK;
	}
	to->path = name.n && str_index(name, 0) == name.n ? strndup(name.p, name.n) : NULL;
	if (!to->path)
		return err_set(reterr, ERR_CONFIG, "the name of a log file is empty");
	to->fd = open_file(to->path, &to->bytes);
	if (to->fd < 0)
		return err_errno(reterr, ERR_CONFIG, errno, "open log file %s", to->path);
	return RC_OK;
}

rc log_outputs_open(const struct log_options *o, struct log_outputs *ret, struct err *reterr)
{
	*ret = (struct log_outputs){.max_bytes = (uint64_t)o->max_mb << 20, .keep = o->keep};
	if (o->outputs_n == 0 || o->outputs_n > LOG_OUTPUTS_MAX)
		return err_set(reterr, ERR_CONFIG, "%zu log outputs; there may be 1 to %d",
			       o->outputs_n, LOG_OUTPUTS_MAX);
	for (size_t i = 0; i < o->outputs_n; i++) {
		rc r = output_open(&ret->at[i], o->outputs[i], reterr);

		if (!rc_ok(r)) {
			free(ret->at[i].path);
			log_outputs_close(ret);
			return r;
		}
		ret->n++;
	}
	return RC_OK;
}

void log_outputs_close(struct log_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		if (!o->at[i].path)
			continue;
		close(o->at[i].fd);
		free(o->at[i].path);
	}
	o->n = 0;
}

static bool output_reopen(struct log_output *to)
{
	uint64_t bytes;
	int fd;

	if (!to->path)
		return true;
	fd = open_file(to->path, &bytes);
	if (fd < 0)
		return false;
	close(to->fd);
	to->fd = fd;
	to->bytes = bytes;
	return true;
}

bool log_outputs_reopen(struct log_outputs *o)
{
	bool ok = true;

	for (size_t i = 0; i < o->n; i++)
		ok = output_reopen(&o->at[i]) && ok;
	return ok;
}

static void shift(const char *path, unsigned from)
{
	char *old, *new;

	if (asprintf(&old, from ? "%s.%u" : "%s", path, from) < 0 ||
	    asprintf(&new, "%s.%u", path, from + 1) < 0)
		abort();
	rename(old, new); /* there may be none yet */
	free(old);
	free(new);
}

static void rotate(struct log_output *to, unsigned keep)
{
	/* The last is replaced by the one before it. */
	for (unsigned i = keep; i > 0; i--)
		shift(to->path, i - 1);
	if (keep == 0)
		unlink(to->path);
	if (!output_reopen(to))
		to->bytes = 0; /* goes on in the old file for as long again */
}

static bool write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EAGAIN) {
			/* Somebody made the terminal or pipe non-blocking; a reader that never comes
			 * back doesn't stop us. */
			if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000) == 1)
				continue;
			return false;
		}
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = str_skip(s, (size_t)n);
	}
	return true;
}

bool log_outputs_write(struct log_outputs *o, struct str lines)
{
	bool ok = true;

	for (size_t i = 0; i < o->n; i++) {
		struct log_output *to = &o->at[i];

		if (to->path && o->max_bytes && to->bytes && to->bytes + lines.n > o->max_bytes)
			rotate(to, o->keep);
		ok = write_all(to->fd, lines) && ok;
		to->bytes += lines.n;
	}
	return ok;
}
