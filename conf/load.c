#include "conf/load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/value.h"
#include "conf/yaml.h"

static void loader_init(struct loader *l, struct str name, char *const *env, struct arena *a,
			struct conf_findings *findings)
{
	*findings = (struct conf_findings){0};
	*l = (struct loader){.a = a, .name = name, .env = env, .findings = findings};
	l->conf = conf_new(&l->own);
	conf_scope_init(l, &l->top, l->conf, STR(""));
}

static void collect_stores(struct loader *l)
{
	struct conf_store *all;
	size_t n = l->single ? 1 : l->stores_n;

	all = arena_zalloc(l->own, n * sizeof(*all) + 1);
	for (size_t i = 0; i < n; i++) {
		const struct scope *s = l->single ? l->single : l->stores[i];

		if (s)
			all[i] = *(const struct conf_store *)s->base;
	}
	l->conf->blockstores.stores = all;
	l->conf->blockstores.stores_n = n;
	l->conf->blockstores.single = l->single != NULL;
}

static const struct conf_finding *first_error(const struct conf_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i].warning)
			return &f->v[i];
	return &f->v[0];
}

static rc finish(struct loader *l, struct conf **ret, struct err *reterr)
{
	struct str line;

	if (l->errors == 0) {
		*ret = l->conf;
		return RC_OK;
	}
	conf_unref(l->conf);
	line = conf_finding_line(first_error(l->findings), l->a);
	if (l->errors == 1)
		return err_set(reterr, ERR_CONFIG, STR_FMT, STR_ARG(line));
	return err_set(reterr, ERR_CONFIG, STR_FMT " (and %zu more errors)",
		       STR_ARG(str_head(line, 400)), l->errors - 1);
}

rc conf_load_text(struct str name, struct str yaml, char *const *env, struct arena *a,
		  struct conf_findings *findings, struct conf **ret, struct err *reterr)
{
	struct loader *l = ARENA_NEW(a, struct loader);

	*ret = NULL;
	loader_init(l, name, env, a, findings);
	if (conf_read_file(l, yaml)) {
		conf_read_env(l);
		conf_expand_home(l);
		conf_check(l);
		collect_stores(l);
	}
	return finish(l, ret, reterr);
}

static bool read_all(struct str path, struct arena *a, struct str *ret, struct str *ret_wrong)
{
	int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char why[100], *p;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0) {
		*ret_wrong = arena_printf(a, "can't be opened (%s); name a file that this user can "
					     "read", strerror_r(errno, why, sizeof(why)));
		return false;
	}
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
		close(fd);
		*ret_wrong = STR("is a folder; name a file");
		return false;
	}
	p = arena_alloc(a, YAML_MAX_BYTES + 1);
	while (n <= YAML_MAX_BYTES && (got = read(fd, p + n, YAML_MAX_BYTES + 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	*ret = str_make(p, n);
	if (n > YAML_MAX_BYTES || got == 0)
		return true;
	*ret_wrong = STR("can't be read; name a plain file");
	return false;
}

rc conf_load(struct str path, char *const *env, struct arena *a, struct conf_findings *findings,
	     struct conf **ret, struct err *reterr)
{
	struct str yaml, wrong;
	struct loader *l;

	if (!path.p)
		return conf_load_text(STR("environment"), STR(""), env, a, findings, ret, reterr);
	if (read_all(path, a, &yaml, &wrong))
		return conf_load_text(path, yaml, env, a, findings, ret, reterr);
	*ret = NULL;
	l = ARENA_NEW(a, struct loader);
	loader_init(l, path, env, a, findings);
	conf_error(l, conf_origin(l, 0, STR_NONE), STR_FMT, STR_ARG(wrong));
	return finish(l, ret, reterr);
}
