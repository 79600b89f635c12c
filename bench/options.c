#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

const char *const bench_op_names[BENCH_OPS] = {"put",  "get",    "head",
					       "list", "delete", "multipart",
					       "copy", "part-copy", "tag",
					       "stat", "ls",    "commit"};

enum { MAX_CONNECTIONS = 10000 };

void bench_usage(void)
{
	fputs("usage: sluice-bench --op put|get|head|list|delete|multipart|copy|part-copy|tag|stat|ls|commit\n"
	      "         --endpoint HOST:PORT --bucket NAME [--prefix PREFIX] [--region us-east-1]\n"
	      "         [--access-key ID] [--secret-key SECRET]   (or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)\n"
	      "         [--size 1KiB] [--part-size 64MiB] [--signed]   (--signed: SHA-256 of the body)\n"
	      "         [--checksum crc32|crc64nvme|sha256|... [--trailer]] [--if-absent]   (of PUT)\n"
	      "         [--source BUCKET/PREFIX]   (of copy and part-copy; its keys are as the copies')\n"
	      "         [--token TOKEN]   (of stat, ls and commit, which are REST; HTTP Basic without it)\n"
	      "         [--connections 1] [--count N] [--seconds S]\n"
	      "         [--keys N] [--first 0] [--max-keys 1000]   (keys are PREFIXk00000000 on)\n"
	      "         [--pid SERVER_PID] [--timeout SECONDS] [--json]\n",
	      stderr);
}

static rc bad(struct err *reterr, const char *option, const char *value)
{
	return err_set(reterr, ERR_INVALID, "--%s: '%s' is no good value", option, value);
}

/* 4096, 1KiB, 64MiB, 1GiB. */
static bool parse_size(const char *text, uint64_t *ret)
{
	static const struct {
		struct str suffix;
		unsigned shift;
	} units[] = {{{"KiB", 3}, 10}, {{"MiB", 3}, 20}, {{"GiB", 3}, 30}};
	struct str s = str_c(text);
	unsigned shift = 0;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_ends(s, units[i].suffix)) {
			shift = units[i].shift;
			s.n -= units[i].suffix.n;
		}
	if (!str_to_u64(s, ret) || *ret > UINT64_MAX >> 20 >> shift)
		return false;
	*ret <<= shift;
	return true;
}

static bool parse_seconds(const char *text, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && !*end && *ret >= 0 && *ret < 1e6;
}

static bool parse_op(const char *text, enum bench_op *ret)
{
	for (int i = 0; i < BENCH_OPS; i++)
		if (strcmp(text, bench_op_names[i]) == 0) {
			*ret = (enum bench_op)i;
			return true;
		}
	return false;
}

static bool parse_endpoint(const char *text, struct sockaddr_in *ret)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	struct str port, host = str_cut(str_c(text), ':', &port);
	char name[256];

	if (!port.p || !host.n || host.n >= sizeof(name))
		return false;
	memcpy(name, host.p, host.n);
	name[host.n] = 0;
	if (getaddrinfo(name, port.p, &hints, &found))
		return false;
	memcpy(ret, found->ai_addr, sizeof(*ret));
	freeaddrinfo(found);
	return true;
}

static bool *flag_of(struct bench_options *o, const char *name)
{
	struct {
		const char *name;
		bool *to;
	} flags[] = {{"signed", &o->signed_payload},
		     {"json", &o->json},
		     {"trailer", &o->trailer},
		     {"if-absent", &o->if_absent}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(name, flags[i].name) == 0)
			return flags[i].to;
	return NULL;
}

/* Every option but those flags has a value. */
static bool apply(struct bench_options *o, const char *name, const char *value, struct arena *a)
{
	struct {
		const char *name;
		struct str *to;
	} texts[] = {{"bucket", &o->bucket},	     {"prefix", &o->prefix}, {"region", &o->region},
		     {"access-key", &o->access_key}, {"secret-key", &o->secret},
		     {"source", &o->source},	     {"token", &o->token}};
	struct {
		const char *name;
		uint64_t *to;
	} sizes[] = {{"size", &o->size},   {"part-size", &o->part_size}, {"count", &o->count},
		     {"keys", &o->keys}, {"first", &o->first}};
	uint64_t n;
	double s;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(name, texts[i].name) == 0) {
			*texts[i].to = arena_dup(a, str_c(value));
			return true;
		}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (strcmp(name, sizes[i].name) == 0)
			return parse_size(value, sizes[i].to);
	if (strcmp(name, "checksum") == 0)
		return digest_by_name(str_c(value), &o->checksum);
	if (strcmp(name, "op") == 0)
		return parse_op(value, &o->op);
	if (strcmp(name, "endpoint") == 0) {
		o->host = arena_dup(a, str_c(value));
		return parse_endpoint(value, &o->address);
	}
	if (strcmp(name, "seconds") == 0)
		return parse_seconds(value, &o->seconds);
	if (strcmp(name, "timeout") == 0) {
		if (!parse_seconds(value, &s))
			return false;
		o->timeout_ms = (int64_t)(s * 1000);
		return true;
	}
	if (!str_to_u64(str_c(value), &n) || n > INT32_MAX)
		return false;
	if (strcmp(name, "connections") == 0)
		o->connections = (unsigned)n;
	else if (strcmp(name, "max-keys") == 0)
		o->max_keys = (unsigned)n;
	else
		o->pid = (long)n;
	return true;
}

static rc check(struct bench_options *o, struct err *reterr)
{
	if ((int)o->op < 0 || !o->host.n || !o->bucket.n)
		return err_set(reterr, ERR_INVALID, "--op, --endpoint and --bucket are needed");
	if (!o->access_key.n || !o->secret.n)
		return err_set(reterr, ERR_INVALID, "give --access-key and --secret-key");
	if (!o->count && o->seconds <= 0)
		return err_set(reterr, ERR_INVALID, "give --count, --seconds or both");
	if (!o->connections || o->connections > MAX_CONNECTIONS)
		return err_set(reterr, ERR_INVALID, "--connections is 1 to %d", MAX_CONNECTIONS);
	if (!o->part_size)
		return err_set(reterr, ERR_INVALID, "--part-size is at least 1");
	if ((o->checksum != DIGEST_KINDS || o->if_absent) && o->op != BENCH_PUT)
		return err_set(reterr, ERR_INVALID, "--checksum and --if-absent are of PUT");
	if (o->trailer && (o->checksum == DIGEST_KINDS || o->signed_payload))
		return err_set(reterr, ERR_INVALID, "--trailer goes with --checksum, not with --signed");
	if ((o->op == BENCH_COPY || o->op == BENCH_PART_COPY) && !o->source.n)
		return err_set(reterr, ERR_INVALID, "--source says what is copied");
	if (!o->keys)
		o->keys = o->count ? o->count : UINT32_MAX;
	return RC_OK;
}

rc bench_options_parse(int argc, char **argv, struct arena *a, struct bench_options *ret,
		       struct err *reterr)
{
	static const struct option names[] = {
		{"op", 1, 0, 0},	 {"endpoint", 1, 0, 0},	  {"bucket", 1, 0, 0},
		{"prefix", 1, 0, 0},	 {"region", 1, 0, 0},	  {"access-key", 1, 0, 0},
		{"secret-key", 1, 0, 0}, {"size", 1, 0, 0},	  {"part-size", 1, 0, 0},
		{"count", 1, 0, 0},	 {"seconds", 1, 0, 0},	  {"connections", 1, 0, 0},
		{"keys", 1, 0, 0},	 {"first", 1, 0, 0},	  {"max-keys", 1, 0, 0},
		{"pid", 1, 0, 0},	 {"timeout", 1, 0, 0},	  {"signed", 0, 0, 0},
		{"json", 0, 0, 0},	 {"source", 1, 0, 0},	  {"checksum", 1, 0, 0},
		{"trailer", 0, 0, 0},	 {"if-absent", 0, 0, 0},  {"token", 1, 0, 0},
		{0},
	};
	int i;

	*ret = (struct bench_options){
		.op = (enum bench_op)-1,
		.prefix = STR(""),
		.region = STR("us-east-1"),
		.access_key = str_c(getenv("AWS_ACCESS_KEY_ID")),
		.secret = str_c(getenv("AWS_SECRET_ACCESS_KEY")),
		.size = 1024,
		.part_size = 64 << 20,
		.connections = 1,
		.max_keys = 1000,
		.timeout_ms = 60000,
		.checksum = DIGEST_KINDS,
	};
	while (getopt_long(argc, argv, "", names, &i) == 0) {
		bool *flag = flag_of(ret, names[i].name);

		if (flag)
			*flag = true;
		else if (!apply(ret, names[i].name, optarg, a))
			return bad(reterr, names[i].name, optarg);
	}
	if (optind < argc)
		return err_set(reterr, ERR_INVALID, "what is '%s'?", argv[optind]);
	return check(ret, reterr);
}
