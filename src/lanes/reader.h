/* SPDX-License-Identifier: MIT */

/*
 * The reader of a lane: receives one whole frame, verifies its checksum, claims
 * its number and applies it.  A frame that arrives damaged ends the lane, not
 * the session: what it carried was not acknowledged and is sent again.
 *
 * After the session's end it applies nothing more but drains until the peer has
 * closed too: closing with unread bytes would make the kernel send a reset,
 * which can overtake the BYE.
 */
#pragma once

#include <stdint.h>

struct error;
struct iovec;
struct lanes;

/* As lanes_place(). */
int reader_place(struct lanes *l, uint64_t seq, const struct iovec *meta,
		 const struct iovec *data, struct error *e);

/* Its thread, from lanes_add() until the channel has ended. */
void *reader_main(void *lane);
