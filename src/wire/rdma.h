/* SPDX-License-Identifier: MIT */

/*
 * What the two sides of a session tell each other of its queue pairs, in frames
 * of the kind RDMA: all that there is to say, each time.  docs/wire.md, "RDMA".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"

struct error;

enum {
	RDMA_PAIRS_MAX = 8, /* that are not gone, of a session */
	RDMA_SECRET = 16,   /* bytes */
	RDMA_BUFFERS_MAX = 64,
	RDMA_ADDRESS_TEXT = 64,
	RDMA_WHY = 252,
};

/* The first three are the source's, the others the destination's. */
enum rdma_state {
	RDMA_ASKED,
	RDMA_ENDED,
	RDMA_OFFERED,
	RDMA_OPEN,
	RDMA_DESTROYED,
	RDMA_STATES,
};

struct rdma_secret {
	uint8_t bytes[RDMA_SECRET];
};

struct rdma_pair_words {
	uint32_t number; /* from 1; never used again */
	enum rdma_state state;
	char address[RDMA_ADDRESS_TEXT]; /* asked: where to listen */
	struct rdma_secret secret;       /* offered, */
	uint16_t port;                   /* and where */
	uint64_t at;                     /* open: of the buffers, */
	uint32_t key;
	uint32_t buffers, buffer_bytes; /* how many, and of each */
	char why[RDMA_WHY];             /* ended, destroyed: the reason */
};

struct rdma_words {
	struct rdma_pair_words pairs[RDMA_PAIRS_MAX];
	size_t pairs_count;
};

extern const struct shape rdma_words_shape;

char *rdma_words_text(const struct rdma_words *w); /* NULL without memory */
/* -EBADMSG.  @ret has nothing that had to be freed. */
int rdma_words_parse(struct rdma_words *ret, const void *text, size_t len,
		     struct error *e);

/* --- what comes with the request for a connection */

enum { RDMA_GREETING = 32 };

struct rdma_greeting {
	uint64_t session;
	uint32_t number;
	struct rdma_secret secret;
};

void rdma_greeting_write(const struct rdma_greeting *g,
			 uint8_t buf[RDMA_GREETING]);
/* 0 when that is it; all bytes of the secret are compared.  -EACCES. */
int rdma_greeting_check(const struct rdma_greeting *g, const void *data,
			size_t len);

/* --- of a frame PAGES whose data was written: which buffer of which pair */

static inline uint64_t rdma_place(uint32_t number, uint32_t buffer)
{
	return (uint64_t)number << 32 | buffer;
}
static inline uint32_t rdma_place_number(uint64_t place)
{
	return (uint32_t)(place >> 32);
}
static inline uint32_t rdma_place_buffer(uint64_t place)
{
	return (uint32_t)place;
}
