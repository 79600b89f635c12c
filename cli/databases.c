#include "cli/databases.h"

#include <stdio.h>

#include "kv/marks.h"

int database_exit_code(rc r)
{
	return rc_ok(r) ? 0 : rc_is(r, CONFIG) || rc_is(r, INVALID) || rc_is(r, NOT_FOUND) ? 2 : 1;
}

bool database_configure(struct database *d, const char *path)
{
	*d = (struct database){};
	if (!app_configure(&d->app, path))
		return false;
	d->name = arena_printf(d->app.a, STR_FMT " (" STR_FMT ")", STR_ARG(d->app.conf->database.type),
			       STR_ARG(d->app.conf_path.p ? d->app.conf_path : STR("environment")));
	return true;
}

static bool is_local(const struct database *d)
{
	return str_eq(d->app.conf->database.type, STR("local"));
}

static bool is_persistent(const struct database *d)
{
	const struct conf *c = d->app.conf;

	if (is_local(d) && str_starts(c->database.local.path, STR("memory:")))
		return false;
	for (size_t i = 0; i < kv_drivers_n; i++)
		if (str_eq(c->database.type, str_c(kv_drivers[i].type)))
			return kv_drivers[i].persistent;
	return true; /* kv_open says that there is no such driver */
}

rc database_open(struct database *d, bool existing, bool filling, struct err *reterr)
{
	struct kv_options o = app_kv_options(d->app.conf);
	rc r;

	o.existing = existing;
	if (!is_persistent(d))
		return err_set(reterr, ERR_CONFIG,
			       STR_FMT ": this database is in memory and gone when its process ends: there is "
				       "nothing to read or to keep",
			       STR_ARG(d->name));
	r = kv_open(&o, &d->app.kv, reterr);
	if (rc_ok(r) && !filling)
		r = kv_check_incoming(d->app.kv, reterr);
	return rc_ok(r) ? r : err_wrap(r, reterr, STR_FMT, STR_ARG(d->name));
}

rc database_hold(struct database *d, bool freeze, const char *why, struct meter *m, struct err *reterr)
{
	const struct kv_hold_options o = {
		.freeze = freeze, .why = str_c(why), .tell = meter_say, .ud = m};

	rc r = kv_hold(d->app.kv, &o, d->app.a, &d->hold, reterr);

	d->held = rc_ok(r);
	return rc_ok(r) ? r : err_wrap(r, reterr, STR_FMT, STR_ARG(d->name));
}

rc database_still_held(struct database *d, struct err *reterr)
{
	return d->held ? kv_hold_check(d->app.kv, &d->hold, reterr) : RC_OK;
}

void database_release(struct database *d, const char *command)
{
	struct err err = {};

	/* Also when the hold failed half way: then it has an id. */
	if (!d->app.kv || rc_ok(kv_hold_release(d->app.kv, &d->hold, &err)))
		return;
	fprintf(stderr, "sluice %s: the database stays frozen (%s): `sluice migrate unfreeze` makes it writable again\n",
		command, err.msg);
}

rc database_check_thawed(struct database *d, struct err *reterr)
{
	struct kv_freeze f = {};

	TRY(kv_freeze_get(d->app.kv, d->app.a, &f, reterr));
	if (!f.id.p)
		return RC_OK;
	return err_set(reterr, ERR_CONFIG,
		       STR_FMT " is frozen (" STR_FMT
			       "): name another target, or run `sluice migrate unfreeze` with its configuration first",
		       STR_ARG(d->name), STR_ARG(str_head(f.why, 200)));
}

void database_close(struct database *d)
{
	if (d->app.a)
		app_close(&d->app);
}
