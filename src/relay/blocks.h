/* SPDX-License-Identifier: MIT */

/*
 * The destination's table of RAM blocks in a message: an array of
 * {"name", "len", "page_size"}; its order gives the numbers that PAGES frames
 * use.  docs/wire.md, "Messages".
 */
#pragma once

#include "relay/divert.h"
#include "wire/message.h"

struct error;
struct guest_memory;

/* NULL: no blocks.  On the heap: a message that has it is done with it. */
int blocks_list(struct message_blocks *ret, const struct guest_memory *m,
		struct error *e);

/* @peer is for the message. */
int blocks_take(struct relay_blocks *ret, const struct message_blocks *list,
		const char *peer, struct error *e);
void blocks_done(struct relay_blocks *b);
