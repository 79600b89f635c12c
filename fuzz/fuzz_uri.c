/* Addresses of sluicectl. One that is taken is its parts: put together again, it is taken with the same. */
#include "cli/ctl/uri.h"
#include "fuzz/fuzz.h"

static void put_together_again(struct arena *a, enum uri_kind kind, const struct uri *u)
{
	struct str first = u->ref.n || u->has_path ? STR("/") : STR(""), second = u->has_path ? STR("/") : STR("");
	struct str text = arena_join(
		a, (const struct str[]){STR("lakefs://"), u->repo, first, u->ref, second, u->path}, 6);
	struct str why;
	struct uri again;

	MUST(uri_want(kind, text, STR_NONE, a, &again, &why));
	MUST(str_eq(again.repo, u->repo) && str_eq(again.ref, u->ref) && str_eq(again.path, u->path));
}

/* The first byte: of which kind, and whether the text is appended to a base. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();

	if (size) {
		enum uri_kind kind = data[0] % (URI_PATH + 1);
		struct str base = data[0] & 0x80 ? STR("lakefs://abc/main/") : STR_NONE, why = STR_NONE;
		struct uri u;

		if (uri_want(kind, str_make(data + 1, size - 1), base, a, &u, &why)) {
			MUST(u.repo.n >= 3 && str_index(u.repo, '/') == u.repo.n && str_index(u.ref, '/') == u.ref.n);
			MUST((kind == URI_REPO) == (u.ref.n == 0) && (kind == URI_PATH || u.path.n == 0));
			put_together_again(a, kind, &u);
		} else {
			MUST(why.n && str_starts(why, str_c(uri_noun(kind))));
		}
	}
	arena_free(a);
	return 0;
}
