/* JSON bodies of REST requests. The input's first byte says of which operation; the rest is the document. It is taken, or
 * refused with a reason; and what was taken once is taken again. */
#include "fuzz/api_request.h"

static const char head[] = "POST /api/v1/x?dest_path=d&path=p&principalId=i HTTP/1.1\r\nHost: h\r\n"
			   "Content-Type: application/json\r\n\r\n";

static const struct api_route *pick(uint8_t n)
{
	unsigned have = 0;

	for (unsigned round = 0; round < 2; round++, n %= have)
		for (size_t i = 0; i < API_OPS; i++) {
			const struct api_route *o = &api_routes[i];

			if (!(o->flags & R_JSON) || !o->handlers->parse)
				continue;
			if (round && n-- == 0)
				return o;
			have += !round;
		}
	abort();
}

static void names(struct api_req *r)
{
	static struct api_param params[] = {{STR("dest_path"), STR("d")}, {STR("path"), STR("p")}, {STR("principalId"), STR("i")}};

	r->params = params;
	r->params_n = 3;
	r->repository = STR("example");
	r->branch = r->ref = r->other_ref = STR("main");
	r->tag = r->id = r->sub = r->path = STR("x");
	r->user_id = r->group_id = r->policy_id = r->access_key = STR("x");
}

static void parse(const struct api_route *o, struct str text, rc *ret)
{
	struct request q;
	rc parsed;

	request_open(&q);
	MUST(request_parse(&q, str_c(head)));
	q.r.route = o;
	names(&q.r);
	parsed = text.n ? json_parse(q.a, text, &q.r.doc, &q.r.err) : RC_OK;
	if (!rc_ok(parsed))
		refusal_check(&q, parsed);
	if (rc_ok(parsed) && (text.n || (o->flags & R_OPTIONAL))) {
		parsed = o->handlers->parse(&q.r);
		if (!rc_ok(parsed))
			refusal_check(&q, parsed);
	}
	*ret = parsed;
	request_close(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make(data, size);
	const struct api_route *o = pick(take_byte(&input));
	rc first, second;

	parse(o, input, &first);
	parse(o, input, &second);
	MUST(first.code == second.code);
	return 0;
}
