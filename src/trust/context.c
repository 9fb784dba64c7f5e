/* SPDX-License-Identifier: MIT */
#include "trust/context.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/scope.h"
#include "trust/certificate.h"

/* AES-128 first: it is what costs least, and 2^128 is enough. */
static const char suites[] = "TLS_AES_128_GCM_SHA256:"
			     "TLS_AES_256_GCM_SHA384:"
			     "TLS_CHACHA20_POLY1305_SHA256";

static void drop_bio(BIO **b)
{
	BIO_free_all(*b);
}
#define AUTO_BIO SCOPED(drop_bio) BIO

static int failed(const char *what, struct error *e)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return error_set(e, EINVAL, "%s: %s", what, why ? why : "no memory");
}

static int believe(SSL_CTX *c, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);
	X509_STORE *store = SSL_CTX_get_cert_store(c);
	unsigned n = 0;
	X509 *x;

	while (b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	if (n == 0)
		return failed("the CA's certificate", e);
	ERR_clear_error(); /* "no start line" behind the last one */
	return 0;
}

static int show(SSL_CTX *c, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	int good = x && SSL_CTX_use_certificate(c, x) == 1;

	X509_free(x);
	while (good && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)))
		good = SSL_CTX_add0_chain_cert(c, x) == 1;
	if (!good)
		return failed("this host's certificate", e);
	ERR_clear_error();
	return 0;
}

static int prove(SSL_CTX *c, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
	int good = key && SSL_CTX_use_PrivateKey(c, key) == 1 &&
		   SSL_CTX_check_private_key(c) == 1;

	EVP_PKEY_free(key);
	return good ? 0 : failed("this host's key", e);
}

static int set_up(SSL_CTX *c, struct error *e)
{
	if (!SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(c, suites) ||
	    !SSL_CTX_set_num_tickets(c, 0) || !SSL_CTX_set_max_early_data(c, 0))
		return failed("TLS 1.3", e);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	/* One buffer for all that leaves is enough. */
	SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY);
	return 0;
}

int context_new(SSL_CTX **ret, const struct context_parts *p, struct error *e)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());

	if (!c)
		return failed("TLS", e);
	if (set_up(c, e) < 0 || believe(c, p->authority, e) < 0 ||
	    show(c, p->certificate, e) < 0 || prove(c, p->key, e) < 0) {
		SSL_CTX_free(c);
		return error_code(e);
	}
	*ret = c;
	return 0;
}

/* --- who joins */

static bool has_hash(const X509 *x, const char *wanted)
{
	char hash[CERTIFICATE_HASH];

	return certificate_hash(hash, x) && !strcmp(hash, wanted);
}

/* That certificate alone is believed: another host of the same CA, say one that
 * has been removed, must not hear the token's secret.  Everything else is
 * checked as ever. */
static int verify_pinned(X509_STORE_CTX *store, void *wanted)
{
	X509 *shown = X509_STORE_CTX_get0_cert(store);
	STACK_OF(X509) *believed = sk_X509_new_null();
	int good;

	if (believed && shown && has_hash(shown, wanted))
		sk_X509_push(believed, shown);
	if (sk_X509_num(believed) > 0) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store),
					    X509_V_FLAG_PARTIAL_CHAIN);
		X509_STORE_CTX_set0_trusted_stack(store, believed);
		good = X509_verify_cert(store);
	} else {
		X509_STORE_CTX_set_error(store,
					 X509_V_ERR_APPLICATION_VERIFICATION);
		good = X509_STORE_CTX_get_verify_cb(store)(0, store);
	}
	sk_X509_free(believed);
	return good;
}

int context_pinned(SSL_CTX **ret, char *hash, struct error *e)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());

	if (!c)
		return failed("TLS", e);
	if (set_up(c, e) < 0) {
		SSL_CTX_free(c);
		return error_code(e);
	}
	SSL_CTX_set_cert_verify_callback(c, verify_pinned, hash);
	*ret = c;
	return 0;
}

void context_free(SSL_CTX *c)
{
	SSL_CTX_free(c);
}
