/* SPDX-License-Identifier: MIT */

/*
 * The return path on its way into the source's QEMU
 *
 * SWITCHOVER_ACK waits until QEMU may switch over, and what comes after it
 * waits behind it.  PONGs that answer PINGs of ours do not: the first pass, for
 * whose end the ACK waits, waits for them.
 *
 * One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/pongs.h"

struct error;

struct answers_calls {
	int (*write)(void *context, const uint8_t *data, size_t len,
		     struct error *e);
	bool (*may_switch)(void *context);
	void (*pong)(void *context, uint32_t value); /* one of ours */
};

/* Starts as zeros but for the first two. */
struct answers {
	const struct answers_calls *calls;
	void *context;

	struct pongs pongs;
	bool holds;
	uint8_t *kept;
	size_t kept_len;
};

int answers_write(struct answers *a, const uint8_t *data, size_t len,
		  struct error *e);
/* Writes what has waited if it may; else @ret_until_us is when to ask again. */
int answers_turn(struct answers *a, uint64_t *ret_until_us, struct error *e);
/* QEMU's end comes: what has waited is written now. */
int answers_end(struct answers *a, struct error *e);
void answers_done(struct answers *a);
