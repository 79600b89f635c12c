/* Syncs that many share. The store's own is syncfs(2): the file system writes every waiting object's
 * bytes, inode and name, neighbours in one go, and flushes the device once, where an fdatasync and a
 * share of a folder's sync for each object would flush it for each. Measured for 1 KiB objects: a half to a
 * quarter of the CPU and of the time, already alone and more so with sixteen at once.
 *
 * Without a journal (ext2, ext4 made so) the kernel flushes the device's cache before it writes the last
 * metadata; so the root folder is synced behind it, which flushes again. Where there is a journal that
 * finds nothing to do.
 *
 * It also writes what others have dirtied on that file system. So it serves small objects only, large
 * ones begin their write-back as they go (local_writer.c), and after one that took longer than
 * SLOW_MS objects are synced one by one for some times that long: somebody else is busy there.
 *
 * Errors: since Linux 5.8 syncfs tells of every failed write-back on the file system since the
 * descriptor was opened; older kernels don't use it. File systems that are known to implement it by
 * what it promises: ext4, XFS, Btrfs, F2FS.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/local.h"
#include "base/clock.h"
#include "base/metrics.h"

enum { SLOW_MS = 100, PAUSE_TIMES = 5 };
#define SMALL_BYTES ((uint64_t)1 << 20)

void shared_sync_init(struct shared_sync *s)
{
	*s = (struct shared_sync){0};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->done[0], NULL);
	pthread_cond_init(&s->done[1], NULL);
}

void shared_sync_deinit(struct shared_sync *s)
{
	pthread_cond_destroy(&s->done[0]);
	pthread_cond_destroy(&s->done[1]);
	pthread_mutex_destroy(&s->lock);
}

static void lead(struct shared_sync *s, void (*run)(void *ud), void *ud)
{
	uint64_t number = ++s->started;

	s->running = true;
	pthread_mutex_unlock(&s->lock);
	run(ud);
	pthread_mutex_lock(&s->lock);
	s->running = false;
	s->finished = number;
	pthread_cond_broadcast(&s->done[number & 1]);
	pthread_cond_signal(&s->done[(number + 1) & 1]); /* one of these leads the next */
}

void shared_sync_run(struct shared_sync *s, void (*run)(void *ud), void *ud)
{
	uint64_t mine;

	pthread_mutex_lock(&s->lock);
	mine = s->started + 1;
	while (s->finished < mine) {
		if (s->running)
			pthread_cond_wait(&s->done[mine & 1], &s->lock);
		else
			lead(s, run, ud);
	}
	pthread_mutex_unlock(&s->lock);
}

static bool kernel_tells_errors(void)
{
	struct utsname u;
	unsigned major, minor;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

enum { EXT4 = 0xef53, XFS = 0x58465342, F2FS = (int)0xf2f52010u, BTRFS = (int)0x9123683eu };

static int kind_of_fs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 ? (int)fs.f_type : 0;
}

static bool keeps_promises(int kind)
{
	switch (kind) {
	case EXT4:
	case XFS:
	case F2FS:
	case BTRFS:
		return true;
	default:
		return false;
	}
}

void store_sync_init(struct local *l)
{
	struct stat st;
	int kind = kind_of_fs(l->root_fd);

	shared_sync_init(&l->whole.sync);
	l->whole.able = fstat(l->root_fd, &st) == 0 && kernel_tells_errors() &&
			keeps_promises(kind);
	l->whole.clones_not = kind == EXT4 || kind == F2FS;
	if (l->whole.able)
		l->whole.dev = st.st_dev;
}

void store_sync_deinit(struct local *l)
{
	shared_sync_deinit(&l->whole.sync);
}

bool store_sync_serves(struct local *l, uint64_t size, uint64_t dev)
{
	return l->whole.able && size <= SMALL_BYTES && dev == l->whole.dev &&
	       mono_ms() >= atomic_load_explicit(&l->whole.again_ms, memory_order_relaxed);
}

static void sync_whole(void *ud)
{
	struct local *l = ud;
	int64_t start = mono_ms(), end;

	metric_add(l->store_syncs, 1);
	if (syncfs(l->root_fd) != 0 || fsync(l->root_fd) != 0)
		atomic_store(&l->broken, true);
	end = mono_ms();
	if (end - start > SLOW_MS)
		atomic_store(&l->whole.again_ms, end + PAUSE_TIMES * (end - start));
}

rc store_sync(struct local *l, struct err *reterr)
{
	shared_sync_run(&l->whole.sync, sync_whole, l);
	if (atomic_load(&l->broken))
		return err_set(reterr, ERR_UNKNOWN_OUTCOME,
			       "syncing the store at " STR_FMT
			       " failed: check the disk, then restart the server",
			       STR_ARG(l->root));
	return RC_OK;
}
