/* Large objects past the page cache (O_DIRECT): copying a body into the cache costs more CPU than
 * hashing it does, and pushes out what readers need. Bytes gather in an aligned buffer; full ones are written
 * as they are, the last, odd piece through the cache. The file is synced at its end as ever.
 *
 * Not every file system has it; the first refusal (EINVAL) turns it off for the store. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local.h"

enum {
	ALIGNMENT = 4096,
	BUFFER = 256 * 1024,
	COPY_BUFFER = 1024 * 1024,
};

static bool set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

bool direct_start(struct direct *d, struct local *l, int fd, uint64_t at)
{
	if (!atomic_load_explicit(&l->direct, memory_order_relaxed) || at % ALIGNMENT)
		return false;
	if (!set_direct(fd, true)) {
		atomic_store(&l->direct, false);
		return false;
	}
	if (posix_memalign((void **)&d->p, ALIGNMENT, BUFFER))
		abort();
	d->l = l;
	d->fd = fd;
	d->n = 0;
	d->at = at;
	return true;
}

/* 0 or an errno. */
static int write_all(struct direct *d, const char *p, size_t n)
{
	while (n) {
		ssize_t k = pwrite(d->fd, p, n, (off_t)d->at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return errno;
		p += k;
		n -= (size_t)k;
		d->at += (uint64_t)k;
		if (n && (size_t)k % ALIGNMENT && !set_direct(d->fd, false))
			return errno; /* a short write at an odd place: the rest can't be direct */
	}
	return 0;
}

static int write_buffer(struct direct *d)
{
	uint64_t at = d->at;
	int e = write_all(d, d->p, d->n);

	if (e == EINVAL && d->at == at) {
		atomic_store(&d->l->direct, false);
		e = set_direct(d->fd, false) ? write_all(d, d->p, d->n) : errno;
	}
	d->n = 0;
	return e;
}

int direct_write(struct direct *d, const void *from, size_t n)
{
	const char *p = from;

	while (n) {
		size_t some = BUFFER - d->n < n ? BUFFER - d->n : n;

		memcpy(d->p + d->n, p, some);
		d->n += some;
		p += some;
		n -= some;
		if (d->n == BUFFER) {
			int e = write_buffer(d);

			if (e)
				return e;
		}
	}
	return 0;
}

/* No more than there is, for the kernel clears the rest, page by page. */
static size_t bytes_to_read(int fd, uint64_t at)
{
	struct stat st;
	uint64_t left;

	if (fstat(fd, &st) != 0)
		return COPY_BUFFER;
	left = (uint64_t)st.st_size > at ? (uint64_t)st.st_size - at : 0;
	if (left >= COPY_BUFFER)
		return COPY_BUFFER;
	return ((size_t)left / ALIGNMENT + 1) * ALIGNMENT;
}

int direct_copy(struct direct *d, int from, uint64_t *ret_n)
{
	bool past = set_direct(from, true); /* where it can't, the cache serves */
	char *p;
	int e = 0;

	*ret_n = 0;
	if (posix_memalign((void **)&p, ALIGNMENT, COPY_BUFFER))
		abort();
	while (e == 0) {
		ssize_t k = pread(from, p, bytes_to_read(from, *ret_n), (off_t)*ret_n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EINVAL && past) {
			past = false;
			if (set_direct(from, false))
				continue;
		}
		if (k <= 0) {
			e = k < 0 ? errno : 0;
			break;
		}
		e = direct_write(d, p, (size_t)k);
		*ret_n += (uint64_t)k;
	}
	free(p);
	return e;
}

int direct_end(struct direct *d)
{
	int e = 0;

	if (d->n)
		e = set_direct(d->fd, false) ? write_buffer(d) : errno;
	direct_free(d);
	return e;
}

void direct_free(struct direct *d)
{
	free(d->p);
	d->p = NULL;
}
