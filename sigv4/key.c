/* From the secret to a signature: the signing key, what is signed with it, and the cache of keys.
 *
 * A signing key costs four HMACs and is good for a day, so that each thread keeps the last few. An
 * entry holds a secret: it is wiped when another takes its place and when its thread ends.
 */
#include "sigv4/internal.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/encode.h"

struct str hmac_hex(const uint8_t key[32], struct str text, struct arena *a)
{
	uint8_t mac[32];

	hmac_sha256(str_make(key, 32), text, mac);
	return hex_encode(a, str_make(mac, sizeof(mac)));
}

struct str sha256_hex(struct str bytes, struct arena *a)
{
	uint8_t hash[DIGEST_MAX];

	digest_of(DIGEST_SHA256, bytes, hash);
	return hex_encode(a, str_make(hash, 32));
}

struct str scope_of(struct str date, struct str region, struct str service, struct arena *a)
{
	struct str pieces[] = {date, STR("/"), region, STR("/"), service, STR("/aws4_request")};

	return arena_join(a, pieces, sizeof(pieces) / sizeof(*pieces));
}

struct str sigv4_string_to_sign(struct str amz_date, struct str scope, struct str canonical,
				struct arena *a)
{
	struct str pieces[] = {STR("AWS4-HMAC-SHA256\n"), amz_date, STR("\n"), scope,
			       STR("\n"),		  sha256_hex(canonical, a)};

	return arena_join(a, pieces, sizeof(pieces) / sizeof(*pieces));
}

struct str chunk_signature(const uint8_t signing_key[32], struct str amz_date, struct str scope,
			   struct str previous, struct str hash_hex, struct arena *a)
{
	struct str pieces[] = {
		STR("AWS4-HMAC-SHA256-PAYLOAD\n"), amz_date, STR("\n"), scope, STR("\n"), previous,
		/* the hash of nothing stands for headers, which chunks don't have */
		STR("\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"),
		hash_hex};

	return hmac_hex(signing_key, arena_join(a, pieces, sizeof(pieces) / sizeof(*pieces)), a);
}

struct str trailer_signature(const uint8_t signing_key[32], struct str amz_date, struct str scope,
			     struct str previous, struct str hash_hex, struct arena *a)
{
	struct str pieces[] = {STR("AWS4-HMAC-SHA256-TRAILER\n"), amz_date, STR("\n"), scope,
			       STR("\n"), previous, STR("\n"), hash_hex};

	return hmac_hex(signing_key, arena_join(a, pieces, sizeof(pieces) / sizeof(*pieces)), a);
}

struct str sigv4_chunk_signature(const uint8_t signing_key[32], struct str amz_date,
				 struct str scope, struct str previous, struct str chunk,
				 struct arena *a)
{
	return chunk_signature(signing_key, amz_date, scope, previous, sha256_hex(chunk, a), a);
}

struct str sigv4_trailer_signature(const uint8_t signing_key[32], struct str amz_date,
				   struct str scope, struct str previous, struct str trailers,
				   struct arena *a)
{
	return trailer_signature(signing_key, amz_date, scope, previous, sha256_hex(trailers, a), a);
}

void sigv4_signing_key(struct str secret, struct str date, struct str region, struct str service,
		       uint8_t out[32])
{
	char first[4 + SECRET_MAX] = "AWS4";
	uint8_t k[32];

	secret = str_head(secret, SECRET_MAX);
	if (secret.n)
		memcpy(first + 4, secret.p, secret.n);
	hmac_sha256(str_make(first, 4 + secret.n), date, k);
	hmac_sha256(str_make(k, 32), region, k);
	hmac_sha256(str_make(k, 32), service, k);
	hmac_sha256(str_make(k, 32), STR("aws4_request"), out);
	explicit_bzero(first, 4 + secret.n);
	explicit_bzero(k, sizeof(k));
}

enum { CACHE_SLOTS = 32, LABEL_MAX = 192, CACHED_SECRET_MAX = 64 };

struct cached_key {
	bool used;
	uint8_t secret_n;
	uint16_t label_n;
	char label[LABEL_MAX]; /* access key, date, region, service */
	char secret[CACHED_SECRET_MAX];
	uint8_t key[32];
};

static _Thread_local struct cached_key cache[CACHE_SLOTS];
static pthread_key_t wipe_at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void cache_wipe(void *slots)
{
	explicit_bzero(slots, sizeof(cache));
}

static void cache_init(void)
{
	if (pthread_key_create(&wipe_at_exit, cache_wipe) != 0)
		abort();
}

static size_t label_put(char *to, const struct str *parts, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (parts[i].n + 1 > LABEL_MAX - at)
			return 0;
		if (parts[i].n)
			memcpy(to + at, parts[i].p, parts[i].n);
		at += parts[i].n;
		to[at++] = '/';
	}
	return at;
}

static struct cached_key *slot_of(struct str label)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < label.n; i++)
		h = (h ^ (uint8_t)label.p[i]) * 16777619u;
	return &cache[(h ^ h >> 16) % CACHE_SLOTS];
}

static bool slot_is(const struct cached_key *c, struct str label, struct str secret)
{
	return c->used && str_eq(str_make(c->label, c->label_n), label) &&
	       c->secret_n == secret.n && const_time_eq(str_make(c->secret, c->secret_n), secret);
}

static void slot_fill(struct cached_key *c, struct str label, struct str secret,
		      const uint8_t key[32])
{
	pthread_once(&once, cache_init);
	/* Without it the key is only not kept beyond this request. */
	if (pthread_setspecific(wipe_at_exit, cache) != 0)
		return;
	explicit_bzero(c, sizeof(*c));
	c->used = true;
	c->label_n = (uint16_t)label.n;
	c->secret_n = (uint8_t)secret.n;
	memcpy(c->label, label.p, label.n);
	if (secret.n)
		memcpy(c->secret, secret.p, secret.n);
	memcpy(c->key, key, sizeof(c->key));
}

void signing_key_cached(struct str access_key, struct str secret, struct str date,
			struct str region, struct str service, uint8_t out[32])
{
	struct str parts[] = {access_key, date, region, service};
	char text[LABEL_MAX];
	struct str label = {text, label_put(text, parts, sizeof(parts) / sizeof(*parts))};
	struct cached_key *c;

	if (label.n == 0 || secret.n > CACHED_SECRET_MAX) {
		sigv4_signing_key(secret, date, region, service, out);
		return;
	}
	c = slot_of(label);
	if (slot_is(c, label, secret)) {
		memcpy(out, c->key, 32);
		return;
	}
	sigv4_signing_key(secret, date, region, service, out);
	slot_fill(c, label, secret, out);
}
