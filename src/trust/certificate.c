/* SPDX-License-Identifier: MIT */
#include "trust/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "trust/hex.h"

enum { VERSION_3 = 2 };

static void drop_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void drop_certificate(X509 **x)
{
	X509_free(*x);
}

static void drop_request(X509_REQ **r)
{
	X509_REQ_free(*r);
}

static void drop_bio(BIO **b)
{
	BIO_free_all(*b);
}

#define AUTO_KEY SCOPED(drop_key) EVP_PKEY
#define AUTO_CERTIFICATE SCOPED(drop_certificate) X509
#define AUTO_REQUEST SCOPED(drop_request) X509_REQ
#define AUTO_BIO SCOPED(drop_bio) BIO

/* @what could not be done, and OpenSSL's reason. */
static int failed(const char *what, struct error *e)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return error_set(e, EIO, "%s: %s", what, why ? why : "no memory");
}

void signed_key_done(struct signed_key *k)
{
	if (k->key)
		explicit_bzero(k->key, strlen(k->key));
	free(k->key);
	free(k->certificate);
	*k = (struct signed_key){ 0 };
}

/* --- PEM */

static int text_of(char **ret, BIO *b, struct error *e)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);

	*ret = len > 0 ? strndup(data, (size_t)len) : NULL;
	return *ret ? 0 : error_set(e, ENOMEM, "no memory for a certificate");
}

static int key_text(char **ret, EVP_PKEY *k, struct error *e)
{
	AUTO_BIO *b = BIO_new(BIO_s_secmem());

	if (!b ||
	    !PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL))
		return failed("write a key", e);
	return text_of(ret, b, e);
}

static int certificate_text(char **ret, X509 *x, struct error *e)
{
	AUTO_BIO *b = BIO_new(BIO_s_mem());

	if (!b || !PEM_write_bio_X509(b, x))
		return failed("write a certificate", e);
	return text_of(ret, b, e);
}

static int request_text(char **ret, X509_REQ *r, struct error *e)
{
	AUTO_BIO *b = BIO_new(BIO_s_mem());

	if (!b || !PEM_write_bio_X509_REQ(b, r))
		return failed("write a request", e);
	return text_of(ret, b, e);
}

static int read_key(EVP_PKEY **ret, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);

	*ret = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
	return *ret ? 0 : failed("read a key", e);
}

static int read_certificate(X509 **ret, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);

	*ret = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	return *ret ? 0 : failed("read a certificate", e);
}

static int read_request(X509_REQ **ret, const char *text, struct error *e)
{
	AUTO_BIO *b = BIO_new_mem_buf(text, -1);

	*ret = b ? PEM_read_bio_X509_REQ(b, NULL, NULL, NULL) : NULL;
	return *ret ? 0 : failed("read a request", e);
}

/* --- names, dates, extensions */

static X509_NAME *name_new(const char *text)
{
	X509_NAME *n = X509_NAME_new();

	if (n &&
	    X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8,
				       (const unsigned char *)text, -1, -1, 0))
		return n;
	X509_NAME_free(n);
	return NULL;
}

/* The only common name; -EBADMSG where it is no host's. */
static int name_text(char buf[static 64], const X509_NAME *n, struct error *e)
{
	int len = X509_NAME_get_text_by_NID(n, NID_commonName, buf, 64);
	int first = X509_NAME_get_index_by_NID(n, NID_commonName, -1);

	if (len > 0 &&
	    X509_NAME_get_index_by_NID(n, NID_commonName, first) >= 0)
		return error_set(e, EBADMSG, "it has more than one name");
	if (len <= 0 || strlen(buf) != (size_t)len)
		return error_set(e, EBADMSG, "it has no name");
	return text_check_name("host", buf, e);
}

static bool set_dates(X509 *x, int64_t from_s, unsigned days)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(x),
			     (time_t)(from_s +
				      (int64_t)days * CERTIFICATE_DAY_S));
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *made;
	bool added;

	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	made = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	added = made && X509_add_ext(x, made, -1);
	X509_EXTENSION_free(made);
	return added;
}

static bool add_extensions(X509 *x, X509 *issuer, bool authority)
{
	return add_extension(x, issuer, NID_basic_constraints,
			     authority ? "critical,CA:TRUE,pathlen:0"
				       : "critical,CA:FALSE") &&
	       add_extension(x, issuer, NID_key_usage,
			     authority ? "critical,keyCertSign,cRLSign"
				       : "critical,digitalSignature") &&
	       (authority || add_extension(x, issuer, NID_ext_key_usage,
					   "serverAuth,clientAuth")) &&
	       add_extension(x, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(x, issuer, NID_authority_key_identifier, "keyid");
}

/* What both kinds of certificates have; not signed yet. */
static bool describe(X509 *x, const X509_NAME *subject, EVP_PKEY *key,
		     uint64_t serial)
{
	return X509_set_version(x, VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial) &&
	       X509_set_subject_name(x, subject) && X509_set_pubkey(x, key);
}

/* --- making them */

static EVP_PKEY *key_new(void)
{
	return EVP_EC_gen("P-256");
}

static bool make_authority(X509 *x, EVP_PKEY *key, const char *name,
			   int64_t now_s)
{
	X509_NAME *subject = name_new(name);
	bool made = subject && describe(x, subject, key, 1) &&
		    X509_set_issuer_name(x, subject) &&
		    set_dates(x, now_s - CERTIFICATE_EARLY_S, AUTHORITY_DAYS) &&
		    add_extensions(x, x, true) &&
		    X509_sign(x, key, EVP_sha256());

	X509_NAME_free(subject);
	return made;
}

int authority_new(struct signed_key *ret, const char *name, int64_t now_s,
		  struct error *e)
{
	AUTO_KEY *key = key_new();
	AUTO_CERTIFICATE *x = X509_new();
	struct signed_key made = { 0 };

	if (!key || !x || !make_authority(x, key, name, now_s))
		return failed("make a CA", e);
	if (key_text(&made.key, key, e) < 0 ||
	    certificate_text(&made.certificate, x, e) < 0) {
		signed_key_done(&made);
		return error_code(e);
	}
	*ret = made;
	return 0;
}

/* With a key that may be there already. */
static bool make_request(X509_REQ *r, EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = name_new(name);
	bool made = subject && X509_REQ_set_subject_name(r, subject) &&
		    X509_REQ_set_pubkey(r, key) &&
		    X509_REQ_sign(r, key, EVP_sha256());

	X509_NAME_free(subject);
	return made;
}

static int request_with(char **ret, EVP_PKEY *key, const char *name,
			struct error *e)
{
	AUTO_REQUEST *r = X509_REQ_new();

	if (!key || !r || !make_request(r, key, name))
		return failed("make a request for a certificate", e);
	return request_text(ret, r, e);
}

int request_new(struct signed_key *ret, const char *name, struct error *e)
{
	AUTO_KEY *key = key_new();
	struct signed_key made = { 0 };

	if (request_with(&made.certificate, key, name, e) < 0 ||
	    key_text(&made.key, key, e) < 0) {
		signed_key_done(&made);
		return error_code(e);
	}
	*ret = made;
	return 0;
}

int request_again(char **ret, const char *key, const char *name,
		  struct error *e)
{
	AUTO_KEY *k = NULL;

	if (read_key(&k, key, e) < 0)
		return error_code(e);
	return request_with(ret, k, name, e);
}

/* That whoever asks has the key, and asks for the name. */
static int check_request(X509_REQ *r, const char *name, struct error *e)
{
	char asked[64] = "";
	EVP_PKEY *key = X509_REQ_get0_pubkey(r);

	if (!key || X509_REQ_verify(r, key) != 1) {
		ERR_clear_error();
		return error_set(e, EACCES,
				 "the request of host %s is not signed with "
				 "its own key",
				 name);
	}
	if (name_text(asked, X509_REQ_get_subject_name(r), e) < 0)
		return error_in(e, "the request of host %s", name);
	if (strcmp(asked, name) != 0)
		return error_set(e, EACCES,
				 "host %s asks for a certificate of host %s",
				 name, asked);
	return 0;
}

/* Of what the request says, the key alone: its subject may have more in it than
 * the name that was checked. */
static bool make_certificate(X509 *x, X509 *issuer, X509_REQ *r,
			     const struct signing *s)
{
	X509_NAME *subject = name_new(s->name);
	bool made = subject &&
		    describe(x, subject, X509_REQ_get0_pubkey(r), s->serial) &&
		    X509_set_issuer_name(x, X509_get_subject_name(issuer)) &&
		    set_dates(x, s->from_s, s->days) &&
		    add_extensions(x, issuer, false);

	X509_NAME_free(subject);
	return made;
}

int certificate_sign(char **ret, const struct signing *s, struct error *e)
{
	AUTO_KEY *key = NULL;
	AUTO_CERTIFICATE *issuer = NULL, *x = X509_new();
	AUTO_REQUEST *r = NULL;

	if (read_key(&key, s->authority->key, e) < 0 ||
	    read_certificate(&issuer, s->authority->certificate, e) < 0)
		return error_in(e, "the CA");
	if (read_request(&r, s->request, e) < 0 ||
	    check_request(r, s->name, e) < 0)
		return error_code(e);
	if (!x || !make_certificate(x, issuer, r, s) ||
	    !X509_sign(x, key, EVP_sha256()))
		return failed("sign a certificate", e);
	return certificate_text(ret, x, e);
}

/* --- looking at them */

bool certificate_hash(char ret[static CERTIFICATE_HASH], const X509 *x)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!X509_digest(x, EVP_sha256(), bytes, &len))
		return false;
	hex_of(ret, bytes, len);
	return true;
}

static bool seconds_of(int64_t *ret, const ASN1_TIME *t)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm))
		return false;
	*ret = timegm(&tm);
	return true;
}

/* Whatever somebody else has called his CA. */
static void authority_name(char buf[static 64], const X509_NAME *n)
{
	char text[64] = "";

	X509_NAME_get_text_by_NID(n, NID_commonName, text, sizeof(text));
	text_printable(buf, 64, text, strlen(text));
}

int certificate_read(struct certificate_facts *ret, const char *certificate,
		     struct error *e)
{
	AUTO_CERTIFICATE *x = NULL;

	*ret = (struct certificate_facts){ 0 };
	if (read_certificate(&x, certificate, e) < 0)
		return error_code(e);
	ret->authority = X509_check_ca(x) == 1;
	if (ret->authority)
		authority_name(ret->name, X509_get_subject_name(x));
	else if (name_text(ret->name, X509_get_subject_name(x), e) < 0)
		return error_code(e);
	if (!certificate_hash(ret->hash, x) ||
	    !seconds_of(&ret->from_s, X509_get0_notBefore(x)) ||
	    !seconds_of(&ret->until_s, X509_get0_notAfter(x)))
		return failed("read a certificate", e);
	/* One of somebody else's CA may be longer. */
	if (!ASN1_INTEGER_get_uint64(&ret->serial, X509_get0_serialNumber(x)))
		ret->serial = 0;
	ERR_clear_error();
	return 0;
}

int certificate_check(const char *certificate, const char *authority,
		      struct error *e)
{
	AUTO_CERTIFICATE *x = NULL, *ca = NULL;

	if (read_certificate(&x, certificate, e) < 0 ||
	    read_certificate(&ca, authority, e) < 0)
		return error_code(e);
	if (X509_verify(x, X509_get0_pubkey(ca)) == 1)
		return 0;
	ERR_clear_error();
	return error_set(e, EACCES, "the CA has not signed the certificate");
}

/* --- texts that the CA signs */

static void drop_digest(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}
#define AUTO_DIGEST SCOPED(drop_digest) EVP_MD_CTX

int signature_make(char ret[static SIGNATURE_CAP], const char *key,
		   const char *text, struct error *e)
{
	AUTO_DIGEST *c = EVP_MD_CTX_new();
	AUTO_KEY *k = NULL;
	uint8_t bytes[SIGNATURE_BYTES];
	size_t len = sizeof(bytes);

	if (read_key(&k, key, e) < 0)
		return error_code(e);
	if (!c || EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, k) != 1 ||
	    EVP_DigestSign(c, bytes, &len, (const unsigned char *)text,
			   strlen(text)) != 1)
		return failed("sign a list", e);
	hex_of(ret, bytes, len);
	return 0;
}

int signature_check(const char *signature, const char *certificate,
		    const char *text, struct error *e)
{
	AUTO_DIGEST *c = EVP_MD_CTX_new();
	AUTO_CERTIFICATE *x = NULL;
	uint8_t bytes[SIGNATURE_BYTES];
	size_t len = strlen(signature) / 2;

	if (read_certificate(&x, certificate, e) < 0)
		return error_code(e);
	if (len > sizeof(bytes) || !hex_is(signature, len))
		return error_set(e, EACCES, "this is no signature");
	hex_bytes(bytes, signature, len);
	if (!c || EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL,
				       X509_get0_pubkey(x)) != 1)
		return failed("check a signature", e);
	if (EVP_DigestVerify(c, bytes, len, (const unsigned char *)text,
			     strlen(text)) == 1)
		return 0;
	ERR_clear_error();
	return error_set(e, EACCES, "the CA has not signed it");
}
