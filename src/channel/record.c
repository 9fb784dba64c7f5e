/* SPDX-License-Identifier: MIT */
#include "channel/record.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>

#include "base/error.h"

static int no_cipher(struct error *e)
{
	ERR_clear_error();
	return error_set(e, ENOMEM, "no memory for the cipher of a connection");
}

/* --- keys */

/* HKDF-Expand-Label without a context, of one block: RFC 8446, 7.1. */
static bool expand(const struct record_keys *k, const char *label, uint8_t *ret,
		   size_t len)
{
	uint8_t info[32] = { 0, (uint8_t)len }, block[EVP_MAX_MD_SIZE];
	char *text = (char *)info + 3;
	int n = snprintf(text, sizeof(info) - 5, "tls13 %s", label);
	bool good;

	info[2] = (uint8_t)n;
	/* No context, and block number 1. */
	info[3 + n] = 0;
	info[4 + n] = 1;
	good = HMAC(k->digest, k->secret, EVP_MD_get_size(k->digest), info,
		    (size_t)(5 + n), block, NULL);
	if (good)
		memcpy(ret, block, len);
	OPENSSL_cleanse(block, sizeof(block));
	return good;
}

static bool set_keys(struct record_keys *k)
{
	uint8_t key[EVP_MAX_KEY_LENGTH];
	int len = EVP_CIPHER_CTX_get_key_length(k->cipher);
	bool good = expand(k, "key", key, (size_t)len) &&
		    expand(k, "iv", k->iv, sizeof(k->iv)) &&
		    EVP_CipherInit_ex(k->cipher, NULL, NULL, key, NULL, -1);

	OPENSSL_cleanse(key, sizeof(key));
	k->number = 0;
	return good;
}

int record_keys_init(struct record_keys *k, const SSL_CIPHER *suite,
		     const uint8_t *secret, bool seals, struct error *e)
{
	const char *name = OBJ_nid2sn(SSL_CIPHER_get_cipher_nid(suite));
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

	*k = (struct record_keys){ .cipher = EVP_CIPHER_CTX_new(),
				   .digest = SSL_CIPHER_get_handshake_digest(
					   suite) };
	memcpy(k->secret, secret, (size_t)EVP_MD_get_size(k->digest));
	if (k->cipher && cipher &&
	    EVP_CipherInit_ex(k->cipher, cipher, NULL, NULL, NULL, seals) &&
	    set_keys(k)) {
		EVP_CIPHER_free(cipher);
		return 0;
	}
	EVP_CIPHER_free(cipher);
	record_keys_done(k);
	return no_cipher(e);
}

void record_keys_done(struct record_keys *k)
{
	EVP_CIPHER_CTX_free(k->cipher);
	OPENSSL_cleanse(k, sizeof(*k));
}

int record_keys_next(struct record_keys *k, struct error *e)
{
	uint8_t next[RECORD_SECRET];
	size_t len = (size_t)EVP_MD_get_size(k->digest);
	bool good = expand(k, "traffic upd", next, len);

	if (good)
		memcpy(k->secret, next, len);
	OPENSSL_cleanse(next, sizeof(next));
	return good && set_keys(k) ? 0 : no_cipher(e);
}

/* --- one record */

/* The number makes each nonce another one; the head is summed up as well. */
static bool begin(struct record_keys *k, const uint8_t *head)
{
	uint8_t nonce[sizeof(k->iv)];
	uint64_t number = htobe64(k->number), low;
	int n;

	memcpy(nonce, k->iv, sizeof(nonce));
	memcpy(&low, nonce + 4, sizeof(low));
	low ^= number;
	memcpy(nonce + 4, &low, sizeof(low));
	k->number++;
	return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1) &&
	       EVP_CipherUpdate(k->cipher, NULL, &n, head, RECORD_HEAD);
}

static bool crypt_piece(struct record_keys *k, uint8_t **to, const void *from,
			size_t len)
{
	int n = 0;
	bool good = EVP_CipherUpdate(k->cipher, *to, &n, from, (int)len);

	*to += n;
	return good;
}

static size_t content_length(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n && len < RECORD_CONTENT; i++)
		len += iov[i].iov_len;
	return len < RECORD_CONTENT ? len : RECORD_CONTENT;
}

/* Each piece from where it stands. */
static bool seal_pieces(struct record_keys *k, struct iovec **iov, int *n,
			size_t len, uint8_t **to)
{
	bool good = true;

	while (good && len > 0) {
		struct iovec *v = *iov;
		size_t part = v->iov_len < len ? v->iov_len : len;

		good = part == 0 || crypt_piece(k, to, v->iov_base, part);
		v->iov_base = (uint8_t *)v->iov_base + part;
		v->iov_len -= part;
		len -= part;
		if (v->iov_len == 0) {
			(*iov)++;
			(*n)--;
		}
	}
	return good;
}

int record_seal(struct record_keys *k, enum record_type type,
		struct iovec **iov, int *n, uint8_t *to, struct error *e)
{
	size_t len = content_length(*iov, *n);
	size_t body = len + 1 + RECORD_TAG;
	const uint8_t inner = (uint8_t)type;
	uint8_t *at = to + RECORD_HEAD;
	int none;

	/* From outside all are data of TLS 1.2. */
	memcpy(to,
	       (uint8_t[]){ RECORD_DATA, 3, 3, (uint8_t)(body >> 8),
			    (uint8_t)body },
	       RECORD_HEAD);
	if (begin(k, to) && seal_pieces(k, iov, n, len, &at) &&
	    crypt_piece(k, &at, &inner, 1) &&
	    EVP_CipherFinal_ex(k->cipher, at, &none) &&
	    EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG,
				at))
		return (int)(RECORD_HEAD + body);
	return no_cipher(e);
}

int record_length(const uint8_t *record, size_t have, struct error *e)
{
	size_t len;

	if (have < RECORD_HEAD)
		return 0;
	len = RECORD_HEAD + ((size_t)record[3] << 8 | record[4]);
	if (record[0] != RECORD_DATA || record[1] != 3 || record[2] != 3 ||
	    len < RECORD_AROUND || len > RECORD_MOST)
		return error_set(e, EPROTO, "TLS: what comes is no record");
	return (int)len;
}

/* The type is the last byte that is not 0, in front of the padding. */
static int find_type(const uint8_t *content, size_t len, uint8_t last,
		     uint8_t *ret_type, struct error *e)
{
	while (last == 0 && len > 0)
		last = content[--len];
	if (last == 0)
		return error_set(e, EPROTO, "TLS: a record of no type");
	*ret_type = last;
	return (int)len;
}

int record_open(struct record_keys *k, const uint8_t *record, size_t len,
		uint8_t *to, uint8_t *ret_type, struct error *e)
{
	size_t content = len - RECORD_AROUND;
	const uint8_t *sealed = record + RECORD_HEAD;
	const uint8_t *tag = sealed + content + 1;
	uint8_t last, *at = to, *behind = &last;
	int none;

	if (!begin(k, record) ||
	    (content > 0 && !crypt_piece(k, &at, sealed, content)) ||
	    !crypt_piece(k, &behind, sealed + content, 1) ||
	    !EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG,
				 (void *)(uintptr_t)tag))
		return no_cipher(e);
	if (EVP_CipherFinal_ex(k->cipher, behind, &none))
		return find_type(to, content, last, ret_type, e);
	ERR_clear_error();
	return error_set(e, EPROTO,
			 "TLS: a record was changed on its way, or is not the "
			 "next one");
}
