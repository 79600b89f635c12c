/* sluice kv: a database into a file and back, and what is in it, by digest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/databases.h"
#include "cli/known.h"
#include "cli/options.h"
#include "kv/dump.h"

struct task {
	struct database d;
	struct meter meter;
	const char *file; /* "-": stdout, stdin */
	bool clear, freeze, unknown;
	struct kv_totals totals;
};

static rc known(void *ud, const struct kv_record *r, struct err *reterr)
{
	struct task *t = ud;

	return t->unknown ? known_schema(NULL, r, reterr) : known_record(NULL, r, reterr);
}

static rc tick(void *ud, const struct kv_progress *p, struct err *reterr)
{
	return meter_tick(&((struct task *)ud)->meter, p, reterr);
}

static rc still_held(void *ud, struct err *reterr)
{
	return database_still_held(&((struct task *)ud)->d, reterr);
}

static void print_totals(FILE *to, const struct kv_totals *t)
{
	char hex[KV_DIGEST_HEX];

	kv_digest_hex(t->digest, hex);
	fprintf(to, "%llu records in %llu partitions, %llu bytes, digest %s\n", (unsigned long long)t->records,
		(unsigned long long)t->partitions, (unsigned long long)t->bytes, hex);
}

/* Dump. */

static rc write_dump(struct task *t, struct kv_stream *from, struct err *reterr)
{
	const struct kv_dump d = {
		.from = from,
		.by = STR("sluice " SLUICE_VERSION),
		.known = known,
		.progress = tick,
		.last_check = still_held,
		.ud = t,
	};

	if (strcmp(t->file, "-"))
		return kv_dump_file(&d, t->file, &t->totals, reterr);
	TRY(kv_dump_write(&d, STDOUT_FILENO, &t->totals, reterr));
	return still_held(t, reterr);
}

static rc dump(struct task *t, struct err *reterr)
{
	struct kv_stream *from;
	rc r;

	TRY(database_open(&t->d, true, false, reterr));
	r = database_hold(&t->d, t->freeze, "the database is being dumped: it can be read, and soon be written to again",
			  &t->meter, reterr);
	if (rc_ok(r)) {
		from = kv_stream_new(t->d.app.kv);
		r = write_dump(t, from, reterr);
		kv_stream_free(from);
	}
	database_release(&t->d, "kv dump");
	meter_clear(&t->meter);
	if (rc_ok(r))
		print_totals(stderr, &t->totals);
	return r;
}

/* Load. */

/* Of stdin a dump can't be looked through before it is loaded: so it becomes a file first. */
static rc spool(FILE **ret, struct err *reterr)
{
	FILE *f = tmpfile();
	char chunk[64 << 10];
	size_t n = 1;

	if (!f)
		return err_errno(reterr, ERR_IO, errno, "making a temporary file for what comes from stdin");
	while (n) {
		n = fread(chunk, 1, sizeof(chunk), stdin);
		if (ferror(stdin) || fwrite(chunk, 1, n, f) != n) {
			fclose(f);
			return err_errno(reterr, ERR_IO, errno,
					 "keeping what comes from stdin in a temporary file");
		}
	}
	if (fflush(f) != 0) {
		fclose(f);
		return err_errno(reterr, ERR_IO, errno, "keeping what comes from stdin in a temporary file");
	}
	rewind(f);
	*ret = f;
	return RC_OK;
}

static rc open_dump(struct task *t, struct kv_stream **ret, struct err *reterr)
{
	FILE *f;

	if (!strcmp(t->file, "-")) {
		TRY(spool(&f, reterr));
		return kv_dump_open(f, "stdin", ret, reterr);
	}
	f = fopen(t->file, "rbe");
	if (!f)
		return err_errno(reterr, ERR_CONFIG, errno, "opening the dump %s", t->file);
	return kv_dump_open(f, t->file, ret, reterr);
}

static rc load_from(struct task *t, struct kv_stream *from, struct err *reterr)
{
	const struct kv_migration o = {
		.from = from,
		.to = t->d.app.kv,
		.name = arena_printf(t->d.app.a, "the dump %s", t->file),
		.clear = t->clear,
		.known = known,
		.progress = tick,
		.ud = t,
	};
	struct kv_migrated out;

	TRY(kv_migrate(&o, &out, reterr));
	meter_clear(&t->meter);
	fputs("loaded and verified: ", stdout);
	print_totals(stdout, &out.source);
	return RC_OK;
}

static rc load(struct task *t, struct err *reterr)
{
	struct kv_stream *from;
	rc r;

	TRY(open_dump(t, &from, reterr));
	r = database_open(&t->d, false, true, reterr);
	if (rc_ok(r))
		r = database_check_thawed(&t->d, reterr);
	if (rc_ok(r))
		r = load_from(t, from, reterr);
	kv_stream_free(from);
	meter_clear(&t->meter);
	return r;
}

/* Digest. */

static void print_partition(const struct kv_tally_partition *p)
{
	char hex[KV_DIGEST_HEX];

	if (!p->name.p)
		return;
	kv_digest_hex(p->digest, hex);
	printf("%s %10llu ", hex, (unsigned long long)p->records);
	for (size_t i = 0; i < p->name.n; i++) {
		unsigned char c = (unsigned char)p->name.p[i];

		if (c > ' ' && c < 0x7f && c != '%')
			putchar(c);
		else
			printf("%%%02X", c);
	}
	putchar('\n');
}

static rc digest_all(struct task *t, struct kv_stream *from, struct kv_tally *tally, struct err *reterr)
{
	struct kv_tally_partition p;
	struct kv_progress at = {.step = KV_STEP_SURVEY};
	struct kv_record r;
	bool end;

	TRY(from->ops->begin(from, STR_NONE, STR_NONE, reterr));
	for (;;) {
		TRY(from->ops->next(from, &r, &end, reterr));
		if (end)
			break;
		if (kv_tally_add(tally, &r, &p))
			print_partition(&p);
		if (++at.done % 256 == 0)
			TRY(meter_tick(&t->meter, &at, reterr));
	}
	if (kv_tally_end(tally, &p, &t->totals))
		print_partition(&p);
	meter_clear(&t->meter);
	print_totals(stdout, &t->totals);
	return RC_OK;
}

static rc digest(struct task *t, struct err *reterr)
{
	struct kv_tally *tally;
	struct kv_stream *from;
	rc r;

	TRY(database_open(&t->d, true, false, reterr));
	tally = kv_tally_new();
	from = kv_stream_new(t->d.app.kv);
	r = digest_all(t, from, tally, reterr);
	kv_stream_free(from);
	kv_tally_free(tally);
	meter_clear(&t->meter);
	return r;
}

/* The command line. */

static const struct {
	const char *name, *command, *copying;
	rc (*run)(struct task *t, struct err *reterr);
} tasks[] = {
	{"dump", "kv dump", "dumping", dump},
	{"load", "kv load", "loading", load},
	{"digest", "kv digest", "reading", digest},
};
enum { TASKS = sizeof(tasks) / sizeof(tasks[0]) };

static int usage(void)
{
	fputs("usage: sluice kv dump [FILE|-] [--freeze] [--unknown-records] [--config FILE]\n"
	      "       sluice kv load FILE|- [--clear-target] [--unknown-records] [--config FILE]\n"
	      "       sluice kv digest [--config FILE]\n",
	      stderr);
	return 2;
}

static int run(struct task *t, size_t i, const char *config)
{
	struct err err = {};
	rc r = RC(CONFIG);

	if (database_configure(&t->d, config)) {
		meter_init(&t->meter, tasks[i].command, tasks[i].copying);
		r = tasks[i].run(t, &err);
		fflush(stdout);
		if (!rc_ok(r))
			fprintf(stderr, "sluice %s: %s\n", tasks[i].command, err.msg);
	}
	database_close(&t->d);
	return database_exit_code(r);
}

int cmd_kv(int argc, char **argv)
{
	const char *config = NULL, *input = NULL, *output = NULL, *words[2];
	/* --input and --output as lakeFS has them. */
	const struct option_spec specs[] = {{"config", &config}, {"input", &input}, {"output", &output}};
	struct task t = {
		.clear = options_flag(&argc, argv, "--clear-target"),
		.freeze = options_flag(&argc, argv, "--freeze"),
		.unknown = options_flag(&argc, argv, "--unknown-records"),
	};
	size_t n, i = 0;

	if (!options_parse(argc, argv, specs, 3, words, 2, &n))
		return 2;
	while (n && i < TASKS && strcmp(tasks[i].name, words[0]))
		i++;
	if (!n || i == TASKS || (output && tasks[i].run != dump) || (input && tasks[i].run != load) ||
	    (n == 2 && (input || output || tasks[i].run == digest)) || (t.clear && tasks[i].run != load) ||
	    (t.freeze && tasks[i].run != dump) || (t.unknown && tasks[i].run == digest))
		return usage();
	t.file = n == 2 ? words[1] : input ? input : output ? output : tasks[i].run == dump ? "-" : NULL;
	if (tasks[i].run == load && !t.file)
		return usage();
	return run(&t, i, config);
}
