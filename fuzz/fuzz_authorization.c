/* Signatures: the input is a request in text, "METHOD target", then a header a line. It is parsed and
 * verified as it is; then it is signed, and what was signed must verify. */
#include "fuzz/fuzz.h"
#include "sigv4/sigv4.h"

#define SECRET STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
enum { NOW = 1369353600, HEADERS_MAX = 100 };

static size_t headers_of(struct str text, struct arena *a, struct sigv4_header *v)
{
	size_t n = 0;

	while (text.n && n < HEADERS_MAX) {
		struct str value, name = str_cut(str_cut(text, '\n', &text), ':', &value);
		char *p = arena_cstr(a, name);

		for (size_t i = 0; i < name.n; i++)
			if (p[i] >= 'A' && p[i] <= 'Z')
				p[i] += 'a' - 'A';
		v[n++] = (struct sigv4_header){str_make(p, name.n), str_trim(value)};
	}
	return n;
}

/* As http/ lets them through. */
static bool is_token(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", name.p[i]))
			return false;
	return name.n > 0;
}

/* Its own headers without what was a signature. */
static void sign_and_verify(struct sigv4_request r, struct arena *a)
{
	static const struct sigv4_credentials c = {
		{"AKIAIOSFODNN7EXAMPLE", 20}, {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40}, {0}};
	struct sigv4_header v[HEADERS_MAX + 4] = {
		{STR("host"), STR("h:1")},
		{STR("x-amz-date"), STR("20130524T000000Z")},
		{STR("x-amz-content-sha256"), STR("UNSIGNED-PAYLOAD")}};
	struct sigv4 s;
	struct err e;
	size_t n = 3;

	for (size_t i = 0; i < r.headers_n; i++) {
		struct str name = r.headers[i].name;
		bool taken = str_eq(name, STR("authorization")) || !is_token(name);

		for (size_t k = 1; k < 3; k++)
			taken |= str_eq(name, v[k].name);
		if (!taken)
			v[n++] = r.headers[i];
	}
	r.headers = v;
	r.headers_n = n;
	v[n].value = sigv4_sign_header(&r, &c, STR("r"), STR("s3"), NOW, v[2].value, a);
	v[n].name = STR("authorization");
	r.headers_n++;
	/* Refused: a query that is signed as well. */
	if (!rc_ok(sigv4_parse(&r, NOW, a, &s, &e)))
		return;
	MUST(s.form == SIGV4_HEADER);
	MUST(rc_ok(sigv4_verify(&s, &r, SECRET, STR(""), a, &e)));
}

static void presign_and_verify(struct sigv4_request r, struct arena *a)
{
	static const struct sigv4_credentials c = {
		{"AKIAIOSFODNN7EXAMPLE", 20}, {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40}, {0}};
	struct sigv4_header host = {STR("host"), STR("h:1")};
	struct sigv4 s;
	struct err e;

	r.headers = &host;
	r.headers_n = 1;
	r.query = sigv4_presign(&r, &c, STR("r"), STR("s3"), NOW, 60, a);
	if (!rc_ok(sigv4_parse(&r, NOW, a, &s, &e)))
		return;
	MUST(s.form == SIGV4_QUERY);
	if (s.payload == SIGV4_UNSIGNED)
		MUST(rc_ok(sigv4_verify(&s, &r, SECRET, STR(""), a, &e)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct sigv4_header v[HEADERS_MAX];
	struct str rest, line = str_cut(str_make(data, size), '\n', &rest), target;
	struct sigv4_request r = {.method = str_cut(line, ' ', &target), .headers = v};
	struct sigv4 s;
	struct err e;

	r.path = str_cut(target, '?', &r.query);
	r.headers_n = headers_of(rest, a, v);
	if (rc_ok(sigv4_parse(&r, NOW, a, &s, &e)) && s.form != SIGV4_NONE) {
		rc got = sigv4_verify(&s, &r, SECRET, STR("/bucket"), a, &e);

		MUST(rc_ok(got) || rc_is(got, SignatureDoesNotMatch));
	}
	sign_and_verify(r, a);
	presign_and_verify(r, a);
	arena_free(a);
	return 0;
}
