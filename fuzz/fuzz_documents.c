/* Documents of S3 requests from strangers: what is taken out of them keeps its bounds, and tags come back as
 * they were, as a query and as a document. */
#include "base/encode.h"
#include "fuzz/fuzz.h"
#include "gateway/documents.h"
#include "gateway/tagging.h"

enum { WRITTEN_MAX = 1 << 20 };

/* A client's mistake, with a reason. */
static void refusal_check(rc refused, const struct err *e)
{
	int status = err_status(refused.code);

	MUST(e->code == refused.code && e->msg[0]);
	MUST(status == 400 || status == 501);
}

static void parts_check(const struct xml_node *root, struct arena *a)
{
	struct upload_part *parts = NULL;
	struct err e = {0};
	size_t n = 0;
	rc got = parts_of_xml(root, a, &parts, &n, &e);

	if (!rc_ok(got)) {
		refusal_check(got, &e);
		return;
	}
	MUST(n >= 1 && n <= MULTIPART_MAX_PARTS);
	for (size_t i = 0; i < n; i++) {
		unsigned sums = 0;

		MUST(parts[i].number >= 1 && parts[i].number <= MULTIPART_MAX_PARTS);
		MUST(str_is_utf8(parts[i].etag));
		for (int k = 0; k < DIGEST_KINDS; k++) {
			sums += parts[i].checksum[k].p != NULL;
			MUST(!parts[i].checksum[k].p ||
			     parts[i].checksum[k].n == digest_size((enum digest_kind)k));
		}
		MUST(sums <= 1);
	}
}

static void same_tags(const struct tags *x, const struct tags *y)
{
	MUST(x->n == y->n);
	for (size_t i = 0; i < x->n; i++)
		MUST(str_eq(x->v[i].key, y->v[i].key) && str_eq(x->v[i].value, y->v[i].value));
}

static void tags_check(const struct xml_node *root, struct arena *a)
{
	struct buf b = BUF_INIT(WRITTEN_MAX);
	struct tags t = {0}, again = {0};
	struct xml_node *written = NULL;
	struct err e = {0};
	rc got = tags_of_xml(root, &t, &e);

	if (!rc_ok(got)) {
		refusal_check(got, &e);
		return;
	}
	MUST(t.n <= TAGS_MAX);
	for (size_t i = 1; i < t.n; i++)
		MUST(str_cmp(t.v[i - 1].key, t.v[i].key) < 0);
	MUST(rc_ok(tags_of_query(a, tags_text(a, &t), &again, &e)));
	same_tags(&t, &again);
	tags_write_xml(&b, &t);
	MUST(!b.overflow && rc_ok(xml_parse(a, buf_str(&b), &written, &e)));
	MUST(rc_ok(tags_of_xml(written, &again, &e)));
	same_tags(&t, &again);
	buf_deinit(&b);
}

static void location_check(const struct xml_node *root)
{
	struct str location;
	struct err e = {0};
	rc got = location_of_xml(root, &location, &e);

	if (!rc_ok(got))
		refusal_check(got, &e);
	else
		MUST(location.p && str_eq(str_trim(location), location));
}

static void delete_check(const struct xml_node *root, struct arena *a)
{
	struct delete_request q;
	struct err e = {0};
	rc got = delete_of_xml(root, a, &q, &e);

	if (!rc_ok(got)) {
		refusal_check(got, &e);
		return;
	}
	MUST(q.n >= 1 && q.n <= 1000);
	for (size_t i = 0; i < q.n; i++)
		MUST(q.objects[i].key.n && str_is_utf8(q.objects[i].key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct xml_node *root = NULL;
	struct err e = {0};

	if (rc_ok(xml_parse(a, str_make(data, size), &root, &e))) {
		parts_check(root, a);
		tags_check(root, a);
		location_check(root);
		delete_check(root, a);
	}
	arena_free(a);
	return 0;
}
