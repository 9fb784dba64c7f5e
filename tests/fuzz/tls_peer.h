/* SPDX-License-Identifier: MIT */

/*
 * The other end of a TLS connection, for the targets that fuzz
 * channel/secure.c: an honest engine, in the thread of the end that is tested,
 * whose records may be changed on their way, also beneath their encryption.
 * So what is tested sees what a host could say that has the right key and means
 * harm, and not only what fails at the first sum.
 *
 *   tested end ──write()──► in ──► SSL ──► out ──► open ─► change ─► seal ─┐
 *              ◄──read()─── queue ◄────────────────────────────────────────┘
 *
 * The peer's secrets come from OpenSSL's key log; TLS_AES_128_GCM_SHA256 only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/channel.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
typedef struct bio_st BIO;

enum {
	PEER_SECRET = 32, /* of SHA-256 */
	PEER_BODY = 18 * 1024,
	/* RFC 8446, 5.1 */
	PEER_CHANGE_CIPHER = 20,
	PEER_ALERT = 21,
	PEER_HANDSHAKE = 22,
	PEER_DATA = 23,
};

struct peer_record {
	uint8_t type; /* of the content: where it is sealed, of what is inside
		       */
	bool sealed;
	uint16_t version; /* 0x0303 but in the first */
	size_t padding;   /* zeros behind the content, inside */
	size_t len;
	uint8_t body[PEER_BODY];
};

/* One direction's keys. */
struct peer_keys {
	uint8_t secret[PEER_SECRET], key[16], iv[12];
	uint64_t number; /* of the next record */
	bool there;
};

struct tls_peer {
	struct channel base; /* what the tested end stands on */
	SSL *ssl;
	BIO *in, *out;
	/* Of a record of the handshake; what it makes of it leaves, unless it
	 * is false.  NULL: as it is. */
	bool (*change)(void *context, struct peer_record *r);
	void *context;
	struct peer_keys handshake, data; /* the peer's own direction */
	uint64_t opened;                  /* records of the handshake */
	bool established; /* set by who tests: silence is no end any more */
	size_t chunk;     /* bytes that the tested end gets at once; 0: all */
	uint8_t *queue;
	size_t at, len, cap, last; /* @last: where the last record begins */
};

/* A context for the peers: it tells its secrets. */
void peer_context(SSL_CTX *c);
void peer_init(struct tls_peer *p, SSL_CTX *c, bool accepts);
void peer_done(struct tls_peer *p);

/* Behind the handshake.  False: the tested end's did not come to its end, so
 * there are no keys for the data. */
bool peer_has_keys(const struct tls_peer *p);
void peer_send(struct tls_peer *p, const struct peer_record *r);
/* The last record that was sent, as it lies there. */
uint8_t *peer_last(struct tls_peer *p, size_t *ret_len);
void peer_again(struct tls_peer *p); /* it comes twice */
void peer_new_keys(struct tls_peer *p);
/* What the tested end has written: bytes; 0: nothing more yet; -1: the end, or
 * it cannot be read. */
int peer_read(struct tls_peer *p, void *buf, size_t cap);
