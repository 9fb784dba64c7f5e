/* SPDX-License-Identifier: MIT */
#include "channel/secure.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"

enum {
	RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
	ARRIVED_BYTES = 64 * 1024,
	/* A frame and its records' heads: then the socket is asked. */
	LEAVING_BYTES = 72 * 1024,
	HANDSHAKE_BYTES = 64 * 1024, /* that the other side may send for it */
	TLS_HANDSHAKE = 22,          /* RFC 8446, 5.1: ContentType */
};

/* Bytes of TLS on their way between OpenSSL and the socket. */
struct transit {
	uint8_t *data;
	size_t at, len, cap;
};

struct secure_channel {
	struct channel base;
	struct channel *inner;
	uint64_t key_update_bytes;
	struct error untrusted; /* of the handshake; code 0: it was not that */

	/* the reader's */
	struct transit arrived;
	/* the writer's */
	uint8_t *record; /* of pieces that are shorter */
	struct transit sending;
	uint64_t written; /* since the last change of keys */

	pthread_mutex_t lock; /* guards what follows */
	SSL *ssl;
	struct transit leaving;
};

static struct secure_channel *secure_of(struct channel *c)
{
	return container_of(c, struct secure_channel, base);
}

bool secure_is_tls(uint8_t first)
{
	return first == TLS_HANDSHAKE;
}

/* --- what OpenSSL takes for the connection */

static int bio_read(BIO *b, char *buf, size_t cap, size_t *ret)
{
	struct transit *t =
		&((struct secure_channel *)BIO_get_data(b))->arrived;
	size_t n = t->len - t->at;

	BIO_clear_retry_flags(b);
	if (n > cap)
		n = cap;
	if (n == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(buf, t->data + t->at, n);
	t->at += n;
	*ret = n;
	return 1;
}

static int bio_write(BIO *b, const char *data, size_t len, size_t *ret)
{
	struct transit *t =
		&((struct secure_channel *)BIO_get_data(b))->leaving;

	BIO_clear_retry_flags(b);
	if (t->cap - t->len < len) {
		size_t cap = t->cap ? t->cap : RECORD;
		uint8_t *more;

		while (cap - t->len < len)
			cap *= 2;
		more = realloc(t->data, cap);
		if (!more)
			return -1;
		t->data = more;
		t->cap = cap;
	}
	memcpy(t->data + t->len, data, len);
	t->len += len;
	*ret = len;
	return 1;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer)
{
	(void)b;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(),
			      "drover");
	if (!method)
		return;
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

/* --- what went wrong */

/* OpenSSL's reason, and the thread's queue is empty again. */
static const char *reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = ERR_reason_error_string(code);

	ERR_clear_error();
	return text ? text : "the connection broke";
}

static int no_memory(struct error *e)
{
	ERR_clear_error();
	return error_set(e, ENOMEM, "no memory for a TLS connection");
}

/* The subject's common name; false: it has none that could be a host's, or more
 * than one, of which a CA may have looked at the other. */
static bool name_of(char buf[static CHANNEL_NAME_MAX], const X509 *x)
{
	const X509_NAME *n = X509_get_subject_name(x);
	int len = X509_NAME_get_text_by_NID(n, NID_commonName, buf,
					    CHANNEL_NAME_MAX);
	int first = X509_NAME_get_index_by_NID(n, NID_commonName, -1);
	struct error ignored;

	if (X509_NAME_get_index_by_NID(n, NID_commonName, first) < 0 &&
	    len > 0 && strlen(buf) == (size_t)len &&
	    text_check_name("host", buf, &ignored) == 0)
		return true;
	buf[0] = '\0';
	return false;
}

static void date_of(char buf[static 32], const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	if (!ASN1_TIME_to_tm(t, &tm) ||
	    !strftime(buf, 32, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(buf, 32, "an unknown date");
}

/* Why the certificate of the other side is not believed. */
static void untrusted(struct secure_channel *s, X509_STORE_CTX *store)
{
	const X509 *x = X509_STORE_CTX_get0_cert(store);
	const X509 *bad = X509_STORE_CTX_get_current_cert(store);
	int why = X509_STORE_CTX_get_error(store);
	char name[CHANNEL_NAME_MAX], date[32];
	const char *whose = name_of(name, x) ? name : "without a name";
	struct error *e = &s->untrusted;

	if (bad && why == X509_V_ERR_CERT_HAS_EXPIRED) {
		date_of(date, X509_get0_notAfter(bad));
		error_set(e, EACCES,
			  "%s: the certificate of %s %s expired at %s: renew "
			  "it there",
			  s->inner->to, bad == x ? "host" : "the CA of host",
			  whose, date);
	} else if (bad && why == X509_V_ERR_CERT_NOT_YET_VALID) {
		date_of(date, X509_get0_notBefore(bad));
		error_set(e, EACCES,
			  "%s: the certificate of %s %s is not valid before "
			  "%s: compare the clocks of both hosts",
			  s->inner->to, bad == x ? "host" : "the CA of host",
			  whose, date);
	} else if (why == X509_V_ERR_APPLICATION_VERIFICATION) {
		error_set(e, EACCES,
			  "%s is host %s, and not the host that the token is "
			  "of: ask there for a token ('drover trust invite')",
			  s->inner->to, whose);
	} else {
		error_set(e, EACCES,
			  "%s: the certificate of host %s is not of a CA that "
			  "this host knows (%s)",
			  s->inner->to, whose,
			  X509_verify_cert_error_string(why));
	}
}

/* OpenSSL's verdict stands; it is put into words while the certificate is
 * there. */
static int on_verified(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
		store, SSL_get_ex_data_X509_STORE_CTX_idx());

	if (!good)
		untrusted(SSL_get_app_data(ssl), store);
	return good;
}

/* After a call of OpenSSL's that said neither "more" nor "closed".  The
 * thread's queue is empty again: OpenSSL asks it what became of the next call.
 */
static int broken(const struct secure_channel *s, struct error *e)
{
	int r = ERR_GET_REASON(ERR_peek_last_error());
	const char *why = reason();

	if (r == SSL_R_CERTIFICATE_VERIFY_FAILED && s->untrusted.code) {
		*e = s->untrusted;
		return error_code(e);
	}
	if (r == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return error_set(e, EACCES, "%s has shown no certificate",
				 s->inner->to);
	if (r == SSL_AD_REASON_OFFSET + TLS13_AD_CERTIFICATE_REQUIRED)
		return error_set(e, ENOKEY,
				 "%s takes no connection without a certificate",
				 s->inner->to);
	/* Alerts of the other side: RFC 8446, 6. */
	if (r > SSL_AD_REASON_OFFSET && r <= SSL_AD_REASON_OFFSET + 255)
		return error_set(e, EACCES,
				 "%s does not accept this host's certificate "
				 "(%s): its log says why",
				 s->inner->to, why);
	if (r == SSL_R_WRONG_VERSION_NUMBER ||
	    r == SSL_R_UNSUPPORTED_PROTOCOL || r == SSL_R_HTTP_REQUEST)
		return error_set(e, EPROTO,
				 "%s does not speak TLS 1.3: is 'tls = off' "
				 "set there, or is it no droverd?",
				 s->inner->to);
	return error_set(e, EPROTO, "%s: TLS: %s", s->inner->to, why);
}

/* --- sending and receiving */

/* Everything that has been written so far.  The writer's. */
static int flush(struct secure_channel *s, struct error *e)
{
	struct iovec iov;

	{
		WITH_LOCK(&s->lock);
		struct transit empty = s->sending;

		empty.len = 0;
		s->sending = s->leaving;
		s->leaving = empty;
	}
	if (s->sending.len == 0)
		return 0;
	iov = (struct iovec){ s->sending.data, s->sending.len };
	return s->inner->kind->write(s->inner, &iov, 1, e);
}

/* As the kind's read(), into what has arrived: bytes, 0, -EAGAIN.  Nothing of
 * that is left when OpenSSL wants more. */
static ssize_t fill(struct secure_channel *s, uint64_t deadline_us,
		    struct error *e)
{
	ssize_t n = s->inner->kind->read(s->inner, s->arrived.data,
					 s->arrived.cap, deadline_us, e);

	s->arrived.at = 0;
	s->arrived.len = n > 0 ? (size_t)n : 0;
	return n;
}

/* 1: done; 0: the other side has to say something; negative. */
static int shake_once(struct secure_channel *s, struct error *e)
{
	int r = SSL_do_handshake(s->ssl);
	int why = r == 1 ? 0 : SSL_get_error(s->ssl, r);
	struct error ignored;

	if (why && why != SSL_ERROR_WANT_READ) {
		broken(s, e);
		/* The alert that says why. */
		flush(s, &ignored);
		return error_code(e);
	}
	if (flush(s, e) < 0)
		return error_code(e);
	return r == 1;
}

static int handshake(struct secure_channel *s, uint64_t deadline_us,
		     struct error *e)
{
	size_t received = 0;
	int done;

	while ((done = shake_once(s, e)) == 0) {
		ssize_t n = fill(s, deadline_us, e);

		if (n == -EAGAIN)
			return error_set(e, ETIMEDOUT,
					 "%s does not answer in the TLS "
					 "handshake",
					 s->inner->to);
		if (n == 0)
			return error_set(e, ECONNRESET,
					 "%s closed the connection in the TLS "
					 "handshake",
					 s->inner->to);
		if (n < 0)
			return (int)n;
		received += (size_t)n;
		if (received > HANDSHAKE_BYTES)
			return error_set(e, EPROTO,
					 "%s sends no end of a TLS handshake",
					 s->inner->to);
	}
	return done < 0 ? done : 0;
}

/* --- the kind */

/* 1: @ret is read; 0: closed; -EAGAIN: more has to arrive. */
static int read_once(struct secure_channel *s, void *buf, size_t cap,
		     size_t *ret, struct error *e)
{
	int r, why;

	WITH_LOCK(&s->lock);

	r = SSL_read_ex(s->ssl, buf, cap, ret);
	if (r == 1)
		return 1;
	why = SSL_get_error(s->ssl, r);
	if (why == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : broken(s, e);
}

static ssize_t secure_read(struct channel *c, void *buf, size_t cap,
			   uint64_t deadline_us, struct error *e)
{
	struct secure_channel *s = secure_of(c);
	size_t n = 0;
	int r;

	while ((r = read_once(s, buf, cap, &n, e)) == -EAGAIN) {
		ssize_t got = fill(s, deadline_us, e);

		if (got <= 0)
			return got;
	}
	return r > 0 ? (ssize_t)n : r;
}

/* The next bytes of @iov for one record: in one piece as they are, else put
 * together. */
static size_t gather(struct secure_channel *s, const uint8_t **ret,
		     struct iovec **iov, int *n)
{
	size_t len = 0;

	while (*n > 0 && (*iov)->iov_len == 0) {
		(*iov)++;
		(*n)--;
	}
	*ret = s->record;
	while (*n > 0 && len < RECORD) {
		size_t part = (*iov)->iov_len;

		if (part > RECORD - len)
			part = RECORD - len;
		if (part == RECORD)
			*ret = (*iov)->iov_base;
		else
			memcpy(s->record + len, (*iov)->iov_base, part);
		len += part;
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + part;
		(*iov)->iov_len -= part;
		if ((*iov)->iov_len == 0) {
			(*iov)++;
			(*n)--;
		}
	}
	return len;
}

static int write_record(struct secure_channel *s, const uint8_t *data,
			size_t len, size_t *ret_waiting, struct error *e)
{
	size_t done;

	WITH_LOCK(&s->lock);

	if (s->written >= s->key_update_bytes) {
		if (!SSL_key_update(s->ssl, SSL_KEY_UPDATE_REQUESTED))
			return broken(s, e);
		s->written = 0;
	}
	s->written += len;
	if (SSL_write_ex(s->ssl, data, len, &done) != 1)
		return broken(s, e);
	*ret_waiting = s->leaving.len;
	return 0;
}

static int secure_write(struct channel *c, struct iovec *iov, int n,
			struct error *e)
{
	struct secure_channel *s = secure_of(c);
	const uint8_t *data;
	size_t len, waiting = 0;

	while ((len = gather(s, &data, &iov, &n)) > 0) {
		if (write_record(s, data, len, &waiting, e) < 0)
			return error_code(e);
		if (waiting + RECORD > LEAVING_BYTES && flush(s, e) < 0)
			return error_code(e);
	}
	return flush(s, e);
}

static int secure_keep_to(struct channel *c, const char *device,
			  struct error *e)
{
	struct channel *inner = secure_of(c)->inner;

	return inner->kind->keep_to(inner, device, e);
}

static void secure_finish(struct channel *c)
{
	struct secure_channel *s = secure_of(c);
	struct error ignored;

	{
		WITH_LOCK(&s->lock);

		SSL_shutdown(s->ssl);
		ERR_clear_error();
	}
	flush(s, &ignored);
	s->inner->kind->finish(s->inner);
}

static void secure_shutdown(struct channel *c)
{
	struct channel *inner = secure_of(c)->inner;

	inner->kind->shutdown(inner);
}

static void secure_stats(struct channel *c, struct channel_stats *ret)
{
	struct channel *inner = secure_of(c)->inner;

	inner->kind->stats(inner, ret);
}

/* What has been received and waits for its reader is a record or two, which is
 * little beside what waits in the socket, and the reader's own. */
static size_t secure_unread(struct channel *c)
{
	struct channel *inner = secure_of(c)->inner;

	return inner->kind->unread(inner);
}

/* All but the channel that it stands on. */
static void free_parts(struct secure_channel *s)
{
	SSL_free(s->ssl);
	free(s->arrived.data);
	free(s->leaving.data);
	free(s->sending.data);
	free(s->record);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void secure_free(struct channel *c)
{
	channel_free(secure_of(c)->inner);
	free_parts(secure_of(c));
}

static const struct channel_kind channel_tls = {
	.name = "tls",
	.write = secure_write,
	.read = secure_read,
	.keep_to = secure_keep_to,
	.finish = secure_finish,
	.shutdown = secure_shutdown,
	.stats = secure_stats,
	.unread = secure_unread,
	.free = secure_free,
};

/* --- making one */

static int make_ssl(struct secure_channel *s, const struct secure_options *o,
		    struct error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	bio = method ? BIO_new(method) : NULL;
	s->ssl = bio ? SSL_new(o->context) : NULL;
	if (!s->ssl) {
		BIO_free(bio);
		return no_memory(e);
	}
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, s);
	SSL_set_verify(s->ssl,
		       SSL_VERIFY_PEER |
			       (o->any ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
		       on_verified);
	if (o->accepts)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	return 0;
}

static int make_buffers(struct secure_channel *s,
			const struct secure_options *o, struct error *e)
{
	s->record = malloc(RECORD);
	s->arrived.data = malloc(ARRIVED_BYTES);
	if (!s->record || !s->arrived.data)
		return no_memory(e);
	s->arrived.cap = ARRIVED_BYTES;
	s->arrived.len = o->first_len;
	if (o->first_len)
		memcpy(s->arrived.data, o->first, o->first_len);
	return 0;
}

static int prove(struct secure_channel *s, const struct secure_options *o,
		 uint64_t deadline_us, struct error *e)
{
	const X509 *x;

	if (make_buffers(s, o, e) < 0 || make_ssl(s, o, e) < 0 ||
	    handshake(s, deadline_us, e) < 0)
		return error_code(e);
	x = SSL_get0_peer_certificate(s->ssl);
	if (!x && o->any)
		return 0;
	if (!x || SSL_get_verify_result(s->ssl) != X509_V_OK)
		return error_set(e, EACCES, "%s has proved nothing",
				 s->inner->to);
	if (!name_of(s->base.identity, x))
		return error_set(e, EACCES,
				 "%s: its certificate has no name that a host "
				 "could have",
				 s->inner->to);
	if (!ASN1_INTEGER_get_uint64(&s->base.serial,
				     X509_get0_serialNumber(x)))
		s->base.serial = 0;
	ERR_clear_error();
	return 0;
}

int channel_secure(struct channel **c, const struct secure_options *o,
		   uint64_t deadline_us, struct error *e)
{
	struct secure_channel *s = calloc(1, sizeof(*s));

	if (!s)
		return no_memory(e);
	s->base = **c;
	s->base.kind = &channel_tls;
	s->inner = *c;
	s->key_update_bytes = o->key_update_bytes ? o->key_update_bytes
						  : SECURE_KEY_UPDATE_BYTES;
	pthread_mutex_init(&s->lock, NULL);
	if (prove(s, o, deadline_us, e) < 0) {
		free_parts(s);
		return error_code(e);
	}
	*c = &s->base;
	return 0;
}
