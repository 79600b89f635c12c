/* What comes behind the last chunk of an aws-chunked body: trailers, which are kept, and their signature. */
#include "sigv4/dechunk.h"

#include <assert.h>
#include <stdio.h>

#include "base/encode.h"

enum { TRAILERS_MAX_BYTES = 16 * 1024, TRAILERS_MAX = 32 };

static bool is_announced(const struct dechunk *d, struct str name)
{
	struct str rest = d->announced;

	while (rest.n)
		if (str_eq_nocase(str_trim(str_cut(rest, ',', &rest)), name))
			return true;
	return false;
}

struct str sigv4_body_trailer(struct body *b, struct str name)
{
	struct dechunk *d = (struct dechunk *)b;

	assert(d->magic == DECHUNK_MAGIC);
	for (struct trailer *t = d->trailers; t; t = t->next)
		if (str_eq(t->name, name))
			return t->value;
	return STR_NONE;
}

rc bad_trailer(struct err *reterr, const char *text, struct str name)
{
	char shown[65], detail[160];

	snprintf(detail, sizeof(detail), "%s \"%s\".", text, printable(name, shown, sizeof(shown)));
	return err_field(err_default(reterr, ERR_MalformedTrailer), reterr, "Detail", str_c(detail));
}

static bool name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	return name.n > 0;
}

rc trailers_check(struct dechunk *d, struct err *reterr)
{
	struct str rest = d->announced;

	if (d->s.payload == SIGV4_CHUNKED)
		return RC_OK;
	while (rest.n) {
		struct str name = str_trim(str_cut(rest, ',', &rest));

		if (name.n && !sigv4_body_trailer(&d->body, lower_case(dechunk_scratch(d), name)).p)
			return bad_trailer(reterr, "It lacks the announced", name);
	}
	return RC_OK;
}

static rc trailer_signature_parse(struct dechunk *d, struct str value, struct err *reterr)
{
	if (d->trailers_verified)
		return bad_trailer(reterr, "There is more than one", STR("x-amz-trailer-signature"));
	if (value.n != 64)
		return bad_framing(reterr, "The trailer's signature hasn't 64 digits.");
	TRY(trailers_check(d, reterr));
	if (!dechunk_signature_ok(d, trailer_signature, value))
		return err_set(reterr, ERR_SignatureDoesNotMatch,
			       "The signature of the trailer does not match what was received.");
	d->trailers_verified = true;
	return RC_OK;
}

static rc trailer_parse(struct dechunk *d, struct str line, struct err *reterr)
{
	struct str value, name = str_cut(line, ':', &value);
	bool sealed = d->s.payload == SIGV4_CHUNKED_TRAILER;
	struct trailer *t;

	value = str_trim(value);
	if (!value.p || !name_ok(name))
		return bad_trailer(reterr, "No \"name:value\":", line);
	name = lower_case(dechunk_scratch(d), name);
	if (sealed && str_eq(name, STR("x-amz-trailer-signature")))
		return trailer_signature_parse(d, value, reterr);
	if (d->trailers_verified)
		return bad_trailer(reterr, "After the signature comes", name);
	if (sealed) {
		dechunk_hash(d, name);
		dechunk_hash(d, STR(":"));
		dechunk_hash(d, value);
		dechunk_hash(d, STR("\n"));
	}
	if (!is_announced(d, name) && sealed && d->trailers)
		return bad_framing(reterr, "After the trailers comes no signature of theirs.");
	if (!is_announced(d, name))
		return bad_trailer(reterr, "x-amz-trailer doesn't announce", name);
	if (sigv4_body_trailer(&d->body, name).p)
		return bad_trailer(reterr, "There is more than one", name);
	t = ARENA_NEW(d->arena, struct trailer);
	*t = (struct trailer){d->trailers, arena_dup(d->arena, name), arena_dup(d->arena, value)};
	d->trailers = t;
	return RC_OK;
}

rc trailer_line(struct dechunk *d, struct str line, struct err *reterr)
{
	bool crlf = str_ends(line, STR("\r"));

	d->trailer_bytes += line.n + 1;
	line.n -= crlf;
	if (line.n == 0 && crlf) {
		if (d->s.payload != SIGV4_CHUNKED_TRAILER || d->trailers_verified ||
		    ++d->blank_lines > 1)
			d->state = TAIL;
		return RC_OK;
	}
	if (d->s.payload == SIGV4_CHUNKED)
		return bad_framing(reterr, "There is something after the last chunk.");
	if (memchr(line.p, '\r', line.n))
		return bad_framing(reterr, "A trailer has a CR that isn't its end.");
	if (++d->trailers_n > TRAILERS_MAX || d->trailer_bytes > TRAILERS_MAX_BYTES)
		return bad_trailer(reterr, "It is too long at", str_cut(line, ':', &(struct str){0}));
	return trailer_parse(d, line, reterr);
}
