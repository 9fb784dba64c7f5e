/* SPDX-License-Identifier: MIT */
#include "channel/secure.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "channel/record.h"

enum {
	ARRIVED_BYTES = 64 * 1024,
	/* A frame as a whole: who receives it is woken a third as often as by
	 * 64 KiB, which counts for more than what stays in a cache. */
	SENDING_BYTES = 288 * 1024,
	HANDSHAKE_BYTES = 64 * 1024, /* that the other side may send for it */
	TLS_HANDSHAKE = 22,          /* RFC 8446, 5.1: ContentType */
	KEY_UPDATE = 24,             /* RFC 8446, 4: HandshakeType; 4.6.3 */
	KEY_UPDATE_LEN = 5,
	KEY_UPDATE_MOST = KEY_UPDATE_LEN + RECORD_AROUND,
};

/* Bytes of TLS on their way. */
struct transit {
	uint8_t *data;
	size_t at, len, cap;
};

struct secure_channel {
	struct channel base;
	struct channel *inner;
	uint64_t key_update_bytes;

	/* the handshake's, which is one thread's */
	SSL *ssl;
	struct transit leaving;
	struct error untrusted; /* code 0: it was not that */
	struct secret {
		uint8_t bytes[RECORD_SECRET];
		size_t len;     /* 0: not known yet */
	} of_client, of_server; /* what each sends with, first */

	/* the reader's */
	struct transit arrived;
	struct record_keys reads;
	struct transit content; /* of a record, for which there was no room */
	bool closed;            /* by the other side, in words */
	bool broken;

	/* the writer's */
	struct record_keys writes;
	uint8_t *sending;
	uint64_t written; /* since the last change of keys */

	/* The reader was asked for new keys, the writer is to send some. */
	atomic_bool asked;
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
		size_t cap = t->cap ? t->cap : RECORD_MOST;
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

/* OpenSSL's reason @r, or an alert of the other side as one. */
static int explain(const struct secure_channel *s, int r, const char *why,
		   struct error *e)
{
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

/* After a call of OpenSSL's that said neither "more" nor "closed".  The
 * thread's queue is empty again: OpenSSL asks it what became of the next call.
 */
static int broken(const struct secure_channel *s, struct error *e)
{
	int r = ERR_GET_REASON(ERR_peek_last_error());

	return explain(s, r, reason(), e);
}

/* --- the handshake */

/* Everything that has been written so far. */
static int flush(struct secure_channel *s, struct error *e)
{
	struct iovec iov = { s->leaving.data, s->leaving.len };

	s->leaving.len = 0;
	return iov.iov_len == 0 ? 0
				: s->inner->kind->write(s->inner, &iov, 1, e);
}

/* As the kind's read(), behind what has arrived: bytes, 0, -EAGAIN. */
static ssize_t fill(struct secure_channel *s, uint64_t deadline_us,
		    struct error *e)
{
	struct transit *t = &s->arrived;
	ssize_t n;

	t->len -= t->at;
	memmove(t->data, t->data + t->at, t->len);
	t->at = 0;
	n = s->inner->kind->read(s->inner, t->data + t->len, t->cap - t->len,
				 deadline_us, e);
	if (n > 0)
		t->len += (size_t)n;
	return n;
}

/* OpenSSL tells the secrets of the records to a log of keys only, one in a
 * line: what it is, whose connection it is, the secret. */
static void on_secret(const SSL *ssl, const char *line)
{
	static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ";
	static const char server[] = "SERVER_TRAFFIC_SECRET_0 ";
	struct secure_channel *s = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ');
	struct secret *of;

	if (strncmp(line, client, strlen(client)) == 0)
		of = &s->of_client;
	else if (strncmp(line, server, strlen(server)) == 0)
		of = &s->of_server;
	else
		return;
	if (!OPENSSL_hexstr2buf_ex(of->bytes, sizeof(of->bytes), &of->len,
				   hex + 1, '\0'))
		of->len = 0;
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

/* --- reading */

/* @content, with which a record is full, is the whole message. */
static bool is_key_update(const uint8_t *content, int len)
{
	static const uint8_t head[] = { KEY_UPDATE, 0, 0, 1 };

	return len == KEY_UPDATE_LEN &&
	       memcmp(content, head, sizeof(head)) == 0 &&
	       content[KEY_UPDATE_LEN - 1] <= SSL_KEY_UPDATE_REQUESTED;
}

/* 0: nothing comes any more. */
static int take_alert(struct secure_channel *s, uint8_t alert, struct error *e)
{
	const int r = SSL_AD_REASON_OFFSET + alert;
	const char *why = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, r));

	s->closed = alert == SSL_AD_CLOSE_NOTIFY;
	return s->closed ? 0 : explain(s, r, why ? why : "an alert", e);
}

/* What is not data: 1: read on; 0: nothing comes any more. */
static int take_other(struct secure_channel *s, uint8_t type,
		      const uint8_t *content, int len, struct error *e)
{
	if (type == RECORD_HANDSHAKE && is_key_update(content, len)) {
		if (content[KEY_UPDATE_LEN - 1] == SSL_KEY_UPDATE_REQUESTED)
			atomic_store(&s->asked, true);
		return record_keys_next(&s->reads, e) < 0 ? error_code(e) : 1;
	}
	if (type == RECORD_ALERT && len == 2)
		return take_alert(s, content[1], e);
	return error_set(e, EPROTO,
			 "%s: TLS: a record that is neither data nor a change "
			 "of keys",
			 s->inner->to);
}

/* Bytes of the record at the front of what has arrived; 0, -EAGAIN as read().
 */
static ssize_t next_record(struct secure_channel *s, uint64_t deadline_us,
			   struct error *e)
{
	const struct transit *t = &s->arrived;

	for (;;) {
		size_t have = t->len - t->at;
		int len = record_length(t->data + t->at, have, e);
		ssize_t n;

		if (len < 0)
			return error_in(e, "%s", s->inner->to);
		if (len > 0 && (size_t)len <= have)
			return len;
		n = fill(s, deadline_us, e);
		if (n <= 0)
			return n;
	}
}

/* One record; what there is no room for stays in s->content.  Bytes; 0: there
 * were none in it; -ESHUTDOWN: nothing comes any more. */
static ssize_t read_record(struct secure_channel *s, void *buf, size_t cap,
			   uint64_t deadline_us, struct error *e)
{
	ssize_t len = next_record(s, deadline_us, e);
	bool fits = len > 0 && cap >= (size_t)len - RECORD_AROUND;
	uint8_t *to = fits ? buf : s->content.data, type;
	int n, r;

	if (len <= 0)
		return len == 0 ? -ESHUTDOWN : len;
	n = record_open(&s->reads, s->arrived.data + s->arrived.at, (size_t)len,
			to, &type, e);
	if (n < 0)
		return error_in(e, "%s", s->inner->to);
	s->arrived.at += (size_t)len;
	if (type != RECORD_DATA) {
		r = take_other(s, type, to, n, e);
		return r > 0 ? 0 : r == 0 ? -ESHUTDOWN : r;
	}
	if (fits)
		return n;
	s->content.at = 0;
	s->content.len = (size_t)n;
	return 0;
}

static size_t take_content(struct transit *t, void *buf, size_t cap)
{
	size_t n = t->len - t->at;

	if (n > cap)
		n = cap;
	memcpy(buf, t->data + t->at, n);
	t->at += n;
	return n;
}

/* Nothing is read behind a record that was wrong. */
static ssize_t secure_read(struct channel *c, void *buf, size_t cap,
			   uint64_t deadline_us, struct error *e)
{
	struct secure_channel *s = secure_of(c);
	ssize_t n;

	if (s->broken)
		return error_set(e, EPROTO, "%s: TLS: the connection broke",
				 s->inner->to);
	n = (ssize_t)take_content(&s->content, buf, cap);
	while (n == 0 && !s->closed) {
		n = read_record(s, buf, cap, deadline_us, e);
		if (n == 0)
			n = (ssize_t)take_content(&s->content, buf, cap);
	}
	if (n == -ESHUTDOWN)
		return 0;
	s->broken = n < 0 && n != -EAGAIN;
	return n;
}

/* --- writing */

/* A record for the other side's engine and not for whoever uses the channel, to
 * @to; its bytes. */
static int seal_own(struct secure_channel *s, enum record_type type,
		    struct iovec own, uint8_t *to, struct error *e)
{
	struct iovec *iov = &own;
	int n = 1;

	return record_seal(&s->writes, type, &iov, &n, to, e);
}

/* Where it is time: bytes at @to.  The other side is asked for new keys as well
 * when they are changed here first. */
static int change_keys(struct secure_channel *s, uint8_t *to, struct error *e)
{
	bool due = s->written >= s->key_update_bytes;
	uint8_t message[KEY_UPDATE_LEN] = { KEY_UPDATE, 0, 0, 1, due };
	int n;

	if (!atomic_exchange(&s->asked, false) && !due)
		return 0;
	s->written = 0;
	n = seal_own(s, RECORD_HANDSHAKE,
		     (struct iovec){ message, sizeof(message) }, to, e);
	return n < 0 || record_keys_next(&s->writes, e) < 0 ? error_code(e) : n;
}

static int send_sealed(struct secure_channel *s, size_t len, struct error *e)
{
	struct iovec iov = { s->sending, len };

	return s->inner->kind->write(s->inner, &iov, 1, e);
}

/* Whether there is something in it. */
static bool iov_skip(struct iovec **iov, int *n)
{
	while (*n > 0 && (*iov)->iov_len == 0) {
		(*iov)++;
		(*n)--;
	}
	return *n > 0;
}

static int secure_write(struct channel *c, struct iovec *iov, int n,
			struct error *e)
{
	struct secure_channel *s = secure_of(c);
	size_t len = 0;

	while (iov_skip(&iov, &n)) {
		int keys, sealed;

		if (SENDING_BYTES - len < KEY_UPDATE_MOST + RECORD_MOST) {
			if (send_sealed(s, len, e) < 0)
				return error_code(e);
			len = 0;
		}
		keys = change_keys(s, s->sending + len, e);
		if (keys < 0)
			return keys;
		len += (size_t)keys;
		sealed = record_seal(&s->writes, RECORD_DATA, &iov, &n,
				     s->sending + len, e);
		if (sealed < 0)
			return sealed;
		len += (size_t)sealed;
		s->written += (size_t)sealed;
	}
	return len == 0 ? 0 : send_sealed(s, len, e);
}

/* --- the rest of the kind */

static int secure_keep_to(struct channel *c, const char *device,
			  struct error *e)
{
	c = secure_of(c)->inner;
	return c->kind->keep_to(c, device, e);
}

static int secure_pace(struct channel *c, uint64_t rate, struct error *e)
{
	c = secure_of(c)->inner;
	return c->kind->pace ? c->kind->pace(c, rate, e) : -EOPNOTSUPP;
}

static int secure_mark(struct channel *c, const struct channel_marks *m,
		       struct error *e)
{
	c = secure_of(c)->inner;
	return c->kind->mark ? c->kind->mark(c, m, e) : 0;
}

static int secure_congest(struct channel *c, const char *name, struct error *e)
{
	c = secure_of(c)->inner;
	return c->kind->congest ? c->kind->congest(c, name, e) : 0;
}

static void secure_finish(struct channel *c)
{
	struct secure_channel *s = secure_of(c);
	uint8_t alert[2] = { SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY };
	struct error ignored;
	int n = seal_own(s, RECORD_ALERT, (struct iovec){ alert, 2 },
			 s->sending, &ignored);

	if (n > 0)
		send_sealed(s, (size_t)n, &ignored);
	s->inner->kind->finish(s->inner);
}

static void secure_shutdown(struct channel *c)
{
	c = secure_of(c)->inner;
	c->kind->shutdown(c);
}

static void secure_stats(struct channel *c, struct channel_stats *ret)
{
	c = secure_of(c)->inner;
	c->kind->stats(c, ret);
}

/* What has been received and waits for its reader is the reader's own, and
 * little beside what waits in the socket. */
static size_t secure_unread(struct channel *c)
{
	c = secure_of(c)->inner;
	return c->kind->unread(c);
}

static void end_handshake(struct secure_channel *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	free(s->leaving.data);
	s->leaving = (struct transit){ 0 };
	OPENSSL_cleanse(&s->of_client, sizeof(s->of_client));
	OPENSSL_cleanse(&s->of_server, sizeof(s->of_server));
}

/* All but the channel that it stands on. */
static void free_parts(struct secure_channel *s)
{
	end_handshake(s);
	record_keys_done(&s->reads);
	record_keys_done(&s->writes);
	free(s->arrived.data);
	free(s->content.data);
	free(s->sending);
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
	.pace = secure_pace,
	.mark = secure_mark,
	.congest = secure_congest,
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
	SSL_CTX_set_keylog_callback(o->context, on_secret);
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
	s->sending = malloc(SENDING_BYTES);
	s->content.data = malloc(RECORD_CONTENT);
	s->arrived.data = malloc(ARRIVED_BYTES);
	if (!s->sending || !s->content.data || !s->arrived.data)
		return no_memory(e);
	s->arrived.cap = ARRIVED_BYTES;
	s->arrived.len = o->first_len;
	if (o->first_len)
		memcpy(s->arrived.data, o->first, o->first_len);
	return 0;
}

/* Whose secrets are not known, or who has heard more than the handshake, must
 * not go on by himself. */
static int make_keys(struct secure_channel *s, bool accepts, struct error *e)
{
	const SSL_CIPHER *suite = SSL_get_current_cipher(s->ssl);
	const EVP_MD *digest = SSL_CIPHER_get_handshake_digest(suite);
	size_t len = (size_t)EVP_MD_get_size(digest);
	const struct secret *read = accepts ? &s->of_client : &s->of_server;
	const struct secret *write = accepts ? &s->of_server : &s->of_client;

	if (read->len != len || write->len != len || SSL_has_pending(s->ssl))
		return error_set(e, EPROTO,
				 "%s: OpenSSL does not give its connection "
				 "away",
				 s->inner->to);
	if (record_keys_init(&s->reads, suite, read->bytes, /* seals */ false,
			     e) < 0 ||
	    record_keys_init(&s->writes, suite, write->bytes, /* seals */ true,
			     e) < 0)
		return error_code(e);
	return 0;
}

/* Who the other side has shown to be. */
static int identify(struct secure_channel *s, bool any, struct error *e)
{
	const X509 *x = SSL_get0_peer_certificate(s->ssl);

	if (!x && any)
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

static int prove(struct secure_channel *s, const struct secure_options *o,
		 uint64_t deadline_us, struct error *e)
{
	if (make_buffers(s, o, e) < 0 || make_ssl(s, o, e) < 0 ||
	    handshake(s, deadline_us, e) < 0 || identify(s, o->any, e) < 0 ||
	    make_keys(s, o->accepts, e) < 0)
		return error_code(e);
	end_handshake(s);
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
	if (prove(s, o, deadline_us, e) < 0) {
		free_parts(s);
		return error_code(e);
	}
	*c = &s->base;
	return 0;
}
