/* SPDX-License-Identifier: MIT */

/*
 * QEMU's return path, far enough to find SWITCHOVER_ACK in it: frames of
 * be16 type, be16 length, payload (migration/migration.c,
 * migrate_send_rp_message).  Post-copy's messages carry bytes outside of their
 * length; from the first of them on nothing is looked at any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct return_path { /* starts as zeros */
	uint8_t head[4];
	unsigned head_len;
	uint16_t payload_left;
	uint16_t type; /* of the frame that return_path_next() was in */
	bool at_head;  /* the last piece began or went on with a header */
	bool opaque;
};

/* How many of the bytes at @data may be handed on together: at most up to the
 * end of a frame.  @len > 0. */
size_t return_path_next(struct return_path *p, const uint8_t *data, size_t len);

/* The piece just measured completes the header of a SWITCHOVER_ACK. */
bool return_path_is_switchover_ack(const struct return_path *p);
