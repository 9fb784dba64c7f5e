/* SPDX-License-Identifier: MIT */

/*
 * How often a peer may ask for what costs more than an answer: the CA's host
 * signs, writes to the disk and tells all others.  Any thread may call; no lock
 * is held when a function returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"

struct error;
struct rates;

/* So many at once, and one more after each such time: pure. */
struct rate {
	unsigned most; /* 0: there is no limit */
	uint64_t each_us;
};

/* @full_us is when all of them may be taken again, 0 at first.  False: not
 * before @ret_wait_us. */
bool rate_take(const struct rate *r, uint64_t *full_us, uint64_t now_us,
	       uint64_t *ret_wait_us);

struct rates *rates_new(void);      /* NULL: no memory */
void rates_free(struct rates *all); /* NULL is fine */

/* May this peer ask for that now?  -EBUSY with when it may. */
int rates_take(struct rates *all, const char *peer, enum message_type what,
	       struct error *e);
