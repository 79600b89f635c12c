/* sluice migrate: a database into another one; and the schema's version. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/databases.h"
#include "cli/known.h"
#include "cli/options.h"
#include "kv/marks.h"

#define SCHEMA_PARTITION STR("kv-internal-metadata")
#define SCHEMA_KEY STR("kv/schema/version")

struct move {
	struct database from, to;
	struct meter meter;
	bool dry_run, clear, freeze, unknown, to_is_new;
	struct kv_migrated out;
};

static rc known(void *ud, const struct kv_record *r, struct err *reterr)
{
	struct move *m = ud;

	return m->unknown ? known_schema(NULL, r, reterr) : known_record(NULL, r, reterr);
}

static rc tick(void *ud, const struct kv_progress *p, struct err *reterr)
{
	return meter_tick(&((struct move *)ud)->meter, p, reterr);
}

static rc still_held(void *ud, struct err *reterr)
{
	return database_still_held(&((struct move *)ud)->from, reterr);
}

static rc open_both(struct move *m, struct err *reterr)
{
	rc r;

	TRY(database_open(&m->from, true, false, reterr));
	r = database_open(&m->to, m->dry_run, true, reterr);
	m->to_is_new = m->dry_run && rc_is(r, NOT_FOUND);
	if (!m->to_is_new)
		TRY(r);
	if (!m->dry_run)
		TRY(database_hold(&m->from, m->freeze,
				  "the database is being moved: it can be read, and written to again where it "
				  "goes",
				  &m->meter, reterr));
	/* The source, if both are one: it was frozen above. */
	return m->to.app.kv ? database_check_thawed(&m->to, reterr) : RC_OK;
}

static rc move(struct move *m, struct kv_stream *from, struct err *reterr)
{
	const struct kv_migration o = {
		.from = from,
		.to = m->to.app.kv,
		.name = m->from.name,
		.clear = m->clear,
		.dry_run = m->dry_run,
		.known = known,
		.progress = tick,
		.last_check = still_held,
		.ud = m,
	};

	return kv_migrate(&o, &m->out, reterr);
}

static void print_totals(const struct kv_totals *t)
{
	char hex[KV_DIGEST_HEX];

	kv_digest_hex(t->digest, hex);
	printf("%llu records in %llu partitions, %llu bytes, digest %s\n", (unsigned long long)t->records,
	       (unsigned long long)t->partitions, (unsigned long long)t->bytes, hex);
}

static void print_dry_run(struct move *m)
{
	printf("would copy " STR_FMT " to " STR_FMT ": ", STR_ARG(m->from.name), STR_ARG(m->to.name));
	print_totals(&m->out.source);
	if (m->to_is_new)
		puts("the target would be made");
	else if (m->out.clears)
		puts("all that the target holds would be deleted first");
	else if (m->out.resumed)
		puts("a migration that was interrupted would be gone on with");
	else
		puts("the target is empty");
	puts("nothing was written");
}

static void print_done(struct move *m)
{
	printf("copied " STR_FMT " to " STR_FMT "%s, and verified: ", STR_ARG(m->from.name), STR_ARG(m->to.name),
	       m->out.resumed ? " (gone on with)" : "");
	print_totals(&m->out.source);
	if (m->from.hold.id.p)
		printf("the source stays frozen, so that no server writes to it by mistake: start the servers with "
		       "the new configuration; to go back, run `sluice migrate unfreeze --config " STR_FMT "`\n",
		       STR_ARG(m->from.app.conf_path));
}

/* The freeze stays once copying has begun: what is copied so far must not become stale. */
static void after_failure(struct move *m)
{
	struct kv_incoming in;
	struct str raw = STR_NONE;
	struct err err = {};
	bool begun = m->to.app.kv && !m->dry_run &&
		     (!rc_ok(kv_incoming_get(m->to.app.kv, m->to.app.a, &in, &raw, &err)) || raw.p);

	if (!begun) {
		database_release(&m->from, "migrate");
		return;
	}
	fputs("sluice migrate: the source is as it was. The target isn't whole, and no server opens it: run the same "
	      "command again, it goes on where it stopped; or with --clear-target, to begin anew\n",
	      stderr);
	if (m->from.hold.id.p)
		fputs("sluice migrate: the source stays frozen for that; `sluice migrate unfreeze` with its "
		      "configuration makes it writable again\n",
		      stderr);
}

static rc run_move(struct move *m, struct err *reterr)
{
	struct kv_stream *from;
	rc r = open_both(m, reterr);

	if (rc_ok(r)) {
		from = kv_stream_new(m->from.app.kv);
		r = move(m, from, reterr);
		kv_stream_free(from);
	}
	meter_clear(&m->meter);
	if (rc_ok(r))
		(m->dry_run ? print_dry_run : print_done)(m);
	return r;
}

static int migrate(struct move *m, const char *from, const char *to)
{
	struct err err = {};
	rc r = RC(CONFIG);

	if (database_configure(&m->from, from) && database_configure(&m->to, to)) {
		meter_init(&m->meter, "migrate", "copying");
		r = run_move(m, &err);
		if (!rc_ok(r)) {
			fprintf(stderr, "sluice migrate: %s\n", err.msg);
			after_failure(m);
		}
	}
	database_close(&m->to);
	database_close(&m->from);
	return database_exit_code(r);
}

/* Schema and freeze. */

static rc read_version(struct database *d, struct str *ret, struct err *reterr)
{
	rc r = kv_get(d->app.kv, KV_BLOCK, SCHEMA_PARTITION, SCHEMA_KEY, d->app.a, ret, reterr);

	if (!rc_is(r, NOT_FOUND))
		return r;
	*ret = STR_NONE;
	return RC_OK;
}

static rc version(struct database *d, struct err *reterr)
{
	struct str text;

	TRY(database_open(d, true, false, reterr));
	TRY(read_version(d, &text, reterr));
	if (!text.p) {
		printf("Database schema version: none; `sluice setup`, or the first start, makes it %d\n",
		       AUTH_SCHEMA_VERSION);
		return RC_OK;
	}
	printf("Database schema version: " STR_FMT "\n", STR_ARG(str_head(text, 40)));
	TRY(auth_check_schema_version(text, reterr));
	puts("This sluice knows it; there is nothing to migrate.");
	return RC_OK;
}

static rc up(struct database *d, struct err *reterr)
{
	struct str text, mine = arena_printf(d->app.a, "%d", AUTH_SCHEMA_VERSION);

	TRY(database_open(d, true, false, reterr));
	TRY(read_version(d, &text, reterr));
	if (text.p) {
		TRY(auth_check_schema_version(text, reterr));
		puts("The schema is up to date.");
		return RC_OK;
	}
	TRY(database_check_thawed(d, reterr));
	TRY(kv_set_if(d->app.kv, SCHEMA_PARTITION, SCHEMA_KEY, mine, KV_IF_ABSENT, STR_NONE, reterr));
	printf("The schema has version " STR_FMT " now.\n", STR_ARG(mine));
	return RC_OK;
}

static rc unfreeze(struct database *d, struct err *reterr)
{
	struct kv_freeze f = {};

	TRY(database_open(d, true, false, reterr));
	TRY(kv_freeze_get(d->app.kv, d->app.a, &f, reterr));
	if (!f.id.p) {
		puts("It isn't frozen.");
		return RC_OK;
	}
	TRY(kv_freeze_remove(d->app.kv, f.id, reterr));
	puts("It may be written to again; running servers notice within some seconds.");
	return RC_OK;
}

static const struct {
	const char *name;
	rc (*run)(struct database *d, struct err *reterr);
} others[] = {{"version", version}, {"up", up}, {"unfreeze", unfreeze}};

static int other(const char *name, const char *config)
{
	struct database d;
	struct err err = {};
	size_t i = 0;
	rc r = RC(CONFIG);

	while (strcmp(others[i].name, name))
		i++;
	if (database_configure(&d, config)) {
		r = others[i].run(&d, &err);
		fflush(stdout);
		if (!rc_ok(r))
			fprintf(stderr, "sluice migrate %s: %s\n", name, err.msg);
	}
	database_close(&d);
	return database_exit_code(r);
}

static int usage(void)
{
	fputs("usage: sluice migrate --from FILE --to FILE [--dry-run] [--clear-target] [--freeze]\n"
	      "                      [--unknown-records]\n"
	      "       sluice migrate version|up|unfreeze [--config FILE]\n",
	      stderr);
	return 2;
}

int cmd_migrate(int argc, char **argv)
{
	const char *config = NULL, *from = NULL, *to = NULL, *word;
	const struct option_spec specs[] = {{"config", &config}, {"from", &from}, {"to", &to}};
	struct move m = {
		.dry_run = options_flag(&argc, argv, "--dry-run"),
		.clear = options_flag(&argc, argv, "--clear-target"),
		.freeze = options_flag(&argc, argv, "--freeze"),
		.unknown = options_flag(&argc, argv, "--unknown-records"),
	};
	size_t n;

	if (!options_parse(argc, argv, specs, 3, &word, 1, &n))
		return 2;
	if (n == 0)
		return from && to && !config ? migrate(&m, from, to) : usage();
	if (!strcmp(word, "goto")) {
		fprintf(stderr, "sluice migrate goto: there is one schema, version %d; see `sluice migrate version`\n",
			AUTH_SCHEMA_VERSION);
		return 2;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(word, others[i].name) && !from && !to && !m.dry_run && !m.clear && !m.freeze &&
		    !m.unknown)
			return other(word, config);
	return usage();
}
