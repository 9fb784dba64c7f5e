/* SPDX-License-Identifier: MIT */

/*
 * TLS 1.3 over a channel of any kind; docs/trust.md, "The connection".
 *
 * One thread makes a channel secure, before any other uses it.  Afterwards it
 * is used as every channel: one thread reads, another one writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct error;
typedef struct ssl_ctx_st SSL_CTX;

/* Bytes that are written between two changes of the keys.  The 2^24.5 records
 * that RFC 8446, 5.5 allows for AES-GCM are thousands of times more; a change
 * costs some microseconds, and what every move does does not rot.  A test makes
 * it less. */
#define SECURE_KEY_UPDATE_BYTES (64ULL << 20)

struct secure_options {
	SSL_CTX *context; /* of this host; outlives no channel: it is counted */
	bool accepts;     /* the other side has dialled */
	bool any;         /* also who shows no certificate; with @accepts */
	/* What has been read of the connection to see that it is TLS. */
	const uint8_t *first;
	size_t first_len;
	uint64_t key_update_bytes; /* 0: SECURE_KEY_UPDATE_BYTES */
};

/* Between the connection and the first hello.  @c becomes a channel of the kind
 * "tls", whose @identity is the name that the certificate of the other side
 * has; empty where @any and it has shown none.  When it fails, @c stays what it
 * was: -ETIMEDOUT at @deadline_us, -EACCES with a sentence when somebody has
 * not proved who he is.  Whoever shuts down the channel that stood there before
 * shuts down this one. */
int channel_secure(struct channel **c, const struct secure_options *o,
		   uint64_t deadline_us, struct error *e);

/* Does a connection that begins with this byte speak TLS?  A hello does not
 * begin with it. */
bool secure_is_tls(uint8_t first);
