/* SPDX-License-Identifier: MIT */

/*
 * The records of one direction of a TLS 1.3 connection behind its handshake
 * (RFC 8446, 5.2): numbered, sealed with the keys of that direction.  The
 * cipher is OpenSSL's; here stand only the record's form and the order of its
 * keys.
 *
 * A page goes from where it stands into what is sent in one pass, and from what
 * arrived to where it is wanted in another.  OpenSSL's own records take five
 * copies for that, and one lock for both directions; docs/decisions.md.
 *
 * A direction belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct error;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct ssl_cipher_st SSL_CIPHER;

enum {
	RECORD_CONTENT = 16384, /* most that one may hold */
	RECORD_HEAD = 5,
	RECORD_TAG = 16,
	/* Around the content: its head, its type, its tag. */
	RECORD_AROUND = RECORD_HEAD + 1 + RECORD_TAG,
	RECORD_MOST = RECORD_CONTENT + RECORD_AROUND,
	RECORD_SECRET = 48, /* of SHA-384 */
};

enum record_type {
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
};

struct record_keys {
	EVP_CIPHER_CTX *cipher;
	const EVP_MD *digest;
	uint8_t secret[RECORD_SECRET], iv[12];
	uint64_t number; /* of the next record under these keys */
};

/* @secret as the handshake has made it, of the digest's length. */
int record_keys_init(struct record_keys *k, const SSL_CIPHER *suite,
		     const uint8_t *secret, bool seals, struct error *e);
void record_keys_done(struct record_keys *k); /* {} is fine */
/* The secret that follows this one. */
int record_keys_next(struct record_keys *k, struct error *e);

/* What a record may have of @iov, which is used up that far, is written to @to,
 * which has room for RECORD_MOST.  Its bytes. */
int record_seal(struct record_keys *k, enum record_type type,
		struct iovec **iov, int *n, uint8_t *to, struct error *e);

/* Bytes of the record at @record; 0: more than these @have have to be there to
 * see that.  -EPROTO: it is none. */
int record_length(const uint8_t *record, size_t have, struct error *e);

/* A whole one.  Its content stands at @to, which has room for @len -
 * RECORD_AROUND, whatever its sum is; -EPROTO when it is wrong, and nothing of
 * it may be used. */
int record_open(struct record_keys *k, const uint8_t *record, size_t len,
		uint8_t *to, uint8_t *ret_type, struct error *e);
