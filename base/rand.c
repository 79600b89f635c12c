#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

enum {
	XID_BYTES = 12,
};

#define DESCENDING_FROM 64060588800

static const char base32hex[] = "0123456789abcdefghijklmnopqrstuv";

static struct {
	uint8_t id[5];
	atomic_uint counter;
} process;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void rand_bytes(void *p, size_t n)
{
	char *to = p;

	while (n) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
	}
}

struct str uuid4(struct arena *a)
{
	uint8_t b[16];

	rand_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	return arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
			    b[11], b[12], b[13], b[14], b[15]);
}

static void start_process(void)
{
	uint8_t seed[3];

	rand_bytes(process.id, sizeof(process.id));
	rand_bytes(seed, sizeof(seed));
	atomic_store(&process.counter, (unsigned)(seed[0] << 16 | seed[1] << 8 | seed[2]));
}

void xid_at(uint32_t seconds, char out[XID_CHARS + 1])
{
	uint8_t b[XID_BYTES + 1] = {0}; /* one more for the last character's look ahead */
	unsigned count;

	pthread_once(&once, start_process);
	count = atomic_fetch_add_explicit(&process.counter, 1, memory_order_relaxed);
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(seconds >> (24 - 8 * i));
	memcpy(b + 4, process.id, sizeof(process.id));
	b[9] = (uint8_t)(count >> 16);
	b[10] = (uint8_t)(count >> 8);
	b[11] = (uint8_t)count;
	for (int i = 0; i < XID_CHARS; i++) {
		int bit = i * 5;
		unsigned pair = (unsigned)b[bit / 8] << 8 | b[bit / 8 + 1];

		out[i] = base32hex[pair >> (11 - bit % 8) & 31];
	}
	out[XID_CHARS] = 0;
}

void xid_now(char out[XID_CHARS + 1])
{
	xid_at((uint32_t)wall_now().s, out);
}

void xid_descending(char out[XID_CHARS + 1])
{
	xid_at((uint32_t)(DESCENDING_FROM - wall_now().s), out);
}

static int base32hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

bool xid_valid(struct str s, uint32_t *ret_seconds)
{
	uint64_t head = 0;

	if (s.n != XID_CHARS)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = base32hex_digit(s.p[i]);

		if (d < 0)
			return false;
		if (i < 7) /* 35 bits: the seconds and three more */
			head = head << 5 | (unsigned)d;
	}
	/* 96 bits fill 19 characters and one bit of the last. */
	if (base32hex_digit(s.p[XID_CHARS - 1]) & 15)
		return false;
	if (ret_seconds)
		*ret_seconds = (uint32_t)(head >> 3);
	return true;
}
