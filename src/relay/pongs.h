/* SPDX-License-Identifier: MIT */

/*
 * The return path of a relay's QEMUs, from the destination's to the source's,
 * with the PONGs in it that answer PINGs of ours (split_ping()): the
 * destination writes into one what it has found, and the source takes it out
 * again.  Everything else passes as it is.
 *
 * One thread uses it; starts as zeros.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu/return_path.h"

enum { PONG_SIZE = 8 };

struct pongs {
	struct return_path path;
	uint8_t held[PONG_SIZE]; /* not known yet whether it is ours */
	unsigned held_len;
	unsigned value_len; /* at the destination */
	uint32_t value;
};

/* The source's.  How many of the bytes at @data are done with; @ret says what
 * is to be handed on for them. */
struct pongs_piece {
	const uint8_t *data; /* @len may be 0; valid until the next call */
	size_t len;
	bool switchover_ack; /* to be held back as that */
	bool ours;           /* an answer, nothing is handed on */
	uint32_t value;
};
size_t pongs_take(struct pongs *g, const uint8_t *data, size_t len,
		  struct pongs_piece *ret);

/* The destination's: the answer to each PONG of ours in @data, by the block
 * that it is about, becomes its lowest byte. */
void pongs_answer(struct pongs *g, uint8_t *data, size_t len,
		  uint8_t (*answer)(void *context, unsigned block),
		  void *context);

/* Which block a value of ours is about. */
unsigned pongs_block(uint32_t value);
