/* `sluice config reference`: docs/reference/configuration.md from the table. */
#include "conf/conf.h"

#include "conf/table.h"
#include "conf/value.h"

static const char intro[] =
	"# Configuration\n\n"
	"Written by `sluice config reference`; the source is conf/conf.def.\n\n"
	"`sluice run --config FILE` reads a YAML file with lakeFS's keys. Without `--config`, it is the "
	"first of `./config.yaml`, `~/.lakefs/config.yaml`, `/etc/lakefs/config.yaml` and "
	"`~/.lakefs.yaml`. `sluice config check FILE` prints everything that is wrong with a file, "
	"and `sluice config sample` prints one to begin with.\n\n"
	"- **Strict.** A key that isn't known, a key that is set twice and a value that makes no sense "
	"are errors, with file, line and remedy. Keys of lakeFS that sluice has no use for give a "
	"warning. Case doesn't matter in keys.\n"
	"- **Environment.** A variable wins over the file: the key `a.b_c` is `LAKEFS_A_B_C` or "
	"`SLUICE_A_B_C`, of which the latter wins; an empty one counts as not set. Stores are numbered "
	"from 0: `SLUICE_BLOCKSTORES_STORES_0_S3_ENDPOINT`. A `SLUICE_` variable that is no key is an "
	"error, a `LAKEFS_` one a warning.\n"
	"- **Lists** are YAML lists, or texts with commas between the values.\n"
	"- **Durations** are numbers with units: `500ms`, `20s`, `1h5m`. **Sizes** are bytes, or a "
	"number and one of B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024).\n"
	"- **Paths** may begin with `~/`, the folder that `HOME` names.\n"
	"- YAML anchors, aliases and `<<` merges work; a file has at most 1 MiB, one document and "
	"20000 values.\n\n"
	"Keys marked *sluice* are not lakeFS's.\n";

static const char stores_intro[] =
	"\nOne store is configured as `blockstore`, several as the list `blockstores.stores`, never "
	"both. These keys stand below either: `local.path` is `blockstore.local.path`, or that of an "
	"element of the list. The section `gcs` is `gs`, and the type `transient` is `mem`.\n\n"
	"```yaml\n"
	"blockstores:\n"
	"  signing:\n"
	"    secret_key: \"a long random text\"\n"
	"  stores:\n"
	"    - id: disk\n"
	"      backward_compatible: true\n"
	"      type: local\n"
	"      local:\n"
	"        path: /srv/lake\n"
	"    - id: minio\n"
	"      type: s3\n"
	"      s3:\n"
	"        endpoint: http://minio.example.com:9000\n"
	"        force_path_style: true\n"
	"        credentials:\n"
	"          access_key_id: AKIA...\n"
	"          secret_access_key: \"...\"\n"
	"```\n";

/* "|" ends a cell of the table. */
static void cell(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '|')
			buf_add_c(out, '\\');
		buf_add_c(out, s.p[i]);
	}
}

static void preset(struct buf *out, const struct conf_key *k)
{
	if (k->preset)
		buf_printf(out, "`%s`", k->preset);
	else if (k->flags & KEY_REQUIRED)
		buf_add_cstr(out, "*required*");
	else if (k->type == CONF_BOOL)
		buf_add_cstr(out, "`false`");
}

static void row(struct buf *out, const struct conf_key *k, struct arena *a)
{
	buf_printf(out, "| `%s` | %s | ", k->path, conf_type_name(k));
	preset(out, k);
	buf_add_cstr(out, " | ");
	cell(out, str_c(k->doc));
	if (k->choices)
		buf_printf(out, " One of " STR_FMT ".",
			   STR_ARG(conf_choices_text(k->choices, a)));
	if (k->min < k->max)
		buf_printf(out, " From " STR_FMT " to " STR_FMT ".",
			   STR_ARG(conf_limit_text(k, k->min, a)),
			   STR_ARG(conf_limit_text(k, k->max, a)));
	if (k->flags & KEY_MULTI)
		buf_add_cstr(out, " In `blockstores.stores` only.");
	if (k->flags & KEY_SINGLE_DEFAULT)
		buf_add_cstr(out, " In `blockstores.stores` there is no default.");
	if (k->flags & KEY_UNREAD)
		buf_add_cstr(out, " *No effect yet.*");
	if (k->flags & KEY_SECRET)
		buf_add_cstr(out, " *Secret.*");
	if (k->flags & KEY_OWN)
		buf_add_cstr(out, " *sluice*");
	buf_add_cstr(out, " |\n");
}

static struct str section_of(const struct conf_key *k)
{
	struct str path = str_c(k->path), rest;

	if (k->store)
		return STR("blockstore, blockstores.stores[]");
	path = str_cut(path, '.', &rest);
	return rest.p ? path : STR("The server");
}

static void heading(struct buf *out, const struct conf_key *k)
{
	buf_printf(out, "\n## " STR_FMT "\n", STR_ARG(section_of(k)));
	if (k->store)
		buf_add_cstr(out, stores_intro);
	buf_add_cstr(out, "\n| key | type | default | meaning |\n|---|---|---|---|\n");
}

static void ignored(struct buf *out)
{
	buf_add_cstr(out, "\n## Accepted without effect\n\n"
			  "lakeFS has these keys; sluice accepts them with a warning.\n\n"
			  "| key | what it is in lakeFS |\n|---|---|\n");
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_keys[i].flags & KEY_IGNORED)
			buf_printf(out, "| `%s%s` | %s |\n",
				   conf_keys[i].store ? CONF_SINGLE_PREFIX "." : "",
				   conf_keys[i].path, conf_keys[i].doc);
}

void conf_reference(struct buf *out)
{
	struct arena *a = arena_new();
	struct str section = STR_NONE;

	buf_add_cstr(out, intro);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->flags & KEY_IGNORED)
			continue;
		if (!str_eq(section_of(k), section))
			heading(out, k);
		section = section_of(k);
		row(out, k, a);
	}
	ignored(out);
	arena_free(a);
}
