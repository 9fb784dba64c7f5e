/* SPDX-License-Identifier: MIT */

/*
 * The destination's table of RAM blocks in a message: an array of
 * {"name", "len", "page_size"}; its order gives the numbers that PAGES frames
 * use.  docs/wire.md, "Messages".
 */
#pragma once

#include <jansson.h>

#include "relay/divert.h"

struct error;
struct guest_memory;

json_t *blocks_json(const struct guest_memory *m); /* NULL: no blocks */

/* @ret has room for SPLIT_BLOCKS_MAX; @peer is for the message. */
int blocks_read(struct relay_block *ret, unsigned *ret_n, const json_t *list,
		const char *peer, struct error *e);
