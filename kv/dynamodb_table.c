/* The table: where it is, that it is a KV, making it, and looking whether it is still well. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kv/dynamodb.h"

enum { LOOK_FIRST_MS = 100, LOOK_MAX_MS = 2000 };

/* Where. */

static rc parse_url(struct dynamodb *d, struct str url, struct err *reterr)
{
	bool secure = str_starts(url, STR("https://"));
	struct str scheme = secure ? STR("https://") : STR("http://"), rest, standard;
	size_t slash;

	if (!str_starts(url, scheme) || str_index(url, '?') != url.n ||
	    str_index(url, '@') != url.n)
		return err_set(reterr, ERR_CONFIG,
			       "database.dynamodb.endpoint \"" STR_FMT
			       "\" must be a URL: http:// or https://, host and port",
			       STR_ARG(str_head(url, 200)));
	rest = str_skip(url, scheme.n);
	slash = str_index(rest, '/');
	d->host = arena_dup(d->a, str_head(rest, slash));
	d->path = slash < rest.n ? arena_dup(d->a, str_skip(rest, slash)) : STR("/");
	d->url = arena_join(d->a, (struct str[]){scheme, d->host, d->path}, 3);
	/* libcurl leaves the scheme's own port out of Host, which is signed. */
	standard = secure ? STR(":443") : STR(":80");
	if (str_ends(d->host, standard))
		d->host.n -= standard.n;
	if (!d->host.n)
		return err_set(reterr, ERR_CONFIG,
			       "database.dynamodb.endpoint \"" STR_FMT "\" names no host",
			       STR_ARG(str_head(url, 200)));
	return RC_OK;
}

static struct str variable(const char *name)
{
	struct str v = str_c(getenv(name));

	return v.n ? v : STR_NONE;
}

static bool table_name_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '_' && s.p[i] != '-' &&
		    s.p[i] != '.')
			return false;
	return s.n >= 3 && s.n <= 255;
}

rc ddb_locate(struct dynamodb *d, const struct kv_dynamodb_options *o, struct err *reterr)
{
	struct str url = o->endpoint.n ? o->endpoint : variable("AWS_ENDPOINT_URL_DYNAMODB");

	if (!table_name_ok(d->table))
		return err_set(reterr, ERR_CONFIG,
			       "database.dynamodb.table_name \"" STR_FMT
			       "\": names have 3 to 255 of a-z A-Z 0-9 _ - .",
			       STR_ARG(str_head(d->table, 260)));
	if (!url.n)
		url = variable("AWS_ENDPOINT_URL");
	d->region =
	    o->region.n ? arena_dup(d->a, o->region) : aws_credentials_region(d->keys, d->a);
	if (!d->region.n && !url.n)
		return err_set(reterr, ERR_CONFIG,
			       "the table's region isn't known: set database.dynamodb.aws_region, "
			       "or AWS_REGION");
	if (!d->region.n)
		d->region = STR("us-east-1");
	if (!url.n)
		url = arena_printf(d->a, "https://dynamodb." STR_FMT ".amazonaws.com%s",
				   STR_ARG(d->region),
				   str_starts(d->region, STR("cn-")) ? ".cn" : "");
	return parse_url(d, url, reterr);
}

/* What. */

static rc unusable(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	struct err e = {0};

	IGNORE_RC(ddb_result(d, c, &e));
	return err_set(reterr, ERR_CONFIG, "the KV in DynamoDB can't be opened at " STR_FMT ": %s",
		       STR_ARG(str_head(d->url, 120)), e.msg);
}

static void describe(struct dynamodb *d, struct ddb_call *c)
{
	struct ddb_body b;

	c->operation = "DescribeTable";
	c->reads = true;
	ddb_begin(&b, d, c->a, 0);
	c->body = ddb_end(&b);
	ddb_run(d, c);
}

static bool has_key(const struct json *table, size_t i, const char *name, const char *type)
{
	const struct json *key = json_at(json_member(table, "KeySchema"), i);
	const struct json *all = json_member(table, "AttributeDefinitions");

	if (!str_eq(json_str(json_member(key, "AttributeName")), str_c(name)) ||
	    !str_eq(json_str(json_member(key, "KeyType")), str_c(type)))
		return false;
	for (size_t k = 0; k < json_count(all); k++)
		if (str_eq(json_str(json_member(json_at(all, k), "AttributeName")), str_c(name)))
			return str_eq(json_str(json_member(json_at(all, k), "AttributeType")),
				      STR("B"));
	return false;
}

static rc check(const struct dynamodb *d, const struct json *table, struct err *reterr)
{
	if (json_count(json_member(table, "KeySchema")) == 2 &&
	    has_key(table, 0, DDB_PARTITION, "HASH") && has_key(table, 1, DDB_KEY, "RANGE"))
		return RC_OK;
	return err_set(reterr, ERR_CONFIG,
		       "the DynamoDB table \"" STR_FMT "\" is no KV: its keys aren't " DDB_PARTITION
		       " and " DDB_KEY
		       ", both binary; name another one (database.dynamodb.table_name)",
		       STR_ARG(d->table));
}

/* Another process may make it at the same time. */
static rc make(struct dynamodb *d, struct arena *a, struct err *reterr)
{
	static const char *const names[] = {DDB_PARTITION, DDB_KEY};
	struct ddb_call c = {.operation = "CreateTable", .a = a};
	struct ddb_body b;

	ddb_begin(&b, d, a, 0);
	jw_str(&b.w, "BillingMode", STR("PAY_PER_REQUEST"));
	for (int list = 0; list < 2; list++) {
		jw_array(&b.w, list ? "KeySchema" : "AttributeDefinitions");
		for (int i = 0; i < 2; i++) {
			jw_object(&b.w, NULL);
			jw_str(&b.w, "AttributeName", str_c(names[i]));
			jw_str(&b.w, list ? "KeyType" : "AttributeType",
			       !list ? STR("B")
			       : i   ? STR("RANGE")
				     : STR("HASH"));
			jw_end_object(&b.w);
		}
		jw_end_array(&b.w);
	}
	c.body = ddb_end(&b);
	ddb_run(d, &c);
	/* Whoever lost the answer looks whether it is there. */
	if (c.fate == DDB_DONE || c.fate == DDB_LOST || ddb_is(&c, "ResourceInUseException"))
		return RC_OK;
	return unusable(d, &c, reterr);
}

static bool serves(struct str status)
{
	return str_eq(status, STR("ACTIVE")) || str_eq(status, STR("UPDATING"));
}

/* One look; *ret_there when it can be used. */
static rc look(struct dynamodb *d, bool existing, struct arena *a, struct str *ret_status,
	       struct err *reterr)
{
	struct ddb_call c = {.a = a};
	const struct json *table;

	describe(d, &c);
	if (c.fate == DDB_REFUSED && ddb_is(&c, "ResourceNotFoundException")) {
		if (existing)
			return err_set(reterr, ERR_NOT_FOUND,
				       "there is no DynamoDB table \"" STR_FMT "\"",
				       STR_ARG(d->table));
		*ret_status = STR("CREATING");
		return make(d, a, reterr);
	}
	if (c.fate != DDB_DONE)
		return unusable(d, &c, reterr);
	table = json_member(c.doc, "Table");
	*ret_status = json_str(json_member(table, "TableStatus"));
	return serves(*ret_status) ? check(d, table, reterr) : RC_OK;
}

rc ddb_table_open(struct dynamodb *d, bool existing, struct err *reterr)
{
	int64_t until = mono_ms() + d->open_ms, pause = LOOK_FIRST_MS;
	char told[40] = "";

	for (;;) {
		struct arena *a = arena_new();
		struct str status = STR("");
		rc r = look(d, existing && !told[0], a, &status, reterr);
		bool done = !rc_ok(r) || serves(status);

		snprintf(told, sizeof(told), STR_FMT, STR_ARG(str_head(status, sizeof(told) - 1)));
		arena_free(a);
		if (done)
			return r;
		if (mono_ms() >= until)
			return err_set(reterr, ERR_CONFIG,
				       "the DynamoDB table \"" STR_FMT
				       "\" isn't ready: its status is %s; start again once "
				       "it is ACTIVE",
				       STR_ARG(d->table), told);
		sleep_us(pause * 1000);
		pause = pause * 2 < LOOK_MAX_MS ? pause * 2 : LOOK_MAX_MS;
	}
}

/* Health. */

struct ddb_health {
	struct dynamodb *d;
	int64_t every_ms;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopping;
	bool stop;
};

static bool sleep_until_next(struct ddb_health *h)
{
	struct timespec until = clock_in_ms(CLOCK_REALTIME, h->every_ms);
	bool stop;

	pthread_mutex_lock(&h->lock);
	while (!h->stop && pthread_cond_timedwait(&h->stopping, &h->lock, &until) == 0)
		;
	stop = h->stop;
	pthread_mutex_unlock(&h->lock);
	return !stop;
}

static void *watch(void *arg)
{
	struct ddb_health *h = arg;
	struct metric *gauge =
	    metric_get(METRIC_GAUGE, "kv_dynamodb_healthy",
		       "Whether the last look at the DynamoDB table went well.", NULL);
	bool well = true;

	metric_set(gauge, 1);
	while (sleep_until_next(h)) {
		struct arena *a = arena_new();
		struct ddb_call c = {.a = a, .tries = 2};
		bool now;

		describe(h->d, &c);
		now = c.fate == DDB_DONE &&
		      serves(json_str(json_member(json_member(c.doc, "Table"), "TableStatus")));
		if (!now)
			log_event(LOG_WARN, "kv", "the DynamoDB table isn't well",
				  F_STR("table", h->d->table),
				  F_CSTR("reason", c.why[0] ? c.why : "its status isn't ACTIVE"));
		else if (!well)
			log_event(LOG_INFO, "kv", "the DynamoDB table is well again",
				  F_STR("table", h->d->table));
		well = now;
		metric_set(gauge, now);
		arena_free(a);
	}
	return NULL;
}

void ddb_health_start(struct dynamodb *d, int64_t every_ms)
{
	struct ddb_health *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->d = d;
	h->every_ms = every_ms;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->stopping, NULL);
	if (pthread_create(&h->thread, NULL, watch, h) != 0)
		abort();
	d->health = h;
}

void ddb_health_stop(struct dynamodb *d)
{
	struct ddb_health *h = d->health;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->stopping);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->stopping);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
