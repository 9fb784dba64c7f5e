/* SPDX-License-Identifier: MIT */

/*
 * HELLO: the first thing on every connection between two daemons, one from
 * the side that dialled, then one from the side that accepted.  Specified in
 * docs/wire.md, "Hello".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct error;

enum {
	WIRE_VERSION = 2, /* what this build speaks */
	WIRE_LOWEST = 2,  /* the oldest version that it still speaks */

	HELLO_HEAD_SIZE = 56,
	HELLO_SUM_SIZE = 8,
	HELLO_TEXT_MAX = 512,
	HELLO_MAX = HELLO_HEAD_SIZE + HELLO_TEXT_MAX + HELLO_SUM_SIZE,
	SECRET_SIZE = 32,
};

enum hello_kind {
	HELLO_OPEN = 1,   /* begin a session */
	HELLO_JOIN = 2,   /* one more channel for a session */
	HELLO_ACCEPT = 3, /* answer to any */
	HELLO_REFUSE = 4, /* answer to any; the text says why */
	HELLO_PAIR = 5,   /* a host that has no certificate asks for one */
};

struct hello {
	uint16_t version, lowest;
	enum hello_kind kind;
	uint64_t session;              /* 0 in OPEN */
	uint8_t secret[SECRET_SIZE];   /* zeros in OPEN and REFUSE */
	char text[HELLO_TEXT_MAX + 1]; /* host name, or the reason */
};

/* Bytes written to @buf (HELLO_MAX of room). */
size_t hello_write(const struct hello *h, void *buf);

/* Length of the whole hello whose first HELLO_HEAD_SIZE bytes are in @buf. */
int hello_length(size_t *ret, const void *buf, struct error *e);

/* -EBADMSG for anything but one whole, undamaged hello. */
int hello_read(struct hello *ret, const void *buf, size_t len, struct error *e);

/* The version that both ends speak, from the other side's hello;
 * -EPROTONOSUPPORT with a sentence when there is none. */
int hello_common_version(uint16_t *ret, const struct hello *theirs,
			 struct error *e);
