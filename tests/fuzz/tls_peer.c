/* SPDX-License-Identifier: MIT */
#include "tls_peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include "wire/reader.h"

enum { HEAD = 5, TAG = 16 };

/* --- keys */

/* HKDF-Expand-Label without a context: RFC 8446, 7.1. */
static void expand(uint8_t *ret, size_t len, const uint8_t *secret,
		   const char *label)
{
	uint8_t info[64], whole[PEER_SECRET];
	struct writer w = writer_to(info, sizeof(info));

	write_u16(&w, (uint16_t)len);
	write_u8(&w, (uint8_t)(strlen("tls13 ") + strlen(label)));
	write_bytes(&w, "tls13 ", strlen("tls13 "));
	write_bytes(&w, label, strlen(label));
	write_u8(&w, 0);
	write_u8(&w, 1); /* the first block, of which all have enough */
	assert(len <= sizeof(whole));
	assert(HMAC(EVP_sha256(), secret, PEER_SECRET, info, writer_used(&w),
		    whole, NULL));
	memcpy(ret, whole, len);
}

static void make_keys(struct peer_keys *k)
{
	expand(k->key, sizeof(k->key), k->secret, "key");
	expand(k->iv, sizeof(k->iv), k->secret, "iv");
	k->number = 0;
	k->there = true;
}

static void on_secret(const SSL *ssl, const char *line)
{
	struct tls_peer *p = SSL_get_app_data(ssl);
	const char *own = SSL_is_server(ssl) ? "SERVER_" : "CLIENT_";
	const char *hex = strrchr(line, ' ');
	struct peer_keys *k;
	unsigned byte;

	if (strncmp(line, own, strlen(own)) != 0)
		return;
	line += strlen(own);
	if (!strncmp(line, "HANDSHAKE_", 10))
		k = &p->handshake;
	else if (!strncmp(line, "TRAFFIC_SECRET_0", 16))
		k = &p->data;
	else
		return;
	for (int i = 0; i < PEER_SECRET; i++) {
		assert(sscanf(hex + 1 + 2 * i, "%2x", &byte) == 1);
		k->secret[i] = (uint8_t)byte;
	}
	make_keys(k);
}

void peer_context(SSL_CTX *c)
{
	assert(SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256"));
	SSL_CTX_set_keylog_callback(c, on_secret);
}

/* --- records */

static void nonce_of(uint8_t ret[12], const struct peer_keys *k,
		     uint64_t number)
{
	memcpy(ret, k->iv, 12);
	for (int i = 0; i < 8; i++)
		ret[11 - i] ^= (uint8_t)(number >> 8 * i);
}

/* Encrypts @len bytes in place, or decrypts them, with the tag behind them;
 * false: it is wrong. */
static bool seal(const struct peer_keys *k, uint64_t number, bool encrypt,
		 const uint8_t head[HEAD], uint8_t *data, size_t len)
{
	uint8_t *tag = data + len;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	int n;
	bool good;

	nonce_of(nonce, k, number);
	assert(EVP_CipherInit_ex(c, EVP_aes_128_gcm(), NULL, k->key, nonce,
				 encrypt));
	assert(EVP_CipherUpdate(c, NULL, &n, head, HEAD));
	assert(EVP_CipherUpdate(c, data, &n, data, (int)len));
	if (!encrypt)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag);
	good = EVP_CipherFinal_ex(c, data + len, &n) == 1;
	if (encrypt)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, tag);
	EVP_CIPHER_CTX_free(c);
	return good;
}

static uint8_t *room(struct tls_peer *p, size_t len)
{
	if (p->cap - p->len < len) {
		p->cap = 2 * (p->len + len);
		p->queue = realloc(p->queue, p->cap);
		assert(p->queue);
	}
	p->last = p->len;
	p->len += len;
	return p->queue + p->last;
}

static void put(struct tls_peer *p, const struct peer_record *r,
		struct peer_keys *k)
{
	size_t inside = r->sealed ? r->len + 1 + r->padding : r->len;
	size_t len = inside + (r->sealed ? TAG : 0);
	uint8_t *at = room(p, HEAD + len), *body = at + HEAD;

	at[0] = r->sealed ? PEER_DATA : r->type;
	at[1] = (uint8_t)(r->version >> 8);
	at[2] = (uint8_t)r->version;
	at[3] = (uint8_t)(len >> 8);
	at[4] = (uint8_t)len;
	memcpy(body, r->body, r->len);
	if (!r->sealed)
		return;
	body[r->len] = r->type;
	memset(body + r->len + 1, 0, r->padding);
	assert(k->there);
	assert(seal(k, k->number++, true, at, body, inside));
}

/* The engine's own record; bytes of it. */
static size_t take_apart(struct tls_peer *p, struct peer_record *r,
			 const uint8_t *at, size_t len)
{
	uint8_t head[HEAD];
	size_t inside;

	assert(len >= HEAD);
	memcpy(head, at, HEAD);
	*r = (struct peer_record){ .type = at[0],
				   .version = (uint16_t)(at[1] << 8 | at[2]),
				   .len = (size_t)at[3] << 8 | at[4] };
	assert(r->len <= len - HEAD && r->len <= sizeof(r->body));
	memcpy(r->body, at + HEAD, r->len);
	inside = r->len;
	if (r->type != PEER_DATA)
		return HEAD + inside;
	/* An alert behind a handshake has other keys. */
	r->sealed = p->handshake.there;
	if (!r->sealed || inside <= TAG)
		return HEAD + inside;
	r->len -= TAG;
	if (!seal(&p->handshake, p->opened, false, head, r->body, r->len)) {
		memcpy(r->body, at + HEAD, inside);
		r->len = inside;
		r->sealed = false;
		return HEAD + inside;
	}
	p->opened++;
	r->type = r->body[--r->len];
	return HEAD + inside;
}

static void pass_on(struct tls_peer *p)
{
	static struct peer_record r;
	char *data;
	long len = BIO_get_mem_data(p->out, &data);

	for (long at = 0; at < len;) {
		at += (long)take_apart(p, &r, (uint8_t *)data + at,
				       (size_t)(len - at));
		if (!p->change || p->change(p->context, &r))
			put(p, &r, &p->handshake);
	}
	(void)BIO_reset(p->out);
}

/* --- the channel */

static struct tls_peer *peer_of(struct channel *c)
{
	return (struct tls_peer *)c;
}

static ssize_t on_read(struct channel *c, void *buf, size_t cap,
		       uint64_t deadline_us, struct error *e)
{
	struct tls_peer *p = peer_of(c);
	size_t n;

	(void)deadline_us, (void)e;
	if (p->at == p->len && !SSL_is_init_finished(p->ssl)) {
		SSL_do_handshake(p->ssl);
		ERR_clear_error();
		pass_on(p);
	}
	n = p->len - p->at;
	if (n > cap)
		n = cap;
	if (p->chunk && n > p->chunk)
		n = p->chunk;
	if (n > 0)
		memcpy(buf, p->queue + p->at, n);
	p->at += n;
	return n || !p->established ? (ssize_t)n : -EAGAIN;
}

static int on_write(struct channel *c, struct iovec *iov, int n,
		    struct error *e)
{
	(void)e;
	for (int i = 0; i < n; i++)
		BIO_write(peer_of(c)->in, iov[i].iov_base, (int)iov[i].iov_len);
	return 0;
}

static void on_finish(struct channel *c)
{
	(void)c;
}

static const struct channel_kind channel_peer = {
	.name = "peer",
	.read = on_read,
	.write = on_write,
	.finish = on_finish,
	.shutdown = on_finish,
	.free = on_finish,
};

void peer_init(struct tls_peer *p, SSL_CTX *c, bool accepts)
{
	*p = (struct tls_peer){ .base.kind = &channel_peer };
	snprintf(p->base.to, sizeof(p->base.to), "a peer");
	p->ssl = SSL_new(c);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	assert(p->ssl && p->in && p->out);
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_app_data(p->ssl, p);
	if (accepts)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

void peer_done(struct tls_peer *p)
{
	SSL_free(p->ssl);
	free(p->queue);
}

/* --- behind the handshake */

bool peer_has_keys(const struct tls_peer *p)
{
	return p->data.there;
}

void peer_send(struct tls_peer *p, const struct peer_record *r)
{
	put(p, r, &p->data);
}

uint8_t *peer_last(struct tls_peer *p, size_t *ret_len)
{
	*ret_len = p->len - p->last;
	return p->queue + p->last;
}

void peer_again(struct tls_peer *p)
{
	size_t from = p->last, len = p->len - p->last;
	uint8_t *to = room(p, len);

	memcpy(to, p->queue + from, len);
}

void peer_new_keys(struct tls_peer *p)
{
	uint8_t next[PEER_SECRET];

	expand(next, sizeof(next), p->data.secret, "traffic upd");
	memcpy(p->data.secret, next, sizeof(next));
	make_keys(&p->data);
}

int peer_read(struct tls_peer *p, void *buf, size_t cap)
{
	int n = SSL_read(p->ssl, buf, (int)cap);
	int why = n > 0 ? 0 : SSL_get_error(p->ssl, n);

	ERR_clear_error();
	if (n > 0)
		return n;
	return why == SSL_ERROR_WANT_READ ? 0 : -1;
}
