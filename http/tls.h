/* The server's TLS: 1.2 and later, HTTP/1.1 alone, a certificate that can be read again. */
#pragma once

#include "base/err.h"

#include <openssl/ssl.h>

/* A context from a PEM chain and its key. CONFIG with the file and the reason. */
rc tls_context_new(struct str cert_file, struct str key_file, SSL_CTX **ret, struct err *reterr);
