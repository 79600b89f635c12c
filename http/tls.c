#include "http/tls.h"

#include "base/arena.h"

#include <openssl/err.h>
#include <stdlib.h>

static rc fail(struct err *reterr, const char *what, const char *file)
{
	char why[256];
	unsigned long e = ERR_peek_last_error();

	ERR_error_string_n(e, why, sizeof(why));
	ERR_clear_error();
	return err_set(reterr, ERR_CONFIG, "tls: %s %s: %s", what, file, e ? why : "unknown reason");
}

/* HTTP/2 is not spoken; a client that offers nothing known here is told so. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
			   const unsigned char *in, unsigned inlen, void *ud)
{
	static const unsigned char known[] = "\x08http/1.1";

	(void)ssl;
	(void)ud;
	if (SSL_select_next_proto((unsigned char **)out, outlen, known, sizeof(known) - 1, in,
				  inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *ud)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)ud;
	return -1;
}

static void set_up(SSL_CTX *ctx)
{
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* A client that ends without close_notify: lengths tell whether anything is missing. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* Sessions resume by ticket: nothing is kept here. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
}

static rc load(SSL_CTX *ctx, const char *cert, const char *key, struct err *reterr)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return fail(reterr, "reading the certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return fail(reterr, "reading the private key", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail(reterr, "the private key doesn't belong to the certificate:", key);
	return RC_OK;
}

rc tls_context_new(struct str cert_file, struct str key_file, SSL_CTX **ret, struct err *reterr)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct arena *a = arena_new();
	rc r;

	if (!ctx)
		abort();
	set_up(ctx);
	r = load(ctx, arena_cstr(a, cert_file), arena_cstr(a, key_file), reterr);
	arena_free(a);
	if (!rc_ok(r)) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = ctx;
	return RC_OK;
}
