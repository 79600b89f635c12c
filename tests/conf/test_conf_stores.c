#include "tests/conf/conf_test.h"

/* Elements of blockstores.stores, as they are documented, in a whole configuration. */
static struct loaded load_stores(const char *elements)
{
	struct buf b = BUF_INIT(1 << 16);
	struct str rest = str_c(elements);
	struct loaded l;

	buf_add_cstr(&b, DATABASE AUTH "blockstores:\n" SIGNING "  stores:\n");
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);

		buf_printf(&b, "    " STR_FMT "\n", STR_ARG(line));
	}
	buf_add_c(&b, 0);
	l = load_good(b.p);
	buf_deinit(&b);
	return l;
}

static void test_stores__s3_example(void **state)
{
	struct loaded l = load_stores("- id: \"minio-main\"\n"
				      "  description: \"MinIO backend for production data\"\n"
				      "  type: \"s3\"\n"
				      "  s3:\n"
				      "      force_path_style: true\n"
				      "      endpoint: \"http://minio-main.local\"\n"
				      "      discover_bucket_region: false\n"
				      "      credentials:\n"
				      "        access_key_id: \"<main_access_key>\"\n"
				      "        secret_access_key: \"<main_secret_key>\"\n");
	const struct conf_store *s = l.conf->blockstores.stores;

	assert_int_equal(l.conf->blockstores.stores_n, 1);
	assert_false(l.conf->blockstores.single);
	assert_str(s->id, "minio-main");
	assert_str(s->description, "MinIO backend for production data");
	assert_str(s->type, "s3");
	assert_true(s->s3.force_path_style);
	assert_false(s->s3.discover_bucket_region);
	assert_str(s->s3.endpoint, "http://minio-main.local");
	assert_str(s->s3.credentials.access_key_id, "<main_access_key>");
	assert_true(has_finding(&l, true, 15,
				"blockstores.stores[0].s3.credentials.secret_access_key",
				"looks like a placeholder"));
	assert_int_equal(count(&l, true), 2);
	unload(&l);
}

static void test_stores__azure_example(void **state)
{
	struct loaded l = load_stores("- id: \"azure-prod\"\n"
				      "  description: \"Azure storage for analytics\"\n"
				      "  type: \"azure\"\n"
				      "  azure:\n"
				      "      storage_account: \"myaccount\"\n"
				      "      storage_access_key: \"<access_key>\"\n");

	assert_str(l.conf->blockstores.stores[0].azure.storage_account, "myaccount");
	assert_str(l.conf->blockstores.stores[0].azure.domain, "blob.core.windows.net");
	assert_int_equal(l.conf->blockstores.stores[0].azure.try_timeout, 600000);
	unload(&l);
}

static void test_stores__gcs_example(void **state)
{
	struct loaded l = load_stores("- id: \"gcs-research\"\n"
				      "  description: \"Google Cloud Storage for research data\"\n"
				      "  type: \"gcs\"\n"
				      "  gcs:\n"
				      "      credentials_file: \"/path/to/service-account.json\"\n"
				      "      bucket_project_id: \"my-gcp-project\"\n");

	assert_str(l.conf->blockstores.stores[0].type, "gs");
	assert_str(l.conf->blockstores.stores[0].gs.credentials_file,
		   "/path/to/service-account.json");
	assert_str(l.conf->blockstores.stores[0].gs.bucket_project_id, "my-gcp-project");
	assert_str(l.conf->blockstores.stores[0].gs.s3_endpoint, "https://storage.googleapis.com");
	assert_int_equal(l.findings.n, 0);
	unload(&l);
}

static void test_stores__local_example(void **state)
{
	struct loaded l = load_stores("- id: \"local-dev\"\n"
				      "  description: \"Local storage for development\"\n"
				      "  type: \"local\"\n"
				      "  local:\n"
				      "      path: \"/data/lakefs-storage\"\n");

	assert_str(l.conf->blockstores.stores[0].local.path, "/data/lakefs-storage");
	assert_int_equal(l.findings.n, 0);
	unload(&l);
}

/* The documented structure; its two placeholders that are no bools, and the type, have values. */
static const char structure[] =
	DATABASE AUTH
	"blockstores:\n"
	"    signing:\n"
	"      secret_key: \"<random_secret>\"  # Required.\n"
	"\n"
	"    stores:\n"
	"        - id: \"<storage_id>\" # Unique storage id \n"
	"          backward_compatible: true  # Optional.\n"
	"          description: \"<description_of_storage>\"  \n"
	"          type: \"%s\"  # Supported types: s3, azure, gcs, local, etc.\n"
	"\n"
	"          # Storage-specific configuration\n"
	"          s3:  \n"
	"              force_path_style: true  \n"
	"              endpoint: \"<storage_endpoint>\"  \n"
	"              discover_bucket_region: false  \n"
	"              credentials:\n"
	"                access_key_id: \"<access_key>\"\n"
	"                secret_access_key: \"<secret_key>\"\n"
	"\n"
	"          azure:  \n"
	"              storage_account: \"<account_name>\"  \n"
	"              storage_access_key: \"<access_key>\"\n"
	"\n"
	"          gcs:  \n"
	"              credentials_file: \"<path_to_service_account.json>\"\n"
	"              bucket_project_id: \"<project_id>\"\n"
	"\n"
	"          local:  \n"
	"              path: \"<local_storage_path>\"\n";

static void test_stores__structure_example(void **state)
{
	static const char *const types[] = {"s3", "azure", "gcs", "local"};

	for (size_t i = 0; i < 4; i++) {
		char yaml[4096];
		struct loaded l;

		snprintf(yaml, sizeof(yaml), structure, types[i]);
		l = load_good(yaml);
		assert_str(l.conf->blockstores.stores[0].id, "<storage_id>");
		assert_true(l.conf->blockstores.stores[0].backward_compatible);
		assert_str(l.conf->blockstores.signing.secret_key, "<random_secret>");
		assert_true(has_finding(&l, true, 5, "blockstores.signing.secret_key",
					"looks like a placeholder"));
		/* 4 secrets that are placeholders, 3 sections of other types */
		assert_int_equal(count(&l, true), 7);
		unload(&l);
	}
}

static void test_stores__several_types(void **state)
{
	struct loaded l = load_stores("- {id: a, type: local, local: {path: /a}}\n"
				      "- {id: b, type: transient, transient: {}}\n"
				      "- {id: c, type: gs, gs: {pre_signed_expiry: 1h}}\n"
				      "- {id: d, type: mem, backward_compatible: true}\n");

	assert_int_equal(l.conf->blockstores.stores_n, 4);
	assert_str(l.conf->blockstores.stores[1].type, "mem");
	assert_int_equal(l.conf->blockstores.stores[2].gs.pre_signed_expiry, 3600000);
	assert_false(l.conf->blockstores.stores[0].backward_compatible);
	assert_true(l.conf->blockstores.stores[3].backward_compatible);
	assert_null(l.conf->blockstores.stores[3].local.path.p);
	unload(&l);
}

static void test_stores__single(void **state)
{
	struct loaded l = load_good(DATABASE AUTH
				    "blockstore:\n"
				    "  type: gs\n"
				    "  gcs: {credentials_file: ~/key.json}\n"
				    "  default_namespace_prefix: gs://b/p\n");
	const struct conf_store *s = l.conf->blockstores.stores;

	assert_int_equal(l.conf->blockstores.stores_n, 1);
	assert_true(l.conf->blockstores.single);
	assert_non_null(s->id.p);
	assert_str(s->id, "");
	assert_str(s->gs.credentials_file, "/home/me/key.json");
	assert_str(s->default_namespace_prefix, "gs://b/p");
	assert_str(l.conf->blockstores.signing.secret_key, "OVERRIDE_THIS_SIGNING_SECRET_DEFAULT");
	assert_true(has_finding(&l, true, 3, "blockstore.signing.secret_key",
				"the default that everybody knows"));
	unload(&l);
}

static void test_stores__single_defaults(void **state)
{
	struct loaded l = load_good(DATABASE AUTH "blockstore: {type: local, signing: {secret_key: x}}\n");
	const struct conf_store *s = l.conf->blockstores.stores;

	assert_int_equal(l.findings.n, 0);
	assert_str(s->local.path, "/home/me/lakefs/data/block");
	assert_str(s->s3.region, "us-east-1");
	assert_int_equal(s->s3.max_retries, 5);
	assert_true(s->s3.discover_bucket_region);
	assert_true(s->s3.disable_pre_signed_ui);
	assert_int_equal(s->s3.pre_signed_expiry, 900000);
	assert_int_equal(s->s3.web_identity.session_expiry_window, 300000);
	unload(&l);
}

static void test_stores__as_many_as_allowed(void **state)
{
	struct buf b = BUF_INIT(1 << 16);
	struct loaded l;

	buf_add_cstr(&b, DATABASE AUTH "blockstores:\n" SIGNING "  stores:\n");
	for (int i = 0; i < 256; i++)
		buf_printf(&b, "  - {id: s%d, type: mem}\n", i);
	buf_add_c(&b, 0);
	l = load_good(b.p);
	assert_int_equal(l.conf->blockstores.stores_n, 256);
	assert_str(l.conf->blockstores.stores[255].id, "s255");
	unload(&l);
	b.n--;
	buf_add_cstr(&b, "  - {id: s256, type: mem}\n");
	buf_add_c(&b, 0);
	l = load(b.p);
	assert_true(has_finding(&l, false, 6 + 256, "blockstores.stores[256]",
				"more than 256 stores"));
	unload(&l);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores__s3_example),
		cmocka_unit_test(test_stores__azure_example),
		cmocka_unit_test(test_stores__gcs_example),
		cmocka_unit_test(test_stores__local_example),
		cmocka_unit_test(test_stores__structure_example),
		cmocka_unit_test(test_stores__several_types),
		cmocka_unit_test(test_stores__single),
		cmocka_unit_test(test_stores__single_defaults),
		cmocka_unit_test(test_stores__as_many_as_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
