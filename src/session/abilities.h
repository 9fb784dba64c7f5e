/* SPDX-License-Identifier: MIT */

/*
 * What one version of Drover can do and an older one cannot.  Each side lists
 * its own in the "can" of the first message that it sends in a session, and
 * sends nothing that the other side has not named.  docs/wire.md, "Messages".
 */
#pragma once

#include "base/words.h"

enum ability {
	CAN_HOLDS, /* answers "holds" */
	/* names the RAM blocks of a relay once its QEMU is connected, and
	 * waits for that */
	CAN_BLOCKS,
	CAN_CARRIES, /* answers "carries" */
	CAN_STREAMS, /* knows STREAMS_MAX of them, not STREAMS_OLD */
	CAN_RDMA,    /* knows frames of the kind RDMA, and pages by it */
	CAN_PROVE,   /* has a block's address proved before it sends pages */
	CAN_QUEUE,   /* waits where it hears "full", and answers "offer" */
	CAN_FACTS,   /* answers "facts" */
	CAN_RETURN,  /* answers "return" */
	CAN_BUSY,    /* hears what others send over its cards */
	CAN_COPY,    /* hears what was kept of a machine that returns */
	ABILITIES
};

struct words abilities_words(void); /* all of this version's; constant */
/* Bits by enum ability; names that are not known are left out. */
unsigned abilities_read(const struct words *w);
