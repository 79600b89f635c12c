/* Multipart forms. The input's first line is a Content-Type, the rest the body: whatever pieces it comes in, the same is
 * found in it, and that is a piece of the body without the boundary. */
#include "api/form_body.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "tests/drip.h"

/* Whether the form is whole; its field's bytes. */
static bool read_form(struct arena *a, struct str text, struct str boundary, size_t step, size_t cap, struct buf *out)
{
	struct drip d;
	enum body_state s = BODY_MORE;
	struct err err = {0};
	struct body *b;

	b = form_body_new(a, drip_init(&d, text, step), boundary, "content");
	while (s == BODY_MORE) {
		char *to = buf_reserve(out, cap);
		size_t n = 0;

		MUST(to);
		s = body_pull(b, to, cap, &n, &err);
		if (s == BODY_MORE) {
			MUST(n >= 1 && n <= cap);
			out->n += n;
		}
	}
	MUST(s == BODY_END || (s == BODY_FAIL && err.code == ERR_INVALID && err.msg[0]));
	MUST(str_is_utf8(form_body_type(b)));
	body_close(b);
	return s == BODY_END;
}

static void form_check(struct arena *a, struct str text, struct str boundary)
{
	static const size_t steps[][2] = {{1, 1}, {3, 7}, {4096, 5}, {65536, 65536}};
	struct str delimiter = arena_join(a, (struct str[]){STR("\r\n--"), boundary}, 2);
	struct buf first = BUF_INIT(4 << 20), again = BUF_INIT(4 << 20);
	bool whole = read_form(a, text, boundary, 65536, 4096, &first);

	if (whole) {
		MUST(str_find(buf_str(&first), delimiter) == first.n);
		MUST(!first.n || str_find(text, buf_str(&first)) < text.n);
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		buf_reset(&again);
		MUST(read_form(a, text, boundary, steps[i][0], steps[i][1], &again) == whole);
		MUST(!whole || str_eq(buf_str(&first), buf_str(&again)));
	}
	buf_deinit(&first);
	buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str rest, boundary, type = str_cut(str_make(data, size), '\n', &rest);

	if (form_boundary(type, &boundary)) {
		MUST(boundary.n >= 1 && boundary.n <= 70);
		form_check(a, rest.p ? rest : STR(""), boundary);
	}
	arena_free(a);
	return 0;
}
