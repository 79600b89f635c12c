/* One-shot digests and sets of them.
 *
 * OpenSSL's contexts are costly to make (two mallocs and a provider look-up), so each thread keeps
 * a few of each kind; a set takes from the thread that makes it and gives to the one that frees it.
 */
#include "base/digest.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/crc64.h"
#include "base/xxh.h"

enum {
	EVP_KINDS = DIGEST_SHA512 + 1, /* those that OpenSSL computes come first */
	CRC_KINDS = DIGEST_CRC64NVME + 1 - EVP_KINDS, /* then these, then the XXHs */
	XXH_FIRST = EVP_KINDS + CRC_KINDS,
	IDLE_MAX = 4,
	HMAC_BLOCK = 64,
};

static const struct {
	const char *name, *title, *evp;
	size_t size;
} kinds_table[DIGEST_KINDS] = {
	[DIGEST_MD5] = {"md5", "MD5", "MD5", 16},
	[DIGEST_SHA1] = {"sha1", "SHA1", "SHA1", 20},
	[DIGEST_SHA256] = {"sha256", "SHA256", "SHA256", 32},
	[DIGEST_SHA512] = {"sha512", "SHA512", "SHA512", 64},
	[DIGEST_CRC32] = {"crc32", "CRC32", NULL, 4},
	[DIGEST_CRC32C] = {"crc32c", "CRC32C", NULL, 4},
	[DIGEST_CRC64NVME] = {"crc64nvme", "CRC64NVME", NULL, 8},
	[DIGEST_XXHASH64] = {"xxhash64", "XXHASH64", NULL, 8},
	[DIGEST_XXHASH3] = {"xxhash3", "XXHASH3", NULL, 8},
	[DIGEST_XXHASH128] = {"xxhash128", "XXHASH128", NULL, 16},
};

static EVP_MD *fetched[EVP_KINDS];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_exit;

static _Thread_local struct {
	EVP_MD_CTX *ctx[EVP_KINDS][IDLE_MAX];
	unsigned n[EVP_KINDS];
	bool registered;
} idle;

static void free_idle(void *unused)
{
	for (int k = 0; k < EVP_KINDS; k++)
		while (idle.n[k])
			EVP_MD_CTX_free(idle.ctx[k][--idle.n[k]]);
	idle.registered = false;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "sluice: OpenSSL cannot %s; check its configuration (openssl.cnf)\n", what);
	abort();
}

static void fetch_all(void)
{
	for (int k = 0; k < EVP_KINDS; k++) {
		fetched[k] = EVP_MD_fetch(NULL, kinds_table[k].evp, NULL);
		must(fetched[k], kinds_table[k].evp);
	}
	must(pthread_key_create(&at_thread_exit, free_idle) == 0, "have a thread key");
}

/* A context that has been started. */
static EVP_MD_CTX *ctx_take(enum digest_kind k)
{
	EVP_MD_CTX *ctx;

	pthread_once(&once, fetch_all);
	ctx = idle.n[k] ? idle.ctx[k][--idle.n[k]] : EVP_MD_CTX_new();
	must(ctx && EVP_DigestInit_ex2(ctx, fetched[k], NULL), "start a digest");
	return ctx;
}

static void ctx_give(enum digest_kind k, EVP_MD_CTX *ctx)
{
	if (idle.n[k] == IDLE_MAX) {
		EVP_MD_CTX_free(ctx);
		return;
	}
	idle.ctx[k][idle.n[k]++] = ctx;
	if (!idle.registered) {
		pthread_setspecific(at_thread_exit, &idle);
		idle.registered = true;
	}
}

static void evp_update(EVP_MD_CTX *ctx, const void *p, size_t n)
{
	must(EVP_DigestUpdate(ctx, p, n), "update a digest");
}

static void evp_final(EVP_MD_CTX *ctx, uint8_t *out)
{
	must(EVP_DigestFinal_ex(ctx, out, NULL), "finish a digest");
}

/* ISA-L: crc32_gzip_refl inverts at both ends itself, crc32_iscsi at neither. */
static uint32_t crc32c_update(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	while (n) {
		int piece = n < INT_MAX / 2 ? (int)n : INT_MAX / 2;

		crc = crc32_iscsi((unsigned char *)p, piece, crc);
		p += piece;
		n -= (size_t)piece;
	}
	return ~crc;
}

static uint64_t crc_update(enum digest_kind k, uint64_t crc, const void *p, size_t n)
{
	if (k == DIGEST_CRC32)
		return crc32_gzip_refl((uint32_t)crc, p, n);
	if (k == DIGEST_CRC32C)
		return crc32c_update((uint32_t)crc, p, n);
	return crc64nvme_update(crc, p, n);
}

static void crc_final(enum digest_kind k, uint64_t crc, uint8_t *out)
{
	size_t n = kinds_table[k].size;

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(crc >> (n - 1 - i) * 8);
}

size_t digest_size(enum digest_kind k)
{
	assert(k < DIGEST_KINDS);
	return kinds_table[k].size;
}

const char *digest_name(enum digest_kind k)
{
	assert(k < DIGEST_KINDS);
	return kinds_table[k].name;
}

const char *digest_title(enum digest_kind k)
{
	assert(k < DIGEST_KINDS);
	return kinds_table[k].title;
}

bool digest_by_name(struct str name, enum digest_kind *ret)
{
	for (int k = 0; k < DIGEST_KINDS; k++) {
		if (!str_eq_nocase(name, str_c(kinds_table[k].name)))
			continue;
		*ret = (enum digest_kind)k;
		return true;
	}
	return false;
}

static void xxh_of(enum digest_kind k, struct str data, uint8_t *out)
{
	struct xxh *x = xxh_new(k);

	xxh_update(x, data.p, data.n);
	xxh_value(x, out);
	xxh_free(x);
}

void digest_of(enum digest_kind k, struct str data, uint8_t *out)
{
	EVP_MD_CTX *ctx;

	assert(k < DIGEST_KINDS);
	if ((int)k >= XXH_FIRST) {
		xxh_of(k, data, out);
		return;
	}
	if ((int)k >= EVP_KINDS) {
		crc_final(k, crc_update(k, 0, data.p, data.n), out);
		return;
	}
	ctx = ctx_take(k);
	evp_update(ctx, data.p, data.n);
	evp_final(ctx, out);
	ctx_give(k, ctx);
}

/* RFC 2104. Two plain digests: a fifth of what EVP_MAC costs for a short message. */
static void hmac(enum digest_kind k, struct str key, struct str data, uint8_t *out)
{
	uint8_t pad[HMAC_BLOCK] = {0}, inner[DIGEST_MAX];
	EVP_MD_CTX *ctx;

	if (key.n > sizeof(pad))
		digest_of(k, key, pad);
	else if (key.n)
		memcpy(pad, key.p, key.n);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	ctx = ctx_take(k);
	evp_update(ctx, pad, sizeof(pad));
	evp_update(ctx, data.p, data.n);
	evp_final(ctx, inner);
	ctx_give(k, ctx);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	ctx = ctx_take(k);
	evp_update(ctx, pad, sizeof(pad));
	evp_update(ctx, inner, kinds_table[k].size);
	evp_final(ctx, out);
	ctx_give(k, ctx);
	explicit_bzero(pad, sizeof(pad));
}

void hmac_sha256(struct str key, struct str data, uint8_t out[32])
{
	hmac(DIGEST_SHA256, key, data, out);
}

void hmac_sha1(struct str key, struct str data, uint8_t out[20])
{
	hmac(DIGEST_SHA1, key, data, out);
}

/* For tokens: too rare to be worth more than OpenSSL's own. */
static void hmac_with(const EVP_MD *md, struct str key, struct str data, uint8_t *out)
{
	unsigned n;

	if (!HMAC(md, key.n ? key.p : "", (int)key.n, (const uint8_t *)(data.n ? data.p : ""), data.n, out, &n))
		abort();
}

void hmac_sha384(struct str key, struct str data, uint8_t out[48])
{
	hmac_with(EVP_sha384(), key, data, out);
}

void hmac_sha512(struct str key, struct str data, uint8_t out[64])
{
	hmac_with(EVP_sha512(), key, data, out);
}

struct digest_set {
	unsigned kinds;
	bool finished;
	uint64_t bytes;
	EVP_MD_CTX *ctx[EVP_KINDS];
	uint64_t crc[CRC_KINDS];
	struct xxh *xxh[DIGEST_KINDS - XXH_FIRST];
	uint8_t value[DIGEST_KINDS][DIGEST_MAX];
};

static void set_release(void *arg)
{
	struct digest_set *s = arg;

	for (int k = 0; k < EVP_KINDS; k++)
		if (s->ctx[k])
			ctx_give((enum digest_kind)k, s->ctx[k]);
	for (int k = XXH_FIRST; k < DIGEST_KINDS; k++)
		xxh_free(s->xxh[k - XXH_FIRST]);
}

struct digest_set *digest_set_new(struct arena *a, unsigned kinds)
{
	struct digest_set *s = ARENA_NEW(a, struct digest_set);

	assert(kinds < 1u << DIGEST_KINDS);
	s->kinds = kinds;
	for (int k = 0; k < EVP_KINDS; k++)
		if (kinds & 1u << k)
			s->ctx[k] = ctx_take((enum digest_kind)k);
	for (int k = XXH_FIRST; k < DIGEST_KINDS; k++)
		if (kinds & 1u << k)
			s->xxh[k - XXH_FIRST] = xxh_new((enum digest_kind)k);
	arena_defer(a, set_release, s);
	return s;
}

/* By pieces that stay in the first-level cache from one digest to the next. */
void digest_set_update(struct digest_set *s, const void *p, size_t n)
{
	const uint8_t *at = p;

	assert(!s->finished);
	s->bytes += n;
	while (n) {
		size_t piece = n < 16384 ? n : 16384;

		for (int k = 0; k < DIGEST_KINDS; k++) {
			if (!(s->kinds & 1u << k))
				continue;
			if (k < EVP_KINDS)
				evp_update(s->ctx[k], at, piece);
			else if (k >= XXH_FIRST)
				xxh_update(s->xxh[k - XXH_FIRST], at, piece);
			else
				s->crc[k - EVP_KINDS] = crc_update(
					(enum digest_kind)k, s->crc[k - EVP_KINDS], at, piece);
		}
		at += piece;
		n -= piece;
	}
}

static void set_finish(struct digest_set *s)
{
	s->finished = true;
	for (int k = 0; k < DIGEST_KINDS; k++) {
		if (!(s->kinds & 1u << k))
			continue;
		if (k < EVP_KINDS)
			evp_final(s->ctx[k], s->value[k]);
		else if (k >= XXH_FIRST)
			xxh_value(s->xxh[k - XXH_FIRST], s->value[k]);
		else
			crc_final((enum digest_kind)k, s->crc[k - EVP_KINDS], s->value[k]);
	}
}

struct str digest_set_value(struct digest_set *s, enum digest_kind k)
{
	assert(digest_set_has(s, k));
	if (!s->finished)
		set_finish(s);
	return str_make(s->value[k], kinds_table[k].size);
}

bool digest_set_has(const struct digest_set *s, enum digest_kind k)
{
	assert(k < DIGEST_KINDS);
	return s->kinds & 1u << k;
}

uint64_t digest_set_bytes(const struct digest_set *s)
{
	return s->bytes;
}

bool const_time_eq(struct str a, struct str b)
{
	volatile unsigned char differ = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differ |= (unsigned char)(a.p[i] ^ b.p[i]);
	return differ == 0;
}
