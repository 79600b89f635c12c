#include "tests/http/rig.h"

#include "base/clock.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define PUT(path, more) "PUT " path " HTTP/1.1\r\nHost: h\r\n" more "\r\n"

static struct rig rig;
static char folder[] = "/tmp/sluice-tls-XXXXXX", cert[100], key[100];
static SSL_CTX *client_ctx;

/* A self-signed pair, told apart by its serial number. */
static void make_pair(long serial)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	assert_non_null(f = fopen(key, "w"));
	PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	assert_non_null(f = fopen(cert, "w"));
	PEM_write_X509(f, x);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(k);
}

static int make_files(void **state)
{
	assert_non_null(mkdtemp(folder));
	snprintf(cert, sizeof(cert), "%s/cert.pem", folder);
	snprintf(key, sizeof(key), "%s/key.pem", folder);
	client_ctx = SSL_CTX_new(TLS_client_method());
	return 0;
}

static int remove_files(void **state)
{
	SSL_CTX_free(client_ctx);
	unlink(cert);
	unlink(key);
	rmdir(folder);
	return 0;
}

static int set_up(void **state)
{
	make_pair(1);
	rig_start_tls(&rig, (struct http_limits){0}, cert, key);
	rig_make_file(&rig, 3000000);
	return 0;
}

static int set_up_impatient(void **state)
{
	make_pair(1);
	rig_start_tls(&rig, (struct http_limits){.tls_ms = 300}, cert, key);
	return 0;
}

static int tear_down(void **state)
{
	rig_stop(&rig);
	return 0;
}

static void open_tls(struct client *c)
{
	client_open(c, &rig);
	assert_true(client_tls(c, client_ctx));
}

static long serial_of(struct client *c)
{
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	long n = ASN1_INTEGER_get(X509_get_serialNumber(x));

	X509_free(x);
	return n;
}

static void test_tls__hello(void **state)
{
	struct client c;

	open_tls(&c);
	assert_string_equal(SSL_get_version(c.ssl), "TLSv1.3");
	for (int i = 0; i < 20; i++) {
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
	}
	client_send_c(&c, GET("/hello") GET("/worker?x") GET("/hello"));
	client_expect(&c, 200, "hello");
	client_expect(&c, 200, "worker says /worker?x");
	client_expect(&c, 200, "hello");
	client_send_c(&c, "GET /hello HTTP/1.0\r\n\r\n");
	client_expect(&c, 200, "hello");
	client_expect_eof(&c);
	client_close(&c);
}

static void test_tls__byte_at_a_time(void **state)
{
	const char *text = PUT("/sink", "Transfer-Encoding: chunked\r\n") "1\r\n";
	struct client c;

	open_tls(&c);
	for (const char *p = text; *p; p++)
		client_send(&c, str_make(p, 1));
	client_send(&c, STR("\0\r\n0\r\n\r\n"));
	client_expect(&c, 200, "1");
	client_close(&c);
}

static void test_tls__versions(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct client c;

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	client_open(&c, &rig);
	assert_true(client_tls(&c, ctx));
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	client_close(&c);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
	client_open(&c, &rig);
	assert_false(client_tls(&c, ctx));
	client_close(&c);
	SSL_CTX_free(ctx);
}

static void expect_protocol(const char *offer, size_t n, const char *selected)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct client c;
	const unsigned char *got;
	unsigned got_n;

	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)offer, (unsigned)n);
	client_open(&c, &rig);
	if (!selected) {
		assert_false(client_tls(&c, ctx));
	} else {
		assert_true(client_tls(&c, ctx));
		SSL_get0_alpn_selected(c.ssl, &got, &got_n);
		assert_str(str_make(got, got_n), str_c(selected));
	}
	client_close(&c);
	SSL_CTX_free(ctx);
}

static void test_tls__protocols(void **state)
{
	expect_protocol("\x02h2\x08http/1.1", 12, "http/1.1");
	expect_protocol("\x08http/1.1", 9, "http/1.1");
	expect_protocol("\x02h2", 3, NULL);
}

static char *pattern(size_t n)
{
	char *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = rig_byte(i);
	return p;
}

static void test_tls__bodies(void **state)
{
	enum { N = 3000000 };
	char *p = pattern(N);
	struct client c;
	struct answer a;

	open_tls(&c);
	client_send_c(&c, PUT("/sink", "Content-Length: 3000000\r\nExpect: 100-continue\r\n"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 100);
	client_send(&c, str_make(p, N));
	client_expect(&c, 200, "3000000");
	for (int i = 0; i < 4; i++) {
		static const char *const ways[] = {
			GET("/bytes?3000000"), GET("/stream?3000000"),
			GET("/stream?3000000,3000000"), GET("/file?0,3000000"),
		};

		client_send_c(&c, ways[i]);
		client_answer(&c, &a, false);
		assert_int_equal(a.body.n, N);
		assert_memory_equal(a.body.p, p, N);
		answer_free(&a);
	}
	client_send_c(&c, GET("/file?5,10") GET("/file?0,0") GET("/file?1,70000"));
	client_answer(&c, &a, false);
	assert_memory_equal(a.body.p, p + 5, 10);
	answer_free(&a);
	client_expect(&c, 206, "");
	client_answer(&c, &a, false);
	assert_memory_equal(a.body.p, p + 1, 70000);
	answer_free(&a);
	client_close(&c);
	free(p);
}

static void test_tls__slow_reader(void **state)
{
	struct client c;
	struct answer a;

	client_open_rcvbuf(&c, &rig, 4096);
	assert_true(client_tls(&c, client_ctx));
	client_send_c(&c, GET("/bytes?5000000") GET("/file?0,3000000") GET("/hello"));
	usleep(100000);
	client_answer(&c, &a, false);
	assert_int_equal(a.body.n, 5000000);
	for (size_t i = 0; i < a.body.n; i++)
		if (a.body.p[i] != rig_byte(i))
			fail_msg("byte %zu differs", i);
	answer_free(&a);
	client_answer(&c, &a, false);
	assert_int_equal(a.body.n, 3000000);
	answer_free(&a);
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_tls__early_answer(void **state)
{
	static char part[100000];
	struct client c;

	open_tls(&c);
	client_send_c(&c, PUT("/deny", "Content-Length: 50000000\r\n"));
	for (int i = 0; i < 20; i++)
		client_send(&c, str_make(part, sizeof(part)));
	client_expect(&c, 403, "denied");
	client_expect_eof(&c);
	client_close(&c);
	open_tls(&c);
	client_send_c(&c, PUT("/deny", "Content-Length: 5\r\n") "abcde" GET("/hello"));
	client_expect(&c, 403, "denied");
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_tls__gone(void **state)
{
	struct client c;

	open_tls(&c);
	client_send_c(&c, GET("/hold"));
	rig_await(&rig.started, 1);
	SSL_shutdown(c.ssl);
	client_close(&c);
	rig_await(&rig.gone, 1);
	open_tls(&c);
	client_send_c(&c, GET("/hold"));
	rig_await(&rig.started, 2);
	client_abort(&c);
	rig_await(&rig.gone, 2);
	open_tls(&c);
	client_send_c(&c, PUT("/sink", "Content-Length: 9\r\n") "abc");
	rig_await(&rig.started, 3);
	client_close(&c);
	rig_await(&rig.freed, 3);
}

/* Each side may change its keys in the middle; the server must go on reading and writing. */
static void test_tls__key_update(void **state)
{
	struct client c;

	open_tls(&c);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
	}
	client_close(&c);
}

static void test_tls__handshakes_that_fail(void **state)
{
	struct client c;
	int64_t took;
	int tries = 1;
	char head[12];

	do {
		int64_t start = mono_ms();

		client_open(&c, &rig);
		client_expect_eof(&c);
		took = mono_ms() - start;
		assert_true(took >= 290);
		client_close(&c);
	} while (took > 5000 && tries++ < 5); /* once, it may have been the machine */
	assert_true(took <= 5000);
	client_open(&c, &rig);
	client_send_c(&c, GET("/hello"));
	client_expect_end(&c);
	client_close(&c);
	for (int i = 0; i < 10; i++) {
		client_open(&c, &rig);
		client_send(&c, STR("\x16\x03\x01\x02"));
		client_abort(&c);
	}
	/* The server goes on. (One that takes as long, because of the machine, fails as well.) */
	tries = 1;
	client_open(&c, &rig);
	while (!client_tls(&c, client_ctx) || !client_try_send(&c, STR(GET("/hello"))) ||
	       client_recv(&c, head, sizeof(head), 0) != sizeof(head)) {
		assert_in_range(++tries, 2, 50);
		client_close(&c);
		client_open(&c, &rig);
	}
	assert_memory_equal(head, "HTTP/1.1 200", sizeof(head));
	client_close(&c);
}

static void test_tls__reload(void **state)
{
	struct client old, fresh;
	struct err err;
	FILE *f;

	open_tls(&old);
	assert_int_equal(serial_of(&old), 1);
	make_pair(2);
	assert_true(rc_ok(http_server_reload_tls(rig.server, &err)));
	open_tls(&fresh);
	assert_int_equal(serial_of(&fresh), 2);
	client_send_c(&old, GET("/hello"));
	client_expect(&old, 200, "hello");
	client_close(&old);
	client_close(&fresh);

	/* What can't be read changes nothing. */
	assert_non_null(f = fopen(cert, "w"));
	fputs("nonsense", f);
	fclose(f);
	assert_true(rc_is(http_server_reload_tls(rig.server, &err), CONFIG));
	assert_non_null(strstr(err.msg, cert));
	open_tls(&fresh);
	assert_int_equal(serial_of(&fresh), 2);
	client_send_c(&fresh, GET("/hello"));
	client_expect(&fresh, 200, "hello");
	client_close(&fresh);
}

static void test_tls__key_of_another(void **state)
{
	struct http_options o = {.listen = STR("127.0.0.1:0"), .handler = rig_handle, .ud = &rig,
				 .tls_cert_file = str_c(cert), .tls_key_file = str_c(key)};
	struct http_server *s;
	struct err err;
	char other[120];

	snprintf(other, sizeof(other), "%s.other", cert);
	make_pair(1);
	assert_int_equal(rename(cert, other), 0);
	make_pair(2);
	assert_int_equal(rename(other, cert), 0);
	assert_true(rc_is(http_server_start(&o, &s, &err), CONFIG));
	assert_non_null(strstr(err.msg, key));
}

static void test_tls__stop(void **state)
{
	struct client idle, shaking;

	make_pair(1);
	rig_start_tls(&rig, (struct http_limits){0}, cert, key);
	open_tls(&idle);
	client_open(&shaking, &rig);
	usleep(20000);
	rig_stop(&rig);
	client_expect_end(&idle);
	client_expect_end(&shaking);
	client_close(&idle);
	client_close(&shaking);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_tls__##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(hello),
		T(byte_at_a_time),
		T(versions),
		T(protocols),
		T(bodies),
		T(slow_reader),
		T(early_answer),
		T(gone),
		T(key_update),
		cmocka_unit_test_setup_teardown(test_tls__handshakes_that_fail, set_up_impatient, tear_down),
		T(reload),
		cmocka_unit_test(test_tls__key_of_another),
		cmocka_unit_test(test_tls__stop),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
