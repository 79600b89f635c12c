#include "kv/drivers.h"

#include "base/buf.h"

static rc open_mem(const struct kv_options *o, struct kv **ret, struct err *reterr)
{
	*ret = kv_mem_new();
	return RC_OK;
}

/* lakeFS's way to ask for its embedded KV without files is the path "memory:...". */
static rc open_local(const struct kv_options *o, struct kv **ret, struct err *reterr)
{
	struct kv_rocksdb_options local = o->local;

	if (str_starts(o->local.path, STR("memory:")))
		return open_mem(o, ret, reterr);
	local.existing |= o->existing;
	return kv_rocksdb_open(&local, ret, reterr);
}

static rc open_postgres(const struct kv_options *o, struct kv **ret, struct err *reterr)
{
	struct kv_postgres_options postgres = o->postgres;

	postgres.existing |= o->existing;
	TRY(kv_postgres_open(&postgres, ret, reterr));
	*ret = kv_share_new(*ret);
	return RC_OK;
}

static rc open_dynamodb(const struct kv_options *o, struct kv **ret, struct err *reterr)
{
	struct kv_dynamodb_options dynamodb = o->dynamodb;

	dynamodb.existing |= o->existing;
	TRY(kv_dynamodb_open(&dynamodb, ret, reterr));
	*ret = kv_share_new(*ret);
	return RC_OK;
}

const struct kv_driver kv_drivers[] = {
	{"local", true, open_local},
	{"mem", false, open_mem},
	{"postgres", true, open_postgres},
	{"dynamodb", true, open_dynamodb},
};

const size_t kv_drivers_n = sizeof(kv_drivers) / sizeof(kv_drivers[0]);

static rc unknown_type(struct str type, struct err *reterr)
{
	struct buf known = BUF_INIT(256);
	rc r;

	for (size_t i = 0; i < kv_drivers_n; i++)
		buf_printf(&known, "%s%s", i ? ", " : "", kv_drivers[i].type);
	r = err_set(reterr, ERR_CONFIG, "database.type: no driver is called \"%.*s\"; there is: %.*s",
		    STR_ARG(str_head(type, 64)), STR_ARG(buf_str(&known)));
	buf_deinit(&known);
	return r;
}

rc kv_open(const struct kv_options *o, struct kv **ret, struct err *reterr)
{
	for (size_t i = 0; i < kv_drivers_n; i++)
		if (str_eq(o->type, str_c(kv_drivers[i].type)))
			return kv_drivers[i].open(o, ret, reterr);
	return unknown_type(o->type, reterr);
}
