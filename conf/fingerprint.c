/* Whether a store's configuration has changed, without knowing what each kind of store takes from it. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/encode.h"
#include "conf/conf.h"
#include "conf/table.h"

static void add_str(struct buf *b, struct str s)
{
	buf_printf(b, "%zu:", s.n);
	buf_add(b, s);
}

/* A credentials file that was written anew is another one. */
static void add_file(struct buf *b, struct str path, struct arena *a)
{
	struct stat st;

	if (path.n && stat(arena_cstr(a, path), &st) == 0)
		buf_printf(b, "@%lld.%ld.%lld.%llu", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			   (long long)st.st_size, (unsigned long long)st.st_ino);
}

static void add_value(struct buf *b, const struct conf_key *k, const void *v, bool file, struct arena *a)
{
	const struct conf_strs *list = v;

	switch (k->type) {
	case CONF_BOOL:
		buf_printf(b, "%d", *(const bool *)v);
		return;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_DURATION:
		buf_printf(b, "%lld", (long long)*(const int64_t *)v);
		return;
	case CONF_FLOAT:
		buf_printf(b, "%a", *(const double *)v);
		return;
	case CONF_STRS:
	case CONF_NETWORKS:
		for (size_t i = 0; i < list->n; i++)
			add_str(b, list->v[i]);
		return;
	default:
		add_str(b, *(const struct str *)v);
		if (file)
			add_file(b, *(const struct str *)v, a);
	}
}

/* Of a local store its folder alone: a second one over the same folder would take the place of the first
 * for nothing. */
static bool matters(const struct conf_store *s, const struct conf_key *k)
{
	struct str rest, block = str_cut(str_c(k->path), '.', &rest);

	if (!k->store || (k->flags & KEY_IGNORED) || !rest.p || !str_eq(block, s->type))
		return false;
	return !str_eq(s->type, STR("local")) || str_eq(rest, STR("path"));
}

void conf_store_fingerprint(const struct conf_store *s, char out[CONF_FINGERPRINT + 1])
{
	struct arena *a = arena_new();
	struct buf b = BUF_INIT(1 << 20);
	uint8_t hash[DIGEST_MAX];
	struct str hex;

	add_str(&b, s->type);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (!matters(s, k))
			continue;
		add_str(&b, str_c(k->path));
		add_value(&b, k, (const char *)s + k->offset,
			  k->type == CONF_PATH && !str_eq(s->type, STR("local")), a);
	}
	digest_of(DIGEST_SHA256, buf_str(&b), hash);
	hex = hex_encode(a, str_make((const char *)hash, 32));
	snprintf(out, CONF_FINGERPRINT + 1, STR_FMT, STR_ARG(hex));
	buf_deinit(&b);
	arena_free(a);
}
