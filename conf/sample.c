/* `sluice config sample`: every key with its sentence and its default; it loads as it stands, with
 * secrets of its own. */
#include "conf/conf.h"

#include "base/encode.h"
#include "base/rand.h"
#include "conf/table.h"
#include "conf/value.h"

enum { WIDTH = 96, SECRET_BYTES = 32, STORE_INDENT = 6 };

static struct str parent_of(struct str path)
{
	while (path.n && path.p[path.n - 1] != '.')
		path.n--;
	return path;
}

static struct str last_of(struct str path)
{
	return str_skip(path, parent_of(path).n);
}

static void indent(struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_c(out, ' ');
}

/* The text in lines of comment. */
static void comment(struct buf *out, size_t in, struct str text)
{
	size_t col = 0;

	while (text.p) {
		struct str word = str_cut(text, ' ', &text);

		if (col == 0 || col + 1 + word.n > WIDTH) {
			if (col)
				buf_add_c(out, '\n');
			indent(out, in);
			buf_add_c(out, '#');
			col = in + 1;
		}
		buf_add_c(out, ' ');
		buf_add(out, word);
		col += 1 + word.n;
	}
	buf_add_c(out, '\n');
}

/* Headers of the sections between the key before and this one. */
static void sections(struct buf *out, size_t in, struct str before, struct str path)
{
	for (size_t i = 0; i < path.n; i++) {
		struct str section = str_head(path, i + 1);

		if (path.p[i] != '.')
			continue;
		if (!str_starts(before, section)) {
			indent(out, in);
			buf_add(out, last_of(str_head(path, i)));
			buf_add_cstr(out, ":\n");
		}
		in += 2;
	}
}

static size_t depth_of(struct str path)
{
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++)
		n += path.p[i] == '.';
	return n;
}

static bool is_text(const struct conf_key *k)
{
	return k->type == CONF_STR || k->type == CONF_ADDRESS || k->type == CONF_PATH ||
	       conf_value_is_list(k);
}

/* Keys that the sample sets itself; the others stand there as comments. */
static struct str chosen(const struct conf_key *k, struct arena *a)
{
	static const struct {
		const char *path, *value;
		bool store;
	} values[] = {
		{"database.type", "local", false},	{"id", "main", true},
		{"backward_compatible", "true", true},	{"type", "local", true},
		{"local.path", "~/lakefs/data/block", true},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (k->store == values[i].store && str_eq(str_c(k->path), str_c(values[i].path)))
			return str_c(values[i].value);
	if ((k->flags & KEY_REQUIRED) && (k->flags & KEY_SECRET)) {
		unsigned char secret[SECRET_BYTES];

		rand_bytes(secret, sizeof(secret));
		return hex_encode(a, str_make(secret, sizeof(secret)));
	}
	return STR_NONE;
}

static void value(struct buf *out, const struct conf_key *k, struct str v)
{
	if (v.p && is_text(k))
		buf_printf(out, " \"" STR_FMT "\"", STR_ARG(v));
	else if (v.p)
		buf_printf(out, " " STR_FMT, STR_ARG(v));
	else if (k->type == CONF_BOOL)
		buf_add_cstr(out, " false");
	buf_add_c(out, '\n');
}

static void one_key(struct buf *out, const struct conf_key *k, struct str before, size_t in,
		    struct arena *a)
{
	struct str path = str_c(k->path), set = chosen(k, a);
	bool head = k->store && before.n == 0; /* the list's element begins */

	sections(out, in, before, path);
	in += 2 * depth_of(path);
	comment(out, in, str_c(k->doc));
	if (k->choices)
		comment(out, in, arena_printf(a, "One of: " STR_FMT ".",
					      STR_ARG(conf_choices_text(k->choices, a))));
	if (k->flags & KEY_UNREAD)
		comment(out, in, STR("No effect yet."));
	indent(out, head ? in - 2 : in);
	buf_add_cstr(out, head ? "- " : "");
	buf_add_cstr(out, set.p ? "" : "#");
	buf_add(out, last_of(path));
	buf_add_c(out, ':');
	value(out, k, set.p ? set : str_c(k->preset));
}

static void keys(struct buf *out, bool store, size_t in, struct arena *a)
{
	struct str before = STR("");

	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *k = &conf_keys[i];
		struct str path = str_c(k->path);

		if (k->store && !store && !str_eq(before, STR(CONF_MULTI_PREFIX))) {
			buf_add_cstr(out, "  # The stores that hold objects. A single store can be "
					  "configured as `blockstore:` with\n  # the same keys, "
					  "without id, backward_compatible and description.\n"
					  "  stores:\n");
			keys(out, true, STORE_INDENT, a);
			before = STR(CONF_MULTI_PREFIX);
		}
		if (k->store != store || (k->flags & KEY_IGNORED))
			continue;
		if (!store && !str_eq(str_head(before, str_index(before, '.')),
				      str_head(path, str_index(path, '.'))))
			buf_add_cstr(out, before.n ? "\n" : "");
		one_key(out, k, before, in, a);
		before = path;
	}
}

void conf_sample(struct buf *out)
{
	struct arena *a = arena_new();

	buf_add_cstr(out,
		     "# A configuration of sluice. Keys behind a # have the value that is shown when "
		     "they are not set.\n"
		     "# Each can be set in the environment, too: a.b_c is SLUICE_A_B_C or "
		     "LAKEFS_A_B_C, and\n"
		     "# blockstores.stores[0].id is SLUICE_BLOCKSTORES_STORES_0_ID.\n\n");
	keys(out, false, 0, a);
	arena_free(a);
}
