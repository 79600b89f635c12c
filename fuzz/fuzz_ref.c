/* Ref expressions. One that is taken says what its text says: written anew from its parts, it is the same. */
#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "versions/ref.h"

static struct str written(struct arena *a, const struct ref_expression *x)
{
	static const char marks[] = {[REF_ANCESTOR] = '~', [REF_PARENT] = '^', [REF_HEAD] = '@', [REF_STAGED] = '$'};
	struct str s = arena_dup(a, x->base);

	for (size_t i = 0; i < x->steps_n; i++)
		s = x->steps[i].kind >= REF_HEAD
			    ? arena_printf(a, STR_FMT "%c", STR_ARG(s), marks[x->steps[i].kind])
			    : arena_printf(a, STR_FMT "%c%u", STR_ARG(s), marks[x->steps[i].kind], x->steps[i].n);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str text = str_make(data, size), again;
	struct ref_expression x, y;
	struct err why = {0};

	if (!rc_ok(ref_parse(text, a, &x, &why))) {
		MUST(why.code == ERR_INVALID && why.msg[0]);
		arena_free(a);
		return 0;
	}
	MUST(x.base.n && x.steps_n <= REF_STEPS_MAX && str_starts(text, x.base));
	again = written(a, &x);
	if (again.n <= REF_MAX) {
		MUST(rc_ok(ref_parse(again, a, &y, &why)));
		MUST(str_eq(x.base, y.base) && x.steps_n == y.steps_n);
		MUST(str_eq(written(a, &y), again));
	}
	arena_free(a);
	return 0;
}
