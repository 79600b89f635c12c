/* The configuration file. Whatever it holds, there is a snapshot or a reason. */
#include "conf/conf.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *const env[] = {NULL};
	struct arena *a = arena_new();
	struct conf_findings findings = {0};
	struct conf *c = NULL;
	struct err e = {0};
	rc got = conf_load_text(STR("fuzz.yaml"), str_make(data, size), env, a, &findings, &c, &e);

	MUST(rc_ok(got) == (c != NULL));
	MUST(rc_ok(got) || e.msg[0]);
	for (size_t i = 0; i < findings.n; i++)
		MUST(conf_finding_line(&findings.v[i], a).n > 0);
	if (c)
		conf_unref(c);
	arena_free(a);
	return 0;
}
