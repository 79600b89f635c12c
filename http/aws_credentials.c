#include "http/aws_credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/aws_credentials_priv.h"

enum {
	WINDOW_S = 300,
	AGAIN_S = 30, /* between two attempts at renewing, also of keys that live shorter than the
			 window */
	FAILED_MS = 1000, /* for so long a failure is everybody's */
	WAIT_S = 30,	  /* for who renews, when there are no keys that could be used meanwhile */
	CONNECT_MS = 1000,
	NEAR_STALL_MS = 5000,
	FAR_STALL_MS = 15000,
};

struct aws_cache {
	pthread_mutex_t lock;
	pthread_cond_t turned;
	/* under the lock */
	bool fetching, refused;
	char *memory; /* of keys */
	size_t memory_n;
	struct aws_keys keys;
	int64_t expires_s, renew_s; /* 0: never */
	int64_t fetched_ms, failed_ms;
	struct err failure;
};

struct str aws_env(const struct aws_credentials *c, const char *name)
{
	const char *v = c->o.env ? c->o.env(name) : getenv(name);

	return v && *v ? str_c(v) : STR_NONE;
}

rc aws_credentials_new(const struct aws_credentials_options *o, struct aws_credentials **ret,
		       struct err *reterr)
{
	struct aws_credentials *c;

	if (!o->access_key.n != !o->secret.n)
		return err_set(
		    reterr, ERR_CONFIG,
		    "credentials: of access_key_id and secret_access_key only one is set");
	c = calloc(1, sizeof(*c));
	if (!c || !(c->cache = calloc(1, sizeof(*c->cache))))
		abort();
	c->a = arena_new();
	c->o = *o;
	for (struct str *const *s =
		 (struct str *[]){&c->o.access_key, &c->o.secret, &c->o.token, &c->o.profile,
				  &c->o.credentials_file, &c->o.region, &c->o.ca_file, NULL};
	     *s; s++)
		**s = (*s)->n ? arena_dup(c->a, **s) : STR_NONE;
	c->o.window_s = o->window_s ? o->window_s : WINDOW_S;
	c->o.again_s = o->again_s ? o->again_s : AGAIN_S;
	c->metadata = http_pool_new(&(struct http_pool_options){
	    .kept = 1, .connect_ms = CONNECT_MS, .stall_ms = NEAR_STALL_MS});
	c->services = http_pool_new(&(struct http_pool_options){
	    .kept = 1, .stall_ms = FAR_STALL_MS, .ca_file = o->ca_file, .proxies = true});
	pthread_mutex_init(&c->cache->lock, NULL);
	pthread_cond_init(&c->cache->turned, NULL);
	*ret = c;
	return RC_OK;
}

static void forget(struct aws_cache *k)
{
	if (k->memory)
		explicit_bzero(k->memory, k->memory_n);
	free(k->memory);
	k->memory = NULL;
	k->memory_n = 0;
	k->keys = (struct aws_keys){0};
}

void aws_credentials_free(struct aws_credentials *c)
{
	if (!c)
		return;
	forget(c->cache);
	pthread_cond_destroy(&c->cache->turned);
	pthread_mutex_destroy(&c->cache->lock);
	free(c->cache);
	http_pool_free(c->metadata);
	http_pool_free(c->services);
	arena_free(c->a);
	free(c);
}

/* The chain. */

static rc from_environment(struct aws_credentials *c, struct arena *a, struct aws_found *ret,
			   bool *found, struct err *reterr)
{
	struct str id = aws_env(c, "AWS_ACCESS_KEY_ID"),
		   secret = aws_env(c, "AWS_SECRET_ACCESS_KEY");

	*found = id.n && secret.n;
	ret->keys = (struct aws_keys){id, secret, aws_env(c, "AWS_SESSION_TOKEN")};
	return RC_OK;
}

static rc fetch(struct aws_credentials *c, struct arena *a, struct aws_found *ret,
		struct err *reterr)
{
	aws_source_fn *const rest[] = {from_environment, aws_from_web_identity, aws_from_profile,
				       aws_from_container, aws_from_instance};
	bool found = false;

	*ret = (struct aws_found){0};
	if (c->o.access_key.n) {
		ret->keys = (struct aws_keys){c->o.access_key, c->o.secret, c->o.token};
		return RC_OK;
	}
	if (c->o.profile.n || c->o.credentials_file.n) {
		TRY(aws_from_profile(c, a, ret, &found, reterr));
		return found ? RC_OK
			     : err_set(reterr, ERR_ServiceUnavailable,
				       "the AWS profile has no keys: look at profile and "
				       "credentials_file");
	}
	for (size_t i = 0; !found && i < sizeof(rest) / sizeof(*rest); i++)
		TRY(rest[i](c, a, ret, &found, reterr));
	if (found)
		return RC_OK;
	return err_set(
	    reterr, ERR_ServiceUnavailable,
	    "there are no AWS credentials: none in the configuration, the environment, the "
	    "profile's files, a container's or an instance's metadata; set "
	    "credentials.access_key_id and credentials.secret_access_key");
}

/* The cache. */

static char *keep(char **at, struct str s, struct str *ret)
{
	*ret = s.n ? str_make(memcpy(*at, s.p, s.n), s.n) : STR_NONE;
	*at += s.n;
	return *at;
}

static void set(struct aws_credentials *c, const struct aws_found *f)
{
	struct aws_cache *k = c->cache;
	int64_t now = wall_now().s;
	char *at;

	forget(k);
	k->memory_n = f->keys.access_key.n + f->keys.secret.n + f->keys.token.n;
	at = k->memory = malloc(k->memory_n + 1);
	if (!at)
		abort();
	keep(&at, f->keys.access_key, &k->keys.access_key);
	keep(&at, f->keys.secret, &k->keys.secret);
	keep(&at, f->keys.token, &k->keys.token);
	k->expires_s = f->expires_s;
	k->renew_s = f->expires_s ? f->expires_s - c->o.window_s : 0;
	if (k->renew_s && k->renew_s < now + c->o.again_s)
		k->renew_s = now + c->o.again_s < f->expires_s ? now + c->o.again_s : f->expires_s;
	k->refused = false;
	k->failed_ms = 0;
}

static bool usable(const struct aws_cache *k, int64_t now)
{
	return k->keys.access_key.n && !k->refused && (!k->expires_s || now < k->expires_s);
}

/* With the lock, which it lets go of meanwhile. */
static rc renew(struct aws_credentials *c, struct arena *a, struct err *reterr)
{
	struct aws_cache *k = c->cache;
	struct aws_found f;
	struct err e = {0};
	rc r;

	k->fetching = true;
	pthread_mutex_unlock(&k->lock);
	r = fetch(c, a, &f, &e);
	pthread_mutex_lock(&k->lock);
	k->fetching = false;
	k->fetched_ms = mono_ms();
	if (rc_ok(r)) {
		set(c, &f);
	} else {
		e.code = ERR_ServiceUnavailable;
		k->failure = e;
		k->failed_ms = k->fetched_ms;
		k->renew_s = wall_now().s + c->o.again_s;
		log_event(LOG_WARN, "aws", "no credentials", F_CSTR("reason", e.msg),
			  F_CSTR("meanwhile", usable(k, wall_now().s) ? "the old ones" : "none"));
	}
	pthread_cond_broadcast(&k->turned);
	return r;
}

static rc failed(const struct aws_cache *k, struct err *reterr)
{
	if (reterr)
		*reterr = k->failure;
	return RC(ServiceUnavailable);
}

/* With the lock: until somebody's fetch is over. */
static bool await(struct aws_cache *k)
{
	struct timespec until = clock_in_ms(CLOCK_REALTIME, WAIT_S * 1000);

	while (k->fetching)
		if (pthread_cond_timedwait(&k->turned, &k->lock, &until) != 0)
			return !k->fetching;
	return true;
}

static rc ready(struct aws_credentials *c, struct arena *a, struct err *reterr)
{
	struct aws_cache *k = c->cache;
	int64_t now = wall_now().s;

	if (usable(k, now) && (!k->renew_s || now < k->renew_s || k->fetching))
		return RC_OK;
	if (k->fetching && !await(k))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "AWS credentials: the service that gives them doesn't answer");
	if (usable(k, now) && k->renew_s > now)
		return RC_OK;
	if (!usable(k, now) && k->failed_ms && mono_ms() - k->failed_ms < FAILED_MS)
		return failed(k, reterr);
	if (rc_ok(renew(c, a, reterr)) || usable(k, wall_now().s))
		return RC_OK;
	return failed(k, reterr);
}

rc aws_credentials_until(struct aws_credentials *c, struct arena *a, struct aws_keys *ret,
			 int64_t *ret_expires_s, struct err *reterr)
{
	struct aws_cache *k = c->cache;
	rc r;

	pthread_mutex_lock(&k->lock);
	r = ready(c, a, reterr);
	*ret_expires_s = k->expires_s;
	if (rc_ok(r))
		*ret = (struct aws_keys){arena_dup(a, k->keys.access_key),
					 arena_dup(a, k->keys.secret),
					 k->keys.token.n ? arena_dup(a, k->keys.token) : STR_NONE};
	pthread_mutex_unlock(&k->lock);
	return r;
}

rc aws_credentials_get(struct aws_credentials *c, struct arena *a, struct aws_keys *ret,
		       struct err *reterr)
{
	int64_t ignored;

	return aws_credentials_until(c, a, ret, &ignored, reterr);
}

bool aws_credentials_refused(struct aws_credentials *c, struct str access_key)
{
	struct aws_cache *k = c->cache;
	bool worth;

	if (c->o.access_key.n)
		return false;
	pthread_mutex_lock(&k->lock);
	worth = !str_eq(k->keys.access_key, access_key);
	if (!worth && mono_ms() - k->fetched_ms > c->o.again_s * 1000) {
		k->refused = true;
		worth = true;
	}
	pthread_mutex_unlock(&k->lock);
	return worth;
}
