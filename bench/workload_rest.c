/* lakeFS's REST API: stat, a page of a listing, commits. The prefix is as in S3, "main/bench/": its first
 * component is the ref. */
#include "bench/workload_rest.h"

#include "base/encode.h"

enum { BRANCH, OBJECT, COMMIT };

static struct str ref_of(const struct bench_options *o, struct str *ret_path)
{
	struct str ref = str_cut(o->prefix, '/', ret_path);

	if (!ret_path->p)
		*ret_path = STR("");
	return ref;
}

static struct request rest(const char *method, struct str target, struct str document)
{
	return (struct request){.method = method, .rest = target, .tail = document};
}

static struct request stat_request(const struct bench_options *o, const struct operation *op,
				   struct arena *a)
{
	struct str prefix, ref = ref_of(o, &prefix);
	struct str path = arena_join(a, (struct str[]){prefix, str_c(op->key)}, 2);

	return rest("GET",
		    arena_printf(a, "/repositories/" STR_FMT "/refs/" STR_FMT "/objects/stat?path=" STR_FMT,
				 STR_ARG(o->bucket), STR_ARG(ref), STR_ARG(uri_encode(a, path, false))),
		    STR_NONE);
}

static struct request list_request(const struct bench_options *o, struct arena *a)
{
	struct str prefix, ref = ref_of(o, &prefix);

	return rest("GET",
		    arena_printf(a,
				 "/repositories/" STR_FMT "/refs/" STR_FMT
				 "/objects/ls?presign=false&amount=%u&prefix=" STR_FMT,
				 STR_ARG(o->bucket), STR_ARG(ref), o->max_keys,
				 STR_ARG(uri_encode(a, prefix, false))),
		    STR_NONE);
}

/* Each connection has a branch of its own, so that each commit has its change. */
static struct request commit_request(const struct workload *w, struct operation *op, struct arena *a)
{
	const struct bench_options *o = w->o;
	struct str prefix, ref = ref_of(o, &prefix);
	struct str branch = arena_printf(a, "lane%u", op->lane);
	struct request r;

	if (op->step == BRANCH)
		return rest("POST",
			    arena_printf(a, "/repositories/" STR_FMT "/branches", STR_ARG(o->bucket)),
			    arena_printf(a, "{\"name\":\"" STR_FMT "\",\"source\":\"" STR_FMT "\"}",
					 STR_ARG(branch), STR_ARG(ref)));
	if (op->step == COMMIT)
		return rest("POST",
			    arena_printf(a, "/repositories/" STR_FMT "/branches/" STR_FMT "/commits",
					 STR_ARG(o->bucket), STR_ARG(branch)),
			    STR("{\"message\":\"one object\"}"));
	r = (struct request){.method = "PUT", .payload_hash = w->payload_hash, .body_size = o->size};
	r.key = arena_join(a, (struct str[]){branch, STR("/"), prefix, str_c(op->key)}, 4);
	return r;
}

bool workload_is_rest(const struct bench_options *o)
{
	return o->op == BENCH_STAT || o->op == BENCH_LS || o->op == BENCH_COMMIT;
}

struct request workload_rest_request(const struct workload *w, struct operation *op, struct arena *a)
{
	if (w->o->op == BENCH_STAT)
		return stat_request(w->o, op, a);
	if (w->o->op == BENCH_LS)
		return list_request(w->o, a);
	if (op->step == BRANCH && op->has_branch)
		op->step = OBJECT;
	return commit_request(w, op, a);
}

enum outcome workload_rest_response(const struct workload *w, struct operation *op,
				    const struct response *r)
{
	bool good = r->status / 100 == 2;

	if (w->o->op != BENCH_COMMIT)
		return good ? OUTCOME_DONE : OUTCOME_FAILED;
	/* Of an earlier run. */
	if (op->step == BRANCH && r->status == 409)
		good = true;
	if (!good)
		return OUTCOME_FAILED;
	if (op->step == BRANCH)
		op->has_branch = true;
	return op->step++ == COMMIT ? OUTCOME_DONE : OUTCOME_PREPARED;
}
